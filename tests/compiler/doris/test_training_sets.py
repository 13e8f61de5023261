"""Training sets in Doris' text, run on DuckDB: newest rows, ticks, derived features, spines that are queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.doris.points import newest_tick
from feature_platform.compiler.doris.text import microseconds, time_of
from feature_platform.compiler.fragments import Sql
from feature_platform.compiler.guard import guard
from feature_platform.compiler.project import compile_project
from feature_platform.compiler.schedules import newest
from feature_platform.compiler.training import compile_training_set
from feature_platform.errors import CompileError
from feature_platform.governance.access import author_of
from feature_platform.registry.cron import parse_cron
from tests.compiler import test_point_in_time as newest_rows
from tests.compiler import test_training as whole
from tests.compiler.doris.sessions import PortableSession, portable_session
from tests.compiler.event_project import EVENT_COLUMNS, VARIANTS, DuckDBSession, at, project, schema_of, source_yaml
from tests.compiler.test_schedules import OFTEN, SELDOM, moments
from tests.compiler.test_windows_at_points import world

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
WITHOUT_TICKS = ["0 12 13 * fri", "0 0 29 2 *", "59 23 31 */3 *"]


@pytest.fixture(scope="module")
def session() -> PortableSession:
    return portable_session()


@pytest.fixture(scope="module")
def rows_of_views(tmp_path_factory: pytest.TempPathFactory) -> newest_rows.Compiled:
    views = [
        f"kind: feature_view\nname: {name}\nentity: card\nevent_time: happened\n{rest}\n"
        f"sql: SELECT card, happened, {'told, ' if 'told' in rest else ''}label, amount FROM corrected"
        for name, rest in newest_rows.VIEWS.items()
    ]
    registry = project(tmp_path_factory.mktemp("rows"), source_yaml("corrected", VARIANTS["corrected"]), *views)
    compiled = compile_project(registry)
    wanted = [(name, feature) for name in newest_rows.VIEWS for feature in ("label", "amount")]
    spine = schema_of(newest_rows.SPINE_COLUMNS)
    query = compile_training_set(registry, compiled, wanted, spine, time="at", engines=("doris",))
    return newest_rows.Compiled(registry, compiled, query)


@settings(max_examples=20, deadline=None, suppress_health_check=SLOW)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 30), questions=st.integers(0, 20))
def test_the_newest_row_known_by_then(
    rows_of_views: newest_rows.Compiled, session: PortableSession, seed: int, size: int, questions: int
) -> None:
    told_late, asked = newest_rows.world(seed, size, questions)
    published = newest_rows.rows_of_views(told_late)
    expected = newest_rows.newest_by_then(rows_of_views.registry, published, asked)
    for name, rows in published.items():
        session.put("features", name, newest_rows.VIEW_COLUMNS, rows)
    spine = [{"fp_row": n, **row} for n, row in enumerate(asked)]
    session.put("inputs", "card_spine", newest_rows.SPINE_COLUMNS, spine)
    text = rows_of_views.training.sql["doris"].replace("`inputs`.`spine`", "`inputs`.`card_spine`")
    assert session.run(text) == expected


@settings(max_examples=20, deadline=None, suppress_health_check=SLOW)
@given(
    schedule=st.sampled_from([each for each in OFTEN + SELDOM if each not in WITHOUT_TICKS] + ["5 1,9 2,7,28 * *"]),
    asked=st.lists(moments, min_size=1, max_size=20),
)
def test_the_newest_tick_is_that_of_the_schedule(session: PortableSession, schedule: str, asked: list[Any]) -> None:
    cron = parse_cron(schedule)
    edges = [newest(cron, moment) for moment in asked]
    told = [*asked, *edges, *(tick - timedelta(microseconds=1) for tick in edges)]
    session.put(
        "inputs", "moments", {"n": "bigint", "at": "timestamp"}, [{"n": n, "at": each} for n, each in enumerate(told)]
    )
    tick = time_of(Sql("`r`.`tick`"))
    text = (
        f"SELECT `r`.`n` AS `n`, {tick} AS `tick` FROM (SELECT `s`.`n`, {newest_tick(schedule)} AS `tick` FROM ("
        f"SELECT `n`, `at` AS `fp_at`, {microseconds(Sql('`at`'))} AS `fp_q` FROM `inputs`.`moments`) AS `s`) AS `r`"
        " ORDER BY `r`.`n` ASC NULLS FIRST"
    )
    assert [row["tick"] for row in session.run(text)] == [newest(cron, each) for each in told]


@pytest.mark.parametrize("schedule", WITHOUT_TICKS)
def test_a_schedule_that_picks_days_in_another_way_is_refused(schedule: str) -> None:
    with pytest.raises(CompileError, match="doris has no form of snapshots"):
        newest_tick(schedule)


@pytest.fixture(scope="module")
def every_view(tmp_path_factory: pytest.TempPathFactory) -> whole.Compiled:
    folder = tmp_path_factory.mktemp("training")
    registry = project(folder, source_yaml("corrected", VARIANTS["corrected"]), whole.VIEWS)
    return whole.Compiled(registry, compile_project(registry))


@pytest.mark.parametrize("seed", range(6))
def test_all_kinds_of_views_at_once_are_what_duckdb_gives(
    every_view: whole.Compiled, session: PortableSession, seed: int
) -> None:
    with_maps = ("by_key", "keys")
    names = [
        (v.name, each.name) for v in every_view.project.views.values() for each in v.features if v.name not in with_maps
    ]
    query = compile_training_set(
        every_view.registry, every_view.project, names, schema_of(whole.SPINE), time="at", engines=("duckdb", "doris")
    )
    one = world(seed, 40, 20)
    spine = [{"fp_row": n, "asked": n % 3, **row} for n, row in enumerate(one.asked)]
    profile = {"card": "string", "event_time": "timestamp", "available_at": "timestamp", "label": "string"}
    times = {(row["card"], row["happened"]): row for row in one.rows if row["happened"] is not None}
    rows = [
        {"card": row["card"], "label": row["label"], "event_time": row["happened"], "available_at": row["happened"]}
        for row in times.values()
    ]
    session.put("sources", "corrected", EVENT_COLUMNS, one.rows)
    session.put("features", "profile", profile, rows)
    session.put("inputs", "training_spine", whole.SPINE, spine)
    own = DuckDBSession(session.connection).run(
        query.sql["duckdb"].replace('"inputs"."spine"', '"inputs"."training_spine"')
    )
    found = session.run(query.sql["doris"].replace("`inputs`.`spine`", "`inputs`.`training_spine`"))
    assert found == own
    assert len(found) == len(spine)


def test_a_spine_may_be_a_query_that_doris_computes(every_view: whole.Compiled, session: PortableSession) -> None:
    catalog = catalog_of(every_view.registry, every_view.project.views)
    text = "SELECT card, happened AS at, amount FROM corrected WHERE amount > 0"
    rows = guard(text, catalog, author_of(every_view.registry))
    query = compile_training_set(
        every_view.registry,
        every_view.project,
        [("spend", "amount_sum_1d"), ("profile", "label")],
        rows.compiled().schema,
        time="at",
        engines=("duckdb", "doris"),
        catalog=catalog,
        rows=rows,
    )
    events = [
        whole.paid(number, "a" if number % 2 else "b", f"2024-01-0{1 + number % 3}T10:0{number}:00", number)
        for number in range(8)
    ]
    session.put("sources", "corrected", EVENT_COLUMNS, events)
    profile = {"card": "string", "event_time": "timestamp", "available_at": "timestamp", "label": "string"}
    known = [{"card": "a", "label": "x", "event_time": at("2024-01-02"), "available_at": at("2024-01-02")}]
    session.put("features", "profile", profile, known)
    own = DuckDBSession(session.connection).run(query.sql["duckdb"])
    found = session.run(query.sql["doris"])
    assert [row["fp_row"] for row in found] == list(range(7))
    assert len(own) == len(found)
    for row in own + found:
        row.pop("fp_row")  # Doris numbers rows in the order of their columns
    assert sorted(map(repr, found)) == sorted(map(repr, own))
