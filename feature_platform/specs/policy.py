"""The kind ``policy``: what the privacy officer allows."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from feature_platform.specs.fields import (
    DIGEST_PATTERN,
    Classification,
    Document,
    Name,
    Owner,
    Spec,
    TransformName,
    contradiction,
    fault,
)

AUTHOR: Final = "author"
"""The role of those who write definitions: views and services are compiled for it, and no rule shows it raw values."""


def _parse_day(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise fault(f"'{value[:40]}' is not a day", "Write it as 2026-01-31.") from None


Day = Annotated[
    date, BeforeValidator(_parse_day), WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-31"]})
]


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
    action: Literal["deny", "redact", "token", "raw"] = Field(
        description="What reading the column itself gives: an error, a constant, a token, or the value as it is."
    )
    transforms: tuple[TransformName, ...] = Field(default=(), description="Governed transforms allowed besides.")
    combinations: tuple[tuple[TransformName, ...], ...] = Field(
        default=(),
        description="Transforms whose results may stand together, `token` among them, e.g. `[bin6, last4]`: "
        "each combination a list.",
    )
    approver: Owner | None = Field(default=None, description="Who answers for showing raw values. Only with `raw`.")
    expires: Day | None = Field(
        default=None, description="Last day (UTC) on which raw values are shown. Only with `raw`."
    )
    ticket: str | None = Field(default=None, description="Where it was asked for. Only with `raw`.")

    @property
    def classifications(self) -> tuple[Classification, ...]:
        return (self.classification,) if isinstance(self.classification, str) else self.classification

    @model_validator(mode="after")
    def _raw_is_an_exception(self) -> PolicyRule:
        if self.action != "raw":
            given = [name for name in ("approver", "expires", "ticket") if getattr(self, name) is not None]
            if given:
                what = f"`{given[0]}` is given for action `{self.action}`"
                raise contradiction(what, "It is for `raw` alone; leave it out.", given[0])
            return self
        missing = [name for name in ("approver", "expires", "purposes", "roles") if not getattr(self, name)]
        if missing:
            raise contradiction(
                f"`raw` without {', '.join(f'`{name}`' for name in missing)}",
                "Raw values are an exception: name each purpose, each role, who approved it, and the last day.",
                "action",
            )
        if AUTHOR in self.roles:
            raise contradiction(
                f"`raw` for role `{AUTHOR}`",
                "Definitions are compiled for that role; give those who must see values a role of their own.",
                "roles",
            )
        for name in ("transforms", "combinations"):
            if getattr(self, name):
                mend = "Whoever sees the value may use every transform, in any combination; leave them out."
                raise contradiction(f"`raw` with `{name}`", mend, name)
        return self


class ApprovedTransform(Spec):
    """A governed transform of a team's own package that may be used: see the guide to governance."""

    name: TransformName = Field(description="Of its entry point in the group `feature_platform.transforms`.")
    version: int = Field(ge=1, description="The version that was looked at; another one is refused.")
    approver: Owner = Field(description="Who looked at it.")
    definition: str | None = Field(
        default=None,
        pattern=DIGEST_PATTERN,
        description="Digest of what was looked at. With it, a changed definition is refused even if it kept its "
        "version.",
    )


class Policy(Document):
    """Rules of the privacy officer. What no rule allows is denied."""

    kind: Literal["policy"]
    owner: Owner
    rules: tuple[PolicyRule, ...] = Field(default=(), description="In any order.")
    transforms: tuple[ApprovedTransform, ...] = Field(
        default=(), description="Transforms of teams that rules may allow; nothing of any other is ever loaded."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Policy:
        if not self.rules and not self.transforms:
            raise contradiction("a policy without `rules`", "Write at least one rule, or approve a transform.", None)
        return self
