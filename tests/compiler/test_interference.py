"""Non-interference: databases that agree on everything a policy permits are indistinguishable through guarded queries.

Thousands of random queries over every construct of the dialect meet the pairs of databases of
:mod:`tests.compiler.interference.worlds`; what must hold of each is in :mod:`tests.compiler.interference.oracle`. A
query that breaks a law is shown in its shortest form, with the command that shows it again.

``FP_FUZZ_SEEDS`` says how many queries, ``FP_FUZZ_FROM`` with which to begin.
"""

from __future__ import annotations

import os

import pytest

from feature_platform.errors import FeaturePlatformError
from tests.compiler.interference.campaign import Figures, explained, run
from tests.compiler.interference.choices import Choices, shrunk
from tests.compiler.interference.expressions import PERSONAL, TEMPLATES
from tests.compiler.interference.oracle import Worlds, changed, guarded, rendered
from tests.compiler.interference.postgres_worlds import opened_in_postgres
from tests.compiler.interference.queries import write
from tests.compiler.interference.worlds import CANARIES, PAIRS, World

SEEDS = int(os.environ.get("FP_FUZZ_SEEDS", "2000"))
FIRST = int(os.environ.get("FP_FUZZ_FROM", "0"))


@pytest.fixture(scope="module")
def figures(worlds: Worlds) -> Figures:
    return run(worlds, range(FIRST, FIRST + SEEDS))


@pytest.mark.parametrize(
    "law",
    [
        pytest.param("leak", id="guarded queries give the same in both worlds of a pair"),
        pytest.param("label", id="what a column shows of a class stands in its label"),
        pytest.param("meaning", id="a query over clear columns gives what it would give unguarded"),
        pytest.param("crash", id="the guard refuses with a reason or not at all"),
    ],
)
def test_no_query_breaks_the_law(law: str, worlds: Worlds, figures: Figures) -> None:
    broken = [(seed, judged) for seed, judged in figures.faults if judged.fault.startswith(law)]
    if broken:
        first = explained(worlds, *broken[0])
        pytest.fail(f"{len(broken)} of {SEEDS} queries break the law '{law}'. The first:\n{first}", pytrace=False)


def test_nothing_leaks_in_postgres_either_and_both_engines_agree(worlds: Worlds, postgres_url: str) -> None:
    """A share of the same queries, those that PostgreSQL has a form of."""
    ran = 0
    with opened_in_postgres(postgres_url, [World(0, "A"), World(0, "B")]) as postgres:
        for seed in range(FIRST, FIRST + SEEDS // 6):
            written = write(Choices(seed))
            query = guarded(written.sql)
            if isinstance(query, FeaturePlatformError) or "postgres" not in query.engines:
                continue
            text = rendered(query, "postgres")
            one, two = postgres.run(World(0, "A"), text), postgres.run(World(0, "B"), text)
            shown = f"seed {seed} in PostgreSQL\n{written.sql}\n{text}"
            assert one.same(two), shown
            other = worlds.run(World(0), rendered(query))
            assert bool(one.error) == bool(other.error), shown
            if not one.error and "ties" not in written.constructs:
                assert not changed(one, other), shown
            ran += 1
    assert ran > SEEDS // 30


def test_the_queries_have_power(figures: Figures) -> None:
    """Unguarded, many of the queries do tell the worlds apart, and many that would are let through in a guarded
    form."""
    assert figures.share("valid", "queries") > 0.9
    assert figures.share("personal", "valid") > 0.12
    assert figures.share("personal, let through", "personal") > 0.7


def test_every_construct_is_let_through_in_some_query(figures: Figures) -> None:
    """Else a law could hold because a construct never gets so far."""
    named = {construct for templates in (TEMPLATES, PERSONAL) for rows in templates.values() for construct, _ in rows}
    assert named <= figures.met.keys() | figures.passed.keys()
    never = {construct for construct in figures.met if not figures.passed[construct]}
    assert not never


def test_few_queries_that_depend_on_nothing_personal_are_refused(figures: Figures) -> None:
    refused = figures.share("independent, refused", "independent")
    assert refused <= 0.05, figures.report()


def test_the_worlds_of_a_pair_differ_in_every_class_and_in_nothing_clear(worlds: Worlds) -> None:
    for pair in range(PAIRS):
        for table, columns in {
            "customers": ("email", "name", "birth_date", "phone", "card_number"),
            "transactions": ("card_number", "device"),
            "Logins": ("ip", "agent"),
        }.items():
            for column in columns:
                sql = f'SELECT {column} FROM "{table}"'
                assert not worlds.run(World(pair, "A"), sql).same(worlds.run(World(pair, "B"), sql)), (pair, column)
        clear = "SELECT * EXCLUDE (card_number, device) FROM transactions"
        assert worlds.run(World(pair, "A"), clear).same(worlds.run(World(pair, "B"), clear))


def test_only_one_world_knows_the_canaries(worlds: Worlds) -> None:
    held = {str(value) for value in World(0).classified(1).values()}
    assert set(CANARIES) <= held
    for pair in range(PAIRS):
        people = [World(pair, "B").classified(person) for person in range(6)]
        assert not {str(value) for person in people for value in person.values()} & set(CANARIES)


def test_a_seed_always_makes_the_same_query() -> None:
    assert write(Choices(7)).sql == write(Choices(7)).sql == write(Choices(given=write(Choices(7)).made)).sql


def test_a_failing_query_shrinks_to_what_makes_it_fail() -> None:
    made = next(found for found in map(write, map(Choices, range(1000))) if "PIVOT" in found.constructs).made
    short = write(Choices(given=shrunk(made, lambda given: "PIVOT (" in write(Choices(given=given)).sql)))
    assert "PIVOT (" in short.sql
    assert len(short.made) <= len(made)
    assert len(short.sql) < 250
