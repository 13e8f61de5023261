"""Stage, switch, sweep: what happens to tables and partitions in Doris, and what the ledger is told before and after.

Every step may be the last one of this process. The ledger knows an attempt before anything of it is made, and that it
is about to become live before it does; whether it did can be read off Doris (:mod:`layout`). Every switch names what it
replaces, or what is not there a second time: sent twice, because a reply was lost, it does nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import TABLE_BUSY
from feature_platform.stores.doris import ddl, layout
from feature_platform.stores.doris.evolution import evolve
from feature_platform.stores.doris.ledger import DorisLedger, Write
from feature_platform.stores.doris.loads import Clock
from feature_platform.stores.doris.names import text
from feature_platform.stores.doris.problems import DorisError, Kind
from feature_platform.stores.doris.reading import described
from feature_platform.stores.doris.sessions import Sessions
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.tables import DorisColumn, DorisTable, RangePartition
from feature_platform.stores.protocols import Holdings, Partition, Size, StagedWrite, TableName
from feature_platform.stores.publication_order import check_order
from feature_platform.stores.publication_rules import being_written, check_fits, staged_rows_gone
from feature_platform.types import TableSchema

_TRIES: Final = 6
_PAUSE_SECONDS: Final = 0.5


class Publishing:
    """Of one cluster. Safe for several threads and processes: the ledger's lock per table keeps them apart."""

    def __init__(
        self, settings: DorisSettings, sessions: Sessions, ledger: DorisLedger, shapes: layout.Shapes, clock: Clock
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._ledger = ledger
        self._shapes = shapes
        self._clock = clock
        self._databases: set[str] = set()

    # -- what is there -------------------------------------------------------------------------------------------------

    def live(self, table: TableName) -> list[Write]:
        """The writes that readers see, oldest first. Where one may have been switched in, Doris tells."""
        known = [write for write in self._ledger.writes(table) if write.state in ("live", "publishing")]
        if any(write.state == "publishing" for write in known):
            return [write for write in known if self._is_live(write)]
        return known

    def holdings(self, table: TableName) -> Holdings:
        """The partitions of the live writes that are there, with the sizes that backends reported last."""
        base = layout.table_name(self._settings, table)
        live = self.live(table)
        sizes = self.sizes(base)
        missing = tuple(write.part or base.name for write in live if not self._is_live(write))
        parts = {write.part for write in live}
        return Holdings(None, sum(size.bytes for name, size in sizes.items() if parts & {name, None}), missing)

    def sizes(self, name: TableName) -> dict[str, Size]:
        """Of each partition of a table, as backends reported last; of one without partitions under its own name."""
        rows = self._sessions.rows(
            "SELECT PARTITION_NAME, DATA_LENGTH, TABLE_ROWS FROM information_schema.partitions "  # noqa: S608 - quoted texts
            f"WHERE TABLE_SCHEMA = {text(name.schema)} AND TABLE_NAME = {text(name.name)}"
        )
        return {str(partition): Size(int(number or 0), int(size or 0)) for partition, size, number in rows}

    def is_there(self, name: TableName) -> bool:
        """Whether Doris has a table or view by that name."""
        return self._comment(name) is not None

    def _is_live(self, write: Write) -> bool:
        base = layout.table_name(self._settings, write.table)
        if write.part is not None:
            return write.part in self._partitions(base)
        return layout.token_of_comment(self._comment(base) or "") == write.token

    def _comment(self, name: TableName) -> str | None:
        """A table's comment; None where there is no such table."""
        rows = self._sessions.rows(
            "SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.tables "  # noqa: S608 - quoted texts
            f"WHERE TABLE_SCHEMA = {text(name.schema)} AND TABLE_NAME = {text(name.name)}"
        )
        return str(rows[0][1] or "") if rows else None

    def _partitions(self, name: TableName, *, temporary: bool = False) -> list[str]:
        """Names; none where there is no such table."""
        kind = "TEMPORARY PARTITIONS" if temporary else "PARTITIONS"
        try:
            rows = self._sessions.rows(f"SHOW {kind} FROM {ddl.qualified(name)}")
        except DorisError as error:
            if error.kind is Kind.MISSING:
                return []
            raise
        return [str(row[1]) for row in rows]

    # -- stage ---------------------------------------------------------------------------------------------------------

    def begin(
        self, table: TableName, schema: TableSchema, partition: Partition | None, properties: Mapping[str, str]
    ) -> Write:
        """Makes an empty place for rows, that nobody reads.

        Raises:
            StoreError: the partition could not be read with the others, or somebody else is writing it.
        """
        token = secrets.token_hex(8)
        self._ledger.begin_attempt(token)
        try:
            with self._ledger.table_lock(table):
                self._sweep(table)
                live = self.live(table)
                base = layout.table_name(self._settings, table)
                if partition is None:
                    relation = layout.table_name(self._settings, table, token)
                    write = Write(token, table, None, relation, None, schema, 0, properties, "filling")
                    self._make_table(write, None)
                else:
                    keys = [each.partition for each in live]
                    if live:
                        check_fits(StagedWrite("", token, table, schema, partition, 0, {}), live[-1].schema, keys)
                    part = layout.own_partition(partition, token)
                    wanted = Write(token, table, partition.key, base, part.name, schema, 0, properties, "filling")
                    write = self._make_part(wanted, partition, part, alone=set(keys) <= {partition.key})
        except BaseException:
            self._ledger.end_attempt(token)
            raise
        return write

    def _make_table(self, write: Write, part: tuple[Partition, RangePartition] | None) -> None:
        shape = self._shapes(write.table)
        wanted = layout.made(self._settings, write.relation, write.schema, shape, part=part)
        statement = ddl.create_table(wanted)
        self._ledger.begin(write)
        self.make_database(write.relation.schema)
        self._certainly(statement, lambda: self._comment(write.relation) is not None)

    def _make_part(self, write: Write, partition: Partition, part: RangePartition, *, alone: bool) -> Write:
        """A temporary partition of the live table; a table of its own, where that has other columns and may go."""
        base = write.relation
        wanted = layout.made(self._settings, base, write.schema, self._shapes(write.table), part=(partition, None))
        self.make_database(base.schema)
        if self._comment(base) is None:
            create = ddl.create_table(wanted, if_not_exists=True)
            self._certainly(create, lambda: self._comment(base) is not None)
        statements = self._changes(base, wanted)
        if statements is None:
            if not alone:
                raise StoreError(_busy(write.table, "has columns that only its own attempts know"))
            own = replace(write, relation=layout.table_name(self._settings, write.table, write.token))
            self._make_table(own, (partition, part))
            return own
        others = self._partitions(base, temporary=True)
        if any(layout.is_of(name, partition) for name in others) or (statements and others):
            raise StoreError(_busy(write.table, "is being written by another attempt"))
        for statement in statements:
            self._certainly(statement, lambda: not self._changes(base, wanted))
        self._ledger.begin(write)
        if not any(layout.is_of(name, partition) for name in self._partitions(base)):
            empty = layout.empty_partition(partition)
            self._certainly(ddl.add_partition(base, empty), lambda: empty.name in self._partitions(base))
        add = ddl.add_temporary_partition(base, part)
        self._certainly(add, lambda: part.name in self._partitions(base, temporary=True))
        return write

    def _changes(self, name: TableName, wanted: DorisTable) -> tuple[str, ...] | None:
        """What makes the columns that are there those that are wanted; None: only a new table can."""
        there = []
        for column in described(self._sessions, name).columns:
            known = wanted.column(column.name)
            same = known is not None and known.type == column.type
            there.append(known if known and same else DorisColumn(column.name, column.type))
        evolution = evolve(replace(wanted, columns=tuple(there)), wanted)
        return evolution.statements if evolution.is_online else None

    # -- publish -------------------------------------------------------------------------------------------------------

    def publish(self, staged: StagedWrite, *, backwards: bool) -> Write:
        """Puts an attempt's rows in place of those of its partition, or of the table, in one step.

        Raises:
            StoreError: they are gone, what is live is later, another process publishes for too long, or the partition
                does not fit any more.
        """
        with self._ledger.table_lock(staged.target):
            live = self._reconciled(staged.target)
            write = self._ledger.write(staged.token)
            if write is None:
                raise StoreError(staged_rows_gone(staged))
            if write.state != "live":
                if live:
                    check_fits(staged, live[-1].schema, [each.partition for each in live])
                    key = staged.partition.key if staged.partition else None
                    replaced = [each.properties for each in live if key is None or each.partition == key]
                    check_order(staged, replaced, backwards=backwards)
                write = self._switched(staged, write, live)
        self._ledger.end_attempt(staged.token)
        return write

    def _switched(self, staged: StagedWrite, write: Write, live: Sequence[Write]) -> Write:
        self._ledger.intend(write.token)
        try:
            if write.is_own_table:
                self._switch_table(staged, write)
            else:
                self._switch_part(staged, write)
        except StoreError as error:
            # Where it is not known whether Doris did it, it stays decided: whoever looks next finds out.
            if not (isinstance(error, DorisError) and error.kind is Kind.UNREACHABLE):
                self._ledger.put_back(write.token)
            raise
        return self._ledger.confirm(write.token, _replaced(write, live))

    def _switch_table(self, staged: StagedWrite, write: Write) -> None:
        base = layout.table_name(self._settings, write.table)
        if self._comment(write.relation) is None:
            raise StoreError(staged_rows_gone(staged))
        if self._comment(base) is None:
            statement = ddl.rename_table(write.relation, base.name)
        else:
            statement = ddl.replace_table(base, write.relation)
        self._certainly(statement, lambda: layout.token_of_comment(self._comment(base) or "") == write.token)

    def _switch_part(self, staged: StagedWrite, write: Write) -> None:
        assert write.part is not None  # else it has a table of its own
        names = self._partitions(write.relation)
        before = [name for name in names if name.partition("_")[0] == write.part.partition("_")[0]]
        if write.part not in self._partitions(write.relation, temporary=True) or not before:
            raise StoreError(staged_rows_gone(staged))
        statement = ddl.replace_partition(write.relation, before[0], write.part)
        self._certainly(statement, lambda: write.part in self._partitions(write.relation))

    def _reconciled(self, table: TableName) -> list[Write]:
        """The live writes. What a dead publisher decided is noted as done, or not done, as Doris shows it. The caller
        holds the table's lock, so nobody is in the middle of it."""
        for write in self._ledger.writes(table):
            if write.state == "publishing":
                if self._is_live(write):
                    live = [each for each in self._ledger.writes(table) if each.state == "live"]
                    self._ledger.confirm(write.token, _replaced(write, live))
                else:
                    self._ledger.put_back(write.token)
        return [write for write in self._ledger.writes(table) if write.state == "live"]

    # -- remove --------------------------------------------------------------------------------------------------------

    def discard(self, token: str, table: TableName) -> None:
        """Removes an attempt's rows, unless they are live."""
        with self._ledger.table_lock(table):
            self._reconciled(table)
            write = self._ledger.write(token)
            if write is not None and write.state != "live":
                self._remove(write)
        self._ledger.end_attempt(token)

    def sweep(self, table: TableName) -> int:
        """Removes attempts whose process ended; gives their number."""
        with self._ledger.table_lock(table):
            return self._sweep(table)

    def remove(self, table: TableName) -> None:
        """Drops the live table, then forgets what is known of it: whoever is stopped in between repeats it.

        Raises:
            StoreError: somebody is writing it.
        """
        with self._ledger.table_lock(table):
            self._sweep(table)
            writes = self._ledger.writes(table)
            if any(write.state in ("filling", "staged") for write in writes):
                raise StoreError(being_written(str(table)))
            base = layout.table_name(self._settings, table)
            if writes:
                self._certainly(ddl.drop_table(base), lambda: self._comment(base) is None)
            for write in writes:
                self._ledger.remove(write.token)

    def _sweep(self, table: TableName) -> int:
        removed = 0
        self._reconciled(table)
        for write in self._ledger.writes(table):
            if write.state not in ("filling", "staged"):
                continue
            with self._ledger.if_dead(write.token) as dead:
                if dead:
                    self._remove(write)
                    removed += 1
        return removed

    def _remove(self, write: Write) -> None:
        """Rows first, then what is known of them: a crash in between leaves something to sweep."""
        if write.is_own_table:
            self._certainly(ddl.drop_table(write.relation), lambda: self._comment(write.relation) is None)
        elif write.part in self._partitions(write.relation, temporary=True):
            assert write.part is not None  # it is in a list of names
            drop = ddl.drop_temporary_partition(write.relation, write.part)
            self._certainly(drop, lambda: write.part not in self._partitions(write.relation, temporary=True))
        self._ledger.remove(write.token)

    # -- statements ----------------------------------------------------------------------------------------------------

    def make_database(self, name: str) -> None:
        """Makes a database where it is missing; asks once."""
        if name not in self._databases:
            self._sessions.run(ddl.create_database(name))
            self._databases.add(name)

    def _certainly(self, statement: str, is_done: Callable[[], bool]) -> None:
        """Runs a statement that does nothing the second time. Lost replies and refusals are no news if it is done."""
        for number in range(_TRIES):
            try:
                self._sessions.run(statement)
                return
            except DorisError as error:
                with suppress(DorisError):
                    if is_done():
                        return
                if error.kind is not Kind.UNREACHABLE or number == _TRIES - 1:
                    raise
                self._clock.pause(_PAUSE_SECONDS * 2**number)


def _replaced(write: Write, live: Sequence[Write]) -> list[str]:
    """Which live writes a newer one stands in place of."""
    return [
        each.token
        for each in live
        if each.token != write.token and (write.is_own_table or each.partition == write.partition)
    ]


def _busy(table: TableName, what: str) -> Problem:
    return TABLE_BUSY.problem(f"{table} {what}", mend="wait for the other run, or end it if it hangs")
