"""Materializing a selection through real Dagster runs, on real stores."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import dagster as dg
import pytest

from feature_platform.errors import UsageError
from feature_platform.orchestration.factory import definitions_of
from feature_platform.orchestration.instance import instance
from feature_platform.orchestration.io_managers import PublishedTable, ServedTable
from feature_platform.orchestration.report import RunEvent, RunReport
from feature_platform.orchestration.resources import PROJECT, lent_project
from feature_platform.orchestration.runs import materialize
from tests.orchestration.builders import (
    CARD_MODEL,
    DAILY_SPEND,
    LAST_PAYMENT,
    PAYMENT_SIZE,
    Payment,
    Workplace,
    online,
    rows_of,
    utc,
)

NOON = utc(2026, 1, 4, 12)
EVERYTHING = (LAST_PAYMENT, PAYMENT_SIZE, DAILY_SPEND, CARD_MODEL)


def statuses(report: RunReport) -> dict[str, str]:
    return {asset.asset: asset.status for asset in report.assets}


def test_everything_is_published_in_one_run(cards: Workplace) -> None:
    cards.write(*EVERYTHING)
    with cards.open() as project:
        report = materialize(project, as_of=NOON)
        assert set(statuses(report).values()) == {"published"}, report
        assert len(report.run_ids) == 1
        assert len(rows_of(project, "last_payment")) == 4
        assert online(project, "last_payment", 1, 2, 3) == [
            {"amount": Decimal("7.25"), "note": "order 1", "shop_domain": "gmail.com"},
            {"amount": Decimal("30.50"), "note": "order 1", "shop_domain": "gmail.com"},
            None,
        ]
        spend = {"amount_sum_1d": Decimal("157.25"), "amount_sum_7d": Decimal("177.25"), "count_1d": 2}
        assert online(project, "daily_spend", 1) == [spend]


def test_a_second_run_has_nothing_to_do(cards: Workplace) -> None:
    cards.write(*EVERYTHING)
    with cards.open() as project:
        materialize(project, as_of=NOON)
        again = materialize(project, as_of=NOON)
    assert set(statuses(again).values()) == {"up_to_date"}
    assert again.run_ids == ()
    assert {asset.asset: asset.rows for asset in again.assets}["warehouse/payments/last_payment"] == 4


def test_a_changed_definition_rebuilds_its_view_and_what_reads_it(cards: Workplace) -> None:
    cards.write(*EVERYTHING)
    with cards.open() as project:
        materialize(project, as_of=NOON)
    cards.write(LAST_PAYMENT.replace("amount, note", "amount * 2 AS amount, note"), *EVERYTHING[1:])
    with cards.open() as project:
        report = statuses(materialize(project, as_of=NOON))
    assert {name for name, status in report.items() if status == "published"} == {
        "warehouse/payments/last_payment",
        "redis/payments/last_payment",
        "warehouse/payments/payment_size",
        "services/card_model",
    }


def test_new_rows_of_a_source_rebuild_what_reads_it(cards: Workplace) -> None:
    cards.write(*EVERYTHING)
    with cards.open() as project:
        materialize(project, as_of=NOON)
        cards.pay([Payment(3, utc(2026, 1, 3, 23))], file="2.csv")
        report = materialize(project, as_of=NOON)
        assert set(statuses(report).values()) == {"published"}
        assert online(project, "last_payment", 3) != [None]


def test_a_failed_check_keeps_the_version_before_for_every_reader(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, PAYMENT_SIZE)
    with cards.open() as project:
        materialize(project, as_of=NOON)
        before = rows_of(project, "last_payment")
        cards.pay([Payment(9, utc(2026, 1, 3, 23), "-1.00")], file="2.csv")
        report = materialize(project, as_of=NOON)
        assert statuses(report) == {
            "warehouse/payments/last_payment": "failed",
            "redis/payments/last_payment": "blocked",
            "warehouse/payments/payment_size": "blocked",
        }
        assert not report.ok
        assert "value_ranges" in report.of("failed")[0].reason
        assert rows_of(project, "last_payment") == before
        assert online(project, "last_payment", 9) == [None]


def test_an_address_in_a_column_declared_clean_is_never_published_nor_quoted(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    planted = "grace.hopper@example.org"
    with cards.open() as project:
        materialize(project, as_of=NOON)
        cards.pay([Payment(9, utc(2026, 1, 3, 23), note=planted)], file="2.csv")
        (failed, _) = materialize(project, as_of=NOON).assets
        assert [check.name for check in failed.checks if not check.passed] == ["pii"]
        assert planted not in repr(failed)
        assert online(project, "last_payment", 1) != [None]
        with instance(project) as opened:
            assert planted not in "".join(str(entry) for entry in opened.all_logs(failed.run_id or ""))


def test_check_results_are_in_dagster_with_their_counts(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        materialize(project, as_of=NOON)
        key = dg.AssetCheckKey(dg.AssetKey(["warehouse", "payments", "last_payment"]), "row_count")
        with instance(project) as opened:
            (record,) = opened.event_log_storage.get_asset_check_execution_history(key, limit=5)
    assert record.event is not None
    evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    assert evaluation.passed
    assert 4 in {value.value for value in evaluation.metadata.values()}


def test_a_failed_check_records_no_materialization(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    cards.pay([])
    with cards.open() as project:
        report = materialize(project, as_of=NOON)
        with instance(project) as opened:
            key = dg.AssetKey(["warehouse", "payments", "last_payment"])
            assert opened.get_latest_materialization_event(key) is None
    assert "row_count" in report.assets[0].reason


def test_a_failure_does_not_stop_views_that_do_not_need_it(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT.replace("rows_min: 1", "rows_min: 100"), DAILY_SPEND)
    with cards.open() as project:
        report = statuses(materialize(project, as_of=NOON))
    assert report == {
        "warehouse/payments/last_payment": "failed",
        "redis/payments/last_payment": "blocked",
        "warehouse/payments/daily_spend": "published",
        "redis/payments/daily_spend": "published",
    }


def test_a_range_of_partitions_is_one_run_with_a_publication_each(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    with cards.open() as project:
        report = materialize(project, ["daily_spend"], partition="2026-01-01..2026-01-03", as_of=NOON)
        offline = report.assets[0]
        assert len(report.run_ids) == 1
        assert offline.partitions == ("2026-01-01", "2026-01-02", "2026-01-03")
        times = [row["event_time"] for row in rows_of(project, "daily_spend") if row["card_id"] == 1]
        assert times == [utc(2026, 1, day) for day in (2, 3, 4)]


def test_one_bad_partition_does_not_hold_back_the_others(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    cards.pay([Payment(2, utc(2026, 1, 3, 9), "5000.00")], file="2.csv")
    with cards.open() as project:
        report = materialize(project, ["daily_spend"], partition="2026-01-01..2026-01-03", as_of=NOON)
        failed = report.assets[0]
        assert (failed.status, failed.partitions) == ("failed", ("2026-01-01", "2026-01-02"))
        assert "2026-01-03" in failed.reason
        published = {row["event_time"] for row in rows_of(project, "daily_spend")}
        assert published == {utc(2026, 1, 2), utc(2026, 1, 3)}


def test_only_missing_partitions_of_a_range_are_built(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    with cards.open() as project:
        materialize(project, ["daily_spend"], partition="2026-01-02", as_of=NOON)
        report = materialize(project, ["daily_spend"], partition="2026-01-01..2026-01-03", as_of=NOON)
    assert report.assets[0].partitions == ("2026-01-01", "2026-01-03")
    assert len(report.run_ids) == 2


def test_an_entity_without_events_in_its_windows_leaves_the_online_store(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    with cards.open() as project:
        materialize(project, partition="2026-01-03", as_of=NOON)
        assert online(project, "daily_spend", 2) != [None]
        materialize(project, partition="2026-01-10", as_of=NOON + timedelta(days=20))
        assert online(project, "daily_spend", 2) == [None]


def test_a_partition_of_the_past_does_not_go_online(cards: Workplace) -> None:
    cards.write(DAILY_SPEND)
    with cards.open() as project:
        materialize(project, as_of=NOON)
        live = online(project, "daily_spend", 1)
        materialize(project, partition="2026-01-01", as_of=NOON)
        assert online(project, "daily_spend", 1) == live


def test_rows_of_the_future_go_online_when_they_are_due(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        materialize(project, as_of=utc(2026, 1, 3, 9, 30))
        assert online(project, "last_payment", 1)[0]["amount"] == Decimal("150.00")  # type: ignore[index]
        still = materialize(project, as_of=utc(2026, 1, 3, 9, 59))
        assert statuses(still)["redis/payments/last_payment"] == "up_to_date"
        later = materialize(project, as_of=utc(2026, 1, 3, 10))
        assert statuses(later)["redis/payments/last_payment"] == "published"
        assert statuses(later)["warehouse/payments/last_payment"] == "up_to_date"
        assert online(project, "last_payment", 1)[0]["amount"] == Decimal("7.25")  # type: ignore[index]


def test_rows_older_than_the_ttl_stay_offline(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT.replace("event_time: event_time\n", "event_time: event_time\n    ttl: 36h\n"))
    with cards.open() as project:
        materialize(project, as_of=NOON)
        assert len(rows_of(project, "last_payment")) == 4
        assert [row is None for row in online(project, "last_payment", 1, 2, at=NOON)] == [False, True]


@pytest.mark.parametrize("store", ["warehouse", "postgres"])
def test_history_and_newest_rows_may_be_in_postgres(cards: Workplace, store: str) -> None:
    there = "{offline: %s, online: postgres}" % store  # noqa: UP031 - braces belong to YAML
    cards.write(LAST_PAYMENT.replace('{offline: warehouse, online: redis, schedule: "@daily"}', there))
    with cards.open() as project:
        report = materialize(project, as_of=NOON)
        assert report.ok, report
        assert len(rows_of(project, "last_payment", store)) == 4
        assert online(project, "last_payment", 1, store="postgres")[0]["amount"] == Decimal("7.25")  # type: ignore[index]
        assert materialize(project, as_of=NOON).of("published") == ()


def test_force_rebuilds_what_is_up_to_date(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project:
        materialize(project, as_of=NOON)
        assert set(statuses(materialize(project, as_of=NOON, force=True)).values()) == {"published"}


def test_steps_are_heard_as_they_happen(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    heard: list[RunEvent] = []
    with cards.open() as project:
        materialize(project, as_of=NOON, on_event=heard.append)
    steps = ["stage", "audit", "publish", "published"]
    assert [event.step for event in heard] == steps * 2
    assert (heard[-1].done, heard[-1].total) == (2, 2)


def test_a_source_without_files_fails_its_views_with_the_reason(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    (cards.state / "data" / "transactions" / "1.csv").unlink()
    with cards.open() as project:
        failed = materialize(project, as_of=NOON).assets[0]
    assert failed.status == "failed"
    assert "FP-STORE-010" in failed.reason


def test_a_bad_selection_names_every_problem(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    with cards.open() as project, pytest.raises(UsageError) as refused:
        materialize(project, ["last_paymnt", "domain:pay"], as_of=NOON)
    assert [problem.code for problem in refused.value.problems] == ["FP-RUN-001", "FP-RUN-001"]
    assert "Did you mean 'last_payment'?" in str(refused.value)


def test_a_service_whose_views_are_not_published_fails_and_says_which(cards: Workplace) -> None:
    cards.write(*EVERYTHING)
    with cards.open() as project:
        (service,) = materialize(project, ["card_model"], as_of=NOON).assets
    assert service.status == "failed"
    assert "redis/payments/daily_spend was never published" in service.reason


def test_an_asset_of_someone_else_gets_a_handle_to_what_was_published(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    read: dict[str, object] = {}

    @dg.asset(
        ins={
            "history": dg.AssetIn(["warehouse", "payments", "last_payment"]),
            "newest": dg.AssetIn(["redis", "payments", "last_payment"]),
        }
    )
    def report(history: PublishedTable, newest: ServedTable) -> None:
        read["history"] = history.read().read_all().num_rows
        read["newest"] = newest.project.online_store(newest.store).read(newest.table, [(2,)])[0].values["amount"]  # type: ignore[union-attr]

    with cards.open() as project, instance(project) as opened:
        materialize(project, as_of=NOON)
        ours = definitions_of(project, resources={PROJECT: lent_project(project)})
        both = dg.Definitions.merge(ours, dg.Definitions(assets=[report]))
        job = both.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=opened, asset_selection=[report.key]).success
    assert read == {"history": 4, "newest": Decimal("30.50")}


@pytest.mark.parametrize(("url", "retries"), [("unix:///nowhere/redis.sock", 2), (None, 0)])
def test_only_what_may_pass_is_tried_again(
    cards: Workplace, monkeypatch: pytest.MonkeyPatch, url: str | None, retries: int
) -> None:
    cards.write(LAST_PAYMENT if url else LAST_PAYMENT.replace("rows_min: 1", "rows_min: 100"))
    if url:
        monkeypatch.setenv("FP_TEST_REDIS", url)
    with cards.open() as project:
        failed = materialize(project, as_of=NOON).of("failed")[0]
        with instance(project) as opened:
            again = opened.get_records_for_run(failed.run_id or "", of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY)
    assert failed.asset.startswith("redis" if url else "warehouse")
    assert len(again.records) == retries
