"""The known ways around a guard, each with its verdict, and the ways that have to stay open.

``fixtures/bypasses.sql`` has a query a block, and what is to become of it:

* ``deny CODE …``: it does not compile, for these reasons;
* ``mask``: it compiles, and its columns are labelled;
* ``allow``: it compiles, nothing about it is personal, and it gives what it would give unguarded.

What compiles is run in every pair of worlds, and in PostgreSQL where that has such queries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from feature_platform.compiler.guard import GuardedQuery
from feature_platform.errors import FeaturePlatformError
from tests.compiler.interference.oracle import Worlds, changed, guarded, leak, rendered
from tests.compiler.interference.postgres_worlds import PostgresWorlds, opened_in_postgres
from tests.compiler.interference.worlds import PAIRS, World
from tests.compiler.sql_fixtures import Block, read

BYPASSES = read("bypasses.sql")


def verdict(sql: str) -> tuple[str, GuardedQuery | None]:
    """What becomes of a query, and its guarded form if it has one."""
    query = guarded(sql)
    if isinstance(query, FeaturePlatformError):
        return " ".join(["deny", *dict.fromkeys(problem.code for problem in query.problems)]), None
    return "mask" if any(column.labels for column in query.columns) else "allow", query


def titles(block: Block) -> str:
    return block.title


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[PostgresWorlds]:
    with opened_in_postgres(postgres_url, [World(0, "A"), World(0, "B")]) as found:
        yield found


@pytest.mark.parametrize("block", BYPASSES, ids=titles)
def test_a_bypass_gets_its_verdict(block: Block, worlds: Worlds, postgres: PostgresWorlds) -> None:
    found, query = verdict(block.sql)
    assert found == block.outcome
    if query is None:
        return
    text = rendered(query)
    assert not leak(worlds, text, range(PAIRS))
    outcome = worlds.run(World(0), text)
    assert not outcome.error
    if found == "allow":
        assert not changed(outcome, worlds.run(World(0), block.sql))
    if "postgres" in query.engines:
        text = rendered(query, "postgres")
        one, two = postgres.run(World(0, "A"), text), postgres.run(World(0, "B"), text)
        assert not one.error
        assert one.same(two)


def test_the_corpus_is_large_and_knows_every_verdict() -> None:
    counts = Counter(block.outcome.split()[0] for block in BYPASSES)
    assert len(BYPASSES) == len({block.title for block in BYPASSES}) >= 150
    assert counts["deny"] >= 100
    assert min(counts["mask"], counts["allow"]) >= 25
