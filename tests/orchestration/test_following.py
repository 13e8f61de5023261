"""An online copy is asked for when its history was published without it, and only then."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from feature_platform.orchestration.factory import definitions_of
from feature_platform.orchestration.following import SENSOR
from feature_platform.orchestration.schedules import RANGE_END, RANGE_START
from tests.orchestration.builders import DAILY_SPEND, Workplace

HISTORY, COPY = dg.AssetKey(["warehouse", "payments", "daily_spend"]), dg.AssetKey(["redis", "payments", "daily_spend"])


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # of the evaluation, in a test alone
def test_a_backfill_of_the_history_alone_asks_for_its_copy_once(cards: Workplace) -> None:
    cards.write(DAILY_SPEND.replace("{max: 1000}", "{min: 0}"))
    with cards.open() as project, dg.DagsterInstance.ephemeral() as instance:
        definitions = definitions_of(project)
        (sensor,) = definitions.sensors or ()
        assert (sensor.name, sensor.default_status) == (SENSOR, dg.DefaultSensorStatus.RUNNING)
        seen: list[Any] = [None]

        def asked() -> bool:
            found = dg.evaluate_automation_conditions(definitions, instance=instance, cursor=seen[-1])
            seen.append(found.cursor)
            return found.total_requested == 1

        def run(*keys: dg.AssetKey) -> None:
            job = definitions.resolve_implicit_global_asset_job_def()
            tags = {RANGE_START: "2026-01-02", RANGE_END: "2026-01-03"}
            assert job.execute_in_process(instance=instance, asset_selection=list(keys), tags=tags).success

        assert not asked()
        run(HISTORY)
        assert asked()
        assert not asked(), "once is enough"
        run(HISTORY, COPY)
        assert not asked(), "the run was of both"
