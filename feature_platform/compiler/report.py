"""Collects what is wrong with a query, so that a pass tells all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from feature_platform.compiler.parse import Places
from feature_platform.errors import Code, GuardError, Problem


@dataclass
class Report:
    """The problems of one query so far."""

    places: Places
    problems: list[Problem] = field(default_factory=list)

    def add(self, code: Code, node: exp.Expr | None, what: str, mend: str) -> None:
        """Notes a problem at the place of ``node``. The same problem at the same place is noted once."""
        problem = code.problem(what, mend=mend, where=self.places.of(node))
        if problem not in self.problems:
            self.problems.append(problem)

    def raise_if_any(self) -> None:
        """Ends compilation if something was noted.

        Raises:
            GuardError: with all problems noted.
        """
        if self.problems:
            raise GuardError(self.problems)
