"""A project in use: its definitions, compiled, and the stores of one profile.

Opening a project reads and compiles its documents and touches nothing else; a store is opened when something asks for
it, and an embedded server is started then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from feature_platform.compiler.catalog import Catalog, catalog_of
from feature_platform.compiler.plan import CompiledProject, CompiledQuery
from feature_platform.errors import StoreError, did_you_mean
from feature_platform.governance.access import Access, author_of
from feature_platform.governance.detection.profiles import load_profiles
from feature_platform.governance.labels import describe
from feature_platform.governance.tokens import TokenKeys
from feature_platform.project.audit import ProjectAudit
from feature_platform.project.binding import Binder
from feature_platform.project.codes import NOT_PUBLISHED, UNKNOWN_STORE
from feature_platform.project.placement import placed
from feature_platform.project.spans import span_of, within
from feature_platform.project.state import profile_named, source_profiles_file, state_folder
from feature_platform.project.stores import (
    StoreContext,
    is_embedded,
    open_online_store,
    open_warehouse,
    server_url,
    table_stream,
)
from feature_platform.registry.graph import Registry, TableRef
from feature_platform.specs.models import DorisStore, Profile, StoreSpec
from feature_platform.stores.online_protocol import OnlineStore
from feature_platform.stores.protocols import Binding, FilesTable, NativeTable, Query, StreamTable, TableName, Warehouse
from feature_platform.types import Column, Engine, TableSchema

if TYPE_CHECKING:
    from feature_platform.governance.policies import PolicyBook
    from feature_platform.stores.doris.layout import Shape


class Project:
    """Definitions, compiled, and the stores of one profile. Use it as a context manager, or call :meth:`close`.

    Safe for use by several threads; another process opens its own.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its parts, from one place: `open`
        self,
        root: Path,
        state: Path,
        registry: Registry,
        compiled: CompiledProject,
        profile_name: str,
        audit: ProjectAudit,
    ) -> None:
        self.root = root
        self.state = state
        self.registry = registry
        self.compiled = compiled
        self.profile_name = profile_name
        self.profile: Profile = registry.platform.profiles[profile_name]
        self.audit = audit
        self.binder = Binder(registry, state / "cache" / "bound")
        self.rotates_partitions = False
        """Whether partitions are written with the newest token key although others of their view have an older one."""
        self._policies = compiled.author.policies
        self._warehouses: dict[str, Warehouse] = {}
        self._online_stores: dict[str, OnlineStore] = {}
        self._in_doris: dict[str, CompiledQuery] = {}
        self._opened = ExitStack()
        self._lock = RLock()

    @classmethod
    def open(cls, root: Path | str, *, profile: str | None = None, domains: Sequence[str] | None = None) -> Project:
        """Loads, links and compiles the project in ``root``; starts nothing.

        ``profile`` is by default the platform document's. With ``domains``, only these domains' views and services are
        there, and what they read.

        Raises:
            FeaturePlatformError: every problem of every document, together.
        """
        from feature_platform.compiler.project import compile_project
        from feature_platform.registry.load import load_registry

        folder = Path(root).absolute()
        state = state_folder(folder)
        registry = load_registry(folder, domains=domains, cache=state / "cache")
        name = profile_named(registry, profile)
        environment = registry.platform.environment_of(name)
        profiles = load_profiles(source_profiles_file(state, name))
        audit = ProjectAudit(registry, name, state)
        with audit.compiling(), closing(Binder(registry)) as binder:
            compiled = compile_project(
                registry,
                environment=environment,
                cache=state / "cache",
                profiles=profiles,
                release=binder.check_view,
            )
        _check_doris(registry, compiled, registry.platform.profiles[name])
        audit.compiled(compiled)
        return cls(folder, state, registry, compiled, name, audit)

    @classmethod
    def linked(cls, root: Path | str, *, profile: str | None = None) -> Project:
        """Loads and links the project in ``root`` and compiles nothing: for looking at sources before views that read
        them are allowed to compile.

        Raises:
            FeaturePlatformError: every problem of every document, together.
        """
        from feature_platform.registry.load import load_registry

        folder = Path(root).absolute()
        state = state_folder(folder)
        registry = load_registry(folder, cache=state / "cache")
        name = profile_named(registry, profile)
        author = author_of(registry, registry.platform.environment_of(name))
        audit = ProjectAudit(registry, name, state)
        return cls(folder, state, registry, CompiledProject({}, {}, author), name, audit)

    @property
    def data(self) -> Path:
        """The folder that the paths of sources start from."""
        return self.state / self.profile.data

    @property
    def policies(self) -> PolicyBook:
        """The rules of the privacy officer, as they hold today (UTC)."""
        self._policies = self._policies.on(datetime.now(UTC).date())
        return self._policies

    @property
    def environment(self) -> str:
        """Where this profile runs, as far as policies are concerned."""
        return self.compiled.author.environment

    def access(self, purpose: str, role: str) -> Access:
        """Somebody who asks for data of this project now."""
        return Access((purpose,), role, self.environment, self.policies)

    @cached_property
    def catalog(self) -> Catalog:
        """Everything that a query may name."""
        return catalog_of(self.registry, self.compiled.views, self.compiled.profiles)

    @cached_property
    def tokens(self) -> TokenKeys:
        """The token key. A profile without servers of its own makes one on first use; others fail without it.

        Raises:
            GovernanceError: the key is missing or unusable.
        """
        own_key = self.state if is_embedded(self.profile) else None
        keys = TokenKeys.from_environment(self.profile.token_key_env, own_key, plugin=self.profile.token_keys)
        self.audit.token_keys(keys)
        return keys

    def warehouse(self, name: str = "warehouse") -> Warehouse:
        """The warehouse called ``name`` in the profile, opened on first use.

        Raises:
            StoreError: no such store, it is not a warehouse, or it can't be reached.
        """
        with self._lock:
            if name not in self._warehouses:
                opened = open_warehouse(name, self._store_spec(name), self._context)
                self._opened.callback(opened.close)
                self._warehouses[name] = opened
                self.audit.store_opened(name)
            return self._warehouses[name]

    def online_store(self, name: str) -> OnlineStore:
        """The online store called ``name`` in the profile, opened on first use.

        Raises:
            StoreError: no such store, it keeps no rows online, or it can't be reached.
        """
        with self._lock:
            if name not in self._online_stores:
                opened = open_online_store(name, self._store_spec(name), self._context)
                self._opened.callback(opened.close)
                self._online_stores[name] = opened
                self.audit.store_opened(name)
            return self._online_stores[name]

    def server_url(self, name: str) -> str | None:
        """The address of the server behind a store, credentials included: never show it. None for files.

        Raises:
            StoreError: no such store, or its server has no address or does not start.
        """
        return server_url(self._store_spec(name), self._context)

    def bindings(self, reads: Iterable[TableRef], store: str) -> Mapping[TableName, Binding]:
        """What stands behind each table when ``store`` runs a query over ``reads``.

        A table that another warehouse holds becomes a stream from there.

        Raises:
            StoreError: a view was never published; all of them are named.
        """
        found = {TableName(ref.schema, ref.name): self._binding(ref, store) for ref in reads}
        missing = [table.name for table, binding in found.items() if binding is None]
        if missing:
            raise StoreError(
                NOT_PUBLISHED.problem(
                    f"view '{name}' has no published rows in profile '{self.profile_name}'",
                    mend=f"materialize it: fp materialize {name}",
                )
                for name in missing
            )
        return {table: binding for table, binding in found.items() if binding is not None}

    def query(
        self,
        compiled: CompiledQuery,
        store: str,
        *,
        key_versions: Mapping[str, int] | None = None,
        **parameters: Any,
    ) -> Query:
        """A compiled query for ``store``, with its tables bound and those of ``parameters`` that it asks for."""
        engine = self.warehouse(store).engine
        return Query(
            compiled.sql[engine],
            engine,
            {name: parameters[name] for name in compiled.parameters},
            within(self.bindings(compiled.reads, store), span_of(compiled, parameters)),
            key_versions or {},
            compiled.schema.maps,
        )

    def rendered(self, view: str, engine: Engine) -> CompiledQuery:
        """What materializes a view, or computes it where it is derived, with the text for ``engine``; Doris' is made
        on first use.

        Raises:
            CompileError: FP-SQL-051, what the engine has no form of.
        """
        compiled = self.compiled.views[view]
        query = compiled.materialize or compiled.derive
        assert query is not None
        if engine in query.sql:
            return query
        with self._lock:
            if view not in self._in_doris:
                from feature_platform.compiler.doris.views import doris_query

                self._in_doris[view] = doris_query(view, self.registry, self.compiled)
            return self._in_doris[view]

    def compute_store(self, reads: Iterable[TableRef], default: str = "warehouse") -> str:
        """The warehouse that holds what ``reads`` names; of several, the one that holds most, ``default`` when tied."""
        return placed(self, reads, default).store

    def home(self, ref: TableRef) -> str | None:
        """The store that holds a table; None for a view without offline rows."""
        if ref.kind == "source":
            return self.registry.sources[ref.name].spec.store
        return self.registry.views[ref.name].spec.storage.offline

    def close(self) -> None:
        """Closes what was opened, and stops embedded servers that nobody else uses."""
        with self._lock:
            self._warehouses.clear()
            self._online_stores.clear()
            self.audit.close()
            self.binder.close()
            self._opened.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def _context(self) -> StoreContext:
        return StoreContext(self.state, self.data, self.tokens, self.profile, self._shape, self._opened)

    def _shape(self, table: TableName) -> Shape:
        """How the rows of a view lie: by its keys, then by time; with what its columns are for people."""
        from feature_platform.stores.doris.layout import Shape

        view = self.compiled.views.get(table.name) if table.schema == "features" else None
        if view is None or view.materialize is None:
            return Shape()
        return Shape(
            keys=tuple(key.name for key in view.keys),
            order="event_time",
            description=self.registry.views[view.name].spec.description or "",
            comments={
                column.name: (column.description, describe(column.labels) if column.labels else "")
                for column in view.materialize.columns
            },
        )

    def _store_spec(self, name: str) -> StoreSpec:
        stores = self.profile.stores
        if name not in stores:
            raise StoreError(
                UNKNOWN_STORE.problem(
                    f"profile '{self.profile_name}' has no store '{name}'.{did_you_mean(name, stores)}",
                    mend=f"add it to the profile in platform.yaml, or use one of {', '.join(stores)}",
                    where=self.registry.origins[("platform", self.registry.platform.name)].where(
                        "profiles", self.profile_name, "stores"
                    ),
                )
            )
        return stores[name]

    def _binding(self, ref: TableRef, store: str) -> Binding | None:
        home = self.home(ref)
        assert home is not None, f"{ref} is read, so it has rows"
        binding = self._home_binding(ref, home)
        if binding is None or home == store:
            return binding
        return StreamTable(
            table_stream(self.warehouse(home), TableName(ref.schema, ref.name), self._schema(ref), binding)
        )

    def _home_binding(self, ref: TableRef, home: str) -> Binding | None:
        if ref.kind == "view":
            return self.warehouse(home).binding(TableName(ref.schema, ref.name))
        source = self.registry.sources[ref.name].spec
        if source.path is not None:
            return FilesTable(str(self.data / source.path), source.format, self._schema(ref))
        assert source.table is not None
        schema, _, name = source.table.rpartition(".")
        return NativeTable(TableName(schema, name))

    def _schema(self, ref: TableRef) -> TableSchema:
        if ref.kind == "view":
            return self.compiled.views[ref.name].schema
        columns = self.registry.sources[ref.name].spec.columns
        return TableSchema(tuple(Column(name, column.type) for name, column in columns.items()))


def _check_doris(registry: Registry, compiled: CompiledProject, profile: Profile) -> None:
    """Views whose rows lie in Doris can be computed there, or what keeps them from it is told now.

    Raises:
        CompileError: FP-SQL-051, for all views together.
    """
    in_doris = {name for name, store in profile.stores.items() if isinstance(store, DorisStore)}
    views = [name for name in compiled.views if registry.views[name].spec.storage.offline in in_doris]
    if views:
        from feature_platform.compiler.doris.views import check_doris

        check_doris(views, registry, compiled)
