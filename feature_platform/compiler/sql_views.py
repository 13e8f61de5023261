"""A feature view in SQL → its compiled form: the guarded query with keys, times and features in canonical order.

The published columns are the entity's keys, ``event_time``, ``available_at`` (both timestamps, renamed from the
columns that the view names), then the features in the order of the SELECT. A partitioned view gets ``event_time >=
$partition_start AND event_time < $partition_end`` around it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from feature_platform.compiler.catalog import Catalog
from feature_platform.compiler.codes import FEATURE_CONTRACT, FEATURE_NAME, KEY_COLUMN, TIME_COLUMN
from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.compiler.inference import cast_to, type_node
from feature_platform.compiler.plan import COMPILER_VERSION, CompiledQuery, CompiledView, Feature, OutputColumn
from feature_platform.compiler.render import parameter, render
from feature_platform.errors import Code, CompileError, Location, Problem, did_you_mean
from feature_platform.governance.access import Access
from feature_platform.registry.fingerprint import digest
from feature_platform.registry.graph import LinkedView, Registry
from feature_platform.specs.models import EntityKey
from feature_platform.types import DATE, ENGINES, STRING, TIMESTAMP, Column, Engine

EVENT_TIME: Final = "event_time"
AVAILABLE_AT: Final = "available_at"
_ROWS: Final = "rows"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")


def compile_sql_view(  # noqa: PLR0913 - what a view is compiled from, and for which engines
    view: LinkedView,
    registry: Registry,
    catalog: Catalog,
    author: Access,
    upstream: Mapping[str, str],
    *,
    engines: Sequence[Engine] = ENGINES,
) -> CompiledView:
    """The compiled form of a view in SQL. ``upstream`` has the fingerprints of the views that it reads.

    Raises:
        CompileError: the query, or what the view promises about it.
    """
    spec = view.spec
    assert spec.sql is not None
    guarded = guard(
        spec.sql, catalog, author.with_purposes(view.purposes), where=view.origin.where("sql"), engines=engines
    )
    shape = _Shape(view, guarded)
    keys = [shape.key(key) for key in registry.entity_of(spec.name).keys]
    event_time = shape.time("event_time", spec.event_time)
    available_at = shape.time("available_at", spec.available_at) if spec.available_at else event_time
    features = shape.features()
    if shape.problems:
        raise CompileError(shape.problems)
    outputs = [
        *keys,
        replace(event_time, name=EVENT_TIME, type=TIMESTAMP),
        replace(available_at, name=AVAILABLE_AT, type=TIMESTAMP),
        *features,
    ]
    sources = [each.name for each in (*keys, event_time, available_at, *features)]
    partitioned = spec.storage.partition if spec.storage.partition != "none" else None
    query = _materializing(guarded, sources, outputs, engines, partitioned=partitioned is not None)
    described = [(column.name, str(column.type), sorted(map(str, column.labels))) for column in outputs]
    # How long a row may be used is part of what its features mean: copies for online reads depend on it.
    meaning = {"ttl_microseconds": spec.ttl.microseconds if spec.ttl else None}
    return CompiledView(
        name=spec.name,
        form="sql",
        entity=spec.entity,
        keys=tuple(Column(key.name, key.type) for key in keys),
        features=tuple(Feature(column.name, column) for column in features),
        materialize=query,
        derive=None,
        partitioned=partitioned,
        fingerprint=digest([COMPILER_VERSION, dict(query.sql), described, upstream, meaning]),
        reads=guarded.reads,
    )


def _materializing(
    guarded: GuardedQuery,
    sources: Sequence[str],
    outputs: Sequence[OutputColumn],
    engines: Sequence[Engine],
    *,
    partitioned: bool,
) -> CompiledQuery:
    """The query that gives ``outputs``, each from the column of ``guarded`` at the same place of ``sources``."""
    names = {column.name.lower(): column.name for column in guarded.columns}
    tree = _published(guarded, [names[source.lower()] for source in sources], outputs, partitioned)
    return CompiledQuery(
        {engine: render(tree, engine, spent=engine == engines[-1], places=guarded.places) for engine in engines},
        tuple(outputs),
        guarded.reads,
        ("partition_end", "partition_start") if partitioned else (),
        guarded.rules,
    )


@dataclass
class _Shape:
    """Finds in a query's columns what its view needs; notes what is not there."""

    view: LinkedView
    guarded: GuardedQuery
    problems: list[Problem] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    """Lower-case names of columns that are keys or times, so no features."""

    def key(self, key: EntityKey) -> OutputColumn:
        """The key column, under the entity's name for it and with its type outside the source."""
        column = self._find(key.name)
        personal = key.pii is not None and key.pii != "none"
        type_ = STRING if personal else key.type
        if column is None:
            self._note(
                KEY_COLUMN,
                f"the SELECT has no key column '{key.name}' of entity '{self.view.spec.entity}'{self._hint(key.name)}",
                f"select it, with AS {key.name} if the source calls it otherwise",
            )
            return OutputColumn(key.name, type_)
        self.taken.add(key.name.lower())
        token = {label.classification for label in column.labels if label.kind == "token"}
        if personal and token != {key.pii}:
            self._note(
                KEY_COLUMN,
                f"key '{key.name}' of entity '{self.view.spec.entity}' is personal and must be the token of {key.pii}",
                f"select a column that is declared `pii: {key.pii}`, as it is",
            )
        elif column.type != type_ and not (column.type.is_integer and type_.is_integer):
            self._note(
                KEY_COLUMN,
                f"key '{key.name}' is {column.type}; entity '{self.view.spec.entity}' declares {type_}",
                f"write CAST({key.name} AS {type_}) AS {key.name}, or mend the entity",
            )
        return replace(column, name=key.name, type=type_)

    def time(self, role: str, name: str | None) -> OutputColumn:
        """The column that the view names as its event_time or available_at: a timestamp, or a date (midnight)."""
        where = self.view.origin.where(role)
        column = self._find(name) if name else None
        if name is None or column is None:
            what = (
                f"the SELECT has no column '{name}'{self._hint(name)}"
                if name
                else "the view does not say what its time column is"
            )
            self._note(TIME_COLUMN, what, f"select the time of the row and name it in `{role}:`", where)
            return OutputColumn(name or role, TIMESTAMP)
        self.taken.add(name.lower())
        if column.type not in (TIMESTAMP, DATE):
            self._note(
                TIME_COLUMN, f"`{role}` column '{name}' is {column.type}", "select a timestamp or a date, in UTC", where
            )
        return column

    def features(self) -> list[OutputColumn]:
        """All other columns, with the descriptions of their contracts."""
        contracts = self.view.spec.features
        columns = [column for column in self.guarded.columns if column.name.lower() not in self.taken]
        for column in columns:
            self._check_name(column.name)
        if not columns:
            self._note(
                FEATURE_NAME, "the SELECT has no feature beside keys and times", "select at least one more column"
            )
        known = {column.name: column for column in columns}
        for name, contract in contracts.items():
            column_ = known.get(name)
            where = self.view.origin.where("features", name)
            if column_ is None:
                self._note(
                    FEATURE_CONTRACT,
                    f"`features` describes '{name}', which the SELECT does not give.{did_you_mean(name, known)}",
                    f"its features are {', '.join(known) or 'none'}",
                    where,
                )
            elif contract.type is not None and contract.type != column_.type:
                self._note(
                    FEATURE_CONTRACT,
                    f"feature '{name}' is {column_.type}; its contract says {contract.type}",
                    f"write CAST(... AS {contract.type}) in the SELECT, or mend the contract",
                    self.view.origin.where("features", name, "type"),
                )
        described = {name: contract.description for name, contract in contracts.items() if contract.description}
        return [replace(column, description=described.get(column.name, column.description)) for column in columns]

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name) or name.lower().startswith("fp_"):
            self._note(
                FEATURE_NAME,
                f"'{name}' is no name for a feature",
                "use letters, digits and underscores, not beginning with fp_",
            )
        elif name.lower() in (EVENT_TIME, AVAILABLE_AT):
            self._note(
                FEATURE_NAME,
                f"'{name}' is the name of a time column of every published table",
                f"name it in `{name.lower()}:` if it is this view's, else rename it with AS",
            )

    def _find(self, name: str) -> OutputColumn | None:
        return next((column for column in self.guarded.columns if column.name.lower() == name.lower()), None)

    def _hint(self, name: str) -> str:
        hint = did_you_mean(name, [column.name for column in self.guarded.columns])
        return f".{hint}" if hint else ""

    def _note(self, code: Code, what: str, mend: str, where: Location | None = None) -> None:
        self.problems.append(code.problem(what, mend=mend, where=where or self.view.origin.where("sql")))


def _published(
    guarded: GuardedQuery, sources: Sequence[str], outputs: Sequence[OutputColumn], partitioned: bool
) -> exp.Select:
    types = {column.name: column.type for column in guarded.columns}
    projections: list[exp.Expr] = []
    for source, output in zip(sources, outputs, strict=True):
        column: exp.Expr = exp.column(_identifier(source), table=_identifier(_ROWS))
        if types[source] != output.type:
            column = cast_to(column, output.type)
        projections.append(exp.alias_(column, _identifier(output.name)))
    # The guarded query is used for nothing else, so its tree need not be copied.
    rows = exp.Subquery(this=guarded.tree, alias=exp.TableAlias(this=_identifier(_ROWS)))
    select = exp.Select(expressions=projections, from_=exp.From(this=rows))
    if partitioned:
        time = projections[_position(outputs)].this
        start = exp.GTE(this=time.copy(), expression=_timestamp("partition_start"))
        end = exp.LT(this=time.copy(), expression=_timestamp("partition_end"))
        select.set("where", exp.Where(this=exp.and_(start, end)))
    return select


def _position(outputs: Sequence[OutputColumn]) -> int:
    return next(index for index, column in enumerate(outputs) if column.name == EVENT_TIME)


def _timestamp(name: str) -> exp.Expr:
    return exp.Cast(this=parameter(name), to=type_node(TIMESTAMP))


def _identifier(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=True)
