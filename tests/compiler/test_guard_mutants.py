"""Whether the tests of the guard would notice: each mistake of :mod:`tests.compiler.interference.mutants` is caught by
a random query, or by the corpus of bypasses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from feature_platform.compiler.guard import GuardedQuery
from feature_platform.errors import FeaturePlatformError
from tests.compiler.interference.campaign import judge
from tests.compiler.interference.choices import Choices
from tests.compiler.interference.mutants import MUTANTS, Mutant
from tests.compiler.interference.oracle import Worlds, changed, guarded, leak, rendered
from tests.compiler.interference.queries import Written, write
from tests.compiler.interference.worlds import PAIRS, World
from tests.compiler.test_bypasses import BYPASSES, verdict

SEEDS = 4_000
TRIES = 40
"""How many queries that have the construct in question a mutant meets at most, the shortest first."""

Guarded = GuardedQuery | FeaturePlatformError
without_mistake = cache(guarded)  # of many mutants the same queries are the shortest


@pytest.fixture(scope="module")
def queries() -> list[Written]:
    return [write(Choices(seed)) for seed in range(SEEDS)]


def titles(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=titles)
def test_a_mistake_is_noticed(
    mutant: Mutant, worlds: Worlds, queries: list[Written], record_property: Callable[[str, object], None]
) -> None:
    fitting = [(seed, query) for seed, query in enumerate(queries) if mutant.among <= query.constructs]
    tried = [(seed, query, without_mistake(query.sql)) for seed, query in sorted(fitting, key=length)[:TRIES]]
    with mutant.alive():
        found = by_random_query(worlds, tried) or by_corpus(mutant, worlds)
    record_property("caught by", found)
    assert found, "nothing notices this; the grammar or the corpus lacks something"


def length(numbered: tuple[int, Written]) -> int:
    return len(numbered[1].sql)


def by_random_query(worlds: Worlds, tried: list[tuple[int, Written, Guarded]]) -> str:
    """The first random query that gives the mutant away, of those that it does something else with than the guard."""
    for seed, query, right in tried:
        if not alike(attempt(query.sql), right):
            fault = judge(worlds, query, seed, thorough=True).fault
            if fault:
                return f"seed {seed}: {fault}\n{query.sql}"
    return ""


def attempt(sql: str) -> Guarded | None:
    """What a mutant makes of a query; None if it falls over."""
    try:
        return guarded(sql)
    except Exception:  # noqa: BLE001 - a mutant may do anything
        return None


def alike(one: Guarded | None, two: Guarded) -> bool:
    """Whether the laws, which look at a query's text and at its labels, find the same in both."""
    if isinstance(one, GuardedQuery) and isinstance(two, GuardedQuery):
        return (one.tree, one.columns) == (two.tree, two.columns)
    return isinstance(one, FeaturePlatformError) and isinstance(two, FeaturePlatformError)


def by_corpus(mutant: Mutant, worlds: Worlds) -> str:
    """The first bypass with another verdict than it should have, that leaks, or that means something else."""
    for block in BYPASSES:
        if mutant.word not in block.sql:
            continue
        found, query = verdict(block.sql)
        if found.split()[0] != block.outcome.split()[0]:
            return f"bypass '{block.title}' is {found}\n{block.sql}"
        if query is None:
            continue
        text = rendered(query)
        if leak(worlds, text, range(PAIRS)):
            return f"bypass '{block.title}' leaks\n{block.sql}"
        if found == "allow" and changed(worlds.run(World(0), text), worlds.run(World(0), block.sql)):
            return f"bypass '{block.title}' gives something else\n{block.sql}"
    return ""
