"""Opens the stores that a profile describes, and reads tables from one store for another."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from feature_platform.errors import StoreError
from feature_platform.project.codes import ADDRESS_MISSING, ADDRESS_UNUSABLE, WRONG_KIND_OF_STORE
from feature_platform.specs.models import DorisStore, DuckDBDeltaStore, PostgresStore, Profile, RedisStore, StoreSpec
from feature_platform.stores.online_protocol import OnlineStore
from feature_platform.stores.protocols import Binding, Query, StreamSource, TableName, Warehouse
from feature_platform.types import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.governance.tokens import TokenKeys
    from feature_platform.stores.doris.layout import Shape
    from feature_platform.stores.doris.settings import DorisSettings
    from feature_platform.stores.postgres_connection import Bounds
    from feature_platform.stores.redis_settings import RedisSettings


@dataclass(frozen=True)
class StoreContext:
    """What stores need besides their spec."""

    state: Path
    data: Path
    session: TokenKeys
    profile: Profile
    """One store may keep what it did in another."""
    shapes: Callable[[TableName], Shape]
    """What is known of a table's rows besides their columns."""
    servers: ExitStack
    """Embedded servers that were started are released through it, after the stores."""


def is_embedded(profile: Profile) -> bool:
    """Whether everything that the profile names runs on this machine, under the state folder."""
    return all(getattr(spec, "url_env", None) is None for spec in profile.stores.values())


def open_warehouse(name: str, spec: StoreSpec, context: StoreContext) -> Warehouse:
    """The warehouse that ``spec`` describes.

    Raises:
        StoreError: it is not a warehouse, or its server can't be reached.
    """
    match spec:
        case DuckDBDeltaStore():
            from feature_platform.stores.duckdb_delta import DuckDBDeltaWarehouse

            return DuckDBDeltaWarehouse(
                name,
                context.state / spec.path,
                data_root=context.data,
                memory_limit=spec.memory_limit,
                threads=spec.threads,
                part_rows=spec.spine_rows,
                setups=(context.session,),
            )
        case PostgresStore():
            from feature_platform.stores.postgres_warehouse import PostgresWarehouse

            url, direct_url = postgres_urls(spec, context.state, context.servers)
            return PostgresWarehouse(
                name,
                url,
                schema_prefix=spec.schema_prefix,
                direct_url=direct_url,
                setups=(context.session,),
                bounds=_bounds(spec),
            )
        case DorisStore():
            return _doris(name, spec, context)
        case RedisStore():
            raise _wrong_kind(
                name, "keeps rows online, but runs no SQL", "name a store of type duckdb_delta or postgres"
            )


def open_online_store(name: str, spec: StoreSpec, context: StoreContext) -> OnlineStore:
    """The online store that ``spec`` describes.

    Raises:
        StoreError: it keeps no rows online, or its server can't be reached.
    """
    match spec:
        case RedisStore():
            from feature_platform.stores.redis_online import RedisOnlineStore

            url, settings = _redis_url(spec, context), redis_settings(spec)
            try:
                return RedisOnlineStore(name, url, key_prefix=spec.key_prefix, settings=settings)
            except ValueError:  # its text may quote the URL
                raise StoreError(
                    ADDRESS_UNUSABLE.problem(
                        f"environment variable {spec.url_env} does not hold the URL of a Redis",
                        mend="write redis://USER:PASSWORD@HOST:PORT/0 (rediss:// for TLS, unix:// for a socket), "
                        "with %-escapes for characters such as / and @ in the password",
                    )
                ) from None
        case PostgresStore():
            from feature_platform.stores.postgres_online import PostgresOnlineStore

            url, direct_url = postgres_urls(spec, context.state, context.servers)
            return PostgresOnlineStore(
                name, url, schema_prefix=spec.schema_prefix, direct_url=direct_url, bounds=_bounds(spec)
            )
        case DuckDBDeltaStore() | DorisStore():
            raise _wrong_kind(name, "runs SQL, but serves no single rows", "name a store of type redis or postgres")


def server_url(spec: StoreSpec, context: StoreContext) -> str | None:
    """The address of a store's server itself, credentials included; None for a store that is files. Starts an embedded
    one.

    Raises:
        StoreError: the environment variable with the address is not set, or the embedded server does not start.
    """
    match spec:
        case PostgresStore():
            return postgres_urls(spec, context.state, context.servers)[1]
        case RedisStore():
            return _redis_url(spec, context)
        case DorisStore():
            return address(spec.url_env)
        case DuckDBDeltaStore():
            return None


def table_stream(warehouse: Warehouse, table: TableName, schema: TableSchema, binding: Binding) -> StreamSource:
    """Opens all rows of a table of ``warehouse``, for another store to read."""
    from sqlglot import exp

    from feature_platform.compiler.platform_sql import platform_sql

    columns = [exp.column(name, quoted=True) for name in schema.names]
    statement = exp.select(*columns).from_(exp.table_(table.name, db=table.schema, quoted=True))
    query = Query(platform_sql(statement, warehouse.engine), warehouse.engine, tables={table: binding})

    def open_stream() -> pa.RecordBatchReader:
        return warehouse.read(query)

    return open_stream


def postgres_urls(spec: PostgresStore, state: Path, servers: ExitStack) -> tuple[str, str]:
    """The address of a server for what reads, which may be a pooler's, and the server's own for the rest. The embedded
    server is started, and given up with ``servers``.

    The second is the first where its variable is not set: processes that only read need not be told it, and what writes
    is refused there.

    Raises:
        StoreError: the environment variable is not set, or the embedded server does not start.
    """
    if spec.url_env is not None:
        url = address(spec.url_env)
        return url, os.environ.get(spec.direct_url_env or "") or url
    from feature_platform.stores.embedded import EmbeddedPostgres

    url = servers.enter_context(EmbeddedPostgres(state / "postgres")).url
    return url, url


def _bounds(spec: PostgresStore) -> Bounds:
    from feature_platform.stores.postgres_connection import Bounds

    return Bounds(
        read_seconds=spec.read_timeout_seconds,
        online_seconds=spec.online_timeout_seconds,
        write_seconds=spec.write_timeout_seconds,
        lock_seconds=spec.lock_timeout_seconds,
        idle_seconds=spec.idle_timeout_seconds,
    )


def _doris(name: str, spec: DorisStore, context: StoreContext) -> Warehouse:
    from feature_platform.stores.doris.ledger import DorisLedger
    from feature_platform.stores.doris.warehouse import DorisWarehouse

    ledger = context.profile.stores[context.profile.ledger_of(spec)]
    assert isinstance(ledger, PostgresStore), "the platform document was checked"
    settings = doris_settings(spec)
    _, url = postgres_urls(ledger, context.state, context.servers)
    return DorisWarehouse(
        name, settings, DorisLedger(url, ledger.schema_prefix), shapes=context.shapes, keys=context.session
    )


def doris_settings(spec: DorisStore) -> DorisSettings:
    """Where a cluster is, and who we are there.

    Raises:
        StoreError: the environment variable is not set, or holds no such address.
    """
    from feature_platform.stores.doris.settings import DorisSettings, parse_url

    frontends, user, password = parse_url(address(spec.url_env))
    return DorisSettings(frontends, user, password, **spec.model_dump(exclude={"type", "url_env", "ledger"}))


def _redis_url(spec: RedisStore, context: StoreContext) -> str:
    if spec.url_env is not None:
        return address(spec.url_env)
    from feature_platform.stores.embedded import EmbeddedRedis

    return context.servers.enter_context(EmbeddedRedis(context.state / "redis")).url


def redis_settings(spec: RedisStore) -> RedisSettings:
    """How the servers of ``spec`` are reached, beside their address.

    Raises:
        StoreError: the environment variable with the sentinels' login is not set.
    """
    from feature_platform.stores.redis_settings import RedisSettings

    login = None
    if spec.sentinel_login_env is not None:
        given = address(spec.sentinel_login_env)
        user, colon, password = given.partition(":")
        login = (user, password) if colon else ("", given)
    return RedisSettings(
        mode=spec.mode,
        groups=spec.groups,
        sentinel_service=spec.sentinel_service,
        sentinel_login=login,
        ca_file=spec.ca_file,
        certificate_file=spec.certificate_file,
        key_file=spec.key_file,
        acknowledging_replicas=spec.acknowledging_replicas,
        memory_check=spec.memory_check,
    )


def address(name: str) -> str:
    """The URL that environment variable ``name`` holds; never printed.

    Raises:
        StoreError: it is not set.
    """
    url = os.environ.get(name, "")
    if not url:
        raise StoreError(
            ADDRESS_MISSING.problem(
                f"environment variable {name} is not set",
                mend=f"set {name} to the server's URL, or use another profile",
            )
        )
    return url


def _wrong_kind(name: str, what: str, mend: str) -> StoreError:
    return StoreError(WRONG_KIND_OF_STORE.problem(f"store '{name}' {what}", mend=mend))
