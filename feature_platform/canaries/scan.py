"""Where canaries are looked for: every file of the state folder and of the warehouses, every table of every database,
every key of every Redis. Only the declared raw sources, and the list itself, are left out.

A scan that finds nothing proves something only if there was something to find: so the raw sources are asked for every
canary first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from feature_platform.canaries.doris import Doris
from feature_platform.canaries.files import Files, Place, Unsearched, below
from feature_platform.canaries.listing import Canary
from feature_platform.canaries.needles import Hit, Needles
from feature_platform.canaries.servers import Found, Postgres, Redis
from feature_platform.compiler.platform_sql import platform_sql
from feature_platform.project.online import online_table
from feature_platform.project.project import Project
from feature_platform.project.state import DAGSTER_POSTGRES_VARIABLE
from feature_platform.project.stores import doris_settings, redis_settings
from feature_platform.registry.graph import TableRef
from feature_platform.specs.models import DorisStore, DuckDBDeltaStore, PostgresStore, RedisStore
from feature_platform.stores.online_encoding import row_decoder
from feature_platform.stores.protocols import FilesTable, Query, TableName

if TYPE_CHECKING:
    from feature_platform.registry.graph import LinkedSource
    from feature_platform.stores.online_protocol import OnlineRow


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A canary outside of its source. Never its value."""

    store: str
    place: str
    canary: str
    """``customers.email``."""
    classification: str
    form: str
    """In which form: ``as written``, ``digits, base64``, …"""


@dataclass(frozen=True)
class ScanReport:
    """What a scan found."""

    canaries: int
    files: int
    servers: int
    findings: tuple[Finding, ...]
    unsearched: tuple[tuple[str, Unsearched], ...]
    """(store, place and reason) of what could not be looked into."""
    missing: tuple[str, ...]
    """Columns of sources that lack one of their canaries: nothing was proved about those."""

    @property
    def ok(self) -> bool:
        """Whether every canary was there to be found, everything was looked into, and none was found."""
        return not (self.findings or self.unsearched or self.missing)


def scan(project: Project, canaries: Sequence[Canary], listed: Path, *, also: Sequence[Path] = ()) -> ScanReport:
    """Looks everywhere. ``listed`` is the file with the list; ``also`` are more folders or files, e.g. logs.

    Memory does not grow with the stores. Nothing is written.

    Raises:
        StoreError: a server can't be reached.
    """
    return _Scan(project, Needles.of(canaries), listed, tuple(also)).run()


def missing(project: Project, canaries: Sequence[Canary]) -> Iterator[str]:
    """Columns whose source lacks a canary; asked of the engine that holds the source, and recorded as a look at it."""
    by_column: dict[tuple[str, str], list[str]] = {}
    for canary in canaries:
        by_column.setdefault((canary.source, canary.column), []).append(canary.value)
    for (source, column), values in by_column.items():
        ref, spec = TableRef("source", source), project.registry.sources[source].spec
        store = spec.store
        project.audit.scan(source, {column: spec.columns[column]})
        warehouse = project.warehouse(store)
        text = exp.cast(exp.column(column, quoted=True), "text")
        parameters = {f"v{number}": value for number, value in enumerate(values)}
        wanted = [exp.Parameter(this=exp.to_identifier(name)) for name in parameters]
        table = exp.table_(source, db=ref.schema, quoted=True)
        select = exp.select(text.copy()).distinct().from_(table).where(exp.In(this=text, expressions=wanted))
        bindings = project.bindings([ref], store)
        query = Query(platform_sql(select, warehouse.engine), warehouse.engine, parameters, bindings)
        if warehouse.read(query).read_all().num_rows < len(set(values)):
            yield f"{source}.{column}"


_STATE: Final = "state folder"


@dataclass(frozen=True)
class _Scan:
    project: Project
    needles: Needles
    listed: Path
    also: tuple[Path, ...]

    def run(self) -> ScanReport:
        absent = tuple(missing(self.project, self.needles.canaries))
        findings: set[Finding] = set()
        unsearched: list[tuple[str, Unsearched]] = []
        servers = list(self._servers())
        files = 0
        for file in below(self._folders, without=[*self._raw_files(), *self._raw_folders(), self.listed]):
            files += 1
            store, shown = self._shown(file)
            self._note(store, Files(self.needles).search(file, shown), findings, unsearched)
        for store, found in servers:
            self._note(store, found, findings, unsearched)
        ordered = tuple(sorted(findings))
        return ScanReport(len(self.needles.canaries), files, len(servers), ordered, tuple(unsearched), absent)

    def _note(
        self, store: str, found: Iterable[Found], findings: set[Finding], unsearched: list[tuple[str, Unsearched]]
    ) -> None:
        for each in found:
            if isinstance(each, Unsearched):
                unsearched.append((store, each))
            else:
                findings.add(_finding(store, *each))

    @cached_property
    def _stores(self) -> dict[str, Path]:
        """Folders with the store or program that keeps them, the innermost last."""
        state = self.project.state
        kept = {_STATE: state, "data folder": self.project.data, "dagster": state / "dagster"}
        for name, spec in self.project.profile.stores.items():
            if isinstance(spec, DuckDBDeltaStore):
                kept[name] = state / spec.path
            elif spec.url_env is None:
                kept[name] = state / ("postgres" if isinstance(spec, PostgresStore) else "redis")
        if home := os.environ.get("DAGSTER_HOME"):
            kept["dagster"] = Path(home)
        return kept

    @property
    def _folders(self) -> list[Path]:
        return [folder for folder in (*self._stores.values(), *self.also) if folder.exists()]

    def _shown(self, file: Path) -> tuple[str, str]:
        """The store that a file belongs to, and its name in there."""
        holders = [(name, folder) for name, folder in self._stores.items() if file.is_relative_to(folder)]
        if not holders:
            return "other files", str(file)
        name, folder = max(holders, key=lambda holder: len(holder[1].parts))
        return name, str(file.relative_to(folder))

    def _raw_files(self) -> Iterator[Path]:
        """The files of the declared sources."""
        for name, source in self.project.registry.sources.items():
            store, spec = source.spec.store, self.project.profile.stores.get(source.spec.store)
            if source.spec.path is None or not isinstance(spec, DuckDBDeltaStore):
                continue
            binding = self.project.bindings([TableRef("source", name)], store)[TableName("sources", name)]
            assert isinstance(binding, FilesTable), "a source with a path is files"
            yield from map(Path, glob(binding.path))

    def _raw_folders(self) -> Iterator[Path]:
        """Folders of embedded servers that hold raw sources themselves; their tables are searched one by one."""
        for name, spec in self.project.profile.stores.items():
            if isinstance(spec, PostgresStore) and spec.url_env is None and any(self._raw_tables(name)):
                yield self._stores[name]

    def _servers(self) -> Iterator[tuple[str, Iterable[Found]]]:
        for name, spec in self.project.profile.stores.items():
            url = self.project.server_url(name)
            if isinstance(spec, PostgresStore) and url is not None:
                yield name, Postgres(self.needles, url, frozenset(self._raw_tables(name))).search()
            elif isinstance(spec, RedisStore) and url is not None:
                views, settings = dict(self._online_views()), redis_settings(spec)
                yield name, Redis(self.needles, url, spec.key_prefix, views, settings).search()
            elif isinstance(spec, DorisStore):
                yield name, Doris(self.needles, doris_settings(spec), frozenset(self._raw_tables(name))).search()
        if url := os.environ.get(DAGSTER_POSTGRES_VARIABLE):
            yield "dagster", Postgres(self.needles, url).search()

    def _raw_tables(self, store: str) -> Iterator[tuple[str, str]]:
        sources: Iterable[LinkedSource] = self.project.registry.sources.values()
        for source in sources:
            if source.spec.store == store and source.spec.table is not None:
                schema, _, table = source.spec.table.rpartition(".")
                yield schema or "public", table

    def _online_views(self) -> Iterator[tuple[str, Callable[[bytes], OnlineRow] | None]]:
        for name, view in self.project.compiled.views.items():
            if view.materialize is not None:
                table = online_table(view)
                dated = any("date" in str(column.type) for column in table.schema.columns)
                yield name, row_decoder(table).decode if dated else None


def _finding(store: str, place: Place, hit: Hit) -> Finding:
    return Finding(store, str(place), hit.canary.name, hit.canary.classification, hit.form)
