"""What every online store promises, held against Redis and PostgreSQL alike."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.errors import StoreError
from feature_platform.stores.online_protocol import OnlineRow, OnlineStore
from tests.stores.online_cases import (
    NOON,
    Kind,
    numbered,
    online_table,
    publish,
    redis_client,
    stream,
)

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "decimal(18,2)": st.decimals(-(10**16) + 1, 10**16 - 1, places=2),
    "decimal(38,9)": st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal((int(n < 0), _digits(n), -9))),
    "string": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    "date": st.dates(),
    "timestamp": st.datetimes().map(lambda moment: moment.replace(fold=0)),
}
_WIDE = {
    **{f"f{place}": kind for place, kind in enumerate(_SCALARS)},
    **{f"a{place}": f"array<{kind}>" for place, kind in enumerate(_SCALARS)},
    **{f"k{place}": f"map<{kind}, int>" for place, kind in enumerate(_SCALARS) if kind != "double"},
    **{f"m{place}": f"map<string, {kind}>" for place, kind in enumerate(_SCALARS)},
}


def _digits(number: int) -> tuple[int, ...]:
    return tuple(map(int, str(abs(number))))


def _values(kind: str) -> st.SearchStrategy[Any]:
    if kind.startswith("array<"):
        return st.none() | st.lists(st.none() | _SCALARS[kind[6:-1]], max_size=4)
    if kind.startswith("map<"):
        key, _, element = kind[4:-1].rpartition(", ")
        return st.none() | st.dictionaries(_SCALARS[key], st.none() | _SCALARS[element], max_size=4).map(
            lambda given: dict(sorted(given.items()))
        )
    return st.none() | _SCALARS[kind]


def _exactly(row: Mapping[str, Any]) -> dict[str, str]:
    """Texts that tell -0.0 from 0.0, 1.0 from 1.00 and True from 1."""
    return {name: repr(row[name]) for name in _WIDE}


def _amounts(rows: list[OnlineRow | None]) -> list[Any]:
    return [None if row is None else row.values["amount"] for row in rows]


def test_all_stores_keep_the_protocol(kind: Kind, store: OnlineStore) -> None:
    assert isinstance(store, OnlineStore)


@pytest.mark.parametrize("kind", ["redis", "postgres"], indirect=True)  # a cluster's rows have the same bytes
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.fixed_dictionaries({name: _values(kind) for name, kind in _WIDE.items()}), min_size=1, max_size=4)
)
def test_every_type_comes_back_as_it_went_in(store: OnlineStore, rows: list[dict[str, Any]]) -> None:
    table = online_table(keys="id bigint", features="; ".join(f"{name} {kind}" for name, kind in _WIDE.items()))
    publish(store, table, [{"id": number, **row} for number, row in enumerate(rows)])
    found = store.read(table, [(number,) for number in range(len(rows))])
    assert [_exactly(row.values) for row in found if row] == [_exactly(row) for row in rows]


@pytest.mark.parametrize(
    ("key_type", "key"),
    [
        ("bigint", -(2**63)),
        ("bigint", 2**63 - 1),
        ("int", -1),
        ("string", ""),
        ("string", "tok_payment_card_v1_0123:4,5 ü\r\n$6 \U0001f600"),
        ("boolean", False),
        ("date", date(1960, 2, 29)),
        ("timestamp", datetime.fromisoformat("1969-12-31T23:59:59.999999")),
    ],
)
def test_a_row_is_found_under_its_key_whatever_the_type(store: OnlineStore, key_type: str, key: Any) -> None:
    table = online_table(keys=f"k {key_type}")
    publish(store, table, [{"k": key, "amount": 7}])
    assert _amounts(store.read(table, [(key,)])) == [7]


def test_rows_come_in_the_order_of_the_keys_that_were_asked_for(store: OnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "a", "amount": 1}, {"card": "b", "amount": 2}, {"card": "c", "amount": 3}])
    asked = [("c",), ("missing",), ("a",), ("c",), (None,), ("b",)]
    assert _amounts(store.read(table, asked)) == [3, None, 1, 3, None, 2]


def test_a_null_value_an_empty_string_and_a_missing_row_differ(store: OnlineStore) -> None:
    table = online_table(features="note string")
    publish(store, table, [{"card": "null", "note": None}, {"card": "empty", "note": ""}])
    null, empty, missing = store.read(table, [("null",), ("empty",), ("missing",)])
    assert (null, empty, missing) == (OnlineRow({"note": None}, NOON), OnlineRow({"note": ""}, NOON), None)


def test_composite_keys_are_never_taken_for_one_another(store: OnlineStore) -> None:
    table = online_table(keys="a string, b string")
    pairs = [
        ("x:1,", "y"),
        ("x", "1,:y"),
        ("x", ""),
        ("", "x"),
        ("1:x,", "1:x"),
        ("x,1:y", ""),
        ("1", "11"),
        ("11", "1"),
    ]
    publish(store, table, [{"a": a, "b": b, "amount": place} for place, (a, b) in enumerate(pairs)])
    assert _amounts(store.read(table, pairs)) == list(range(len(pairs)))
    assert store.read(table, [("x:1,y", ""), ("", "x:1,y")]) == [None, None]


def test_a_timestamp_key_with_a_zone_means_the_same_instant(store: OnlineStore) -> None:
    table = online_table(keys="at timestamp")
    publish(store, table, [{"at": NOON, "amount": 1}])
    same = NOON.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=2)))
    assert _amounts(store.read(table, [(same,)])) == [1]


@pytest.mark.parametrize("key", [("12",), (1.0,), (True,), (1, 2), ()])
def test_a_key_of_another_type_is_refused_without_showing_it(store: OnlineStore, key: tuple[Any, ...]) -> None:
    table = online_table(keys="id bigint")
    with pytest.raises(StoreError, match="FP-STORE-043") as error:
        store.read(table, [key])
    assert "12" not in error.value.problems[0].what.replace("'id'", "")


def test_an_integer_key_beyond_its_column_finds_nothing(store: OnlineStore) -> None:
    table = online_table(keys="id int")
    publish(store, table, [{"id": 1, "amount": 1}])
    assert store.read(table, [(2**40,), (2**80,)]) == [None, None]


def test_a_view_that_was_never_published_has_no_rows(store: OnlineStore) -> None:
    table = online_table()
    assert store.read(table, [("a",), ("b",)]) == [None, None]
    assert store.publication("card_spend") is None
    assert store.sweep("card_spend") == 0


def test_staged_rows_are_seen_only_after_publication(store: OnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "a", "amount": 1}])
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 2}]))
    assert _amounts(store.read(table, [("a",)])) == [1]
    store.publish(staged)
    assert _amounts(store.read(table, [("a",)])) == [2]


def test_entities_that_are_not_in_the_new_snapshot_are_gone(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "old", "amount": 1}, {"card": "both", "amount": 1}])
    publish(store, table, [{"card": "both", "amount": 2}, {"card": "new", "amount": 2}])
    assert _amounts(store.read(table, [("old",), ("both",), ("new",)])) == [None, 2, 2]
    assert kind.leftovers() == set()


def test_an_empty_snapshot_replaces_the_rows_that_were_there(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    publish(store, table, [{"card": "a", "amount": 1}])
    publish(store, table, [])
    assert store.read(table, [("a",)]) == [None]
    live = store.publication("card_spend")
    assert live is not None
    assert live.rows == 0
    assert kind.leftovers() == set()


def test_a_publication_says_what_is_live(store: OnlineStore) -> None:
    table = online_table()
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 1}]), properties={"run": "r1"})
    live = store.publish(staged)
    assert (live.version, live.rows, live.partition, live.properties) == (staged.token, 1, None, {"run": "r1"})
    assert abs(datetime.now(UTC).replace(tzinfo=None) - live.published_at) < timedelta(minutes=1)
    assert store.publication("card_spend") == live


def test_every_row_of_a_snapshot_of_several_buckets_is_found(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    for count in (40_000, 300):
        staged = store.stage(table, numbered(table, count, count))
        assert staged.rows == count
        store.publish(staged)
        assert _amounts(store.read(table, [(str(number),) for number in range(count)])) == [count] * count
    assert kind.leftovers() == set()


def test_several_views_are_read_at_once(store: OnlineStore) -> None:
    spend, risk, unborn = online_table(), online_table("risk", keys="id bigint"), online_table("unborn")
    publish(store, spend, [{"card": "a", "amount": 1}])
    publish(store, risk, [{"id": 5, "amount": 9}])
    asked = [(spend, [("a",), ("b",)]), (unborn, [("a",)]), (risk, [(5,)]), (spend, [("a",)]), (risk, [])]
    for _ in range(2):  # the first time the live versions are not known yet
        assert [_amounts(rows) for rows in store.read_many(asked)] == [[1, None], [None], [9], [1], []]


def test_a_view_that_was_replaced_by_another_process_is_read_anew(kind: Kind, store: OnlineStore) -> None:
    spend, risk = online_table(), online_table("risk")
    asked = [(spend, [("a",)]), (risk, [("a",)])]
    with contextlib.closing(kind.open()) as other:
        for value in (1, 2):
            publish(other, spend, [{"card": "a", "amount": value}])
            publish(other, risk, [{"card": "a", "amount": -value}])
            assert [_amounts(rows) for rows in store.read_many(asked)] == [[value], [-value]]


def test_a_reader_with_another_schema_is_refused(store: OnlineStore) -> None:
    old, new = online_table(features="amount bigint"), online_table(features="amount double")
    publish(store, old, [{"card": "a", "amount": 1}])
    with pytest.raises(StoreError, match="FP-STORE-040"):
        store.read(new, [("a",)])
    assert _amounts(store.read(old, [("a",)])) == [1]
    publish(store, new, [{"card": "a", "amount": 1.5}])
    assert _amounts(store.read(new, [("a",)])) == [1.5]
    with pytest.raises(StoreError, match="FP-STORE-040"):
        store.read(old, [("a",)])


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([{"card": "secret-a", "amount": 1}, {"card": "secret-a", "amount": 2}], "FP-STORE-041"),
        ([{"card": "secret-a", "amount": 1}, {"card": None, "amount": 2}], "FP-STORE-042"),
    ],
)
def test_a_snapshot_with_unusable_keys_is_refused(
    kind: Kind, store: OnlineStore, rows: list[dict[str, Any]], code: str
) -> None:
    table = online_table()
    publish(store, table, [{"card": "a", "amount": 7}])
    with pytest.raises(StoreError, match=code) as error:
        store.stage(table, stream(table, rows))
    assert "secret" not in str(error.value)
    assert _amounts(store.read(table, [("a",)])) == [7]
    assert kind.leftovers() == set()


def test_rows_of_other_columns_are_refused_all_at_once(kind: Kind, store: OnlineStore) -> None:
    promised, found = online_table(features="amount bigint, n int"), online_table(features="amount double, m int")
    with pytest.raises(StoreError) as error:
        store.stage(promised, stream(found, [{"card": "a", "amount": 1.0, "m": 1}]))
    assert [problem.code for problem in error.value.problems] == ["FP-STORE-001"] * 3
    assert kind.leftovers() == set()


@pytest.mark.parametrize("key_type", ["double", "decimal(18,2)", "array<int>"])
def test_a_key_whose_equality_is_not_the_same_everywhere_is_refused(store: OnlineStore, key_type: str) -> None:
    table = online_table(keys=f"k {key_type}")
    with pytest.raises(StoreError, match="FP-STORE-043"):
        store.stage(table, stream(table, []))


def test_an_error_of_the_source_is_passed_on_and_nothing_stays(kind: Kind, store: OnlineStore) -> None:
    table = online_table()

    def fail(start: int) -> None:
        if start == 45_000:
            raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        store.stage(table, numbered(table, 60_000, 1, between=fail))
    assert kind.leftovers() == set()


def test_discarding_removes_what_was_staged_and_may_be_repeated(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    store.discard(staged)
    store.discard(staged)
    assert kind.leftovers() == set()
    with pytest.raises(StoreError, match="FP-STORE-005"):
        store.publish(staged)


def test_publishing_and_then_discarding_again_changes_nothing(store: OnlineStore) -> None:
    table = online_table()
    staged = store.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    first = store.publish(staged)
    assert store.publish(staged) == first
    store.discard(staged)
    assert _amounts(store.read(table, [("a",)])) == [1]


def test_holdings_are_counted_in_the_store_itself(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    assert store.holdings("card_spend").rows == 0
    store.publish(store.stage(table, numbered(table, 3_000, 1)))
    whole = store.holdings("card_spend")
    assert whole.rows == 3_000
    assert whole.bytes > 3_000 * 20
    live = store.publication("card_spend")
    assert live is not None
    assert live.event_time == NOON
    if kind.name != "postgres":
        with contextlib.closing(redis_client(kind.url, kind.settings)) as client:
            client.delete(next(client.scan_iter(f"{kind.prefix}:*:{live.version}:*", count=5_000)))
    else:
        with psycopg.connect(kind.url, autocommit=True) as server:
            server.execute(f"DELETE FROM {kind.prefix}online.\"snapshot_{live.version}\" WHERE card < '2'")
    left = store.holdings("card_spend")
    assert left.rows is not None
    assert left.rows < 3_000


def test_what_is_removed_was_never_published(kind: Kind, store: OnlineStore) -> None:
    spend, similar = online_table("spend"), online_table("spend_2")
    assert store.views() == []
    assert store.remove("spend"), "nothing is there to be removed"
    for table in (spend, similar):
        publish(store, table, [{"card": f"c{number}", "amount": number} for number in range(300)])
    assert store.views() == ["spend", "spend_2"]
    assert store.remove("spend")
    assert store.views() == ["spend_2"]
    assert store.publication("spend") is None
    assert _amounts(store.read(spend, [("c1",)])) == [None]
    assert _amounts(store.read(similar, [("c1",), ("c299",)])) == [1, 299]
    assert not kind.leftovers()
    publish(store, spend, [{"card": "c1", "amount": 7}])
    assert _amounts(store.read(spend, [("c1",)])) == [7]


def test_what_is_being_written_is_not_removed_but_what_a_dead_writer_left_is(kind: Kind, store: OnlineStore) -> None:
    table = online_table()
    writer = kind.open()
    writer.stage(table, stream(table, [{"card": "a", "amount": 1}]))
    assert store.views() == [table.view], "what was only staged is there, too"
    with pytest.raises(StoreError) as raised:
        store.remove(table.view)
    assert raised.value.code == "FP-STORE-006"
    writer.close()
    assert store.remove(table.view)
    assert store.views() == []
    assert not kind.leftovers()
