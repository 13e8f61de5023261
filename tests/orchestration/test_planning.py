"""Which assets are rebuilt, for which partitions, in which runs."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from feature_platform.errors import Problem
from feature_platform.orchestration.keys import Path, ViewAsset
from feature_platform.orchestration.partitions import Interval, partition_at, partitions_within
from feature_platform.orchestration.planning import (
    Batch,
    Candidate,
    Task,
    batches,
    requested_partitions,
    stale_tasks,
)
from feature_platform.stores.protocols import Partition
from tests.orchestration.builders import utc

START = utc(2026, 1, 1)
DAYS = tuple(partition_at(START + timedelta(days=number), "day") for number in range(5))


def asset(name: str, *needs: str) -> Candidate:
    return Candidate(_path(name), _paths(needs), ViewAsset(name, "warehouse", "offline", _path(name)))


def daily(name: str, *needs: str, days: tuple[Partition, ...] = DAYS) -> Candidate:
    return Candidate(_path(name), _paths(needs), ViewAsset(name, "warehouse", "offline", _path(name)), "day", days)


def task(name: str, *needs: str, span: tuple[str, str] | None = None) -> Task:
    return Task(_path(name), span, _paths(needs))


def _path(name: str) -> Path:
    return ("warehouse", "payments", name)


def _paths(names: tuple[str, ...]) -> frozenset[Path]:
    return frozenset(map(_path, names))


def names(tasks: list[Task] | tuple[Task, ...]) -> list[str]:
    return [each.path[-1] for each in tasks]


def test_what_is_current_is_left_alone() -> None:
    assert stale_tasks([asset("spend")], lambda *_: "", force=False) == []


def test_force_rebuilds_what_is_current() -> None:
    assert names(stale_tasks([asset("spend")], lambda *_: "", force=True)) == ["spend"]


def test_everything_behind_a_stale_view_is_rebuilt_with_it() -> None:
    chain = [asset("spend"), asset("ratio", "spend"), asset("score", "ratio"), asset("other")]
    planned = stale_tasks(chain, lambda candidate, _: "changed" if candidate.path[-1] == "spend" else "", force=False)
    assert names(planned) == ["spend", "ratio", "score"]


def test_neighbouring_stale_partitions_are_one_range() -> None:
    stale = {DAYS[0], DAYS[1], DAYS[3]}
    planned = stale_tasks([daily("spend")], lambda _, partition: "changed" if partition in stale else "", force=False)
    assert [each.span for each in planned] == [(DAYS[0].key, DAYS[1].key), (DAYS[3].key, DAYS[3].key)]


def test_unpartitioned_views_join_the_run_of_a_range() -> None:
    span = ("2026-01-01", "2026-01-02")
    cut = batches([task("profile"), task("spend", "profile", span=span), task("copy", "spend")])
    assert [(batch.span, names(batch.tasks)) for batch in cut] == [(span, ["profile", "spend", "copy"])]


def test_a_copy_waits_for_all_ranges_of_its_view() -> None:
    first, second = ("2026-01-01", "2026-01-01"), ("2026-01-03", "2026-01-03")
    cut = batches([task("spend", span=first), task("spend", span=second), task("copy", "spend")])
    assert [names(batch.tasks) for batch in cut] == [["spend"], ["spend", "copy"]]


def test_without_a_partition_the_newest_and_the_lookback_are_looked_at() -> None:
    found = requested_partitions("spend", "day", START, 2, interval=None, as_of=utc(2026, 1, 20, 8))
    assert [each.key for each in found] == ["2026-01-17", "2026-01-18", "2026-01-19"]


def test_the_lookback_ends_at_the_first_partition() -> None:
    found = requested_partitions("spend", "day", START, 30, interval=None, as_of=utc(2026, 1, 3))
    assert [each.key for each in found] == ["2026-01-01", "2026-01-02"]


def test_a_partition_before_the_first_one_is_a_problem() -> None:
    interval = Interval(utc(2025, 12, 31), utc(2026, 1, 2))
    problem = requested_partitions("spend", "day", START, 0, interval=interval, as_of=utc(2026, 2, 1))
    assert isinstance(problem, Problem)
    assert problem.code == "FP-RUN-004"


def test_a_partition_that_is_not_over_is_a_problem() -> None:
    interval = Interval(utc(2026, 1, 2), utc(2026, 1, 3))
    problem = requested_partitions("spend", "day", START, 0, interval=interval, as_of=utc(2026, 1, 2, 23))
    assert isinstance(problem, Problem)
    assert problem.code == "FP-RUN-005"


def test_an_hour_is_no_partition_of_a_daily_view() -> None:
    interval = Interval(utc(2026, 1, 2, 5), utc(2026, 1, 2, 6))
    problem = requested_partitions("spend", "day", START, 0, interval=interval, as_of=utc(2026, 2, 1))
    assert isinstance(problem, Problem)
    assert "partitioned by day" in problem.what


SPANS = st.sampled_from([None, ("2026-01-01", "2026-01-01"), ("2026-01-02", "2026-01-03"), ("a", "b")])


@st.composite
def graphs(draw: st.DrawFn) -> list[Task]:
    """Tasks in topological order, with needs among the earlier ones."""
    tasks: list[Task] = []
    for number in range(draw(st.integers(0, 12))):
        earlier = [f"view_{index}" for index in range(number)]
        needs = draw(st.lists(st.sampled_from(earlier), max_size=3)) if earlier else []
        spans = draw(st.sets(SPANS, min_size=1, max_size=2))
        tasks += [task(f"view_{number}", *needs, span=span) for span in sorted(spans, key=str)]
    return tasks


@given(graphs())
def test_every_task_is_in_one_batch(tasks: list[Task]) -> None:
    cut = batches(tasks)
    assert sorted(str(each) for batch in cut for each in batch.tasks) == sorted(map(str, tasks))


@given(graphs())
def test_a_batch_has_one_range(tasks: list[Task]) -> None:
    assert all(each.span in (batch.span, None) for batch in batches(tasks) for each in batch.tasks)


@given(graphs())
def test_what_a_task_needs_is_built_before_it(tasks: list[Task]) -> None:
    order = [each for batch in batches(tasks) for each in batch.tasks]
    for index, each in enumerate(order):
        assert not {later.path for later in order[index + 1 :]} & each.needs


def test_many_partitions_are_planned_in_one_run() -> None:
    days = tuple(partitions_within(Interval(START, START + timedelta(days=365)), "day"))
    views = [daily(f"view_{number}", days=days) for number in range(3)]
    tasks = stale_tasks(views, lambda *_: "changed", force=False, chunk=365)
    assert batches(tasks) == [Batch((days[0].key, days[-1].key), tuple(tasks))]
    chunked = batches(stale_tasks(views, lambda *_: "changed", force=False, chunk=100))
    assert [(batch.span, len(batch.tasks)) for batch in chunked] == [
        ((days[first].key, days[min(first + 99, 364)].key), 3) for first in (0, 100, 200, 300)
    ]
