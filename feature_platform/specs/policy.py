"""The kind ``policy``: what the privacy officer allows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from feature_platform.specs.fields import Classification, Document, Name, Owner, Spec, TransformName


class PolicyRule(Spec):
    """What may be done with columns of some classifications, for some purposes, roles and environments.

    The most restrictive rule that matches wins.
    """

    classification: tuple[Classification, ...] | Classification = Field(
        description="What the columns hold: one, or a list."
    )
    purposes: tuple[Name, ...] = Field(default=(), description="Empty: every purpose.")
    roles: tuple[Name, ...] = Field(default=(), description="Empty: every role.")
    environments: tuple[Name, ...] = Field(
        default=(), description="Empty: every environment. A profile's is its `environment`, or else its name."
    )
    action: Literal["deny", "redact", "token"] = Field(
        description="What reading the column itself gives: an error, a constant, a token."
    )
    transforms: tuple[TransformName, ...] = Field(default=(), description="Governed transforms allowed besides.")

    @property
    def classifications(self) -> tuple[Classification, ...]:
        return (self.classification,) if isinstance(self.classification, str) else self.classification


class Policy(Document):
    """Rules of the privacy officer. What no rule allows is denied."""

    kind: Literal["policy"]
    owner: Owner
    rules: tuple[PolicyRule, ...] = Field(min_length=1, description="In any order.")
