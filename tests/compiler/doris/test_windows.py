"""Windows of aggregations in Doris' text against the plain-Python reference, run on DuckDB: as of a tick, and at the
times of a spine. See :mod:`tests.compiler.doris.portable` for what that proves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.compiler.doris.views import doris_query
from feature_platform.compiler.plan import CompiledQuery
from feature_platform.compiler.training import compile_training_set
from feature_platform.errors import CompileError
from tests.compiler.doris.sessions import PortableSession, portable_session
from tests.compiler.event_project import EVENT_COLUMNS, SPINE_COLUMNS, schema_of
from tests.compiler.reference_windows import Event, has_row
from tests.compiler.test_windows_at_points import (
    ANCHORS,
    CONDITIONS,
    MAPS,
    VIEWS,
    Project,
    World,
    assert_same,
    reference_row,
    registry_of_variants,
    side_by_side,
    world,
    worlds,
)

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
WORLDS = 40
OF_DORIS = [view for view in VIEWS if view not in MAPS]


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(registry_of_variants(tmp_path_factory.mktemp("variants")))


@pytest.fixture(scope="module")
def training(variants: Project) -> Mapping[str, CompiledQuery]:
    return {
        name: compile_training_set(
            variants.registry,
            variants.compiled,
            [(name, each.name) for each in variants.compiled.views[name].features],
            schema_of(SPINE_COLUMNS),
            time="at",
            engines=("doris",),
        )
        for name in OF_DORIS
    }


@pytest.fixture(scope="module")
def materializing(variants: Project) -> Mapping[str, CompiledQuery]:
    return {name: doris_query(name, variants.registry, variants.compiled) for name in OF_DORIS}


@pytest.fixture(scope="module")
def session() -> PortableSession:
    return portable_session()


@pytest.mark.parametrize("variant", MAPS)
def test_maps_are_refused_and_not_computed_without_their_keys(variants: Project, variant: str) -> None:
    with pytest.raises(CompileError) as error:
        doris_query(variant, variants.registry, variants.compiled)
    told = variants.spec(variant).aggregations
    assert {problem.code for problem in error.value.problems} == {"FP-SQL-051"}
    assert len(error.value.problems) == sum(line.is_map for line in told)


@settings(max_examples=20, deadline=None, suppress_health_check=SLOW)
@given(variant=st.sampled_from(OF_DORIS), world=worlds)
def test_a_training_set_has_what_the_reference_says(
    variants: Project,
    training: Mapping[str, CompiledQuery],
    session: PortableSession,
    variant: str,
    world: World,
) -> None:
    spine = [{"fp_row": number, **row} for number, row in enumerate([*world.asked, *world.asked[:2]])]
    check_training(variants, training[variant], session, variant, world.rows, spine, [world.rows] * len(spine))


@pytest.mark.parametrize("variant", OF_DORIS)
def test_many_worlds_at_once_have_what_the_reference_says(
    variants: Project, training: Mapping[str, CompiledQuery], session: PortableSession, variant: str
) -> None:
    rows: list[dict[str, Any]] = []
    spine: list[dict[str, Any]] = []
    known: list[Sequence[Event]] = []
    for number in range(WORLDS):
        one = world(number, 40, 20)
        apart = [side_by_side(event, number) for event in one.rows]
        rows += apart
        known += [apart] * len(one.asked)
        spine += [{"fp_row": 0, **side_by_side(question, number)} for question in one.asked]
    for number, row in enumerate(spine):
        row["fp_row"] = number
    check_training(variants, training[variant], session, variant, rows, spine, known)


def check_training(  # noqa: PLR0917 - what two tests share
    variants: Project,
    query: CompiledQuery,
    session: PortableSession,
    variant: str,
    rows: Sequence[Event],
    spine: Sequence[Event],
    known: Sequence[Sequence[Event]],
) -> None:
    """``known`` has the events that each row of the spine can see."""
    spec = variants.spec(variant)
    source = variants.registry.sources[spec.source or ""].spec
    expected = [
        {
            f"{variant}__{name}": value
            for name, value in reference_row(
                spec, variants, own, row["at"], {"card": row["card"], "shop": row["shop_id"]}
            ).items()
        }
        for row, own in zip(spine, known, strict=True)
    ]
    session.put("sources", source.name, EVENT_COLUMNS, rows)
    session.put("inputs", "spine", SPINE_COLUMNS, spine)
    found = session.run(query.sql["doris"])
    assert [row.pop("fp_row") for row in found] == [row["fp_row"] for row in spine]
    assert_same(found, expected, rows, session)


@settings(max_examples=20, deadline=None, suppress_health_check=SLOW)
@given(variant=st.sampled_from(OF_DORIS), world=worlds)
def test_a_materialization_has_what_a_training_set_has_at_its_tick(
    variants: Project,
    materializing: Mapping[str, CompiledQuery],
    session: PortableSession,
    variant: str,
    world: World,
) -> None:
    rows = world.rows
    tick = next((row["at"] for row in world.asked if row["at"]), ANCHORS[0])
    spec = variants.spec(variant)
    source = variants.registry.sources[spec.source or ""].spec
    entities = {(row["card"], row["shop"]) for row in rows if row["card"] is not None and row["shop"] is not None}
    expected = {
        (card, shop): reference_row(spec, variants, rows, tick, {"card": card, "shop": shop})
        for card, shop in entities
        if has_row(rows, source, spec, tick, entity={"card": card, "shop": shop}, conditions=CONDITIONS)
    }
    (parameter,) = materializing[variant].parameters
    session.put("sources", source.name, EVENT_COLUMNS, rows)
    found = session.run(materializing[variant].sql["doris"], **{parameter: tick})
    assert {(row["event_time"], row["available_at"]) for row in found} <= {(tick, tick)}
    by_entity = {(row["card"], row["shop_id"]): row for row in found}
    assert len(by_entity) == len(found)
    assert by_entity.keys() == expected.keys()
    values = [{name: row[name] for name in expected[key]} for key, row in by_entity.items()]
    assert_same(values, [expected[key] for key in by_entity], rows, session)
