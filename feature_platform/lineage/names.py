"""What tables and jobs are called outside: OpenLineage's namespaces and names.

A table on a server that has an address of its own is called as OpenLineage's naming rules say
(``postgres://host:5432`` ``payments.public.customers``), so that it meets what other tools tell of it. What lives in
the state folder has no address that would mean anything on another machine; it is called by project, profile, store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from feature_platform.registry.graph import TableRef
from feature_platform.specs.models import PostgresStore, RedisStore

if TYPE_CHECKING:
    from feature_platform.project.project import Project

NAMESPACE_VARIABLE: Final = "OPENLINEAGE_NAMESPACE"
"""Environment variable with the namespace of jobs, as other producers of OpenLineage have it."""

Role = Literal["offline", "online"]


class Name(NamedTuple):
    """A dataset or job, as OpenLineage identifies it."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Names:
    """Names in one project and profile. Opens no store; an address comes from the profile's environment variable."""

    project: Project
    environment: Mapping[str, str]

    @classmethod
    def of(cls, project: Project) -> Names:
        return cls(project, os.environ)

    @property
    def own(self) -> str:
        """The namespace of what has no address of its own."""
        return f"feature-platform://{self.project.registry.platform.name}/{self.project.profile_name}"

    @property
    def jobs(self) -> str:
        """The namespace of jobs."""
        return self.environment.get(NAMESPACE_VARIABLE) or self.own

    def table(self, ref: TableRef) -> Name:
        """A source, a view's history, or a derived view."""
        if ref.kind == "source":
            return self._source(ref.name)
        store = self.project.registry.views[ref.name].spec.storage.offline
        return Name(self.own, f"derived.{ref.name}") if store is None else self.view(ref.name, store, "offline")

    def view(self, view: str, store: str, role: Role) -> Name:
        """A view's rows in a store: all of them, or the newest per entity."""
        spec = self.project.profile.stores[store]
        schema = "features" if role == "offline" else "online"
        if isinstance(spec, PostgresStore) and (server := self._server(spec.direct_url_env or spec.url_env, _postgres)):
            namespace, database = server
            named = f"{spec.schema_prefix}_features" if role == "offline" else f"{spec.schema_prefix}online"
            return Name(namespace, f"{database}.{named}.{view}")
        if isinstance(spec, RedisStore) and (server := self._server(spec.url_env, _redis)):
            namespace, database = server
            return Name(namespace, f"{database}.{spec.key_prefix}.{view}")
        return Name(self.own, f"{store}.{schema}.{view}")

    def service(self, service: str) -> Name:
        """The vector that a service serves."""
        return Name(self.own, f"services.{service}")

    def job(self, view: str, store: str | None = None) -> Name:
        """The job that makes a view; with ``store``, the one that copies its newest rows there."""
        name = f"{self.project.registry.views[view].domain}.{view}"
        return Name(self.jobs, f"{name}.{store}" if store else name)

    def serving(self, service: str) -> Name:
        """What puts a service's vectors together, as a job."""
        return Name(self.jobs, f"services.{service}")

    def _source(self, name: str) -> Name:
        source = self.project.registry.sources[name].spec
        spec = self.project.profile.stores.get(source.store)
        if source.table is not None and isinstance(spec, PostgresStore):
            server = self._server(spec.direct_url_env or spec.url_env, _postgres)
            if server is not None:
                schema, _, table = source.table.rpartition(".")
                return Name(server[0], f"{server[1]}.{schema or 'public'}.{table}")
        return Name(self.own, f"{source.store}.sources.{name}")

    def _server(self, variable: str | None, parse: Callable[[str], tuple[str, str] | None]) -> tuple[str, str] | None:
        """(namespace, database) of a server with an address of its own."""
        url = self.environment.get(variable, "") if variable is not None else ""
        return parse(url) if url else None


def _postgres(url: str) -> tuple[str, str] | None:
    """Host, port and database alone: a URL holds a password, too. None where it names no host that others know."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return None
    host = str(parts.get("host") or "").split(",")[0]
    if not host or host.startswith("/"):
        return None
    port = str(parts.get("port") or 5432).split(",")[0]
    return f"postgres://{host}:{port}", str(parts.get("dbname") or parts.get("user") or "postgres")


def _redis(url: str) -> tuple[str, str] | None:
    """By the first of several hosts: nodes of a cluster, or sentinels."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2].partition(",")[0])
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("redis", "rediss") or not host:
        return None
    return f"redis://{host}:{port or 6379}", parts.path.strip("/") or "0"
