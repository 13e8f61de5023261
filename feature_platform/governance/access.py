"""Who asks, why, where, and under which policies: the context in which a query is guarded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from feature_platform.governance.labels import Labels
from feature_platform.governance.policies import CLEAR, NO_POLICIES, Decision, PolicyBook, Refusal, least_strict
from feature_platform.specs.policy import AUTHOR

if TYPE_CHECKING:
    from feature_platform.registry.graph import Registry


@dataclass(frozen=True, slots=True)
class Access:
    """Purposes, role and environment of the asker, and the policies that hold.

    A view is compiled for all of its purposes at once: a column or transform is open if *some* purpose opens it, and
    what is used is recorded as labels. A service, an SDK session or a token has exactly one purpose, and every label of
    every feature that it gets must be allowed for that one.

    >>> Access(("fraud_detection",)).decide("email").action  # no policies, so nothing is open
    'deny'
    """

    purposes: tuple[str, ...]
    role: str = AUTHOR
    environment: str = ""
    """Where it runs, such as ``production``: rules may hold in some environments only."""
    policies: PolicyBook = NO_POLICIES

    def __str__(self) -> str:
        purposes = ", ".join(f"'{purpose}'" for purpose in self.purposes) or "no purpose"
        return f"purpose {purposes} and role '{self.role}'"

    def with_purposes(self, purposes: Iterable[str]) -> Access:
        """The same asker under the same policies, with other purposes."""
        return replace(self, purposes=tuple(purposes))

    def decide(self, classification: str | None) -> Decision:
        """What may be done with columns of ``classification``; None is an unclassified column, which is clear here.

        With several purposes the least strict of their decisions holds, and the transforms of all of them.
        """
        if classification is None or classification == "none":
            return CLEAR
        return least_strict(
            self.policies.decide(classification, purpose, self.role, self.environment) for purpose in self.purposes
        )

    def refuses(self, labels: Labels) -> tuple[Refusal, ...]:
        """The labels that the asker may not have, together, for any of the purposes; empty when some purpose may have
        all of them.
        """
        first: tuple[Refusal, ...] = ()
        for purpose in self.purposes:
            refused = self.policies.refuses(labels, purpose, self.role, self.environment)
            if not refused:
                return ()
            first = first or refused
        return first or self.policies.refuses(labels, "", self.role, self.environment)


def author_of(registry: Registry, environment: str | None = None) -> Access:
    """The authors of a linked project in one of its environments (by default that of the default profile), without a
    purpose as yet: each view and service brings its own.
    """
    place = registry.platform.environment_of() if environment is None else environment
    return Access((), AUTHOR, place, PolicyBook.of(registry))
