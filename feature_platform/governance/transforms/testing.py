"""What the tests of a team's package hold its transforms to: the same checks that the platform's own have.

>>> from feature_platform.governance.transforms import TRANSFORMS
>>> import duckdb
>>> check_transform(TRANSFORMS["last4"], ["4111 1111 1111 1111", "", "x"], duckdb=duckdb.connect())
()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from feature_platform.governance.transforms.extensions import definition
from feature_platform.governance.transforms.transform import Transform
from feature_platform.types import DataType, Engine

if TYPE_CHECKING:
    import duckdb as duckdb_module
    import psycopg

__all__ = ["HARD_TEXTS", "check_transform", "definition"]

HARD_TEXTS: Final = ("", " ", "\t\n", "0", "-1", "%", "\\", "'", "č", "٣٤", "\u00a0x", "a" * 300, "2026-02-30", "{}")
"""Texts that break what was not written with care; added to every sample of texts."""


def check_transform(
    transform: Transform,
    samples: Sequence[Any],
    *,
    duckdb: duckdb_module.DuckDBPyConnection,
    postgres: psycopg.Connection[Any] | None = None,
    column: str = "string",
) -> tuple[str, ...]:
    """What is wrong with a transform: it raises, gives something for NULL, or differs between Python and an engine.

    ``samples`` are values of a column of type ``column``, or tuples with further arguments (then ``column`` lists all
    types, separated by commas). NULL is tried in every place, for texts :data:`HARD_TEXTS` too. Messages name the
    position of a sample, never its value.
    """
    types = [DataType.parse(each.strip()) for each in column.split(",")]
    rows = _rows(samples, types)
    expected, problems = [], []
    for number, row in enumerate(rows):
        try:
            expected.append(transform.python(*row))
        except Exception as error:  # noqa: BLE001 - that it raises is what is told
            problems.append(f"Python raises {type(error).__name__} for row {number}")
            expected.append(None)
        if row[0] is None and expected[-1] is not None:
            problems.append(f"Python gives something for NULL in row {number}")
    engines: list[tuple[Engine, Any]] = [("duckdb", duckdb)]
    if postgres is not None:
        engines.append(("postgres", postgres))
    for engine, connection in engines:
        problems += _differences(transform, engine, connection, rows, types, expected)
    return tuple(problems)


def _rows(samples: Sequence[Any], types: Sequence[DataType]) -> list[tuple[Any, ...]]:
    rows = [sample if isinstance(sample, tuple) else (sample,) for sample in samples]
    model = rows[0] if rows else (None,) * len(types)
    if types[0].kind == "string":
        rows += [(text, *model[1:]) for text in HARD_TEXTS]
    rows += [(*model[:place], None, *model[place + 1 :]) for place in range(len(types))]
    return rows


def _differences(  # noqa: PLR0913, PLR0917 - one call, above
    transform: Transform,
    engine: Engine,
    connection: Any,
    rows: Sequence[tuple[Any, ...]],
    types: Sequence[DataType],
    expected: Sequence[Any],
) -> list[str]:
    problems = []
    mark = "?" if engine == "duckdb" else "%s"
    parameters = ", ".join(f"CAST({mark} AS {kind.sql(engine)}) AS a{place}" for place, kind in enumerate(types))
    arguments: list[exp.Expression] = [exp.column(f"a{place}", quoted=True) for place in range(len(types))]
    call = transform.expression(engine, arguments).sql(engine)
    if engine == "postgres":
        call = call.replace("%", "%%")
    text = f"SELECT {call} FROM (SELECT {parameters}) AS given"  # noqa: S608 - rendered from a tree
    for number, (row, wanted) in enumerate(zip(rows, expected, strict=True)):
        try:
            found = connection.execute(text, list(row)).fetchall()[0][0]
        except Exception as error:  # noqa: BLE001 - that it raises is what is told
            problems.append(f"{engine} raises {type(error).__name__} for row {number}")
            continue
        if found != wanted:
            problems.append(f"{engine} and Python differ in row {number}")
    return problems
