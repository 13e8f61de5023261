"""Physical tables behind logical names, and the statements around a query that is ready for the driver."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from sqlglot import exp

from feature_platform.errors import StoreError
from feature_platform.stores.codes import UNSUPPORTED_TABLE
from feature_platform.stores.columns import stream_schema
from feature_platform.stores.postgres_copy_in import copy_in
from feature_platform.stores.postgres_copy_out import result_schema
from feature_platform.stores.postgres_query import DriverQuery, short
from feature_platform.stores.postgres_writes import Write
from feature_platform.stores.protocols import FilesTable, Query, Size, StreamTable, TableName
from feature_platform.stores.publication_rules import not_published
from feature_platform.types import Column, DataType, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

Connection = psycopg.Connection[Any]
Readable = tuple[exp.Expression, TableSchema]
"""What stands in FROM for a table, and its columns."""


def result_columns(connection: Connection, query: DriverQuery) -> TableSchema:
    """The columns of ``query``, without running it."""
    cursor = connection.execute(f"SELECT * FROM ({query.sql}) AS relation LIMIT 0", query.parameters)  # noqa: S608 - rendered from a checked tree
    maps = {short(name): kind for name, kind in query.maps.items()}
    found = result_schema(cursor.description or [], maps)
    return TableSchema(
        tuple(Column(query.names.get(column.name, column.name), column.type) for column in found.columns)
    )


def maps_of(query: Query, schemas: Iterable[TableSchema]) -> dict[str, DataType]:
    """The columns of the query's result that are maps. Where it does not say, a column is what its namesake in the
    tables is; of two that differ, neither.
    """
    if query.maps is not None:
        return dict(query.maps)
    kinds: dict[str, set[DataType]] = {}
    for schema in schemas:
        for column in schema.columns:
            kinds.setdefault(column.name, set()).add(column.type)
    return {name: kind for name, found in kinds.items() if len(found) == 1 and (kind := next(iter(found))).key}


def copy_statement(connection: Connection, query: DriverQuery, schema: TableSchema) -> sql.Composed:
    """``COPY`` takes no parameters, so the driver writes them as literals into its text."""
    text = psycopg.ClientCursor(connection).mogrify(query.sql, query.parameters)
    columns = [sql.Identifier(short(column.name)) for column in schema.columns]
    shown = [
        sql.SQL("array_to_json({})").format(name) if column.type.kind == "array" else name
        for name, column in zip(columns, schema.columns, strict=True)
    ]
    if shown != columns:
        return sql.SQL("COPY (SELECT {} FROM ({}) AS relation) TO STDOUT (FORMAT csv)").format(
            sql.SQL(", ").join(shown), sql.SQL(text)
        )
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(sql.SQL(text))


def create_table(connection: Connection, target: TableName, schema: TableSchema, *, temporary: bool = False) -> None:
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(short(column.name)), sql.SQL(column.type.sql("postgres")))
        for column in schema.columns
    )
    name = sql.Identifier(target.name) if temporary else sql.Identifier(target.schema, target.name)
    statement = "CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP" if temporary else "CREATE TABLE {} ({})"
    connection.execute(sql.SQL(statement).format(name, columns))


def loaded(connection: Connection, reader: pa.RecordBatchReader) -> Readable:
    """Takes the rows of a stream over into a table of this transaction: a query may read it more than once."""
    schema = stream_schema(reader.schema)
    target = TableName("pg_temp", f"fp_stream_{secrets.token_hex(6)}")
    create_table(connection, target, schema, temporary=True)
    name = sql.Identifier(target.schema, target.name)
    with connection.cursor() as cursor:
        copy_in(cursor, sql.SQL("COPY {} FROM STDIN (FORMAT binary, FREEZE true)").format(name), schema, reader)
    connection.execute(sql.SQL("ANALYZE {}").format(name))
    return exp.table_(target.name, db=target.schema, quoted=True), schema


def all_held(connection: Connection, tables: Sequence[TableName]) -> bool:
    """Keeps ``tables`` from being dropped until the transaction ends; False, and none held, when one is gone."""
    try:
        with connection.transaction():
            for name in tables:
                table = sql.Identifier(name.schema, name.name)
                connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(table))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return False
    return True


def users_table(connection: Connection, table: TableName) -> Readable:
    """A table of the database that this platform did not make."""
    schema = users_schema(connection, table)
    if schema is None:
        raise StoreError(not_published(table))
    return exp.table_(table.name, db=table.schema or "public", quoted=True), schema


def live_rows(writes: Sequence[Write]) -> Readable:
    """What to read for live writes: one table, or all partitions, with NULL where an older one lacks a column."""
    last = newest(writes)
    if len(writes) == 1:
        return exp.table_(last.relation.name, db=last.relation.schema, quoted=True), last.schema
    selects = [_select_as(write, last.schema) for write in writes]
    return exp.Subquery(this=exp.Var(this=sql.SQL(" UNION ALL ").join(selects).as_string())), last.schema


def _select_as(write: Write, schema: TableSchema) -> sql.Composed:
    present = {column.name for column in write.schema.columns}
    columns = [
        sql.SQL("{} AS {}").format(
            sql.Identifier(short(column.name))
            if column.name in present
            else sql.SQL("CAST(NULL AS {})").format(sql.SQL(column.type.sql("postgres"))),
            sql.Identifier(short(column.name)),
        )
        for column in schema.columns
    ]
    relation = sql.Identifier(write.relation.schema, write.relation.name)
    return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(columns), relation)


def newest(writes: Sequence[Write]) -> Write:
    return max(writes, key=lambda write: write.version or 0)


def users_schema(connection: Connection, table: TableName) -> TableSchema | None:
    """The columns of a table that the database has by that name, or None."""
    name = sql.Identifier(table.schema or "public", table.name)
    row = connection.execute("SELECT to_regclass(%s)::text", (name.as_string(connection),)).fetchone()
    if not row or row[0] is None:
        return None
    return result_schema(connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(name)).description or [])


def users_size(connection: Connection, table: TableName) -> Size | None:
    """What the catalogue says of a table that the database has by that name, partitions together; None of a view. The
    number of rows is PostgreSQL's own estimate, as of the last ANALYZE or VACUUM."""
    name = sql.Identifier(table.schema or "public", table.name).as_string(connection)
    row = connection.execute(
        """SELECT MIN(c.reltuples), SUM(c.reltuples)::bigint, SUM(pg_table_size(c.oid))::bigint FROM pg_class AS c
           WHERE c.relkind IN ('r', 'm') AND (c.oid = to_regclass(%(name)s)
             OR c.oid IN (SELECT t.relid FROM pg_partition_tree(to_regclass(%(name)s)) AS t))""",
        {"name": name},
    ).fetchone()
    if row is None or row[2] is None:
        return None
    return Size(None if row[0] < 0 else row[1], row[2])


def written_size(connection: Connection, writes: Sequence[Write]) -> Size:
    """Rows as they were counted, bytes as they lie on disk."""
    names = [sql.Identifier(each.relation.schema, each.relation.name).as_string(connection) for each in writes]
    row = connection.execute(
        "SELECT SUM(pg_table_size(to_regclass(n)))::bigint FROM unnest(%s::text[]) AS n", (names,)
    ).fetchone()
    return Size(sum(each.rows for each in writes), row[0] or 0 if row else 0)


def opened_stream(table: FilesTable | StreamTable) -> pa.RecordBatchReader:
    if isinstance(table, StreamTable):
        return table.open()
    raise StoreError(
        UNSUPPORTED_TABLE.problem(
            f"PostgreSQL does not read files ({table.path})",
            mend="give the source a `store` of type duckdb_delta, or load the files and name the `table`",
        )
    )
