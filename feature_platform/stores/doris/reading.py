"""Rows of a query as Arrow batches, over MySQL's protocol or Arrow Flight SQL.

MySQL's protocol sends texts and does not tell what is inside an array, so the types come from Doris itself: a view of
the query is made, described and dropped, which touches metadata only. Values are exact in the text of every type; texts
inside arrays and maps, which Doris does not escape, travel as JSON.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import QUERY_FAILED
from feature_platform.stores.doris.ddl import qualified
from feature_platform.stores.doris.described import described_type
from feature_platform.stores.doris.names import quoted
from feature_platform.stores.doris.problems import DorisError, Kind, problem_of, reported
from feature_platform.stores.doris.sessions import Row, Sessions
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.owned_batches import OwnedBatches
from feature_platform.stores.protocols import TableName
from feature_platform.types import Column, DataType, TableSchema, array

if TYPE_CHECKING:
    import pyarrow as pa

_FLIGHT_TIMEOUTS: Final = ("adbc.flight.sql.rpc.timeout_seconds.query", "adbc.flight.sql.rpc.timeout_seconds.fetch")


def described(sessions: Sessions, relation: TableName) -> TableSchema:
    """The columns of a table or view.

    Raises:
        StoreError: there is none, or a column has a type without an exact counterpart.
    """
    problems, columns = [], []
    for row in sessions.rows(f"DESC {qualified(relation)}"):
        name, kind = str(row[0]), described_type(str(row[1]))
        if kind is None:
            problems.append(
                QUERY_FAILED.problem(
                    f"column '{name}' has the type {str(row[1])[:40]}, which has no exact counterpart",
                    mend="cast it to one of the platform's types",
                )
            )
        else:
            columns.append(Column(name, kind))
    if problems:
        raise StoreError(problems)
    return TableSchema(tuple(columns))


def result_schema(sessions: Sessions, scratch: str, sql: str) -> TableSchema:
    """The columns that ``sql`` gives, as Doris itself types them. Nothing is computed.

    Raises:
        StoreError: Doris refuses the query, or a column has no exact counterpart.
    """
    view = TableName(scratch, f"v_{secrets.token_hex(8)}")
    try:
        sessions.run(f"CREATE VIEW {qualified(view)} AS {sql}")
        return described(sessions, view)
    finally:
        with suppress(DorisError):
            sessions.run(f"DROP VIEW IF EXISTS {qualified(view)}")


def streamed(
    sessions: Sessions, sql: str, schema: TableSchema, timeout_seconds: float | None = None
) -> pa.RecordBatchReader:
    """The rows of ``sql``, which has the columns of ``schema``, over MySQL's protocol.

    Raises:
        StoreError: the server refuses; also while streaming.
    """
    import pyarrow as pa

    with ExitStack() as stack:
        pieces = stack.enter_context(sessions.streamed(_with_json(sql, schema), timeout_seconds))
        batches = OwnedBatches(_batches(pieces, schema), stack.pop_all(), reported)
    return pa.RecordBatchReader.from_batches(schema.arrow(), batches)


def flown(
    settings: DorisSettings, sql: str, schema: TableSchema, timeout_seconds: float | None = None
) -> pa.RecordBatchReader:
    """The rows of ``sql``, which has the columns of ``schema``, over Arrow Flight SQL, from the backends themselves.

    Raises:
        ImportError: the extra ``doris-flight`` is not installed.
        StoreError: no frontend or backend answers on its Flight port, or the query is refused.
    """
    import adbc_driver_flightsql.dbapi as flight
    import pyarrow as pa

    scheme = "grpc+tls" if settings.tls else "grpc"
    seconds = str(float(timeout_seconds or settings.query_timeout_seconds))
    with ExitStack() as stack:
        with _flight_reported():
            connection = stack.enter_context(
                flight.connect(
                    f"{scheme}://{settings.frontends[0].host}:{settings.flight_port}",
                    db_kwargs={"username": settings.user, "password": settings.password, **_authorities(settings)},
                    conn_kwargs=dict.fromkeys(_FLIGHT_TIMEOUTS, seconds),
                    autocommit=True,
                )
            )
            cursor = stack.enter_context(connection.cursor())
            cursor.execute(sql)
            reader = cursor.fetch_record_batch()
        batches = OwnedBatches((_as_declared(batch, schema) for batch in reader), stack.pop_all(), _flight_reported)
    return pa.RecordBatchReader.from_batches(schema.arrow(), batches)


def _authorities(settings: DorisSettings) -> dict[str, str]:
    """gRPC trusts the system's authorities, or the text of others."""
    if not (settings.tls and settings.ca_file):
        return {}
    return {"adbc.flight.sql.client_option.tls_root_certs": Path(settings.ca_file).read_text(encoding="ascii")}


def _as_declared(batch: pa.RecordBatch, schema: TableSchema) -> pa.RecordBatch:
    """Doris sends some types in a wider or an older form, such as dates as texts; casts are exact or fail."""
    import pyarrow as pa

    columns = [batch.column(position).cast(column.type.arrow()) for position, column in enumerate(schema.columns)]
    return pa.record_batch(columns, schema=schema.arrow())


@contextmanager
def _flight_reported() -> Iterator[None]:
    from adbc_driver_manager import Error

    try:
        yield
    except Error:
        raise DorisError(problem_of(Kind.UNREACHABLE), Kind.UNREACHABLE) from None


def _with_json(sql: str, schema: TableSchema) -> str:
    """``sql`` with texts inside arrays as JSON, and maps as two arrays; itself where there are none."""
    if not any(_shown(column) != [quoted(column.name)] for column in schema.columns):
        return sql
    shown = ", ".join(
        f"{expression} AS {quoted(f'fp_{number}_{part}')}"
        for number, column in enumerate(schema.columns)
        for part, expression in enumerate(_shown(column))
    )
    return f"SELECT {shown} FROM ({sql}) AS relation"  # noqa: S608 - a checked query


def _shown(column: Column) -> list[str]:
    """What is asked for to get a column: one or two expressions whose texts are exact."""
    name, kind = quoted(column.name), column.type
    if kind.key is not None:
        assert kind.element is not None
        return [_exact(f"map_keys({name})", kind.key), _exact(f"map_values({name})", kind.element)]
    if kind.kind == "array":
        assert kind.element is not None
        return [_exact(name, kind.element)]
    return [f"to_json({name})" if kind.kind == "struct" else name]


def _exact(array: str, element: DataType) -> str:
    return f"to_json({array})" if element.kind in ("string", "json") else array


def _batches(pieces: Iterator[Sequence[Row]], schema: TableSchema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for rows in pieces:
        columns = iter(zip(*rows, strict=True))
        arrays = [
            _map(next(columns), next(columns), column.type)
            if column.type.key is not None
            else _array(next(columns), column.type)
            for column in schema.columns
        ]
        yield pa.record_batch(arrays, schema=schema.arrow())


def _map(keys: Sequence[str | None], values: Sequence[str | None], kind: DataType) -> pa.Array:
    import pyarrow as pa

    assert kind.key is not None
    assert kind.element is not None
    all_keys, all_values = _array(keys, array(kind.key)), _array(values, array(kind.element))
    offsets = [
        None if text is None else offset for text, offset in zip(keys, all_keys.offsets.to_pylist(), strict=False)
    ]
    ends = pa.array([*offsets, len(all_keys.values)], type=pa.int32())
    return pa.MapArray.from_arrays(ends, all_keys.values, all_values.values)


def _array(texts: Sequence[str | None], kind: DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind.element is not None and kind.element.kind not in ("string", "json") and not kind.element.is_nested:
        parts = [None if text is None else _parts(text) for text in texts]
        return pa.array(parts, type=pa.list_(pa.string())).cast(kind.arrow())
    if kind.is_nested and kind.kind != "json":
        values = [None if text is None else json.loads(text, parse_int=str, parse_float=str) for text in texts]
        return pa.array([_nested(value, kind) for value in values], type=_text_type(kind)).cast(kind.arrow())
    array_ = pa.array(texts, type=pa.string())
    if kind.kind == "boolean":
        return pc.equal(array_, "1")
    return array_.cast(kind.arrow())


def _parts(text: str) -> list[str | None]:
    """The elements of an array of numbers, times or booleans, as Doris shows it: ``[1, null, inf]``,
    ``["2026-06-30"]``. It is no JSON where a double is not finite."""
    inside = text.strip()[1:-1]
    elements = [each.strip().strip('"') for each in inside.split(",")] if inside.strip() else []
    return [None if each == "null" else each for each in elements]


def _text_type(kind: DataType) -> pa.DataType:
    """``kind`` with texts in place of values that JSON does not hold exactly."""
    import pyarrow as pa

    if kind.kind == "array":
        assert kind.element is not None
        return pa.list_(_text_type(kind.element))
    if kind.kind == "struct":
        return pa.struct([pa.field(name, _text_type(inner)) for name, inner in kind.fields])
    return pa.bool_() if kind.kind == "boolean" else pa.string()


def _nested(value: Any, kind: DataType) -> Any:
    if value is None:
        return None
    match kind.kind:
        case "array":
            assert kind.element is not None
            return [_nested(each, kind.element) for each in value]
        case "struct":
            return {name: _nested(value.get(name), inner) for name, inner in kind.fields}
        case "boolean":
            return value in (True, "1", "true")
    return value
