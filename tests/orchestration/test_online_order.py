"""Runs of several moments, and what becomes of the one that is late: the rows stay, the run says so and is no failure.

The rule itself, on both stores: ``tests/stores/test_online_order.py``.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from rich.console import Console
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.cli.materialize import for_people
from feature_platform.orchestration.online import publish_copy, stage_copy
from feature_platform.orchestration.online_rows import copy_of
from feature_platform.orchestration.report import AssetReport, RunEvent, RunReport
from feature_platform.orchestration.runs import materialize
from feature_platform.orchestration.store_repair import repair
from feature_platform.project.project import Project
from tests.orchestration.builders import CARD_MODEL, DAILY_SPEND, LAST_PAYMENT, Payment, Workplace, online, utc
from tests.orchestration.test_online_changes import written

NOON = utc(2026, 1, 4, 12)
EARLIER = utc(2026, 1, 2, 12)


def asset(report: RunReport, name: str) -> AssetReport:
    return next(each for each in report.assets if each.asset == name)


def amount(project: Project, store: str) -> object:
    (row,) = online(project, "last_payment", 1, store=store)
    return row and row["amount"]


def shown(report: RunReport) -> str:
    console = Console(width=400)
    with console.capture() as captured:
        console.print(*for_people(report))
    return captured.get()


def test_a_run_of_an_earlier_moment_leaves_what_is_live_unless_somebody_forces_it(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, DAILY_SPEND)
    cards.write(CARD_MODEL, file="models/services.yaml")
    with cards.open() as project:
        assert materialize(project, as_of=NOON).ok
        early = materialize(project, as_of=EARLIER)
        assert early.ok, "nobody has to get up for it"
        assert asset(early, "redis/payments/last_payment").status == "superseded"
        for view, name, moment in (("last_payment", "as_of", NOON), ("daily_spend", "moment", utc(2026, 1, 4))):
            live = project.online_store("redis").publication(view)
            assert live is not None
            assert live.properties[name] == moment.isoformat()
        assert "last_payment: left as it is: 'last_payment' is live in 'redis' as of 2026-01-04 12:00" in shown(early)
        assert "1 superseded" in shown(early)
        assert (written(project, "last_payment", "redis")["written_as"]) == "nothing"
        assert asset(early, "services/card_model").status in ("published", "up_to_date")
        done = {each.store: each.done for each in repair(project, ["last_payment"], EARLIER)}
        assert "as of 2026-01-04 12:00:00" in done["redis"]
        assert amount(project, "redis") == Decimal("7.25")

        back = materialize(project, ["last_payment"], as_of=EARLIER, force=True)
        assert asset(back, "redis/payments/last_payment").status == "published"
        assert amount(project, "redis") == Decimal("20.00")
        assert written(project, "last_payment", "redis")["went_back_from"] == NOON.isoformat()
    export = ["audit", "export", "--action", "materialization", "--json", "--project", str(cards.root)]
    assert f'"previous":"{NOON.isoformat()}"' in CliRunner().invoke(app, export).stdout.replace(": ", ":")


def test_a_run_that_is_overtaken_leaves_what_is_live_unless_its_history_is_newer(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT.replace("online: redis", "online: postgres"))
    with cards.open() as project:
        materialize(project, as_of=NOON - timedelta(hours=2))
        cards.pay([Payment(1, NOON - timedelta(minutes=90), "1.00")], file="new.csv")

        def overtake(event: RunEvent) -> None:
            if (event.asset, event.step) == ("postgres/payments/last_payment", "publish"):
                staged = stage_copy(project, copy_of(project, "last_payment", "postgres", NOON), run_id="faster")
                publish_copy(project, staged)

        report = materialize(project, as_of=NOON - timedelta(hours=1), on_event=overtake)
        assert report.ok
        assert asset(report, "postgres/payments/last_payment").status == "superseded"
        live = project.online_store("postgres").publication("last_payment")
        assert live is not None
        assert live.properties["run_id"] == "faster"
        assert amount(project, "postgres") == Decimal("1.00")

        cards.pay([Payment(1, NOON - timedelta(minutes=80), "2.00")], file="newer.csv")
        slow = materialize(project, as_of=NOON - timedelta(hours=1))
        assert asset(slow, "postgres/payments/last_payment").status == "published", "its history is not live yet"
        live = project.online_store("postgres").publication("last_payment")
        assert live is not None
        assert live.properties["as_of"] == NOON.isoformat()
        assert amount(project, "postgres") == Decimal("2.00")
