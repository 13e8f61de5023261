"""What compilation gives: immutable values that stores, orchestration, SDK and CLI read.

Nothing here touches a database. SQL is held per engine as text rendered from a guarded tree; values that vary by run
are named parameters (``$name``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from feature_platform.errors import Location
from feature_platform.governance.labels import CLEAN, Labels
from feature_platform.registry.graph import ColumnRef, TableRef
from feature_platform.types import Column, DataType, Engine, TableSchema

if TYPE_CHECKING:
    from feature_platform.governance.access import Access
    from feature_platform.governance.detection.profiles import Profiles

COMPILER_VERSION = "2"
"""Part of every fingerprint. Raise it when the same definition would give other SQL or other values."""


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a compiled query, with its lineage."""

    name: str
    type: DataType
    labels: Labels = CLEAN
    direct: frozenset[ColumnRef] = frozenset()
    """Columns whose values flow into it."""
    indirect: frozenset[ColumnRef] = frozenset()
    """Columns that decide which rows or branches there are: WHERE, JOIN, GROUP BY, HAVING, ORDER BY, CASE, windows."""
    transforms: frozenset[str] = frozenset()
    """Governed transforms on the way."""
    description: str = ""


@dataclass(frozen=True, slots=True, order=True)
class AppliedRule:
    """A policy rule by which a query has a column as it has it. Of several rules that allow the same, each is there."""

    column: ColumnRef
    classification: str
    gives: str
    """``token``, ``redact``, ``raw`` or the name of a transform; of a column of a view the label that was allowed."""
    policy: str
    where: Location

    def __str__(self) -> str:
        place = f"{self.where.file}:{self.where.line}"
        return f"{self.column} ({self.classification}) gives {self.gives} by policy '{self.policy}' ({place})"


@dataclass(frozen=True, slots=True)
class SpineForms:
    """Statements for DuckDB that give a query's rows, each the cheapest for some spines: where ``inputs.spine`` is a
    table before one of them runs, it can be measured.
    """

    measures: tuple[str, ...]
    """SELECTs over ``inputs.spine`` and what the query reads, each of one row and column: the name of the cheapest of
    ``texts``, or NULL if the next one has to tell."""
    texts: Mapping[str, str]
    moments: str
    """A SELECT over ``inputs.spine`` of one row: the first and the last time it asks about, as text."""
    seen: Mapping[str, int | None]
    """How many microseconds before the first time rows of a view in SQL are looked at; None: all that are older."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which rows of a source can decide anything in an answer, by their event time: a store need not open files that
    have none of them. The SQL says the same; this is for whoever chooses what to open."""

    column: str
    """The source's column of event times."""
    first: str
    """The parameter (naive UTC) from which to go back."""
    back: int | None
    """Microseconds before ``first``; None: as far as there are rows."""
    last: str
    """The parameter at or after which no row matters."""


@dataclass(frozen=True)
class CompiledQuery:
    """A query that may be sent to an engine: text rendered from a guarded tree, which reads guarded subqueries only."""

    sql: Mapping[Engine, str]
    columns: tuple[OutputColumn, ...]
    reads: tuple[TableRef, ...]
    parameters: tuple[str, ...] = ()
    """Names of the parameters that the SQL asks for, in sorted order."""
    rules: tuple[AppliedRule, ...] = ()
    """The policy rules that opened what it reads, in sorted order."""
    forms: SpineForms | None = None
    """Of a training set over ``inputs.spine``: what runs on DuckDB in place of ``sql``."""
    reach: Reach | None = None
    """Of a query over one source; None: any row may matter."""

    @property
    def schema(self) -> TableSchema:
        return TableSchema(tuple(Column(column.name, column.type) for column in self.columns))

    def texts(self, engine: Engine) -> tuple[str, ...]:
        """The texts of which one runs on ``engine``; which of them, the spine's rows decide."""
        return tuple(self.forms.texts.values()) if self.forms and engine == "duckdb" else (self.sql[engine],)


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a compiled view."""

    name: str
    column: OutputColumn
    empty: Any = None
    """What an entity without any row or event gets: None, 0 for counts, or the declared default."""


@dataclass(frozen=True)
class CompiledView:
    """A feature view, compiled.

    ``materialize`` gives the rows of a publication with the columns: entity keys, ``event_time``, ``available_at``,
    features. For a partitioned view it asks for ``$partition_start`` and ``$partition_end`` (UTC timestamps); an
    aggregation view gives one row per entity as of ``$partition_end``, with ``event_time = $partition_end``. An
    aggregation view without partitions asks for ``$as_of`` alone.
    """

    name: str
    form: Literal["sql", "aggregations", "derived"]
    entity: str
    keys: tuple[Column, ...]
    """As they are outside the source: a key that is personal is a string token here."""
    features: tuple[Feature, ...]
    materialize: CompiledQuery | None
    """None for derived views."""
    derive: CompiledQuery | None
    """Of a derived view: reads ``inputs.rows``, which has the request's columns and `<view>__<feature>` of every input
    feature that the expressions use, and gives the features, one row per row, in the order of its column ``fp_row``.
    None otherwise."""
    partitioned: Literal["day", "hour"] | None
    fingerprint: str
    reads: tuple[TableRef, ...]

    def feature(self, name: str) -> Feature | None:
        return next((feature for feature in self.features if feature.name == name), None)

    @property
    def schema(self) -> TableSchema:
        """Columns of the published table: keys, event_time, available_at, features."""
        assert self.materialize is not None
        return self.materialize.schema


@dataclass(frozen=True)
class CompiledService:
    """A feature service with every feature resolved and allowed for its purpose."""

    name: str
    version: int
    purpose: str
    features: tuple[tuple[str, str], ...]
    """(view, feature), in order, stars expanded."""
    fingerprint: str


@dataclass(frozen=True)
class CompiledProject:
    """Everything that a registry compiles to."""

    views: Mapping[str, CompiledView]
    """In topological order."""
    services: Mapping[str, CompiledService]
    author: Access
    """Whom it was compiled for: role, environment and policies; every view brought its own purposes."""
    profiles: Profiles = field(default_factory=dict)
    """What detection had found in the sources."""
