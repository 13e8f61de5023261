"""Two writers of one table: what was overtaken replaces nothing. The rule, and that every warehouse keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from feature_platform.errors import StoreError
from feature_platform.stores.protocols import Partition, StagedWrite, Warehouse
from feature_platform.stores.publication_order import earlier, next_number
from tests.stores.doris.double.running import doubled
from tests.stores.warehouse_cases import (
    SPEND,
    Kind,
    day,
    doris_kind,
    duckdb_kind,
    opened,
    postgres_kind,
    publish,
    rows_of,
    schema,
    stream,
)

AMOUNTS = schema(customer_id="bigint", amount="bigint")


@pytest.fixture(params=["duckdb_delta", "postgres", "doris_double"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "duckdb_delta":
        yield duckdb_kind(tmp_path)
    elif request.param == "postgres":
        yield postgres_kind(request.getfixturevalue("postgres_url"))
    else:
        with doubled() as (settings, cluster):
            yield doris_kind(request.getfixturevalue("postgres_url"), settings, cluster)


def rows(amount: int) -> list[dict[str, Any]]:
    return [{"customer_id": 1, "amount": amount}]


def staged(warehouse: Warehouse, amount: int, partition: Partition | None, **properties: str) -> StagedWrite:
    given = stream(AMOUNTS, rows(amount))
    return warehouse.stage(SPEND, AMOUNTS, given, partition=partition, properties=properties)


def refused(warehouse: Warehouse, write: StagedWrite, *, backwards: bool = False) -> str:
    with pytest.raises(StoreError) as raised:
        warehouse.publish(write, backwards=backwards)
    assert raised.value.code == "FP-STORE-007"
    warehouse.discard(write)
    return raised.value.problems[0].what


@pytest.mark.parametrize("partition", [None, day("2026-01-01")], ids=["whole", "partition"])
def test_of_two_runs_the_one_that_began_later_stands(kind: Kind, partition: Partition | None) -> None:
    with opened(kind) as slow, opened(kind) as quick:
        first, second = slow.begin(), quick.begin()
        quick.publish(staged(quick, 2, partition, **second))
        assert "began later" in refused(slow, staged(slow, 1, partition, **first))
        assert "began later" in refused(slow, staged(slow, 1, partition, **first), backwards=True)
        assert rows_of(quick) == rows(2)
        again = staged(slow, 3, partition, **slow.begin())
        live = slow.publish(again)
        assert slow.publish(again) == live, "what is live is published already"
        assert rows_of(quick) == rows(3)


def test_a_run_that_began_earlier_and_published_earlier_gives_way(kind: Kind) -> None:
    with opened(kind) as one, opened(kind) as other:
        first, second = one.begin(), other.begin()
        one.publish(staged(one, 1, None, **first))
        other.publish(staged(other, 2, None, **second))
        assert rows_of(one) == rows(2)


def test_a_backfill_that_goes_on_with_an_old_definition_undoes_no_restatement(kind: Kind) -> None:
    monday, tuesday = day("2026-01-05"), day("2026-01-06")
    with opened(kind) as old, opened(kind) as new:
        old.publish(staged(old, 1, monday, fingerprint="old", **old.begin()))
        for each in (monday, tuesday):
            new.publish(staged(new, 2, each, fingerprint="new", **new.begin()))
        late = staged(old, 1, tuesday, fingerprint="old", **old.begin())
        assert "another definition" in refused(old, late)
        assert [row["amount"] for row in rows_of(new)] == [2, 2]
    with opened(kind) as reverted:
        reverted.publish(staged(reverted, 1, tuesday, fingerprint="old", **reverted.begin()))
        assert sorted(row["amount"] for row in rows_of(reverted)) == [1, 2], "who opens it again means it"


def test_a_whole_table_of_an_older_definition_replaces_no_partition(kind: Kind) -> None:
    with opened(kind) as old, opened(kind) as new:
        before = old.begin()
        publish(new, rows(1), AMOUNTS, partition=day("2026-01-05"))
        new.publish(staged(new, 2, day("2026-01-06"), fingerprint="new", **new.begin()))
        refused(old, staged(old, 3, None, fingerprint="old", **before))
        assert sorted(row["amount"] for row in rows_of(new)) == [1, 2]


def test_rows_of_an_earlier_moment_go_live_for_those_who_ask(kind: Kind) -> None:
    noon, morning = "2026-06-30T12:00:00", "2026-06-30T08:00:00"
    with opened(kind) as warehouse:
        warehouse.publish(staged(warehouse, 2, None, as_of=noon, **warehouse.begin()))
        early = staged(warehouse, 1, None, as_of=morning, **warehouse.begin())
        assert f"live as of {noon}" in refused(warehouse, early)
        asked = staged(warehouse, 1, None, as_of=morning, **warehouse.begin())
        warehouse.publish(asked, backwards=True)
        assert rows_of(warehouse) == rows(1)


def test_numbers_grow_whoever_asks(kind: Kind) -> None:
    def numbers(_: int) -> list[int]:
        with opened(kind) as warehouse:
            given = [warehouse.begin() for _ in range(5)]
        assert {each["opened"] for each in given} == {given[0]["begun"]}
        return [int(each["begun"]) for each in given]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(numbers, range(4)))
    assert all(each == sorted(each) for each in found)
    assert len({number for each in found for number in each}) == 20


def test_numbers_grow_over_a_lost_file_and_a_clock_that_went_back(tmp_path: Path) -> None:
    file = tmp_path / "order"
    first = next_number(file)
    file.unlink()
    assert next_number(file) > first
    file.write_text(str(2**63), encoding="ascii")
    assert next_number(file) == 2**63 + 1


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ({}, {}, None),
        ({}, {"begun": "1"}, "begun"),
        ({"begun": "1"}, {}, None),
        ({"begun": "9"}, {"begun": "9"}, None),
        ({"opened": "1", "begun": "9", "fingerprint": "a"}, {"opened": "2", "begun": "3", "fingerprint": "a"}, None),
        ({"opened": "1", "begun": "9", "fingerprint": "a"}, {"opened": "2", "fingerprint": "b"}, "definition"),
        ({"begun": "1", "as_of": "2026-01-02T00:00:00"}, {"begun": "2", "as_of": "2026-01-01T00:00:00"}, None),
        ({"begun": "2", "as_of": "2026-01-01T00:00:00"}, {"begun": "1", "as_of": "2026-01-02T00:00:00"}, "moment"),
        ({"begun": "2"}, {"begun": "1", "as_of": "2026-01-02T00:00:00"}, None),
    ],
)
def test_what_is_earlier(ours: dict[str, str], theirs: dict[str, str], why: str | None) -> None:
    assert earlier(ours, theirs) == why
