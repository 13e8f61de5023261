"""One alternative of the coarse pattern, with what is cheap to see of every value that it is found in.

PostgreSQL builds an automaton anew for every value, which costs half a microsecond and more; LIKE, lengths and case
cost a twentieth of it. They leave few values to most patterns, and never one out that has a match.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

NOT_ASCII: Final = "\uffff"
"""Stands for any character beyond ASCII."""


@dataclass(frozen=True, slots=True)
class Part:
    """A pattern, and tests that every value with a match passes."""

    pattern: str
    one_of: str = ""
    """Characters of which there is at least one."""
    like: tuple[str, ...] = ()
    """LIKE patterns, of which at least one fits. They have no escapes."""
    shortest: int = 0
    """Characters there are, at least."""
    has: Literal["", "upper", "lower", "letter"] = ""
    """An ASCII letter there is, of upper or lower case or either."""
    head: str = ""
    """A simpler regular expression that is found as well."""


def shapes(template: str, separators: str) -> tuple[str, ...]:
    """The template with every choice of separators in place of its question marks.

    >>> shapes("%_?_%", "-+")
    ('%_-_%', '%_+_%')
    """
    first, *rest = template.split("?")
    choices = product(separators, repeat=len(rest))
    return tuple(first + "".join(map("".join, zip(chosen, rest, strict=True))) for chosen in choices)
