"""Deterministic payments data for the demonstration: six tables of Parquet files under one folder.

The same seed and size give the same rows in the same files, on every machine. Memory does not grow with the size: each
table is made and written a piece at a time, transactions one file per day.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from feature_platform.demo.tables import (
    CARDS,
    CUSTOMERS,
    DEVICES,
    DISPUTES,
    END,
    MERCHANTS,
    START,
    TABLES,
    TRANSACTIONS,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.demo.population import Population

SEED: Final = 20260630
SMALLEST: Final = 1_000
_GENERATOR: Final = 2
"""Raise it when the same seed gives other rows."""
_MEMBERS_PER_PIECE: Final = 100_000
_MANIFEST: Final = "demo.json"
CANARY_FILE: Final = "canaries.parquet"
"""In the folder of each table: the rows of synthetic people whose values must be found nowhere else."""

Progress = Callable[[str, int, int], None]
"""Called with a table's name, rows done and rows expected."""


@dataclass(frozen=True, slots=True)
class DemoData:
    """Where the data lie, which time they cover, and how many rows each table has."""

    folder: Path
    start: datetime
    """First instant of the calendar, UTC."""
    end: datetime
    """Exclusive end of the calendar, UTC: the "now" of the data."""
    tables: Mapping[str, int]
    """Rows per table, those of canaries not counted."""

    def pattern(self, table: str) -> str:
        """The wild card that matches the files of ``table``."""
        return str(self.folder / table / "*.parquet")


def generate(
    folder: Path, *, transactions: int = 500_000, seed: int = SEED, progress: Progress | None = None
) -> DemoData:
    """Writes the data, unless the folder holds exactly these already.

    Args:
        folder: made if needed; files of an earlier size in it are replaced.
        transactions: transactions without corrections and duplicates, which come on top; 1,000 to 50 million. The other
            tables grow with it.
        seed: another seed, other data.
        progress: called after every piece that was written.

    Raises:
        ValueError: fewer than 1,000 transactions.
    """
    if transactions < SMALLEST:
        raise ValueError(f"{transactions} transactions; at least {SMALLEST} are needed for every table to have rows")
    identity = {"generator": _GENERATOR, "seed": seed, "transactions": transactions}
    known = _manifest(folder)
    if known is not None and known["identity"] == identity:
        return DemoData(folder, START, END, known["rows"])
    rows = _write_all(folder, transactions, seed, progress or _silent)
    (folder / _MANIFEST).write_text(json.dumps({"identity": identity, "rows": rows}, indent=2) + "\n", encoding="utf-8")
    return DemoData(folder, START, END, rows)


def _write_all(folder: Path, transactions: int, seed: int, progress: Progress) -> dict[str, int]:
    # numpy and Arrow load here, so that importing the module costs nothing.
    from feature_platform.canaries.listing import FILE_NAME, write_canaries
    from feature_platform.demo import parties
    from feature_platform.demo.canaries import canaries, canary_rows
    from feature_platform.demo.population import Population
    from feature_platform.demo.randomness import Draw

    (folder / _MANIFEST).unlink(missing_ok=True)
    for table in TABLES:
        _emptied(folder / table.name)
    population = Population(Draw(seed), transactions)
    members = {
        CUSTOMERS: (parties.customers, population.customers),
        CARDS: (parties.cards, population.cards),
        MERCHANTS: (parties.merchants, population.merchants),
        DEVICES: (parties.devices, population.devices),
    }
    rows: dict[str, int] = {}
    for table, (make, count) in members.items():
        rows[table.name] = 0
        for number, start in enumerate(range(0, count, _MEMBERS_PER_PIECE)):
            end = min(count, start + _MEMBERS_PER_PIECE)
            file = folder / table.name / f"part-{number:04d}.parquet"
            rows[table.name] += _write(file, iter([make(population, start, end)]))
            progress(table.name, end, count)
    rows |= _write_events(folder, population, progress)
    for table in TABLES:
        _write(folder / table.name / CANARY_FILE, iter([canary_rows(table)]))
    write_canaries(folder / FILE_NAME, canaries())
    return rows


def _write_events(folder: Path, population: Population, progress: Progress) -> dict[str, int]:
    from feature_platform.demo.disputes import Disputed, disputed, disputes_table
    from feature_platform.demo.transactions import Rows, transactions_of_day, transactions_table, with_corrections

    complaints: list[Disputed] = []
    done = written = 0

    def observed(originals: Rows) -> pa.Table:
        nonlocal done
        complaints.append(disputed(population, originals))
        done += len(originals.row)
        return transactions_table(population, with_corrections(population, originals))

    for day in range((END - START).days):
        file = folder / TRANSACTIONS.name / f"{START + timedelta(days=day):%Y-%m-%d}.parquet"
        written += _write(file, map(observed, transactions_of_day(population, day)))
        progress(TRANSACTIONS.name, done, population.transactions)
    disputes = disputes_table(population, complaints)
    _write(folder / DISPUTES.name / "part-0000.parquet", iter([disputes]))
    progress(DISPUTES.name, disputes.num_rows, disputes.num_rows)
    return {TRANSACTIONS.name: written, DISPUTES.name: disputes.num_rows}


def _write(file: Path, tables: Iterator[pa.Table]) -> int:
    """Writes one Parquet file, one row group per table; none if there is no table. Gives the number of rows."""
    import pyarrow.parquet as pq

    first = next(tables, None)
    if first is None:
        return 0
    with pq.ParquetWriter(file, first.schema, compression="zstd", compression_level=1) as writer:
        writer.write_table(first)
        rows: int = first.num_rows
        for table in tables:
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _emptied(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.parquet"):
        file.unlink()


def _manifest(folder: Path) -> dict[str, dict[str, int]] | None:
    try:
        found: dict[str, dict[str, int]] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if {"identity", "rows"} <= set(found) else None


def _silent(_table: str, _done: int, _expected: int) -> None:
    """No progress wanted."""
