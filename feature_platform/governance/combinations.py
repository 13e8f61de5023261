"""Forms of one value that give more together than each does alone.

The first six and the last four digits of a card leave 100 numbers out of a million; the year of birth and the age on a
day may leave the birthday. So a query, a service or a training set that brings two forms of one class together needs a
policy that names them in ``combinations:``. Of payment cards a token counts as such a form: PCI DSS (3.5.1) wants
hashed and truncated versions of one number kept from being correlated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from feature_platform.governance.access import Access
from feature_platform.governance.labels import Labels

TOKEN: Final = "token"  # noqa: S105 - the name of an action
TOKEN_COUNTS: Final = frozenset({"payment_card"})
"""Classes of which a token beside a partial form needs permission too."""


@dataclass(frozen=True, slots=True)
class Combination:
    """Forms of one class that stand together and may not."""

    classification: str
    forms: tuple[str, ...]
    access: Access

    @property
    def what(self) -> str:
        """For messages."""
        return (
            f"{' and '.join(self.forms)} of {self.classification} together tell more than each alone, and no rule lets "
            f"them stand together for {self.access}: {self.access.decide(self.classification).cited}"
        )

    @property
    def mend(self) -> str:
        """For messages."""
        return (
            f"leave {self.forms[0] if self.forms[0] != TOKEN else self.forms[1]} out, or ask the policy's owner for "
            f"`combinations: [[{', '.join(self.forms)}]]`"
        )


def refused_combinations(labels: Labels, access: Access) -> Iterator[Combination]:
    """The combinations among ``labels`` that no purpose of the asker lets stand together.

    >>> from feature_platform.governance.labels import Label
    >>> both = frozenset(Label("partial", "payment_card", form) for form in ("bin6", "last4"))
    >>> [found.forms for found in refused_combinations(both, Access(("fraud_detection",)))]
    [('bin6', 'last4')]
    """
    for classification in sorted({label.classification for label in labels if label.kind in ("partial", "token")}):
        forms = _forms(labels, classification)
        if len(forms) > 1 and not any(forms <= known for known in access.decide(classification).combinations):
            yield Combination(classification, tuple(sorted(forms)), access)


def _forms(labels: Labels, classification: str) -> frozenset[str]:
    own = [label for label in labels if label.classification == classification]
    partial = frozenset(label.form for label in own if label.kind == "partial")
    token = classification in TOKEN_COUNTS and any(label.kind == "token" for label in own)
    return partial | {TOKEN} if token else partial
