"""Online copies follow their view's history by themselves, whoever rebuilt it.

A schedule's run, and one of ``fp materialize``, is of a history and its copies together. A backfill that somebody
starts in the UI may be of the history alone; without this its copy would wait for the next tick, or for ever. Dagster's
daemon looks every half minute which histories were published by a run without their copy, and asks for that copy once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import dagster as dg

SENSOR: Final = "online_copies_follow"

FOLLOWS: Final[dg.AutomationCondition[Any]] = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("its history was published by a run without it")
"""When an online copy is made without anyone asking."""


def following(copies: Sequence[dg.AssetKey], schedules: dg.DefaultScheduleStatus) -> list[dg.SensorDefinition]:
    """The sensor that asks for ``copies``; it runs where schedules run."""
    if not copies:
        return []
    runs = schedules == dg.DefaultScheduleStatus.RUNNING
    return [
        dg.AutomationConditionSensorDefinition(
            SENSOR,
            target=dg.AssetSelection.assets(*copies),
            default_status=dg.DefaultSensorStatus.RUNNING if runs else dg.DefaultSensorStatus.STOPPED,
            description="Copies a view's newest rows online after a backfill of its history alone.",
        )
    ]
