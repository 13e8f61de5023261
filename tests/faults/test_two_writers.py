"""Two writers to one view at the same moment: what is live is wholly one's, and both know how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from feature_platform.errors import StoreError
from feature_platform.stores import codes
from feature_platform.stores.protocols import Partition, Publication, StreamTable
from tests.stores import online_cases, warehouse_cases
from tests.stores.warehouse_cases import DAY, NOON, SPEND, opened, rows_of
from tests.stores.warehouse_writer import NUMBERS

ROUNDS = 4
ROWS = 2_000
Ended = Publication | StoreError


def at_once(*publications: Callable[[], Publication]) -> Sequence[Ended]:
    """What each of them gave or raised, begun at one moment in threads of their own."""
    ready = threading.Barrier(len(publications))
    ended: list[Ended | None] = [None] * len(publications)

    def run(place: int, publish: Callable[[], Publication]) -> None:
        ready.wait()
        try:
            ended[place] = publish()
        except StoreError as error:
            ended[place] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(publications)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each is not None for each in ended)
    return [each for each in ended if each is not None]


def rows(value: int) -> StreamTable:
    return warehouse_cases.stream(NUMBERS, [{"number": number, "value": value} for number in range(ROWS)])


@pytest.fixture(params=["duckdb_delta", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> warehouse_cases.Kind:
    if request.param == "postgres":
        return warehouse_cases.postgres_kind(request.getfixturevalue("postgres_url"))
    return warehouse_cases.duckdb_kind(tmp_path)


@pytest.mark.parametrize("partition", [None, Partition("2026-06-30", NOON, NOON + DAY)])
def test_the_later_publication_replaces_the_earlier_one_as_a_whole(
    warehouse: warehouse_cases.Kind, partition: Partition | None
) -> None:
    with opened(warehouse) as one, opened(warehouse) as other:
        for number in range(ROUNDS):
            writes = [
                store.stage(SPEND, NUMBERS, rows(value), partition=partition, properties={"value": str(value)})
                for store, value in ((one, 2 * number), (other, 2 * number + 1))
            ]
            ended = at_once(partial(one.publish, writes[0]), partial(other.publish, writes[1]))
            versions = {int(each.version): each for each in ended if isinstance(each, Publication)}
            assert len(versions) == 2, ended
            (live,) = one.publications(SPEND)
            assert live == versions[max(versions)]
            assert [row["value"] for row in rows_of(other)] == [int(live.properties["value"])] * ROWS
        one.sweep(SPEND)
        assert len(warehouse.leftovers()) == 1


def test_two_partitions_do_not_get_in_each_others_way(warehouse: warehouse_cases.Kind) -> None:
    days = [Partition(f"2026-06-{day}", NOON.replace(day=day), NOON.replace(day=day) + DAY) for day in (28, 29)]
    with opened(warehouse) as one, opened(warehouse) as other:
        writes = [
            store.stage(SPEND, NUMBERS, rows(value), partition=day)
            for value, (store, day) in enumerate(zip((one, other), days, strict=True))
        ]
        at_once(partial(one.publish, writes[0]), partial(other.publish, writes[1]))
        assert [(each.partition, each.rows) for each in one.publications(SPEND)] == [(day.key, ROWS) for day in days]
        assert sorted(row["value"] for row in rows_of(one)) == [0] * ROWS + [1] * ROWS


@pytest.fixture(params=["redis", "postgres"])
def online(request: pytest.FixtureRequest) -> online_cases.Kind:
    url = request.getfixturevalue(f"{request.param}_url")
    return online_cases.redis_kind(url) if request.param == "redis" else online_cases.postgres_kind(url)


def test_the_later_snapshot_replaces_the_earlier_one_as_a_whole(online: online_cases.Kind) -> None:
    table = online_cases.online_table()
    one, other = online.open(), online.open()
    for number in range(ROUNDS):
        writes = [
            store.stage(table, online_cases.numbered(table, ROWS, value), properties={"value": str(value)})
            for store, value in ((one, 2 * number), (other, 2 * number + 1))
        ]
        ended = at_once(partial(one.publish, writes[0]), partial(other.publish, writes[1]))
        assert all(isinstance(each, Publication) for each in ended), ended
        live = one.publication(table.view)
        assert live in ended
        keys = [(str(number),) for number in range(ROWS)]
        values = {row.values["amount"] for row in other.read(table, keys) if row is not None}
        assert values == {int(live.properties["value"])}
    for store in (one, other):
        store.sweep(table.view)
        store.close()
    assert online.leftovers() == set()


def test_of_two_changes_to_the_same_rows_one_is_refused_and_told_why(online: online_cases.Kind) -> None:
    table = online_cases.changed_table()
    one, other = online.open(), online.open()
    one.publish(one.stage(table, online_cases.numbered(table, online_cases.CHANGED_ROWS, 1)))
    for _ in range(ROUNDS):
        writes = [store.stage_changes(table, online_cases.changes_to(store, table)) for store in (one, other)]
        ended = at_once(partial(one.publish, writes[0]), partial(other.publish, writes[1]))
        (refused,) = (each for each in ended if isinstance(each, StoreError))
        assert refused.code == codes.ONLINE_CHANGED.id
        (won,) = (each for each in ended if isinstance(each, Publication))
        assert one.publication(table.view) == won
        assert one.holdings(table.view).rows == won.rows
        for store, write in zip((one, other), writes, strict=True):
            store.discard(write)
    assert online.leftovers() == set()
    one.close()
    other.close()
