"""What changed since a view's newest rows were copied online the last time, found out in the warehouse.

Beside a view's history the warehouse keeps a *mirror* per online store: the rows as they were copied last, with a token
that the online publication records too. The new rows are written as the next mirror, and an anti join of the two, where
they lie, gives the rows to write and the keys to remove. Whatever the mirror can't vouch for is answered by a full
snapshot: another token, another schema, another token key, rows that somebody removed, too many changes.

Of rows that all stand for one moment (an aggregation view's tick) the time is no change: it is a property of the
publication, see :data:`feature_platform.stores.online_protocol.MOMENT`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from feature_platform.compiler.platform_sql import platform_sql, text_in_doris
from feature_platform.project.key_versions import PROPERTY as TOKENS
from feature_platform.stores.online_protocol import OnlineChanges, OnlineTable
from feature_platform.stores.protocols import Publication, Query, StagedWrite, TableName, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa


MIRROR: Final = "mirror"
"""Property of an online publication and of its mirror: the same token in both, or the mirror is not of those rows."""

MOST: Final = 0.25
"""Share of the rows up to which changes are written; beyond it a snapshot is as fast, and blocks no server."""
MOST_ROWS: Final = 200_000
"""Rows of one step of a server: Redis takes about a microsecond for each and answers nobody meanwhile."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Between what is live online and what should be."""

    added: int
    changed: int
    removed: int

    @property
    def written(self) -> int:
        return self.added + self.changed


@dataclass(frozen=True, slots=True)
class Comparison:
    """The new rows, staged as the next mirror, and the mirror of those that are live."""

    warehouse: Warehouse
    table: OnlineTable
    new: StagedWrite
    old: TableName
    one_moment: bool
    """Whether all rows stand for one moment, so that their times are not compared."""

    def difference(self) -> Difference:
        """How many rows differ.

        Raises:
            StoreError: the warehouse failed.
        """
        old, new = (_column(side, self.table.keys[0]) for side in ("o", "n"))
        counts = {
            "added": old.is_(exp.null()),
            "changed": exp.and_(exp.not_(old.copy().is_(exp.null())), exp.not_(new.is_(exp.null()))),
            "removed": new.copy().is_(exp.null()),
        }
        select = (
            exp.select(*(exp.alias_(_count(condition), name) for name, condition in counts.items()))
            .from_(self._new())
            .join(self._old(), on=self._same_key(), join_type="FULL")
            .where(exp.or_(counts["added"].copy(), counts["removed"].copy(), self._differs()))
        )
        (row,) = self.warehouse.read(self._query(select)).read_all().to_pylist()
        return Difference(**row)

    def changes(self, base: Publication, newest: datetime | None) -> OnlineChanges:
        """What makes the rows of ``base`` into the new ones; read when they are written."""
        keys = [exp.alias_(_column("o", name), name, quoted=True) for name in self.table.keys]
        rows = exp.select(*(_column("n", name) for name in self.table.schema.names)).from_(self._new())
        missing = _column("o", self.table.keys[0]).is_(exp.null())
        rows = rows.join(self._old(), on=self._same_key(), join_type="LEFT").where(exp.or_(missing, self._differs()))
        gone = exp.select(*keys).from_(self._old()).join(self._new(), on=self._same_key(), join_type="LEFT")
        gone = gone.where(_column("n", self.table.keys[0]).is_(exp.null()))
        return OnlineChanges(base, lambda: self._read(rows), lambda: self._read(gone), newest)

    def snapshot(self) -> pa.RecordBatchReader:
        """All new rows."""
        return self._read(exp.select(*(_column("n", name) for name in self.table.schema.names)).from_(self._new()))

    def newest(self) -> datetime | None:
        """The newest event time among the new rows."""
        select = exp.select(exp.alias_(exp.Max(this=_column("n", "event_time")), "newest")).from_(self._new())
        found: datetime | None = self._read(select).read_all().column(0)[0].as_py()
        return found

    def _read(self, select: exp.Select) -> pa.RecordBatchReader:
        return self.warehouse.read(self._query(select))

    def _query(self, select: exp.Select) -> Query:
        warehouse = self.warehouse
        tables = dict(self.new.reading)
        if self.old.name in {node.name for node in select.find_all(exp.Table)}:
            binding = warehouse.binding(self.old)
            assert binding is not None, "its publication was looked up"
            tables[self.old] = binding
        return Query(platform_sql(select, warehouse.engine), warehouse.engine, tables=tables)

    def _new(self) -> exp.Table:
        return exp.table_(self.new.token, db="staged", quoted=True, alias="n")

    def _old(self) -> exp.Table:
        return exp.table_(self.old.name, db=self.old.schema, quoted=True, alias="o")

    def _same_key(self) -> exp.Condition:
        return exp.and_(*(_column("n", key).eq(_column("o", key)) for key in self.table.keys))

    def _differs(self) -> exp.Condition:
        left_out = {*self.table.keys, *(["event_time"] if self.one_moment else [])}
        names = [name for name in self.table.schema.names if name not in left_out]
        return exp.or_(
            *(exp.NullSafeNEQ(this=self._value("n", name), expression=self._value("o", name)) for name in names)
        )

    def _value(self, side: str, name: str) -> exp.Expression:
        """What is compared of a column: Doris compares maps and JSON not at all, lists not in every version."""
        column, found = _column(side, name), self.table.schema.column(name)
        assert found is not None, "one of the table's"
        nested = found.type.is_nested and self.warehouse.engine == "doris"
        return text_in_doris(column, found.type) if nested else column


def mirror_of(view: str, store: str) -> TableName:
    """The table with the rows of ``view`` as they were copied to ``store`` last. No view can be called so."""
    return TableName("features", f"{view}@{store}")


def live_mirror(warehouse: Warehouse, view: str, store: str) -> Publication | None:
    """What is published of a mirror."""
    return next(iter(warehouse.publications(mirror_of(view, store))), None)


def why_snapshot(
    base: Publication | None, mirror: Publication | None, properties: Mapping[str, str], *, asked: bool
) -> str:
    """Why changes can't be told, so that a full snapshot is due; empty if they can."""
    if asked:
        return "asked for"
    if base is None:
        return "nothing of this schema is live as a whole"
    if mirror is None or base.properties.get(MIRROR) is None:
        return "nothing says what is live"
    if base.properties[MIRROR] != mirror.properties.get(MIRROR):
        return "what is live was not published with this history"
    if _tokens(base.properties) != _tokens(properties):
        return "another version of a token key"
    return ""


def too_many(difference: Difference, entities: int) -> str:
    """Why changes that can be told are not written; empty if they are few."""
    many = difference.written + difference.removed
    if many > min(MOST * max(entities, 1_000), MOST_ROWS):
        return f"{many:,} of {entities:,} rows changed"
    return ""


def _tokens(properties: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in properties.items() if name.startswith(TOKENS)}


def _count(condition: exp.Expr) -> exp.Expression:
    return exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=condition.copy()))


def _column(side: str, name: str) -> exp.Column:
    return exp.column(name, table=side, quoted=True)
