"""What the cluster holds: databases, tables, partitions, labels. Each partition is a table in DuckDB."""

from __future__ import annotations

import itertools
import re
import threading
from typing import Any

import duckdb
import pyarrow as pa

from feature_platform.governance.canonical import CANONICAL
from feature_platform.governance.tokens import TokenKeys
from tests.compiler.doris.portable import set_up
from tests.stores.doris.double.faults import Faults
from tests.stores.doris.double.queries import in_duckdb
from tests.stores.doris.double.tables import Column, Part, RefusedError, Result, Table, Transaction
from tests.stores.doris.double.values import described, doris_type, duck_type, unescaped

PASSWORD = "s3cret:/@pässword"  # noqa: S105 - a double's
_NAME = r"`((?:[^`]|``)+)`"
_TABLE = rf"{_NAME}\.{_NAME}"
_TEXT = r"'((?:\\.|''|[^'\\])*)'"
_RANGE = rf"{_NAME} VALUES \[\({_TEXT}\), \({_TEXT}\)\)"


class Cluster:
    """Safe for several threads: one statement at a time."""

    def __init__(self, version: str = "4.0.5-rc01-a1b2c3d4e5", password: str = PASSWORD) -> None:
        self.version = f"Doris version doris-{version}"
        self.user = "platform"
        self.password = password
        self.faults = Faults()
        self.statements: list[str] = []
        self.settings: list[str] = []
        self.streamed: list[str] = []
        """Tables that Stream Loads wrote to, one entry a load."""
        self.databases: dict[str, dict[str, Table]] = {}
        self.labels: dict[tuple[str, str], Transaction] = {}
        self.lock = threading.RLock()
        self.duck = duckdb.connect(":memory:", config={"threads": 2})
        set_up(self.duck)
        self._ids = itertools.count(1)

    # -- statements ---------------------------------------------------------------------------------------------------

    def execute(self, statement: str) -> Result:
        with self.lock:
            self.statements.append(statement)
            for pattern, method in _STATEMENTS:
                if match := re.fullmatch(pattern, statement.strip(), re.DOTALL):
                    return method(self, *match.groups())
            return self._select(statement)

    def table(self, database: str, name: str) -> Table:
        found = self.databases.get(database, {}).get(name)
        if found is None:
            raise RefusedError(f"Unknown table '{name}'", 1146 if database in self.databases else 1049)
        return found

    def _set(self, settings: str) -> Result:
        self.settings.append(settings)
        return Result()

    def _create_database(self, name: str) -> Result:
        self.databases.setdefault(name, {})
        return Result()

    def _create_table(self, maybe: str | None, database: str, name: str, body: str, rest: str) -> Result:
        if database not in self.databases:
            raise RefusedError(f"Unknown database '{database}'", 1049)
        if name in self.databases[database]:
            if maybe:
                return Result()
            raise RefusedError(f"Table '{name}' already exists", 1050)
        columns = [Column(found[0], found[1], found[2] == "NULL", unescaped(found[3])) for found in re.findall(
            rf"\n  {_NAME} (.+?) (NOT NULL|NULL)(?: COMMENT {_TEXT})?(?=,?\n)", f"{body}\n")]  # fmt: skip
        keys = re.search(r"^(UNIQUE|DUPLICATE) KEY \((.*?)\)$", rest, re.MULTILINE)
        by = re.search(rf"PARTITION BY RANGE \({_NAME}\)", rest)
        said = re.search(rf"^COMMENT {_TEXT}$", rest, re.MULTILINE)
        table = Table(
            columns,
            tuple(re.findall(_NAME, keys[2])) if keys else (),
            bool(keys and keys[1] == "UNIQUE"),
            by[1] if by else None,
            unescaped(said[1]) if said else "",
        )
        for part in re.findall(rf"PARTITION {_RANGE}", rest):
            table.parts[part[0]] = self._part(table, *part)
        if by is None:
            table.parts[name] = self._part(table, name, None, None)
        self.databases[database][name] = table
        return Result()

    def _drop_table(self, database: str, name: str) -> Result:
        table = self.databases.get(database, {}).pop(name, None)
        for part in (*table.parts.values(), *table.temporary.values()) if table else ():
            self._all(f"DROP TABLE {part.data}")
        return Result()

    def _rename(self, database: str, name: str, new: str) -> Result:
        table = self.table(database, name)
        if new in self.databases[database]:
            raise RefusedError(f"Table name[{new}] is already used")
        if table.temporary:
            raise RefusedError("table has temp partitions: drop temporary partition first")
        self.databases[database][new] = self.databases[database].pop(name)
        return Result()

    def _replace_table(self, database: str, live: str, other: str) -> Result:
        new, old = self.table(database, other), self.table(database, live)
        self._drop_table(database, live)
        del self.databases[database][other]
        self.databases[database][live] = new
        assert old is not new
        return Result()

    def _add_columns(self, database: str, name: str, listed: str) -> Result:
        table = self.table(database, name)
        if table.temporary:
            raise RefusedError("Can not alter table when there are temp partitions in table")
        for found in re.findall(rf"{_NAME} ([A-Z].*?) NULL(?: COMMENT {_TEXT})?(?=, `|$)", listed):
            self._add_column(table, found[0], found[1])
        return Result()

    def _add_column(self, table: Table, column: str, kind: str) -> None:
        if any(each.name.lower() == column.lower() for each in table.columns):
            raise RefusedError(f"Can not add column which already exists in base table: {column}")
        table.columns.append(Column(column, kind, True))
        for part in table.parts.values():
            self._all(f'ALTER TABLE {part.data} ADD COLUMN "{column}" {duck_type(kind)}')

    def _add_partition(self, database: str, name: str, part: str, start: str, end: str) -> Result:
        table = self.table(database, name)
        if part not in table.parts:
            _check_overlap(table.parts, start, end)
            table.parts[part] = self._part(table, part, start, end)
        return Result()

    def _add_temporary(self, database: str, name: str, part: str, start: str, end: str) -> Result:
        table = self.table(database, name)
        if part in table.parts or part in table.temporary:
            raise RefusedError(f"Duplicate partition name {part}")
        _check_overlap(table.temporary, start, end)
        table.temporary[part] = self._part(table, part, start, end)
        return Result()

    def _drop_temporary(self, database: str, name: str, part: str) -> Result:
        found = self.table(database, name).temporary.pop(part, None)
        if found is None:
            raise RefusedError(f"Temp partition[{part}] does not exist")
        self._all(f"DROP TABLE {found.data}")
        return Result()

    def _drop_partition(self, database: str, name: str, part: str) -> Result:
        found = self.table(database, name).parts.pop(part, None)
        if found is not None:
            self._all(f"DROP TABLE {found.data}")
        return Result()

    def _replace(self, database: str, name: str, live: str, temporary: str) -> Result:
        table = self.table(database, name)
        old, new = table.parts.get(live), table.temporary.get(temporary)
        if old is None or new is None:
            raise RefusedError(f"Partition[{live if old is None else temporary}] does not exist")
        if (old.start, old.end) != (new.start, new.end):
            raise RefusedError("2 range lists are not stricly matched")
        table.parts[temporary] = table.temporary.pop(temporary)
        self._all(f"DROP TABLE {table.parts.pop(live).data}")
        return Result()

    def _show_partitions(self, temporary: str | None, database: str, name: str) -> Result:
        table = self.table(database, name)
        parts = table.temporary if temporary else table.parts
        rows = [(str(part.id), part.name, str(part.version)) for part in parts.values()]
        return Result(["PartitionId", "PartitionName", "VisibleVersion"], list(rows))

    def _describe(self, database: str, name: str) -> Result:
        table = self.table(database, name)
        rows = [(column.name, described(column.type), "Yes" if column.nullable else "No") for column in table.columns]
        return Result(["Field", "Type", "Null"], list(rows))

    def _tables(self, database: str, wanted: str) -> Result:
        tables = self.databases.get(unescaped(database), {})
        rows = [(name, table.comment) for name, table in tables.items() if name == unescaped(wanted)]
        return Result(["TABLE_NAME", "TABLE_COMMENT"], list(rows))

    def _sizes(self, database: str, wanted: str) -> Result:
        table = self.databases.get(unescaped(database), {}).get(unescaped(wanted))
        counted = (
            {part.name: self._all(f"SELECT count(*) FROM {part.data}") for part in table.parts.values()}
            if table
            else {}
        )
        rows = [(name, str(100 * found[0][0]), str(found[0][0])) for name, found in counted.items()]
        return Result(["PARTITION_NAME", "DATA_LENGTH", "TABLE_ROWS"], list(rows))

    def _listed(self, what: str) -> Result:
        """What is said of all tables."""
        every = [
            (database, name, table) for database, tables in self.databases.items() for name, table in tables.items()
        ]
        if what == "TABLE_SCHEMA, TABLE_NAME, TABLE_COMMENT":
            return Result(["a", "b", "c"], [(database, name, table.comment) for database, name, table in every])
        columns = [(column.name, column.comment) for _, _, table in every for column in table.columns]
        return Result(["a", "b"], list(columns) if what.startswith("COLUMN_NAME") else [])

    def _create_view(self, database: str, name: str, query: str) -> Result:
        """A view is kept as a table without rows: only what it describes matters here."""
        try:
            relation = self.duck.sql(self.translated(query))
        except duckdb.Error as error:
            raise RefusedError(str(error)) from None
        types = zip(relation.columns, relation.types, strict=True)
        found = [Column(column, doris_type(str(kind)), True) for column, kind in types]
        self.databases.setdefault(database, {})[name] = Table(found, (), False, None, "")
        return Result()

    def _drop_view(self, database: str, name: str) -> Result:
        self.databases.get(database, {}).pop(name, None)
        return Result()

    def _insert(  # noqa: PLR0917
        self, database: str, name: str, part: str | None, label: str | None, columns: str, query: str
    ) -> Result:
        try:
            rows = self.duck.sql(self.translated(query)).to_arrow_table()
        except duckdb.Error as error:
            raise RefusedError(str(error)) from None
        names = re.findall(_NAME, columns)
        done = self.load((database, name), rows.rename_columns(names), label, [part] if part else [])
        return Result(affected=done)

    def _select(self, statement: str) -> Result:
        statement = statement.replace("@@version_comment", f"'{self.version}'")
        if not statement.lstrip("( ").upper().startswith(("SELECT", "WITH")):
            raise RefusedError(f"the double does not know this statement: {statement}")
        try:
            cursor = self.duck.execute(self.translated(statement))
            names = [each[0] for each in cursor.description]
            rows = cursor.fetchall()
        except duckdb.Error as error:
            raise RefusedError(str(error)) from None
        return Result(names, rows)

    def translated(self, query: str) -> str:
        """``query`` for DuckDB."""
        return in_duckdb(query, self._partitions)

    def _partitions(self, database: str, name: str, temporary: str | None) -> str:
        """A SELECT of all rows, or of those of a temporary partition."""
        table = self.table(database, name)
        if temporary and temporary not in table.temporary:
            raise RefusedError(f"Temp partition[{temporary}] does not exist")
        parts = [table.temporary[temporary]] if temporary else list(table.parts.values())
        columns = ", ".join(f'CAST(NULL AS {duck_type(each.type)}) AS "{each.name}"' for each in table.columns)
        return " UNION ALL ".join(f"SELECT * FROM {each.data}" for each in parts) or f"SELECT {columns} WHERE FALSE"

    # -- loads --------------------------------------------------------------------------------------------------------

    def load(
        self,
        target: tuple[str, str],
        rows: pa.Table,
        label: str | None,
        temporary: list[str],
        *,
        coming: tuple[str, ...] = (),
    ) -> int:
        """Writes rows in one transaction of ``label``; their number. ``coming``: the states that the transaction has
        from now on, one more with each look; without any it is visible at once."""
        database, name = target
        with self.lock:
            transaction = self.begin(database, label or f"insert_{next(self._ids)}")
            try:
                transaction.pending = self._writes(self.table(database, name), rows, temporary)
            except BaseException:
                transaction.state = "ABORTED"
                raise
            transaction.coming = list(coming) or ["VISIBLE"]
            self._advance(transaction)
            return rows.num_rows

    def look(self, database: str, label: str) -> str:
        """The state of a label."""
        with self.lock:
            found = self.labels.get((database, label))
            if found is None:
                return "UNKNOWN"
            said = found.state
            self._advance(found)
            return said

    def _advance(self, transaction: Transaction) -> None:
        if transaction.coming:
            transaction.state = transaction.coming.pop(0)
        if transaction.state in ("VISIBLE", "ABORTED"):
            if transaction.state == "VISIBLE":
                self._run(transaction.pending)
            transaction.pending = []

    def begin(self, database: str, label: str) -> Transaction:
        """A label counts once, until its transaction was aborted."""
        known = self.labels.get((database, label))
        if known is not None and known.state != "ABORTED":
            raise RefusedError(
                f"Label [{label}] has already been used, relate to txn [{known.id}], status [{known.state}]"
            )
        made = Transaction(next(self._ids), label, "PREPARE")
        self.labels[database, label] = made
        return made

    def install_tokens(self, keys: TokenKeys, version: int) -> None:
        """What a cluster's administrators do: ``fp_tokens.token_v<n>``, over a key of theirs."""
        keys.duckdb(self.duck, dict.fromkeys(CANONICAL, version))
        self._all("CREATE SCHEMA IF NOT EXISTS fp_tokens")
        table = f"fp_tokens.keys_v{version}"
        self._all(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM temp.main.fp_token_keys")
        of_class = f"FROM {table} WHERE classification = class_name"
        macro = f"fp_tokens.token_v{version}(class_name, canonical)"
        self._all(
            f"CREATE OR REPLACE MACRO {macro} AS (SELECT prefix {of_class}) || "
            f"substr(sha256((SELECT secret {of_class}) || encode(strlen(canonical) || ':' || canonical)), 1, 32)"
        )

    def settle(self, database: str, label: str, operation: str) -> None:
        with self.lock:
            found = self.labels.get((database, label))
            if found is None:
                raise RefusedError(f"transaction [{label}] not found")
            if found.state != "PRECOMMITTED":
                raise RefusedError(f"transaction [{found.id}] is already {found.state}, not pre-committed.")
            found.coming = ["VISIBLE" if operation == "commit" else "ABORTED"]
            self._advance(found)

    def _writes(self, table: Table, rows: pa.Table, temporary: list[str]) -> list[str]:
        """Statements that write ``rows`` to the partitions they belong to."""
        parts = table.temporary if temporary else table.parts
        if missing := [name for name in temporary if name not in parts]:
            raise RefusedError(f"partition {missing[0]} does not exist")
        chosen = [parts[name] for name in temporary] or list(parts.values())
        incoming = f"incoming_{next(self._ids)}"
        columns = ", ".join(f'"{name}"' for name in rows.column_names)
        self.duck.register("fp_rows", rows)
        self._all(f"CREATE TEMP TABLE {incoming} AS SELECT * FROM fp_rows")
        self.duck.unregister("fp_rows")
        statements, routed = [], 0
        for part in chosen:
            where = f"\"{table.by}\" >= '{part.start}' AND \"{table.by}\" < '{part.end}'" if table.by else "TRUE"
            found = self._all(f"SELECT count(*) FROM {incoming} WHERE {where}")[0]
            routed += found[0]
            statements += [
                f"INSERT INTO {part.data} ({columns}) SELECT {columns} FROM {incoming} WHERE {where}",
                *([_merge(part, table)] if table.unique else []),
            ]
            part.version += 1
        if routed != rows.num_rows:
            raise RefusedError("Insert has filtered data in strict mode: no partition for this tuple. jane@example.com")
        return [*statements, f"DROP TABLE {incoming}"]

    def _all(self, statement: str) -> list[tuple[Any, ...]]:
        """Every row: a result that is not read to its end would block what comes next."""
        return list(self.duck.execute(statement).fetchall())

    def _run(self, statements: list[str]) -> None:
        for statement in statements:
            self._all(statement)

    def _part(self, table: Table, name: str, start: str | None, end: str | None) -> Part:
        part = Part(name, start, end, next(self._ids))
        columns = ", ".join(f'"{column.name}" {duck_type(column.type)}' for column in table.columns)
        self._all(f"CREATE TABLE {part.data} ({columns})")
        return part


def _merge(part: Part, table: Table) -> str:
    keys = ", ".join(f'"{key}"' for key in table.keys)
    newest = f"SELECT max(rowid) FROM {part.data} GROUP BY {keys}"
    return f"DELETE FROM {part.data} WHERE rowid NOT IN ({newest})"


def _check_overlap(parts: dict[str, Part], start: str, end: str) -> None:
    for part in parts.values():
        if part.start is not None and part.end is not None and part.start < end and start < part.end:
            raise RefusedError(f"Range [{start}, {end}) is intersected with range of partition {part.name}")


_WHICH = rf"WHERE TABLE_SCHEMA = {_TEXT} AND TABLE_NAME = {_TEXT}"
_ALTER = rf"ALTER TABLE {_TABLE}"
_STATEMENTS: list[tuple[str, Any]] = [
    (r"SET (.+)", Cluster._set),
    (rf"CREATE DATABASE IF NOT EXISTS {_NAME}", Cluster._create_database),
    (rf"CREATE TABLE (IF NOT EXISTS )?{_TABLE} \((.+?)\n\)\n(.+)", Cluster._create_table),
    (rf"DROP TABLE IF EXISTS {_TABLE} FORCE", Cluster._drop_table),
    (rf"{_ALTER} RENAME {_NAME}", Cluster._rename),
    (rf"{_ALTER} REPLACE WITH TABLE {_NAME} PROPERTIES \('swap' = 'false'\)", Cluster._replace_table),
    (rf"{_ALTER} ADD COLUMN \((.+)\)", Cluster._add_columns),
    (rf"{_ALTER} ADD PARTITION IF NOT EXISTS {_RANGE}", Cluster._add_partition),
    (rf"{_ALTER} ADD TEMPORARY PARTITION {_RANGE}", Cluster._add_temporary),
    (rf"{_ALTER} DROP TEMPORARY PARTITION {_NAME}", Cluster._drop_temporary),
    (rf"{_ALTER} DROP PARTITION IF EXISTS {_NAME} FORCE", Cluster._drop_partition),
    (
        rf"{_ALTER} REPLACE PARTITION \({_NAME}\) WITH TEMPORARY PARTITION \({_NAME}\) PROPERTIES .+",
        Cluster._replace,
    ),
    (rf"SHOW (TEMPORARY )?PARTITIONS FROM {_TABLE}", Cluster._show_partitions),
    (rf"DESC {_TABLE}", Cluster._describe),
    (rf"SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema\.tables {_WHICH}", Cluster._tables),
    (rf"SELECT PARTITION_NAME, DATA_LENGTH, TABLE_ROWS FROM information_schema\.partitions {_WHICH}", Cluster._sizes),
    (
        r"SELECT ([A-Z_, ]+) FROM information_schema\.(?:tables|columns|views) WHERE TABLE_SCHEMA NOT IN \(.+\)",
        Cluster._listed,
    ),
    (rf"CREATE VIEW {_TABLE} AS (.+)", Cluster._create_view),
    (rf"DROP VIEW IF EXISTS {_TABLE}", Cluster._drop_view),
    (
        rf"INSERT INTO {_TABLE}(?: TEMPORARY PARTITION \({_NAME}\))?(?: WITH LABEL {_NAME})? \(([^()]*)\) (SELECT.+)",
        Cluster._insert,
    ),
]
