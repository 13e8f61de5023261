"""Training sets over two stores: computed where most of the rows lie, equal to the reference wherever that is."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.project.placement import Held, chosen
from feature_platform.project.project import Project
from feature_platform.registry.graph import TableRef
from feature_platform.sdk.client import FeatureStore
from feature_platform.sdk.results import Plan
from feature_platform.stores.protocols import Size
from tests.sdk.two_stores import EVERYTHING, Data, Reference, differences, table

Row = dict[str, Any]


@pytest.fixture
def store(both_stores: Project) -> FeatureStore:
    return FeatureStore(both_stores, purpose="fraud")


def spine_of(data: Data) -> list[Row]:
    """Labels with their duplicates, without an order, and rows that ask about nobody or no time."""
    rng = random.Random(3)
    names = ("label_id", "card_number", "customer_id", "event_time", "fraud", "price")
    rows = [{name: each[name] for name in names} for each in data.labels]
    rows += rng.sample(rows, 5)
    rows += [rows[0] | {"card_number": None}, rows[1] | {"customer_id": None}, rows[2] | {"event_time": None}]
    rows += [rows[3] | {"price": None}, rows[4] | {"card_number": "4999", "customer_id": 77}]
    rng.shuffle(rows)
    return rows


@contextmanager
def many_clicks(project: Project) -> Iterator[None]:
    """Clicks of somebody whom nobody asks about, so that most of the rows lie on the server."""
    (source,) = {each.spec.table for name, each in project.registry.sources.items() if name == "clicks"}
    with psycopg.connect(os.environ["FP_TWO_STORES"], autocommit=True) as server:
        rows = "SELECT 10000 + n, 99, TIMESTAMP '2026-03-02', 1, NULL FROM generate_series(1, 5000) AS n"
        server.execute(f"INSERT INTO {source} {rows}")
        server.execute(f"ANALYZE {source}")
        try:
            yield
        finally:
            server.execute(f"DELETE FROM {source} WHERE customer_id = 99")
            server.execute(f"ANALYZE {source}")


def check(found: pa.Table, spine: list[Row], project: Project, data: Data, features: list[str]) -> None:
    rows = found.to_pylist()
    assert [row["label_id"] for row in rows] == [row["label_id"] for row in spine]
    reference = Reference(project, data)
    for row, asked in zip(rows, spine, strict=True):
        moment = asked["event_time"]
        expected = reference.row(asked["card_number"], asked["customer_id"], moment, asked["price"])
        views = {each.partition(":")[0] for each in features}
        wanted = {name: value for name, value in expected.items() if name.partition("__")[0] in views}
        assert differences(row, wanted) == {}
        assert len(wanted) == len(row) - len(asked)


def plan_of(result: Any) -> Plan:
    assert isinstance(result.plan, Plan)
    return result.plan


@pytest.mark.parametrize(
    ("features", "computes"),
    [
        (["spend:*", "tiled:*", "daily:*", "last_payment:*", "share:*"], "warehouse"),
        (["browsing:*", "last_click:*"], "server"),
        (list(EVERYTHING), "warehouse"),
    ],
    ids=["files alone", "server alone", "everything"],
)
def test_a_training_set_equals_the_reference(
    store: FeatureStore, data: Data, features: list[str], computes: str
) -> None:
    spine = spine_of(data)
    result = store.training_set(table(spine), features)
    assert plan_of(result).store == computes
    check(result.to_arrow(), spine, store.project, data, features)


def test_everything_is_computed_on_the_server_where_most_rows_lie_there(store: FeatureStore, data: Data) -> None:
    spine = spine_of(data)
    features = list(EVERYTHING)
    here = store.training_set(table(spine), features).to_arrow()
    with many_clicks(store.project):
        result = store.training_set(table(spine), features)
        plan = plan_of(result)
        assert (plan.store, plan.engine) == ("server", "postgres")
        assert plan.why.startswith("rows that are read: server 5,")
        assert {each.name: each.moved for each in plan.tables} == {
            "features.last_click": False,
            "features.last_payment": True,
            "sources.clicks": False,
            "sources.payments": True,
        }
        there = result.to_arrow()
    check(there, spine, store.project, data, features)
    assert there.equals(here)


@given(
    tables=st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)), min_size=1
    )
)
def test_the_store_with_most_rows_computes(tables: list[tuple[str, int | None, int | None]]) -> None:
    held = [
        Held(TableRef("source", f"t{number}"), store, None if size is None else Size(rows, size))
        for number, (store, rows, size) in enumerate(tables)
    ]
    placement = chosen(held, "b")
    known = all(each.size is not None for each in held)
    counted = known and all(each.size is not None and each.size.rows is not None for each in held)

    def weight(store: str) -> int:
        own = [each.size for each in held if each.store == store]
        return sum((size.rows if counted else size.bytes) or 0 if known and size else 1 for size in own)

    stores = {each.store for each in held}
    assert placement.store in stores
    assert weight(placement.store) == max(map(weight, stores))
    if "b" in stores and weight("b") == weight(placement.store):
        assert placement.store == "b"
    assert {each.store for each in placement.moved} == stores - {placement.store}
    assert placement.why.startswith("rows" if counted else "bytes" if known else "tables")


def test_a_price_keeps_its_digits(store: FeatureStore) -> None:
    spine = pa.table(
        {
            "card_number": ["4111111111111111"],
            "event_time": pa.array([None], pa.timestamp("us")),
            "price": pa.array([Decimal("9999999999999999.99")], pa.decimal128(18, 2)),
        }
    )
    row = store.training_set(spine, ["share:after"]).to_arrow().to_pylist()[0]
    assert row["share__after"] == Decimal("9999999999999999.99")
