"""Spines that are queries, on both engines, against the same rows as a table and against the plain-Python reference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_platform.compiler.catalog import Catalog, catalog_of
from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.compiler.plan import CompiledProject
from feature_platform.compiler.project import compile_project
from feature_platform.compiler.query_times import GIVEN_SPINE
from feature_platform.compiler.training import compile_training_set
from feature_platform.governance.access import author_of
from feature_platform.registry.graph import Registry
from feature_platform.types import Column, TableSchema
from tests.compiler.event_project import (
    EVENT_COLUMNS,
    VARIANTS,
    Session,
    open_sessions,
    project,
    source_yaml,
)
from tests.compiler.reference_windows import feature, newest_row, newest_tick
from tests.compiler.test_point_in_time import VIEW_COLUMNS
from tests.compiler.test_point_in_time import world as feature_rows
from tests.compiler.test_windows_at_points import world as events_and_questions

QUESTION_COLUMNS = {"card": "string", "shop_id": "bigint", "at": "timestamp", "price": "decimal(10,2)", "n": "int"}
PLACED_COLUMNS = {**VIEW_COLUMNS, "rowid": "bigint"}
VIEWS = """
kind: source
name: questions
table: questions
columns:
  card: {type: string, pii: none}
  shop_id: {type: bigint, pii: none}
  at: {type: timestamp, pii: none}
  price: {type: "decimal(10,2)", pii: none}
  n: {type: int, pii: none}
---
kind: feature_view
name: spent
entity: card_at_shop
source: corrected
keys: {shop_id: shop}
aggregations:
  - {function: sum, column: amount, windows: [1h, 30d]}
  - {function: count, windows: [1h, all]}
  - {function: last, column: label, windows: [30d]}
  - {function: last_k, column: label, k: 2, windows: [30d]}
---
kind: feature_view
name: in_tiles
entity: card_at_shop
source: corrected
keys: {shop_id: shop}
accuracy: tiled
aggregations:
  - {function: max, column: label, windows: [1h, 12h]}
---
kind: feature_view
name: by_the_hour
entity: card
source: corrected
accuracy: snapshot
materialization: {schedule: "@hourly"}
aggregations:
  - {function: count, windows: [1d]}
---
kind: feature_view
name: told_late
entity: card
event_time: happened
available_at: told
ttl: 1d
contract: {unique: false}
sql: SELECT card, happened, told, label, amount FROM corrected
---
kind: feature_view
name: unlimited
entity: card
event_time: happened
available_at: told
sql: SELECT card, happened, told, label, amount FROM corrected
---
kind: feature_view
name: at_once
entity: card
event_time: happened
ttl: 1h
sql: SELECT card, happened, label, amount FROM corrected
---
kind: feature_view
name: placed
entity: card
event_time: happened
ttl: 1h
sql: SELECT card, happened, label, shop AS rowid FROM corrected
---
kind: feature_view
name: beside
entity: card_at_shop
inputs: [spent, at_once]
request: {price: "decimal(10,2)"}
derived:
  - {name: more, expression: "price + count_1h"}
  - {name: unlike, expression: "price > at_once.amount OR count_all = 0"}
"""
ROW_VIEWS = {"told_late": "amount", "unlimited": "amount", "at_once": "amount", "placed": "rowid"}
"""View in SQL → its feature beside ``label``."""


@dataclass(frozen=True, repr=False)
class Compiled:
    registry: Registry
    project: CompiledProject
    catalog: Catalog

    def guarded(self, text: str) -> GuardedQuery:
        return guard(text, self.catalog, author_of(self.registry).with_purposes(["analysis"]))

    @property
    def wanted(self) -> list[tuple[str, str]]:
        return [(view, each.name) for view, of in self.project.views.items() for each in of.features]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    registry = project(tmp_path_factory.mktemp("spines"), source_yaml("corrected", VARIANTS["corrected"]), VIEWS)
    views = compile_project(registry)
    return Compiled(registry, views, catalog_of(registry, views.views))


@pytest.fixture(scope="module")
def sessions(postgres_url: str) -> Iterator[Sequence[Session]]:
    with open_sessions(postgres_url) as opened:
        yield opened


@dataclass(frozen=True)
class World:
    """Rows of the source and of the views, and what spines can be made of."""

    events: Sequence[dict[str, Any]]
    published: Mapping[str, Sequence[dict[str, Any]]]
    questions: Sequence[dict[str, Any]]

    def put(self, session: Session) -> None:
        session.put("sources", "corrected", EVENT_COLUMNS, self.events)
        session.put("sources", "questions", QUESTION_COLUMNS, self.questions)
        for name, rows in self.published.items():
            session.put("features", name, PLACED_COLUMNS if name == "placed" else VIEW_COLUMNS, rows)


def world(seed: int, size: int) -> World:
    """Events with corrections and views with ties, asked about at their edges, some questions twice."""
    chance = Random(seed)
    about_events = events_and_questions(seed, size, size)
    rows, about_rows = feature_rows(seed, size, size)
    rows = [row | {"rowid": chance.choice([None, 0, 1, 1, 7])} for row in rows]
    once = list({(row["card"], row["event_time"]): row for row in rows}.values())
    at_once = [row | {"available_at": row["event_time"]} for row in once]
    asked = [{name: row.get(name) for name in ("card", "shop_id", "at")} for row in (*about_events.asked, *about_rows)]
    asked = [
        {
            **row,
            "shop_id": chance.choice([row["shop_id"], 1]),
            "price": chance.choice([None, Decimal("1.00"), Decimal("-2.50"), Decimal("0.10")]),
            "n": chance.choice([None, 0, 1, 2]),
        }
        for row in asked
    ]
    published = {"told_late": rows, "unlimited": once, "at_once": at_once, "placed": at_once}
    return World(about_events.rows, published, [*asked, *asked[:3]])


def query(seed: int) -> str:
    """A spine with the columns ``card``, ``shop_id``, ``at``, ``price``, ``n``; of rows in one order but for equal
    ones.
    """
    chance = Random(seed)
    moment = chance.choice(
        [
            "{at}",
            "{at} + INTERVAL '1 hour'",
            "{at} - INTERVAL 1 DAY",
            "date_trunc('hour', {at})",
            "CASE WHEN {n} > 0 THEN {at} ELSE {at} + INTERVAL '30 days' END",
            "coalesce({at}, TIMESTAMP '1970-01-01 00:00:00')",
            "greatest({at}, TIMESTAMP '1970-01-01 00:30:00')",
        ]
    )
    card = chance.choice(["{card}", "{card}", "CASE WHEN {n} = 1 THEN 'a' ELSE {card} END", "coalesce({card}, 'a')"])
    price = chance.choice(
        ["{price}", "CASE WHEN {price} > 0 THEN {price} END", "CAST({n} AS decimal(10,2))", "coalesce({price}, 0.5)"]
    )
    kept = chance.choice(["", "", " WHERE {n} IS NULL OR {n} < 2", " WHERE {card} IN ('a', '')", " WHERE {at} IS NULL"])
    source, names = chance.choice(list(_FROM.items()))
    alike = {**{each: f"q.{each}" for each in QUESTION_COLUMNS}, **names}
    only = chance.choice(["", "", "DISTINCT "])
    columns = {"card": card, "shop_id": "{shop_id}", "at": moment, "price": price, "n": "{n}"}
    listed = ", ".join(f"{of.format(**alike)} AS {name}" for name, of in columns.items())
    order = chance.sample(list(columns), len(columns))
    directed = ", ".join(f"{each}{chance.choice(['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}" for each in order)
    kept = kept.format(**alike)
    some = f"SELECT {only}{listed} FROM {source}{kept}"
    if chance.random() < 0.3:
        some += f" UNION ALL SELECT card, shop_id, at, price, n FROM questions WHERE n = {chance.randrange(3)}"
    limit = chance.choice(["", "", " LIMIT 25"])
    return f"SELECT card, shop_id, at, price, n FROM ({some}) AS s ORDER BY {directed}{limit}"


_FROM: Mapping[str, Mapping[str, str]] = {
    "questions AS q": {},
    "questions AS q JOIN questions AS o ON o.card = q.card AND o.n = q.n": {"at": "o.at"},
    "questions AS q LEFT JOIN corrected AS c ON c.card = q.card AND c.shop = q.shop_id AND c.happened <= q.at": {
        "at": "coalesce(c.told, q.at)"
    },
    "at_once AS v CROSS JOIN (SELECT DISTINCT n FROM questions) AS q": {
        "card": "v.card",
        "shop_id": "CAST(1 AS bigint)",
        "at": "v.event_time",
        "price": "CAST(NULL AS decimal(10,2))",
    },
    """(SELECT card, shop AS shop_id, max(happened) AS at, CAST(count(DISTINCT label) AS decimal(10,2)) AS price,
          CAST(count(*) AS int) AS n FROM corrected GROUP BY card, shop) AS q""": {},
    """(SELECT *, lag(at) OVER (PARTITION BY card ORDER BY at, shop_id, price, n) AS before FROM questions) AS q""": {
        "at": "coalesce(q.before, q.at)"
    },
}
"""Sources of a spine's rows, and which of their columns stand for what."""


def expected_row(compiled: Compiled, of: World, given: Mapping[str, Any]) -> dict[str, Any]:
    """All features of a spine row, by the reference."""
    q: datetime | None = given["at"]
    found: dict[str, Any] = {}
    for view in ("spent", "in_tiles", "by_the_hour"):
        spec = compiled.registry.views[view].spec
        entity = {"card": given["card"]} if spec.entity == "card" else {"card": given["card"], "shop": given["shop_id"]}
        moment = newest_tick(lambda t: t.minute == 0, q) if q is not None and spec.accuracy == "snapshot" else q
        source = compiled.registry.sources["corrected"].spec
        for line in spec.aggregations:
            for window in line.windows:
                found[f"{view}__{line.feature_name(window)}"] = feature(
                    of.events, source, line, window, moment, entity=entity, conditions={}, accuracy=spec.accuracy
                )
    for view, rows in of.published.items():
        spec = compiled.registry.views[view].spec
        own = [row for row in rows if row["card"] is not None and row["card"] == given["card"]]
        row = newest_row(own, q, spec.ttl, sorted(("label", ROW_VIEWS[view])))
        found |= {f"{view}__{each}": row and row[each] for each in ("label", ROW_VIEWS[view])}
    price, amount = given["price"], found["at_once__amount"]
    found["beside__more"] = None if price is None else price + found["spent__count_1h"]
    greater = None if price is None or amount is None else price > amount
    found["beside__unlike"] = True if found["spent__count_all"] == 0 else greater
    return found


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Sums have two places behind the point."""
    return {name: Decimal(int(of * 100)) / 100 if isinstance(of, Fraction) else of for name, of in row.items()}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 20))
def test_a_query_as_spine_gives_what_its_rows_give(
    compiled: Compiled, sessions: Sequence[Session], seed: int, size: int
) -> None:
    of, rows = world(seed, size), compiled.guarded(query(seed))
    assert set(rows.engines) >= {"duckdb", "postgres"}
    schema = TableSchema(tuple(Column(each.name, each.type) for each in rows.columns))
    whole = compile_training_set(
        compiled.registry, compiled.project, compiled.wanted, schema, time="at", rows=rows, catalog=compiled.catalog
    )
    beside = compile_training_set(compiled.registry, compiled.project, compiled.wanted, schema, time="at")
    columns = {each.name: str(each.type) for each in rows.columns}
    answers = []
    for session in sessions:
        of.put(session)
        given = session.run(rows.sql(session.engine))
        found = session.run(whole.sql[session.engine])
        expected = [{"fp_row": n, **row, **plain(expected_row(compiled, of, row))} for n, row in enumerate(given)]
        assert found == expected, session.engine
        # The same rows as a table that somebody brings, in each form of the statement.
        table = re.sub(r"\W+", "_", "_".join(["of", *columns.values()]))
        session.put("inputs", table, {"fp_row": "bigint", **columns}, [{"fp_row": n, **r} for n, r in enumerate(given)])
        features = [{name: of for name, of in row.items() if name not in columns} for row in found]
        forms = beside.forms.texts if beside.forms and session.engine == "duckdb" else {}
        for form, text in {"measured": beside.sql[session.engine], **forms}.items():
            assert session.run(text.replace(str(GIVEN_SPINE), f'"inputs"."{table}"')) == features, form
        answers.append(found)
    assert answers[0] == answers[1]
