"""Labels: what a column of a query or a feature carries, as far as privacy is concerned.

A column has a *set* of labels, propagated through the lineage. The empty set is ``clean``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LabelKind = Literal["derived", "aggregated", "token", "partial", "raw"]


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """``token(payment_card, v1)``, ``partial(email, email_domain)``, ``aggregated(payment_card)``, ``derived(email)``.

    ``derived`` says that only a non-identifying fact is left (NULL or not, a checksum's verdict); ``aggregated``
    that many values went into one number; ``raw(email)`` that it is the value itself, or made of it.
    """

    kind: LabelKind
    classification: str
    form: str = ""
    """Key version of a token, transform of a partial; empty otherwise."""

    @property
    def needs(self) -> str:
        """The action or transform that a policy has to give; empty where anything will do."""
        return {"token": "token", "raw": "raw", "partial": self.form}.get(self.kind, "")

    def __str__(self) -> str:
        inner = f"{self.classification}, {self.form}" if self.form else self.classification
        return f"{self.kind}({inner})"


Labels = frozenset[Label]
CLEAN: Labels = frozenset()


def describe(labels: Labels) -> str:
    """``clean``, or the labels in order, joined by `` + ``.

    >>> describe(frozenset({Label("token", "email", "v1")}))
    'token(email, v1)'
    """
    return " + ".join(str(label) for label in sorted(labels)) or "clean"
