"""Kill -9 in every phase: old rows stay readable, a new run heals, nothing is left behind."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from feature_platform.stores.protocols import Warehouse
from tests.processes import Child, child
from tests.stores.warehouse_cases import SPEND, Kind, duckdb_kind, opened, postgres_kind, publish, rows_of
from tests.stores.warehouse_writer import BATCH, NUMBERS, numbers

OLD = [{"number": 1, "value": 1}]


@pytest.fixture(params=["duckdb_delta", "postgres"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    if request.param == "postgres":
        return postgres_kind(request.getfixturevalue("postgres_url"))
    return duckdb_kind(tmp_path)


@contextlib.contextmanager
def writer(kind: Kind, phase: str) -> Iterator[Child]:
    """A writing process that has reached ``phase``."""
    with child("tests.stores.warehouse_writer:main", *kind.arguments, phase) as process:
        assert process.stdout.readline().strip() == phase
        yield process


def heal(kind: Kind, warehouse: Warehouse) -> None:
    """What the next run does: sweep, stage, publish. A server may need a moment to notice that its client is gone."""
    for _ in range(100):
        warehouse.sweep(SPEND)
        if len(kind.leftovers()) == 1:
            break
        time.sleep(0.02)
    warehouse.publish(warehouse.stage(SPEND, NUMBERS, numbers(1)))


@pytest.mark.parametrize("phase", ["stage", "staged"])
def test_a_killed_writer_leaves_the_old_rows_and_the_next_run_heals(kind: Kind, phase: str) -> None:
    with opened(kind) as warehouse:
        publish(warehouse, OLD, NUMBERS)
        with writer(kind, phase) as process:
            process.kill()
        assert rows_of(warehouse) == OLD
        heal(kind, warehouse)
        assert warehouse.publications(SPEND)[0].rows == BATCH
        assert len(kind.leftovers()) == 1


def test_killed_at_random_points_of_publishing(kind: Kind) -> None:
    """The writer publishes without end; whenever it is killed, exactly one whole publication is live."""
    chosen = random.Random(7)
    with opened(kind) as warehouse:
        publish(warehouse, OLD, NUMBERS)
        for _ in range(4):
            with writer(kind, "publish") as process:
                time.sleep(chosen.uniform(0.05, 0.5))
                process.kill()
            (published,) = warehouse.publications(SPEND)
            assert len(rows_of(warehouse)) == published.rows
            assert published.rows in (1, BATCH, 10 * BATCH)
            heal(kind, warehouse)
            assert warehouse.publications(SPEND)[0].rows == BATCH
            assert len(kind.leftovers()) == 1


def test_a_sweep_spares_the_rows_of_a_living_writer(kind: Kind) -> None:
    with opened(kind) as writing, opened(kind) as sweeping:
        staged = writing.stage(SPEND, NUMBERS, numbers(1))
        assert sweeping.sweep(SPEND) == 0
        writing.publish(staged)
        assert sweeping.publications(SPEND)[0].rows == BATCH


def test_a_sweep_spares_a_process_that_is_still_staging(kind: Kind) -> None:
    with opened(kind) as warehouse:
        publish(warehouse, OLD, NUMBERS)
        with writer(kind, "stage") as process:
            assert warehouse.sweep(SPEND) == 0
            assert process.poll() is None
            process.kill()
        heal(kind, warehouse)
        assert len(kind.leftovers()) == 1


def test_a_sweep_counts_what_the_dead_left(kind: Kind) -> None:
    with opened(kind) as gone:
        gone.stage(SPEND, NUMBERS, numbers(1))
    with opened(kind) as warehouse:
        assert warehouse.sweep(SPEND) == 1
        assert warehouse.sweep(SPEND) == 0
        assert kind.leftovers() == []
