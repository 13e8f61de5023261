"""Rows of SQL views in training sets against the plain-Python reference, on both engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.compiler import asked_views, spine_measures
from feature_platform.compiler.plan import CompiledProject, CompiledQuery
from feature_platform.compiler.project import compile_project
from feature_platform.compiler.training import compile_training_set
from feature_platform.registry.graph import Registry
from feature_platform.types import Engine
from tests.compiler.event_project import VARIANTS, Session, at, open_sessions, project, schema_of, source_yaml
from tests.compiler.reference_windows import newest_row

VIEW_COLUMNS = {
    "card": "string",
    "event_time": "timestamp",
    "available_at": "timestamp",
    "label": "string",
    "amount": "decimal(20,2)",
}
SPINE_COLUMNS = {"fp_row": "bigint", "card": "string", "at": "timestamp"}
VIEWS = {
    "told_late": "available_at: told\nttl: 1d\ncontract: {unique: false}",
    "unlimited": "available_at: told",
    "at_once": "ttl: 1h",
}
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Compiled:
    registry: Registry
    project: CompiledProject
    training: CompiledQuery

    def texts(self, engine: Engine) -> Mapping[str, str]:
        """Every statement with these rows: for DuckDB one with both plans, and one with each."""
        forms = self.training.forms.texts if self.training.forms and engine == "duckdb" else {}
        return {"measured": self.training.sql[engine], **forms}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    views = [
        f"kind: feature_view\nname: {name}\nentity: card\nevent_time: happened\n{rest}\n"
        "sql: SELECT card, happened, told, label, amount FROM corrected"
        for name, rest in VIEWS.items()
    ]
    views[-1] = views[-1].replace(" told,", "")
    registry = project(tmp_path_factory.mktemp("rows"), source_yaml("corrected", VARIANTS["corrected"]), *views)
    views_of = compile_project(registry)
    wanted = [(name, feature) for name in VIEWS for feature in ("label", "amount")]
    training = compile_training_set(registry, views_of, wanted, schema_of(SPINE_COLUMNS), time="at")
    return Compiled(registry, views_of, training)


@pytest.fixture(scope="module")
def sessions(postgres_url: str) -> Iterator[Sequence[Session]]:
    with open_sessions(postgres_url) as opened:
        yield opened


def world(seed: int, size: int, questions: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows that overtake each other, tie, and are asked for at their edges."""
    chance = Random(seed)
    asking = Random(~seed)
    spans = [timedelta(0), timedelta(hours=1), timedelta(days=1)]
    steps = [timedelta(0), timedelta(0), MICROSECOND, -MICROSECOND]
    rows = []
    for _ in range(size):
        happened = at("1969-12-31T23:30:00") + chance.choice(spans) + chance.choice(spans) + chance.choice(steps)
        row = {
            "card": chance.choice(["a", "a", "b|c"]),
            "event_time": happened,
            "available_at": happened + chance.choice([-1, 1, 1]) * chance.choice(spans) + chance.choice(steps),
            "label": chance.choice([None, "x", "\uffff", "\U00010000"]),
            "amount": chance.choice([None, 1, 2]),
        }
        rows.append(row | {name: None for name in row if chance.random() < 0.03})
    asked = []
    for _ in range(questions):
        of = asking.choice(rows) if rows else {"card": "a", "event_time": None, "available_at": None}
        about: datetime = of[asking.choice(["event_time", "available_at"])] or at("1970-01-01")
        question = {"card": of["card"], "at": about + asking.choice(spans) + asking.choice(steps)}
        asked.append(question | {name: None for name in question if asking.random() < 0.05})
    return rows, asked


def rows_of_views(told_late: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What each of the views has published of the same rows."""
    by_time = {(row["card"], row["event_time"]): row for row in told_late}
    return {
        "told_late": told_late,
        "unlimited": list(by_time.values()),
        "at_once": [row | {"available_at": row["event_time"]} for row in by_time.values()],
    }


def newest_by_then(
    registry: Registry, published: Mapping[str, list[dict[str, Any]]], asked: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The training set that the plain-Python reference gives."""
    expected = []
    for number, question in enumerate(asked):
        wanted: dict[str, Any] = {"fp_row": number}
        for name, rows in published.items():
            of_entity = [row for row in rows if row["card"] == question["card"] and row["card"] is not None]
            found = newest_row(of_entity, question["at"], registry.views[name].spec.ttl, ["label", "amount"])
            wanted |= {f"{name}__{feature}": found and found[feature] for feature in ("label", "amount")}
        expected.append(wanted)
    return expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), size=st.integers(0, 30), questions=st.integers(0, 20))
def test_a_training_set_has_the_newest_row_known_by_then(
    compiled: Compiled, sessions: Sequence[Session], seed: int, size: int, questions: int
) -> None:
    told_late, asked = world(seed, size, questions)
    published = rows_of_views(told_late)
    expected = newest_by_then(compiled.registry, published, asked)
    for session in sessions:
        for name, rows in published.items():
            session.put("features", name, VIEW_COLUMNS, rows)
        session.put("inputs", "card_spine", SPINE_COLUMNS, [{"fp_row": n, **row} for n, row in enumerate(asked)])
        for form, sql in compiled.texts(session.engine).items():
            assert session.run(sql.replace('"inputs"."spine"', '"inputs"."card_spine"')) == expected, form


@pytest.mark.parametrize("labels", [["x", None, "y"], ["y", "x", None], [None, "y", "x"]])
def test_of_rows_with_equal_times_the_greatest_values_win(
    compiled: Compiled, sessions: Sequence[Session], labels: list[str | None]
) -> None:
    day = at("2026-01-01")
    tied = [{"card": "a", "event_time": day, "available_at": day, "label": label, "amount": 1} for label in labels]
    for session in sessions:
        for name in VIEWS:
            session.put("features", name, VIEW_COLUMNS, tied if name == "told_late" else [])
        session.put("inputs", "card_spine", SPINE_COLUMNS, [{"fp_row": 0, "card": "a", "at": day}])
        for form, sql in compiled.texts(session.engine).items():
            (row,) = session.run(sql.replace('"inputs"."spine"', '"inputs"."card_spine"'))
            assert row["told_late__label"] == "y", form


def test_one_plan_is_all_that_a_form_has_in_it(compiled: Compiled) -> None:
    texts = compiled.texts("duckdb")
    assert list(texts) == ["measured", "sparse", "dense", "whole"]
    assert [text.count("ASOF LEFT JOIN") for text in texts.values()] == [3, 0, 3, 3]
    assert ["winners" in text for text in texts.values()] == [True, True, False, False]
    assert ["is_sparse" in text for text in texts.values()] == [True, False, False, False]


def measured(session: Session, query: CompiledQuery) -> str:
    """The form that the measures of ``query`` name."""
    assert query.forms is not None
    for text in query.forms.measures:
        (row,) = session.run(text.replace('"inputs"."spine"', '"inputs"."card_spine"'))
        ((_, form),) = row.items()
        if form is not None:
            return str(form)
    raise AssertionError(query.forms.measures)


@pytest.mark.parametrize(
    ("cards", "hour", "form"),
    [
        (range(1_000), 99, "whole"),
        (range(900), 99, "whole"),
        (range(600), 99, "dense"),
        # The rows are of the first ten hours, the ttl is one hour, and what is older than it nobody sees.
        (range(1_000), 9, "dense"),
        ([], 0, "dense"),
    ],
)
def test_a_view_is_merged_whole_where_hardly_a_row_would_be_left_out(
    compiled: Compiled, sessions: Sequence[Session], cards: Sequence[int], hour: int, form: str
) -> None:
    names = ["at_once"] if hour == 9 else ["at_once", "unlimited"]
    query = compile_training_set(
        compiled.registry, compiled.project, [(each, "amount") for each in names], schema_of(SPINE_COLUMNS), time="at"
    )
    begin = at("2026-01-01")
    rows = [
        {"card": f"c{card}", "event_time": begin + timedelta(hours=tick), "label": None, "amount": 1}
        for card in range(1_000)
        for tick in range(10)
    ]
    first = begin + timedelta(hours=hour if hour == 9 else 0)
    asked = [{"card": f"c{card}", "at": first + n * timedelta(hours=1)} for card in cards for n in range(5)]
    (session,) = (each for each in sessions if each.engine == "duckdb")
    for each in names:
        session.put("features", each, VIEW_COLUMNS, [row | {"available_at": row["event_time"]} for row in rows])
    session.put("inputs", "card_spine", SPINE_COLUMNS, [{"fp_row": n, **row} for n, row in enumerate(asked)])
    assert measured(session, query) == form


ASKED_OFTEN = spine_measures.SPARSE_MOST + 1


@pytest.mark.parametrize(
    ("cards", "devices", "form"),
    [
        (["a", "b", "b", "b"], [], "sparse"),
        (["a"] * 4, [], "dense"),
        (["a"] * 3 + ["b"] * 3, [], "sparse"),
        (["a"] * ASKED_OFTEN + [f"c{n}" for n in range(40)], [], "dense"),
        (["a"] * (ASKED_OFTEN - 1) + [f"c{n}" for n in range(40)], [], "sparse"),
        ([None] * 40 + ["a"], [], "sparse"),
        ([], [], "dense"),
        (["a", "b"], ["x", "y"], "sparse"),
        (["a"] * 4, ["x"] * 4, "dense"),
        (["a"] * 4, ["w", "x", "y", "z"], "measured"),
    ],
)
def test_how_often_a_spine_asks_about_an_entity_decides_which_form_is_run(
    sessions: Sequence[Session], cards: list[str | None], devices: list[str | None], form: str
) -> None:
    keys = [("card",), ("device",)] if devices else [("card",)]
    measures = spine_measures.spine_measures([asked_views.Asked(n, key, ()) for n, key in enumerate(keys)], "at")
    assert measures is not None
    columns = {"card": "string", "device": "string", "at": "timestamp"}
    asked = [
        {"card": card, "device": device, "at": at("2026-01-01")}
        for card, device in zip(cards, devices or [None] * len(cards), strict=True)
    ]
    # Rows without a time ask about nothing.
    asked += [{"card": "a", "device": "x", "at": None}] * 99
    (session,) = (each for each in sessions if each.engine == "duckdb")
    session.put("inputs", "two_keys", columns, asked)
    sql, forms = measures.queries[0], measures.forms
    (row,) = session.run(sql.replace('"inputs"."spine"', '"inputs"."two_keys"'))
    assert list(row.values()) == [form]
    assert form in forms
    assert ("measured" in forms) == bool(devices)


def test_only_columns_that_are_asked_for_are_read(compiled: Compiled) -> None:
    query = compile_training_set(
        compiled.registry, compiled.project, [("unlimited", "label")], schema_of(SPINE_COLUMNS), time="at"
    )
    assert all("amount" not in sql for sql in query.sql.values())


def test_a_view_whose_rows_may_tie_is_read_whole_so_that_ties_fall_the_same_way(compiled: Compiled) -> None:
    query = compile_training_set(
        compiled.registry, compiled.project, [("told_late", "label")], schema_of(SPINE_COLUMNS), time="at"
    )
    assert all("amount" in sql for sql in query.sql.values())


def test_reads_are_the_published_rows(compiled: Compiled) -> None:
    assert [str(ref) for ref in compiled.training.reads] == [
        "features.at_once",
        "features.told_late",
        "features.unlimited",
    ]


def test_many_views_of_one_entity_are_looked_up_in_groups_of_a_few_columns(
    tmp_path_factory: pytest.TempPathFactory, sessions: Sequence[Session]
) -> None:
    names = [f"view{number}" for number in range(2 * asked_views.MERGED_COLUMNS)]
    views = [
        f"kind: feature_view\nname: {name}\nentity: card\nevent_time: happened\n"
        "sql: SELECT card, happened, label, amount FROM corrected"
        for name in names
    ]
    registry = project(tmp_path_factory.mktemp("many"), source_yaml("corrected", VARIANTS["corrected"]), *views)
    compiled = compile_project(registry)
    wanted = [(name, feature) for name in names for feature in ("amount", "label")]
    query = compile_training_set(registry, compiled, wanted, schema_of(SPINE_COLUMNS), time="at")
    assert query.sql["duckdb"].count("_entities AS MATERIALIZED") == 2 * len(wanted) // asked_views.MERGED_COLUMNS
    (session,) = (each for each in sessions if each.engine == "duckdb")
    day = at("2026-01-01")
    for number, name in enumerate(names):
        row = {"card": "a", "event_time": day, "available_at": day, "label": name, "amount": number}
        session.put("features", name, VIEW_COLUMNS, [row])
    asked = [{"card": "a", "at": day}, {"card": None, "at": day}, {"card": "a", "at": day - MICROSECOND}]
    session.put("inputs", "card_spine", SPINE_COLUMNS, [{"fp_row": n, **row} for n, row in enumerate(asked)])
    rows = session.run(query.sql["duckdb"].replace('"inputs"."spine"', '"inputs"."card_spine"'))
    known = {f"{name}__{of}": value for n, name in enumerate(names) for of, value in (("amount", n), ("label", name))}
    nothing = dict.fromkeys(known)
    assert rows == [{"fp_row": 0, **known}, {"fp_row": 1, **nothing}, {"fp_row": 2, **nothing}]


def test_a_spine_that_asks_often_about_one_entity_is_not_compared_row_by_row(
    tmp_path: Path, sessions: Sequence[Session]
) -> None:
    """Twenty thousand questions about each of twenty thousand rows would be four hundred million pairs."""
    view = (
        "kind: feature_view\nname: often\nentity: card\nevent_time: happened\nttl: 1d\n"
        "sql: SELECT card, happened, label, amount FROM corrected"
    )
    registry = project(tmp_path, source_yaml("corrected", VARIANTS["corrected"]), view)
    wanted, day, many = [("often", "label")], at("2026-01-01"), 20_000
    query = compile_training_set(registry, compile_project(registry), wanted, schema_of(SPINE_COLUMNS), time="at")
    rows = [
        {"card": "a", "event_time": day + n * MICROSECOND, "available_at": day + n * MICROSECOND, "label": str(n)}
        for n in range(many)
    ]
    for session in sessions:
        session.put("features", "often", VIEW_COLUMNS, [{"amount": None, **row} for row in rows])
        asked = [{"fp_row": n, "card": "a", "at": day + n * MICROSECOND} for n in range(many)]
        session.put("inputs", "card_spine", SPINE_COLUMNS, asked)
        sql = query.sql[session.engine]
        if session.engine == "duckdb":
            assert query.forms is not None
            assert measured(session, query) == "whole"
        sql = sql.replace('"inputs"."spine"', '"inputs"."card_spine"')
        started = perf_counter()
        found = session.run(sql)
        seconds = perf_counter() - started
        assert [row["often__label"] for row in found] == [str(n) for n in range(many)]
        assert seconds < 45, session.engine  # one where the machine is idle, 20 where it is not; pairs take minutes
