"""One query's DuckDB: a fresh in-memory instance in which only the bound tables exist.

An instance per query costs about 15 ms and buys isolation that one shared instance cannot give: concurrent queries
never see each other's tables, and the engine itself refuses every file but those that the query is bound to. Once the
tables are there, the file system is closed but for them, extensions cannot be loaded and the configuration is locked;
that holds even if a statement should get past the compiler's guard.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import (
    FILES_UNREADABLE,
    NOT_PUBLISHED,
    OUT_OF_MEMORY,
    QUERY_ENGINE,
    QUERY_FAILED,
    QUERY_NOT_ALLOWED,
    QUERY_PARAMETER,
)
from feature_platform.stores.protocols import Query, SessionSetup, TableName
from feature_platform.stores.quoting import identifier, literal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


_TABLE_FUNCTIONS: Final = frozenset({"range", "generate_series", "unnest"})
_INTERRUPT_AGAIN_SECONDS: Final = 0.01
_COMMON_TABLES: Final = re.compile(r"\.cte_map\.map\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may use."""

    memory: str
    """DuckDB's notation, e.g. ``2GB``; beyond it the engine spills."""
    threads: int
    spill: Path
    """Folder for temporary files; exists."""


@dataclass(frozen=True, slots=True)
class BoundFiles:
    """A table that is a SELECT over files."""

    select: str | None
    """None: it is made later, of some of the files."""
    files: Sequence[str]


def connect(limits: Limits) -> duckdb.DuckDBPyConnection:
    """A DuckDB that knows no table yet and whose file system is still open: for looking into files before binding."""
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": limits.memory,
            "threads": limits.threads,
            "temp_directory": str(limits.spill),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
        },
    )
    # Where there is no script file, as in a notebook, DuckDB prints a bar to standard output, between a command's JSON.
    connection.execute("SET enable_progress_bar = false").fetchall()
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    # Below its threshold of estimated rows DuckDB joins ASOF by nested loops, and estimates of joined CTEs are low.
    connection.execute("SET asof_loop_join_threshold = 0").fetchall()
    return connection


def bind(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[TableName, BoundFiles | pa.RecordBatchReader],
    *,
    setups: Sequence[SessionSetup],
    key_versions: Mapping[str, int],
    writes: Path | None = None,
) -> None:
    """Makes ``tables`` (and ``writes``, for ``COPY``) all that the connection can reach, for good.

    Rows of a reader are taken over into the instance, which spills: a query may read a table more than once, a reader
    gives its rows once.
    """
    for setup in setups:
        setup.duckdb(connection, key_versions)
    for schema in sorted({name.schema for name in tables}):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}").fetchall()
    reachable = [str(writes)] if writes else []
    for name, table in tables.items():
        target = f"{identifier(name.schema)}.{identifier(name.name)}"
        if isinstance(table, BoundFiles):
            if table.select is not None:
                connection.execute(f"CREATE VIEW {target} AS {table.select}").fetchall()
            reachable += table.files
        else:
            fill(connection, name, table)
    if writes:
        # Rows of a table have no order; keeping one while writing holds row groups back in memory, the more the longer.
        connection.execute("SET preserve_insertion_order = false").fetchall()
    paths = ", ".join(literal(path) for path in reachable)
    connection.execute(f"SET allowed_paths = [{paths}]").fetchall()
    connection.execute("SET enable_external_access = false").fetchall()
    connection.execute("SET lock_configuration = true").fetchall()


def fill(connection: duckdb.DuckDBPyConnection, table: TableName, rows: pa.RecordBatchReader) -> None:
    """Makes ``rows`` the rows of ``table``, in place of those that it may have. Possible after :func:`bind` too."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(table.schema)}").fetchall()
    target = f"{identifier(table.schema)}.{identifier(table.name)}"
    with registered(connection, rows) as source:
        connection.execute(f"CREATE OR REPLACE TABLE {target} AS SELECT * FROM {source}").fetchall()  # noqa: S608 - quoted


def limited(connection: duckdb.DuckDBPyConnection, seconds: float | None, stack: ExitStack) -> None:
    """Ends what the connection runs after ``seconds``, unless ``stack`` was closed before.

    DuckDB forgets an interrupt that comes between two steps of its work, so it is told again until it ends.
    """
    if seconds is None:
        return
    over = threading.Event()

    def interrupt() -> None:
        if not over.wait(seconds):
            connection.interrupt()
            while not over.wait(_INTERRUPT_AGAIN_SECONDS):
                connection.interrupt()

    watch = threading.Thread(target=interrupt, name="fp-statement-limit", daemon=True)
    watch.start()
    stack.callback(watch.join)
    stack.callback(over.set)


def named(name: str, query: Query) -> bool:
    """Whether any statement of ``query`` has ``name`` in it, be it in a comment."""
    return any(name.lower() in text.lower() for text in (query.sql, *query.forms.values(), *query.measures))


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> Iterator[str]:
    """The name under which a statement can read ``reader``, once."""
    name = "fp_stream"
    connection.register(name, reader)
    try:
        yield identifier(name)
    finally:
        connection.unregister(name)


def cheapest(connection: duckdb.DuckDBPyConnection, query: Query) -> str:
    """The text of ``query`` to run, by what is in its tables now. To be :func:`checked` as any other.

    Raises:
        StoreError: what ``checked`` refuses of a measure.
    """
    for measure in query.measures:
        parameters = checked(connection, query, measure)
        with reported():
            ((name,),) = connection.execute(measure, parameters or None).fetchall()
        if name is not None:
            return query.forms[name]
    raise AssertionError("the last measure names a form")


def checked(connection: duckdb.DuckDBPyConnection, query: Query, text: str) -> dict[str, Any]:
    """The parameters that ``text`` asks for, one of the texts of ``query``.

    Raises:
        StoreError: it is not one SELECT for DuckDB, reads a table that it is not bound to, or lacks a parameter.
    """
    if query.engine != "duckdb":
        raise StoreError(
            QUERY_ENGINE.problem(f"the query was rendered for {query.engine}", mend="render it for duckdb")
        )
    with reported():
        statements = connection.extract_statements(text)
    if len(statements) != 1 or statements[0].type.name != "SELECT":
        raise StoreError(
            QUERY_NOT_ALLOWED.problem(
                "the text is not exactly one SELECT", mend="write one SELECT, without others beside it"
            )
        )
    _check_reads(connection, query, text)
    wanted = statements[0].named_parameters
    if missing := sorted(wanted - set(query.parameters)):
        raise StoreError(
            QUERY_PARAMETER.problem(
                f"no value for {', '.join(f'${name}' for name in missing)}", mend="give the query every value it names"
            )
        )
    return {name: query.parameters[name] for name in wanted}


def _check_reads(connection: duckdb.DuckDBPyConnection, query: Query, text: str) -> None:
    """Compares the tables in DuckDB's own parse of ``text`` with those that the query is bound to.

    A session also holds tables that are nobody's to read, such as the keys of tokens.
    """
    tables, functions = _reads(connection, text)
    unknown = {str(table) for table in tables - set(query.tables)}
    unknown |= {f"{name}()" for name in functions - _TABLE_FUNCTIONS}
    if unknown:
        raise StoreError(
            NOT_PUBLISHED.problem(
                f"the query reads {', '.join(sorted(unknown))}, which it is not bound to",
                mend="read only tables that the project declares",
            )
        )


def _reads(connection: duckdb.DuckDBPyConnection, text: str) -> tuple[set[TableName], set[str]]:
    """Tables and table functions of a SELECT, common table expressions left out; ``DESCRIBE`` counts as a function.

    DuckDB also takes its JSON apart: a sum of some hundred terms is nested deeper than Python's parser goes.
    """
    tree = "json_tree(CAST(json_serialize_sql(CAST($sql AS VARCHAR)) AS JSON))"
    wanted = "('type', 'function', 'function_name', 'catalog_name', 'schema_name', 'table_name', 'key')"
    rows = connection.execute(
        f"SELECT id, parent, key, atom ->> '$', path FROM {tree} WHERE key IN {wanted}",  # noqa: S608 - constants
        {"sql": text},
    ).fetchall()
    attributes = {(parent, key): value for _, parent, key, value, _ in rows}
    common = {value for _, _, key, value, path in rows if key == "key" and _COMMON_TABLES.search(path)}
    tables: set[TableName] = set()
    functions: set[str] = set()
    for (node, key), value in attributes.items():
        if key == "type" and value == "BASE_TABLE":
            name, *schema = (attributes.get((node, f"{part}_name")) for part in ("table", "catalog", "schema"))
            if any(schema) or name not in common:
                tables.add(TableName(".".join(filter(None, schema)), str(name)))
        elif key == "type" and value == "SHOW_REF":
            functions.add("describe")
    for identity, parent, key, _, _ in rows:
        if key == "function" and attributes.get((parent, "type")) == "TABLE_FUNCTION":
            functions.add(str(attributes[identity, "function_name"]).lower())
    return tables, functions


@contextmanager
def reported() -> Iterator[None]:
    """Turns DuckDB's errors into ``StoreError``. Its texts are passed on only where they cannot hold values of rows."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise StoreError(_problem(error)) from None


def _problem(error: duckdb.Error) -> Problem:
    import duckdb

    if isinstance(error, (duckdb.ParserException, duckdb.CatalogException, duckdb.BinderException)):
        return QUERY_FAILED.problem(str(error).partition("\n")[0], mend="correct the query")
    if isinstance(error, duckdb.OutOfMemoryException):
        return OUT_OF_MEMORY.problem(
            "the query ran out of memory or temporary disk",
            mend="raise the profile's memory limit, or read less at once",
        )
    if isinstance(error, duckdb.InterruptException):
        return QUERY_FAILED.problem("the statement took longer than it may", mend="read less, or raise the timeout")
    if isinstance(error, duckdb.PermissionException):
        return QUERY_NOT_ALLOWED.problem(
            "the query reaches for a file or setting that is closed to it",
            mend="read only tables that the project declares",
        )
    if isinstance(error, duckdb.IOException):  # names files and the system's reason, no rows
        return FILES_UNREADABLE.problem(
            str(error).partition("\n")[0], mend="write the file again, or make room on the disk"
        )
    if isinstance(error, (duckdb.ConversionException, duckdb.OutOfRangeException)):
        return QUERY_FAILED.problem(
            "a value does not fit the type it is converted to",
            mend="use TRY_CAST, a wider type, or mend the source's rows",
        )
    return QUERY_FAILED.problem(
        f"the engine gave up: {type(error).__name__}", mend="run the query on a few rows to find what it meets"
    )
