"""Rows on the terminal, in a file, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_platform.cli.codes import BAD_VALUE
from feature_platform.cli.screen import Screen, standard_output
from feature_platform.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import RenderableType
    from rich.table import Table

    from feature_platform.sdk.files import Format
    from feature_platform.sdk.results import Result


def plain_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, whole: int = 0) -> Table:
    """A table without lines, so that it can be copied and piped. The first ``whole`` columns are never shortened."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(Text(name))
    for column in table.columns[:whole]:
        column.no_wrap = True
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def shown(value: Any) -> str:
    """A value as people read it: NULL is a dot, times without the zone that is always UTC."""
    if value is None:
        return "·"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(sep=" ")
        return text.removesuffix(" 00:00:00")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{shown(key)}: {shown(each)}" for key, each in value.items()) or "{}"
    return str(value)


def show_result(screen: Screen, result: Result, out: Path | None, limit: int) -> None:
    """The first ``limit`` rows on the screen, or all of them in the file ``out``.

    Raises:
        UsageError: ``out`` has another ending than .parquet or .csv.
    """
    if out is not None:
        rows = _write(screen, result, out)
        screen.show({"file": str(out), "rows": rows}, lambda: [f"{rows:,} rows in {out}"])
        return
    table = _first(result, limit)
    columns = [{"name": column.name, "type": column.type} for column in result.columns]
    screen.show(
        {"columns": columns, "rows": table.to_pylist(maps_as_pydicts="strict")}, lambda: result_for_people(table)
    )


def result_for_people(table: pa.Table) -> Iterator[RenderableType]:
    """Few columns as a table; many as one block per row, which a terminal's width can hold."""
    rows = table.to_pylist(maps_as_pydicts="strict")
    cells = [[shown(value) for value in row.values()] for row in rows]
    widths = [max([len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(table.column_names)]
    if sum(widths) + 2 * len(widths) <= _width():
        yield plain_table(table.column_names, cells)
        return
    yield plain_table(["", *(f"row {index}" for index in range(len(cells)))], _turned(table.column_names, cells))


def _turned(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    for index, name in enumerate(names):
        yield [name, *(row[index] for row in cells)]


def _width() -> int:
    console = standard_output()
    return console.width if console.is_terminal else 10_000


def _first(result: Result, limit: int) -> pa.Table:
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    left = limit
    with result.reader() as reader:
        schema = reader.schema
        while left > 0:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            batches.append(batch.slice(0, left))
            left -= min(left, batch.num_rows)
    return pa.Table.from_batches(batches, schema)


def _write(screen: Screen, result: Result, out: Path) -> int:
    from feature_platform.sdk.files import written

    formats: dict[str, Format] = {".parquet": "parquet", ".csv": "csv"}
    if out.suffix not in formats:
        raise UsageError(
            BAD_VALUE.problem(
                f"'{out}' ends neither in .parquet nor in .csv", mend="give a file with one of these endings"
            )
        )
    with screen.counting(f"writing {out.name}") as count:
        return written(result.reader, out, formats[out.suffix], count)
