"""Randomness by counter: the value of row *i* depends on the seed, a label and *i* alone.

So rows can be made in any chunks, in any order, and come out the same. Only operations that IEEE 754 fixes to the last
bit are used (integers, +, -, *, /, square root), so they come out the same on every machine, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True, slots=True)
class Draw:
    """Draws by (label, counter). The same label and counter always give the same value."""

    seed: int

    def bits(self, label: str, counters: Integers) -> npt.NDArray[np.uint64]:
        """64 random bits per counter: SplitMix64 (Steele, Lea, Flood 2014) over a stream of the label's own."""
        stream = np.uint64(int.from_bytes(blake2b(f"{self.seed}:{label}".encode(), digest_size=8).digest(), "little"))
        state = stream + (counters.astype(np.uint64) + np.uint64(1)) * _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _MIX[0]
        state = (state ^ (state >> np.uint64(27))) * _MIX[1]
        mixed: npt.NDArray[np.uint64] = state ^ (state >> np.uint64(31))
        return mixed

    def uniform(self, label: str, counters: Integers) -> Floats:
        """Numbers in [0, 1)."""
        return (self.bits(label, counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, label: str, counters: Integers, limit: int | Integers) -> Integers:
        """Whole numbers in [0, limit)."""
        return (self.uniform(label, counters) * limit).astype(np.int64)

    def chance(self, label: str, counters: Integers, probability: float | Floats) -> Flags:
        """True with the given probability."""
        flags: Flags = self.uniform(label, counters) < probability
        return flags

    def weighted(self, label: str, counters: Integers, weights: tuple[float, ...]) -> Integers:
        """Positions in ``weights``, each as often as its weight says."""
        edges = np.array(list(accumulate(weights))) / sum(weights)
        positions: Integers = np.searchsorted(edges[:-1], self.uniform(label, counters), side="right").astype(np.int64)
        return positions


def spread(ranks: Integers, size: int) -> Integers:
    """A fixed permutation of 0 … size-1, so that popular ranks do not have neighbouring numbers."""
    step = next(prime for prime in (2_654_435_761, 2_246_822_519, 3_266_489_917) if size % prime)
    return (ranks * step + size // 3) % size


def table(values: Any) -> npt.NDArray[Any]:
    """A lookup table, to be indexed by arrays."""
    return np.asarray(values)
