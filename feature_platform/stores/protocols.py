"""The protocols behind which every warehouse stands, and the values that pass through them.

A **warehouse** runs SQL and keeps history; an **online store** (:mod:`~feature_platform.stores.online_protocol`)
keeps the newest row per entity for models. Both publish the same way: *stage* beside the live data, audit what was
staged, *publish* in one atomic step, or *discard*. Until ``publish`` returns, readers see the old data; a process
that dies in between leaves only leftovers that ``sweep`` of the next run removes. All three are idempotent.

Arrow crosses engines as a ``pyarrow.RecordBatchReader``: one batch in memory at a time, never a whole table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from feature_platform.types import DataType, Engine, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table as SQL names it: ``schema.name``. Schemas in use: ``sources``, ``features``, ``staged``, ``inputs``."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Span:
    """The rows that matter to a query, by a column of times (naive UTC), both ends included."""

    column: str
    since: datetime | None
    """None: as far as there are rows."""
    until: datetime


@dataclass(frozen=True, slots=True)
class Lookback:
    """Which rows of published tables can matter to a query, by their ``event_time``, as far as the rows of a stream
    say so. The SQL says the same; this is for whoever chooses what to read.
    """

    moments: str
    """A SELECT over the query's stream of one row: the first moment that is asked about and the last, as text; NULL if
    there is none."""
    tables: Mapping[TableName, int | None]
    """From how many microseconds before the first moment on rows matter, until the last; None: all that are older.
    A partition of these tables has the rows of its day or hour (naive UTC), nobody else's."""


@dataclass(frozen=True, slots=True)
class FilesTable:
    """Files that a source consists of: an absolute path, possibly with wild cards, and how to read them."""

    path: str
    format: str
    """``parquet`` or ``csv`` (possibly gzipped, with a header; empty fields are NULL)."""
    schema: TableSchema
    span: Span | None = None
    """Files without a row in it need not be opened; the query itself leaves out the rows of the others."""


@dataclass(frozen=True, slots=True)
class NativeTable:
    """A table that the store itself holds: its own, or one that it can reach under ``name``."""

    name: TableName


@dataclass(frozen=True)
class StreamTable:
    """Rows from elsewhere. ``open`` gives a fresh reader each time, so a retry can read again."""

    open: StreamSource


class StreamSource(Protocol):
    """Opens a fresh stream of batches."""

    def __call__(self) -> pa.RecordBatchReader: ...


Binding = FilesTable | NativeTable | StreamTable
"""What stands behind a table name while a query runs."""


@dataclass(frozen=True)
class Query:
    """One statement for one engine. Values travel as ``parameters``, never inside ``sql``.

    ``sql`` names parameters ``$name`` whatever the engine; the store translates to its driver's style.
    """

    sql: str
    engine: Engine
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[TableName, Binding] = field(default_factory=dict)
    """Every table that the statement reads. A table that is not listed must not exist for it."""
    key_versions: Mapping[str, int] = field(default_factory=dict)
    """Version of the token key by classification, where it is not the one that new tokens get: that of the tokens in
    ``tables``."""
    maps: Mapping[str, DataType] | None = None
    """The columns of the answer that are maps, by name: an engine without a type for them can't tell. None: they are
    named as in ``tables``."""
    in_parts: TableName | None = None
    """A stream in ``tables`` whose rows each have rows of the answer of their own, in their order, whatever other rows
    there are: an engine may run the statement over some of them after the other, so that memory does not grow with
    their number."""
    forms: Mapping[str, str] = field(default_factory=dict)
    """Statements that give the same rows as ``sql``, by name: a store that measures runs one of them in its place."""
    measures: tuple[str, ...] = ()
    """With ``forms``: SELECTs over ``tables`` of one row and column, the name of the form that is the cheapest for
    what is in them, or NULL if the next one has to tell. Of a stream that is taken in parts, each part is measured."""
    row_ids: frozenset[TableName] = frozenset()
    """DuckDB: published tables that have ``rowid`` too, in place of a column of that name. It tells the rows of a
    table apart while the query runs, and means nothing afterwards."""
    lookback: Lookback | None = None
    """With ``in_parts``: what of the tables the rows of the stream can see, each part of them."""
    repeatable: bool = False
    """The same rows give the same doubles, to the last bit: an engine on one machine adds them in one thread, however
    much longer that takes."""
    timeout_seconds: float | None = None
    """The statement is ended after it, while it runs and while its rows are read; None: the store's own limit."""


Relation = Query | StreamTable
"""Rows that are not read yet: a query for this very engine (pushed down) or a stream of Arrow batches."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of a table: its key as shown to people, and the half-open interval of UTC time it covers."""

    key: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class StagedWrite:
    """Rows that are written but not visible. ``table`` can be read through ``reading`` by the store that staged it."""

    store: str
    token: str
    """Unique per attempt; names files or tables of the attempt."""
    target: TableName
    schema: TableSchema
    partition: Partition | None
    rows: int
    reading: Mapping[TableName, Binding]
    """Give this as ``Query.tables`` to read the staged rows as ``TableName("staged", token)``."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Recorded with the publication: fingerprint, input versions, run id."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What is live in a store for a table (and partition): who made it, from what."""

    table: TableName
    partition: str | None
    version: str
    rows: int
    published_at: datetime
    properties: Mapping[str, str]
    event_time: datetime | None = None
    """Online: the newest event time among the rows (UTC, no zone)."""


FINGERPRINT: Final = "fingerprint"
"""Property of a publication: of the definition that its rows follow."""

OPENED: Final = "opened"
BEGUN: Final = "begun"
"""Properties of a publication in a warehouse: numbers that its store gave, each greater than all before. ``opened`` is
the first that the process was given, soon after it read the definitions; ``begun`` is of the one attempt, given before
it looked at its inputs."""

AS_OF: Final = "as_of"
"""Property of a publication: the moment that its rows are as of (ISO, naive UTC). It is data time, given by a run or a
schedule. Online no publication replaces one that is as of a later moment, see :mod:`.online_order`."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a store really holds of what it says is live: counted, not remembered."""

    rows: int | None
    """None: counting them means reading them all, and parts are whole or not there."""
    bytes: int
    missing: tuple[str, ...] = ()
    """Files or tables that are said to be live and are not there."""
    unfinished: str = ""
    """What is known of a publication that was decided and left half done."""


class SessionSetup(Protocol):
    """What every session of a warehouse needs before a query may run, e.g. functions and keys for tokens.

    A store calls the method of its engine once per connection, before the connection is locked down and serves queries.
    A DuckDB connection serves one query; PostgreSQL's serve many, each in a transaction of its own, and a pooler may
    give each transaction another process of the server.
    """

    @property
    def duckdb_name(self) -> str:
        """What the text of a query has in it, in whatever case, if it needs ``duckdb``: others go without."""
        ...

    def duckdb(self, connection: Any, versions: Mapping[str, int] | None = None) -> None:
        """Prepares a ``duckdb.DuckDBPyConnection`` for a query with these ``Query.key_versions``."""
        ...

    def postgres(self, connection: Any, *, lasting: bool = True) -> None:
        """Prepares a ``psycopg.Connection`` (in autocommit); its database alone where settings do not last."""
        ...

    def postgres_transaction(self, connection: Any, versions: Mapping[str, int]) -> None:
        """Prepares the current transaction for a query with these ``Query.key_versions``."""
        ...


@runtime_checkable
class Warehouse(Protocol):
    """Runs SQL, keeps history."""

    name: str
    engine: Engine

    def schema(self, table: TableName) -> TableSchema | None:
        """The live table's columns, or None when nothing was published yet."""
        ...

    def binding(self, table: TableName) -> Binding | None:
        """What to put into ``Query.tables`` so that a query reads the live ``table``; None: it was never published."""
        ...

    def version(self, table: Binding) -> str:
        """A short text that changes whenever the rows behind ``table`` may have changed."""
        ...

    def execute(self, query: Query) -> int:
        """Runs a statement whose rows nobody wants; gives the number of rows that it touched, -1 if unknown."""
        ...

    def read(self, query: Query) -> pa.RecordBatchReader:
        """Streams the rows of ``query``."""
        ...

    def stage(
        self,
        table: TableName,
        schema: TableSchema,
        relation: Relation,
        *,
        partition: Partition | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> StagedWrite:
        """Writes ``relation`` beside the live table. Columns must match ``schema`` by name and type."""
        ...

    def begin(self) -> Mapping[str, str]:
        """Says where a write stands among others (:data:`OPENED`, :data:`BEGUN`), as properties of it. Ask before you
        look at what its rows are made of."""
        ...

    def publish(self, staged: StagedWrite, *, backwards: bool = False) -> Publication:
        """Makes staged rows live in one atomic step, in place of the partition's (or the table's) old rows; unless
        these are later, see :mod:`.publication_order`. ``backwards``: also in place of rows that are as of a later
        moment, because somebody asked for it.

        Raises:
            StoreError: what is live is later, or the staged rows are gone, or can't be read with the other partitions.
        """
        ...

    def discard(self, staged: StagedWrite) -> None:
        """Removes staged rows. Nothing happens when they are gone already."""
        ...

    def publications(self, table: TableName) -> Sequence[Publication]:
        """What is live: one entry per partition, or a single one."""
        ...

    def holdings(self, table: TableName) -> Holdings:
        """What is there of the live ``table``; looks at its parts, not at its rows."""
        ...

    def sweep(self, table: TableName) -> int:
        """Removes what dead writers left behind beside ``table``; gives how many leftovers went."""
        ...

    def tables(self) -> Sequence[TableName]:
        """Every table that the platform wrote here and of which something is left, live or not."""
        ...

    def remove(self, table: TableName) -> bool:
        """Removes whatever the platform wrote of ``table``: from now on it was never published. A query under way ends
        with the rows that it began with, or with an error. May be repeated, by others too, until nothing is left.

        Returns:
            whether nothing is left; False while somebody still reads the rows.

        Raises:
            StoreError: it is being written.
        """
        ...

    def close(self) -> None:
        """Gives connections back. The store can't be used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Size:
    """How much lies behind a table name, as far as it is known without reading rows."""

    rows: int | None
    """An estimate where nobody counted; None: not known."""
    bytes: int
    """As stored, compressed or not."""


@runtime_checkable
class Sized(Protocol):
    """A warehouse that knows how much its tables hold."""

    def size(self, table: Binding) -> Size | None:
        """What lies behind ``table``, from metadata; None where that does not say.

        Raises:
            StoreError: nothing was published, or no file is there.
        """
        ...
