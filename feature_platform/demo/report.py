"""What the demonstration prints. Functions of what was found, without any I/O of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import RenderableType

    from feature_platform.errors import Problem
    from feature_platform.sdk.online import FeatureVectors

_TOKEN: Final = re.compile(r"tok_[a-z_]+_v\d+_([0-9a-f]{6})[0-9a-f]{26}")


@dataclass(frozen=True, slots=True)
class StoreRows:
    """What one store holds of one view, for training (``offline``) or for models (``online``)."""

    store: str
    domain: str
    view: str
    role: str
    partitions: int
    rows: int


def generated(tables: Mapping[str, int]) -> str:
    """One line on the data."""
    return ", ".join(f"{rows:,} {name}" for name, rows in tables.items())


def stores(found: Sequence[StoreRows]) -> Iterator[RenderableType]:
    """Assets and rows, store by store."""
    from rich.table import Table

    table = Table("store", "asset", "", "rows", "partitions", box=None, pad_edge=False, header_style="bold")
    table.columns[3].justify = table.columns[4].justify = "right"
    for store in dict.fromkeys(each.store for each in found):
        of_store = sorted((each for each in found if each.store == store), key=lambda each: (each.domain, each.view))
        for index, each in enumerate(of_store):
            partitions = str(each.partitions) if each.partitions > 1 else ""
            name = f"{each.domain}/{each.view}"
            table.add_row("" if index else store, name, each.role, f"{each.rows:,}", partitions)
        rows = sum(each.rows for each in of_store)
        table.add_row("", f"[bold]{len(of_store)} assets[/]", "", f"[bold]{rows:,}[/]", "")
        table.add_section()
    yield table


def refusal(query: str, problems: Sequence[Problem]) -> Iterator[RenderableType]:
    """A query that was refused, and why."""
    from rich.text import Text

    yield Text(f"  {query}", style="italic")
    for problem in problems:
        yield Text("  ").append(problem.code, style="bold red").append(f": {problem.what}")
        yield Text("      mend: ", style="green").append(problem.mend, style="default")


def training_rows(rows: pa.Table, columns: Mapping[str, str]) -> Iterator[RenderableType]:
    """Some rows of a training set; ``columns`` maps names to short headings."""
    from rich.table import Table

    table = Table(*columns.values(), box=None, pad_edge=False, header_style="bold")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows.select(list(columns)).to_pylist():
        table.add_row(*(shown(value) for value in row.values()))
    yield table
    yield f"[dim]{rows.num_rows} rows, {rows.num_columns} columns; card numbers and devices are tokens[/]"


def online_vector(vectors: FeatureVectors) -> Iterator[RenderableType]:
    """One vector, two features a line, and how long it took."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    cells = [(name, shown(value)) for name, value in vectors[0].values.items()]
    for left in range(0, len(cells), 2):
        table.add_row(*(text for cell in cells[left : left + 2] for text in cell))
    yield table
    yield f"[dim]{len(cells)} features in {milliseconds(vectors.latency)} from the online stores[/]"


def milliseconds(latency: timedelta) -> str:
    """``1.83 ms``."""
    return f"{latency.total_seconds() * 1_000:.2f} ms"


def shown(value: Any) -> str:
    """A value as a cell: of a token the beginning, of a time the minute, of a double three digits."""
    from feature_platform.cli.tables import shown as plain

    if isinstance(value, datetime):
        return f"{value:%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"
    return _TOKEN.sub(r"tok_…\1…", plain(value))
