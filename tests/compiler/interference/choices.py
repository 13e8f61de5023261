"""Where a random query comes from: a sequence of small numbers, drawn from a seed, or given.

The grammar asks for numbers and nothing else, and the number 0 always stands for the simplest thing it can write. So
a failing query shrinks without knowing any SQL: take numbers away, make numbers smaller, and look whether what the
grammar writes then still fails. A sequence that ends too early goes on with zeros.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Numbers for the grammar; ``made`` are those that it has taken so far."""

    def __init__(self, seed: int | None = None, given: Sequence[int] = ()) -> None:
        self._random = random.Random(seed) if seed is not None else None
        self._given = given
        self.made: list[int] = []

    def below(self, bound: int) -> int:
        """A number from 0 to ``bound - 1``."""
        if self._random is not None:
            number = self._random.randrange(bound)
        else:
            position = len(self.made)
            number = self._given[position] % bound if position < len(self._given) else 0
        self.made.append(number)
        return number

    def of(self, options: Sequence[T]) -> T:
        """One of ``options``; the first is the simplest."""
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases; False is the simplest."""
        return self.below(100) >= 100 - percent


def shrunk(made: Sequence[int], fails: Callable[[Sequence[int]], bool], *, tries: int = 600) -> list[int]:
    """A short sequence that ``fails``, found from one that does, with at most so many ``tries``."""
    best, left = list(made), tries

    def better(candidate: list[int]) -> bool:
        nonlocal best, left
        left -= 1
        if left < 0 or candidate == best or not fails(candidate):
            return False
        best = candidate
        return True

    improved = True
    while improved and left > 0:
        improved = False
        size = max(len(best) // 2, 1)
        while size:  # take away longer and shorter pieces
            start = 0
            while start < len(best) and left > 0:
                if better(best[:start] + best[start + size :]):
                    improved = True
                else:
                    start += size
            size //= 2
        for position in range(len(best)):  # and make single numbers smaller
            if position < len(best) and best[position]:
                smaller = (0, best[position] // 2, best[position] - 1)
                improved |= any(better([*best[:position], to, *best[position + 1 :]]) for to in smaller)
    return best
