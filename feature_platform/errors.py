"""The one exception hierarchy: every user error has a code, a place, what is wrong and how to mend it.

A ``Code`` is declared once, in the ``codes`` module of the package that raises it; the catalogue page in
the docs is generated from those modules. A ``Problem`` is one fault that an author can act on; an exception
carries all the problems that were found together, never only the first.

Texts of problems never hold values of classified columns, keys or passwords.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

_CODE_PATTERN = re.compile(r"FP-[A-Z]+-\d{3}")


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file: path relative to the project root, line and column counted from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Code:
    """The identity of a kind of problem, e.g. ``Code("FP-SPEC-004", "Unknown field", "…")``.

    ``explanation`` is one short paragraph for the catalogue page: when it happens and why it is refused.
    """

    id: str
    title: str
    explanation: str

    def __post_init__(self) -> None:
        if not _CODE_PATTERN.fullmatch(self.id):
            raise ValueError(f"malformed error code {self.id!r}")

    def problem(self, what: str, *, mend: str, where: Location | None = None) -> Problem:
        """One problem of this kind."""
        return Problem(code=self.id, what=what, mend=mend, where=where)


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: its code, where it is, what is wrong, and how to mend it."""

    code: str
    what: str
    mend: str
    where: Location | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.code}: {self.what}\n    mend: {self.mend}"

    def sort_key(self) -> tuple[str, int, int, str, str]:
        """Orders a report by file, line, column, then code."""
        where = self.where or Location("")
        return (where.file, where.line, where.column, self.code, self.what)


class FeaturePlatformError(Exception):
    """The root of every error that this platform raises on purpose; ``problems`` holds at least one."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        listed = (problems,) if isinstance(problems, Problem) else tuple(problems)
        if not listed:
            raise ValueError("an error needs at least one problem")
        self.problems: Sequence[Problem] = tuple(sorted(listed, key=Problem.sort_key))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def code(self) -> str:
        """The code of the first problem."""
        return self.problems[0].code

    def __reduce__(self) -> tuple[type[FeaturePlatformError], tuple[tuple[Problem, ...]]]:
        return (type(self), (tuple(self.problems),))


class SpecError(FeaturePlatformError):
    """A YAML or JSON document is not what its kind asks for."""


class RegistryError(FeaturePlatformError):
    """The documents do not fit together: a reference, a cycle, a duplicate, a key that does not match."""


class GovernanceError(FeaturePlatformError):
    """A policy, a classification, a key or a detection step is wrong or missing."""


class CompileError(FeaturePlatformError):
    """A feature view, service or query cannot be compiled."""


class GuardError(CompileError):
    """A query would reach what the policy keeps closed, or is not understood well enough to be let through."""


class StoreError(FeaturePlatformError):
    """A store refused, failed, or holds something else than was asked for."""


class GateError(FeaturePlatformError):
    """Staged data did not pass its checks, or a check could not be evaluated; nothing was published."""


class AuditError(FeaturePlatformError):
    """What was asked for can't be recorded, so it is not done; or the ledger can't be used."""


class UsageError(FeaturePlatformError):
    """A caller of the SDK or the command line asked for something that makes no sense."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``" Did you mean 'amount'?"``, or ``""`` when nothing known is near.

    >>> did_you_mean("amuont", ["amount", "currency"])
    " Did you mean 'amount'?"
    """
    near = get_close_matches(wrong.lower(), {name.lower(): name for name in known}, n=1, cutoff=0.6)
    if not near:
        return ""
    match = next(name for name in known if name.lower() == near[0])
    return f" Did you mean '{match}'?"
