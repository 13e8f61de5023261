"""Runs that a fault strikes, each followed by runs as a schedule starts them, while somebody reads.

Afterwards every store has exactly what a computation without the platform gives; before, nobody read rows of two
publications at once, or older ones after newer ones. ``python -m tests.faults.run`` does hundreds of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.reader import Reader
from tests.faults.requests import PUBLISH, STAGE
from tests.faults.runs import after, choose, one_run, reasons, unharmed
from tests.faults.world import Servers, World

STATE, MOVED = ("state",), ("moved",)


@pytest.fixture(scope="module")
def world(mortal: Servers) -> Iterator[World]:
    """Two views that were published once, without a fault."""
    made = World(mortal, "warehouse", 7)
    try:
        assert unharmed(made, ("moved", "state")).wrong == []
        for views in (MOVED, STATE):
            made.advance(views)
            assert unharmed(made, views).wrong == []
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def reader(world: World) -> Iterator[Reader]:
    made = Reader(world)
    yield made
    made.close()


@pytest.mark.parametrize(
    "fault",
    [
        (STATE, "server killed", "redis", PUBLISH),
        (MOVED, "server killed", "tables", STAGE),
        (STATE, "server killed", "served", PUBLISH),
        (STATE, "writer killed", "served", PUBLISH),
        (STATE, "lost reply", "redis", PUBLISH),
        (MOVED, "lost reply", "tables", PUBLISH),
        (STATE, "silence", "served", STAGE),
        (STATE, "disk full", "", ""),
        (MOVED, "clock", "", ""),
    ],
    ids=lambda fault: "-".join(filter(None, (*fault[0], *fault[1:]))),
)
def test_nothing_is_lost_doubled_or_half_visible(
    world: World, reader: Reader, fault: tuple[tuple[str, ...], str, str, str]
) -> None:
    views, kind, store, phase = fault
    result = one_run(world, views, choose(world, views, kind, store, phase), reader)
    assert result.wrong == [], result
    assert result.reads > 0


def test_two_processes_materialize_one_view(world: World, reader: Reader) -> None:
    """Each run is whole or says what it could not do, and the next one finds or makes everything as it should be."""
    world.advance(STATE)
    runs = [world.start(STATE) for _ in range(2)]
    assert all(run.wait() for run in runs)
    assert all(run.report is not None for run in runs), [run.error for run in runs]
    assert all(run.ok or "FP-" in reasons(run) for run in runs), [reasons(run) for run in runs]
    final = world.start(STATE)
    assert final.wait()
    assert final.ok, reasons(final)
    assert after(world, STATE) == []
    reader.settle()
    assert reader.take_wrong() == []


def test_a_model_that_is_not_what_was_published_is_noticed(world: World) -> None:
    """The judge of all the others can say no: an answer of two steps, a row twice, an older answer after a newer."""
    answers = world.answers["state redis"]
    old, new = answers.valid[-2:]
    mixed = {**new, **dict(list(old.items())[: len(old) // 2])}
    assert answers.place(new, answers.seen) == len(answers.valid) - 1
    assert answers.place(mixed, 0) is None
    assert answers.place(old, len(answers.valid) - 1) is None
    assert "are not the newest" in answers.explain(mixed, 0)
