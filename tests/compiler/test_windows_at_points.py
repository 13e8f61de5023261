"""Training sets and materializations of aggregations against the plain-Python reference, on both engines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.compiler import point_pairs
from feature_platform.compiler.aggregations import compile_aggregations
from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.plan import CompiledProject, CompiledQuery
from feature_platform.compiler.training import compile_training_set
from feature_platform.governance.access import author_of
from feature_platform.registry.graph import Registry
from feature_platform.specs.durations import Duration
from feature_platform.specs.fields import AggregationFunction
from feature_platform.specs.models import FeatureView
from feature_platform.stores.maps import reader as map_reader
from feature_platform.types import Engine
from tests.compiler.event_project import (
    EVENT_COLUMNS,
    SPINE_COLUMNS,
    VARIANTS,
    WHERE_LINE,
    WHERE_VIEW,
    Session,
    at,
    open_sessions,
    project,
    schema_of,
    source_yaml,
    view_yaml,
)
from tests.compiler.reference_windows import COUNTS, Event, feature, has_row, known_at

CONDITIONS = {
    WHERE_VIEW: lambda event: True if event["flag"] is None else not event["flag"],
    WHERE_LINE: lambda event: None if event["amount"] is None else event["amount"] > 0,
}
WINDOWS = "[1h, 30d, all]"
MAPS = ["grouped", "by_key", "grouped_tiled"]
MORE = ["gathered", "others", "shifted", "tiled", *MAPS]
VIEWS = ["of_corrected", "of_repeated", "of_late", "of_plain", "of_daily", "bounded", *MORE]
MICROSECOND = timedelta(microseconds=1)


class Project:
    """The views of every variant, or those called ``names``, compiled once."""

    def __init__(self, registry: Registry, names: Sequence[str] = ()) -> None:
        self.registry = registry
        catalog, author = catalog_of(registry, {}), author_of(registry)
        views = {name: registry.views[name] for name in names or registry.views}
        self.compiled = CompiledProject(
            {name: compile_aggregations(view, registry, catalog, author) for name, view in views.items()}, {}, author
        )
        self.training: dict[str, CompiledQuery] = {}
        for name, view in self.compiled.views.items():
            wanted = [(name, each.name) for each in view.features]
            self.training[name] = compile_training_set(
                registry, self.compiled, wanted, schema_of(SPINE_COLUMNS), time="at"
            )

    def spec(self, view: str) -> FeatureView:
        return self.registry.views[view].spec


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Project:
    # Entities of these worlds are small: with the limit of real ones none would ever be crowded. With this one each
    # world has both kinds, side by side.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(point_pairs, "PAIRS_PER_ROW", 2)
        return Project(registry_of_variants(tmp_path_factory.mktemp("variants")))


def registry_of_variants(root: Path) -> Registry:
    """Views of every kind of line over every kind of source, by the names in :data:`VIEWS`."""
    documents = [source_yaml(name, time) for name, time in VARIANTS.items()]
    daily = 'materialization: {offline: warehouse, schedule: "@daily", start: 2024-01-01}'
    rest = f'where: "{WHERE_VIEW}"\n{daily}'
    documents += [
        view_yaml(
            f"of_{name}",
            name,
            windows=WINDOWS,
            lines="ordered" if "key" in time else "plain",
            rest={"plain": "", "repeated": daily}.get(name, rest),
        )
        for name, time in VARIANTS.items()
    ]
    documents.append(view_yaml("bounded", "corrected", windows="[1h, 30d]", lines="ordered", rest=rest))
    # The view's condition leaves no flag that is true: where flags are values or groups, there is none.
    documents += [
        view_yaml(lines, "corrected", windows=WINDOWS, lines=lines, rest=rest if lines == "shifted" else daily)
        for lines in MORE[:3]
    ]
    tiles = f"accuracy: tiled\n{rest}"
    documents.append(view_yaml("tiled", "corrected", windows="[1h, 12h, 12d, all]", lines="tiled", rest=tiles))
    documents += [view_yaml(lines, "corrected", windows="[1h, 30d]", lines=lines, rest=daily) for lines in MORE[4:6]]
    documents.append(view_yaml("grouped_tiled", "corrected", windows="[1h, all]", lines="grouped_tiled", rest=tiles))
    return project(root, *documents)


@pytest.fixture(scope="module")
def sessions(postgres_url: str) -> Iterator[Sequence[Session]]:
    with open_sessions(postgres_url) as opened:
        yield opened


# Times lie on, and one microsecond beside, each other's window edges, around a leap day, the epoch and long before it.
ANCHORS = [at("2024-02-29T12:00:00"), at("1970-01-01"), at("1812-06-24T23:59:59.999999")]
STEPS = [timedelta(0), timedelta(0), MICROSECOND, -MICROSECOND]
SPANS = [timedelta(0), timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=30)]
LARGEST = Decimal("999999999999999999.99")


@dataclass(frozen=True)
class World:
    """Events of a few entities with late arrivals, corrections and duplicates, and spine rows that ask at their
    edges.
    """

    rows: list[dict[str, Any]]
    asked: list[dict[str, Any]]


def world(seed: int, events: int, questions: int) -> World:
    """The first ``events`` and ``questions`` of the world that ``seed`` stands for, so that smaller numbers are
    smaller worlds.
    """
    chance = Random(seed)
    asking = Random(~seed)
    anchor = chance.choice([ANCHORS[0], *ANCHORS])
    rows: list[dict[str, Any]] = []
    for _ in range(events):
        row = some_event(chance, anchor)
        if rows and chance.random() < 0.4:
            row = correction(chance, chance.choice(rows), row)
        rows.append(chance.choice(rows) if rows and chance.random() < 0.1 else row)
    return World(without_conflicts(rows), [some_question(asking, rows, anchor) for _ in range(questions)])


def some_time(chance: Random, anchor: datetime) -> datetime:
    return anchor + chance.choice([1, -1]) * chance.choice(SPANS) + chance.choice(SPANS) + chance.choice(STEPS)


def some_event(chance: Random, anchor: datetime) -> dict[str, Any]:
    happened = some_time(chance, anchor)
    told = happened + chance.choice([0, 0, 1, 1, -1]) * chance.choice(SPANS) + chance.choice(STEPS)
    row = {
        "id": chance.choice(["1", "1|2", "3", "", "4", "5", "6", "7"]),
        "part": chance.choice([1, 2]),
        "card": chance.choice(["a", "a", "a|b", "", "é\U0001f600"]),
        "shop": chance.choice([1, 1, 1, 2, -(2**63)]),
        "happened": happened,
        "day": happened.date(),
        "told": told,
        "amount": chance.choice(
            [Decimal(chance.randint(-9999, 9999)).scaleb(-2), Decimal(1), Decimal(0), LARGEST, -LARGEST]
        ),
        "units": chance.choice([1, 2, 2**63 - 1, 2**63 - 1, -(2**63), 2**53 + 1]),
        "score": chance.choice([0.1, 0.2, 1e9, 1e9 + 0.5, -3.25]),
        "label": chance.choice(["", "a", "b", "B", "\uffff", "\U00010000", "z|y", "ä"]),
        "flag": chance.choice([None, False, True]),
        "seen_on": chance.choice([date(1999, 12, 31), date(2024, 2, 29)]),
    }
    return row | {name: None for name in row if chance.random() < 0.05}


def correction(chance: Random, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``old`` told again: perhaps at another time, of another entity, with other values."""
    changed = [name for name in old if chance.random() < 0.3]
    row = old | {name: new[name] for name in changed if name not in ("id", "part")}
    if old["told"] is not None and chance.random() < 0.4:
        row |= {name: new[name] for name in ("card", "happened")} | {"told": old["told"]}
    elif old["told"] is not None:
        row["told"] = old["told"] + chance.choice(SPANS) + chance.choice(STEPS)
    return row


def without_conflicts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without rows that are equal in key and both times but differ: the source check refuses those."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    kept = []
    for row in rows:
        names = [(("id", "part"), "happened", "told"), (("id",), "happened", "happened"), (("id",), "day", "told")]
        same = [(key, t, a, *(row[name] for name in (*key, t, a))) for key, t, a in names]
        if all(seen.get(each, row) == row for each in same):
            kept.append(row)
            seen |= dict.fromkeys(same, row)
    return kept


def some_question(chance: Random, rows: Sequence[dict[str, Any]], anchor: datetime) -> dict[str, Any]:
    of = chance.choice(rows) if rows else some_event(chance, anchor)
    about = of[chance.choice(["happened", "told"])] or some_time(chance, anchor)
    question = {
        "card": of["card"],
        "shop_id": of["shop"],
        "at": about + chance.choice(SPANS) + chance.choice(STEPS),
        "extra": chance.choice(["", "x"]),
    }
    return question | {name: None for name in question if chance.random() < 0.05}


worlds = st.builds(world, seed=st.integers(0, 2**32), events=st.integers(0, 40), questions=st.integers(0, 30))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(variant=st.sampled_from(VIEWS), world=worlds)
def test_a_training_set_has_what_the_reference_says(
    variants: Project, sessions: Sequence[Session], variant: str, world: World
) -> None:
    rows, asked = world.rows, world.asked
    spec = variants.spec(variant)
    source = variants.registry.sources[spec.source or ""].spec
    spine = [{"fp_row": number, **row} for number, row in enumerate([*asked, *asked[:2]])]
    expected = [
        {
            f"{variant}__{name}": value
            for name, value in reference_row(
                spec, variants, rows, row["at"], {"card": row["card"], "shop": row["shop_id"]}
            ).items()
        }
        for row in spine
    ]
    for session in sessions:
        session.put("sources", source.name, EVENT_COLUMNS, rows)
        session.put("inputs", "spine", SPINE_COLUMNS, spine)
        found = session.run(variants.training[variant].sql[session.engine])
        assert [row.pop("fp_row") for row in found] == [row["fp_row"] for row in spine]
        assert_same(with_maps(found, variants, variant, session), expected, rows, session)


@dataclass
class Compared:
    """What engines were compared with the reference about, per engine and function, those by key for themselves."""

    views: set[str] = field(default_factory=set)
    values: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Those of them that are of at least one event."""
    distinct: dict[str, set[str]] = field(default_factory=dict)

    def add(self, engine: Engine, view: FeatureView, rows: Sequence[Event]) -> None:
        self.views.add(view.name)
        for line in view.aggregations:
            function = f"{line.function} by key" if line.group else line.function
            empty = (None, line.default, 0) if line.function in COUNTS else (None, line.default)
            for window in line.windows:
                values = [row[f"{view.name}__{line.feature_name(window)}"] for row in rows]
                told = [str(value) for value in values if value not in empty or isinstance(value, bool)]
                self.values[engine, function] += len(values)
                self.told[engine, function] += len(told)
                self.distinct.setdefault(function, set()).update(told)


@pytest.fixture(scope="module")
def compared() -> Compared:
    return Compared()


@pytest.mark.parametrize("variant", VIEWS)
def test_many_worlds_at_once_have_what_the_reference_says(
    variants: Project, sessions: Sequence[Session], variant: str, compared: Compared
) -> None:
    """Worlds side by side, told apart by their cards and ids, so that engines are asked once."""
    spec = variants.spec(variant)
    source = variants.registry.sources[spec.source or ""].spec
    rows: list[dict[str, Any]] = []
    spine: list[dict[str, Any]] = []
    expected: list[dict[str, Any]] = []
    for number in range(WORLDS[variant]):
        one = world(number, 40, 20)
        apart = [side_by_side(event, number) for event in one.rows]
        rows += apart
        for question in one.asked:
            row = {"fp_row": len(spine), **side_by_side(question, number)}
            spine.append(row)
            values = reference_row(spec, variants, apart, row["at"], {"card": row["card"], "shop": row["shop_id"]})
            expected.append({f"{variant}__{name}": value for name, value in values.items()})
    for session in sessions:
        session.put("sources", source.name, EVENT_COLUMNS, rows)
        session.put("inputs", "spine", SPINE_COLUMNS, spine)
        found = session.run(variants.training[variant].sql[session.engine])
        assert [row.pop("fp_row") for row in found] == list(range(len(spine)))
        found = with_maps(found, variants, variant, session)
        assert_same(found, expected, rows, session)
        compared.add(session.engine, spec, found)


def test_ten_thousand_values_of_every_function_were_compared_on_each_engine(compared: Compared) -> None:
    """Counted where they were compared, in what the engines answered."""
    if compared.views != set(VIEWS):
        pytest.skip("counts what the test before has compared, which ran for some views only")
    functions = {function for _, function in compared.values}
    assert functions >= set(get_args(AggregationFunction))
    asked = {(engine, function) for engine in ("duckdb", "postgres") for function in functions}
    assert {each: compared.values[each] for each in asked if compared.values[each] < 10_000} == {}
    assert {each: compared.told[each] for each in asked if compared.told[each] < 500} == {}
    alike = {function for function, values in compared.distinct.items() if len(values) < 2}
    assert not alike, "whoever answers always the same would pass"


@pytest.mark.parametrize("variant", ["of_corrected", "of_late", "gathered", "others", "tiled"])
def test_crowded_and_joined_entities_have_the_same_values(
    tmp_path: Path, sessions: Sequence[Session], variant: str
) -> None:
    """A world too large for the reference, once with every entity crowded and once with none."""
    large = world(7, 1_500, 400)
    rows = [row | {"id": f"{number % 400}"} if row["id"] else row for number, row in enumerate(large.rows)]
    rows = without_conflicts(rows)
    spine = [{"fp_row": number, **row} for number, row in enumerate(large.asked)]
    registry = registry_of_variants(tmp_path)
    spec = registry.views[variant].spec
    found: list[list[list[dict[str, Any]]]] = []
    for limit in (0, 10**9):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(point_pairs, "PAIRS_PER_ROW", limit)
            query = Project(registry, [variant]).training[variant]
        answers = []
        for session in sessions:
            session.put("sources", spec.source or "", EVENT_COLUMNS, rows)
            session.put("inputs", "spine", SPINE_COLUMNS, spine)
            answers.append(session.run(query.sql[session.engine]))
        found.append(answers)
    for session, crowded, joined in zip(sessions, *found, strict=True):
        assert_same(joined, crowded, rows, session)


WORLDS = dict.fromkeys(VIEWS, 170)
"""How many worlds of 20 questions each view is asked about."""
# The same functions in six views; and views of functions that have two windows and stand in no other view.
WORLDS |= dict.fromkeys(VIEWS[:6], 100) | dict.fromkeys(["others", "grouped", "by_key"], 250)


def side_by_side(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The row with card and id of its world."""
    own = {name: f"{number} {row[name]}" for name in ("card", "id") if row.get(name) is not None}
    return {**row, **own}


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(variant=st.sampled_from(VIEWS), world=worlds)
def test_a_materialization_has_what_a_training_set_has_at_its_tick(
    variants: Project, sessions: Sequence[Session], variant: str, world: World
) -> None:
    rows = world.rows
    tick = next((row["at"] for row in world.asked if row["at"]), ANCHORS[0])
    spec = variants.spec(variant)
    source = variants.registry.sources[spec.source or ""].spec
    entities = {(row["card"], row["shop"]) for row in rows if row["card"] is not None and row["shop"] is not None}
    expected = {
        (card, shop): reference_row(spec, variants, rows, tick, {"card": card, "shop": shop})
        for card, shop in entities
        if has_row(
            rows,
            source,
            spec,
            tick,
            entity={"card": card, "shop": shop},
            conditions=CONDITIONS,
        )
    }
    query = variants.compiled.views[variant].materialize
    assert query is not None
    (parameter,) = query.parameters
    for session in sessions:
        session.put("sources", source.name, EVENT_COLUMNS, rows)
        found = session.run(query.sql[session.engine], **{parameter: tick})
        assert {(row["event_time"], row["available_at"]) for row in found} <= {(tick, tick)}
        by_entity = {(row["card"], row["shop_id"]): row for row in found}
        assert len(by_entity) == len(found)
        assert by_entity.keys() == expected.keys()
        values = [{name: row[name] for name in expected[key]} for key, row in by_entity.items()]
        values = with_maps(values, variants, variant, session)
        assert_same(values, [expected[key] for key in by_entity], rows, session)


def reference_row(
    spec: FeatureView, variants: Project, rows: Sequence[Event], q: datetime | None, entity: Mapping[str, Any]
) -> dict[str, Any]:
    source = variants.registry.sources[spec.source or ""].spec
    known = known_at(rows, source, q) if q is not None else []
    known = [event for event in known if all(event[column] == value for column, value in entity.items())]
    looked_at: dict[Any, list[Event]] = {}
    return {
        line.feature_name(window): feature(
            known,  # what was known stays known: only saves doing it again for every feature
            source,
            line,
            window,
            q,
            entity=entity,
            conditions=CONDITIONS,
            view_where=spec.where,
            accuracy=spec.accuracy,
            looked_at=looked_at,
        )
        for line in spec.aggregations
        for window in line.windows
    }


def with_maps(found: Sequence[Event], variants: Project, view: str, session: Session) -> Sequence[Event]:
    """PostgreSQL's maps are objects of texts; stores make maps of them."""
    readers = {
        each.name: map_reader(each.column.type)
        for each in variants.compiled.views[view].features
        if session.engine == "postgres" and each.column.type.key
    }
    kept = {name.removeprefix(f"{view}__"): name for name in (found[0] if found else ())}
    return [
        row | {kept[name]: read(row[kept[name]]) for name, read in readers.items() if row[kept[name]] is not None}
        for row in map(dict, found)
    ]


def assert_same(found: Sequence[Event], expected: Sequence[Event], rows: Sequence[Event], session: Session) -> None:
    scale = max(
        [abs(float(row[name])) for row in rows for name in ("amount", "score") if row[name] is not None], default=0
    )
    wrong = [
        (session.engine, index, name, row[name], value)
        for index, (row, wanted) in enumerate(zip(found, expected, strict=True))
        for name, value in wanted.items()
        if not same(row[name], value, name, scale)
    ]
    assert not wrong


def same(found: Any, wanted: Any, name: str, scale: float) -> bool:
    """Exact, but for doubles: relative to the result, or to what the inputs' size leaves of a double's digits."""
    if found is None or wanted is None or isinstance(wanted, bool | str | date):
        return bool(found == wanted) and type(found) is not float
    if isinstance(wanted, list):
        return bool(found == wanted)
    if isinstance(wanted, dict):
        values = zip(found.values(), wanted.values(), strict=True) if len(found) == len(wanted) else ()
        return list(found) == list(wanted) and all(same(one, other, name, scale) for one, other in values)
    if not isinstance(found, float):
        return Fraction(found) == Fraction(wanted)
    tolerance = scale * 1e-12
    if "variance" in name:
        tolerance = scale * scale * 1e-13
    if "stddev" in name:
        tolerance = scale * 1e-7
    return math.isclose(found, float(wanted), rel_tol=1e-12, abs_tol=tolerance)


def test_windows_of_the_project_are_what_the_reference_reads(variants: Project) -> None:
    assert {window for line in variants.spec("bounded").aggregations for window in line.windows} == {
        Duration.parse("1h"),
        Duration.parse("30d"),
    }
