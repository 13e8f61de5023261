"""A project over servers that may die behind networks that may break: what runs of faults are made in."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import psycopg
import redis

from feature_platform.orchestration.keys import assets_of
from feature_platform.orchestration.materialization import table_of
from feature_platform.orchestration.online_changes import mirror_of
from feature_platform.project.online import online_table
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.stores.leases import try_exclusive
from feature_platform.stores.protocols import Query, TableName
from tests.databases import own_database
from tests.faults.model import ACCOUNTS, Answers, Data, following, write
from tests.faults.model import first as first_data
from tests.faults.proxy import Proxy
from tests.faults.requests import of_postgres, of_redis
from tests.faults.servers import KillablePostgres, KillableRedis, KillableServer, in_memory
from tests.faults.writer import Run, Writers

Layout = Literal["warehouse", "tables"]
"""Where the accounts' history lies: in Delta tables, or in PostgreSQL. That of movements lies in the other."""

PLATFORM: Final = """
    kind: platform
    name: bank
    purposes: {fraud_detection: Stopping fraud.}
    profiles:
      embedded:
        stores:
          warehouse: {type: duckdb_delta, path: files, memory_limit: 256MB, threads: 1}
          tables: {type: postgres, url_env: FP_FAULTS_TABLES, schema_prefix: tables}
          served: {type: postgres, url_env: FP_FAULTS_SERVED, schema_prefix: served}
          redis: {type: redis, url_env: FP_FAULTS_REDIS, key_prefix: bank}
"""

TABLES: Final = """
    kind: domain
    name: bank
    owner: team:bank
    ---
    kind: entity
    name: account
    keys: [{name: account_id, type: bigint, pii: none}]
    ---
    kind: source
    name: states
    description: One row per account.
    path: states/*.csv
    format: csv
    event_time: event_time
    columns:
      account_id: {type: bigint, pii: none}
      event_time: {type: timestamp, pii: none}
      amount: {type: "decimal(18,2)", pii: none}
      step: {type: bigint, pii: none}
      note: {type: string, pii: none, pii_reason: The number of a step.}
    ---
    kind: source
    name: movements
    description: One row per movement.
    path: movements/*.csv
    format: csv
    event_time: event_time
    columns:
      account_id: {type: bigint, pii: none}
      event_time: {type: timestamp, pii: none}
      amount: {type: "decimal(18,2)", pii: none}
"""

VIEWS: Final = """
    kind: feature_view
    name: state
    description: The account now.
    entity: account
    sql: SELECT account_id, event_time, amount, step, note FROM states
    event_time: event_time
    materialization: {offline: STATE, online: [redis, served]}
    ---
    kind: feature_view
    name: moved
    description: What was moved.
    entity: account
    source: movements
    aggregations:
      - {function: sum, column: amount, windows: [2h]}
      - {function: count, windows: [2h]}
    materialization:
      offline: MOVED
      online: [served, redis]
      schedule: "@hourly"
      partition: hour
      start: 2026-03-02
      lookback: 2h
"""

CHANGING_HOURS: Final = 8
"""So many of the newest partitions may have other rows than a step before."""
KEYS: Final = {"FP_TOKEN_KEY": bytes(range(32)).hex(), "FP_AUDIT_KEY": bytes(range(64, 96)).hex()}


@dataclass(frozen=True)
class Servers:
    """One PostgreSQL, one Redis, and a network to each use of them."""

    postgres: KillablePostgres
    redis: KillableRedis
    networks: Mapping[str, Proxy]
    """By store."""
    writers: Writers

    @property
    def behind(self) -> Mapping[str, KillableServer]:
        """The server of each store."""
        return {"tables": self.postgres, "served": self.postgres, "redis": self.redis}

    def through_networks(self, database: str = "postgres") -> dict[str, str]:
        """The environment of a writer. What a client may set for a network that swallows packets is set to seconds."""
        limits = "keepalives_idle=1&keepalives_interval=1&keepalives_count=2&tcp_user_timeout=2000&connect_timeout=3"
        postgres = {
            f"FP_FAULTS_{name.upper()}": f"postgresql://postgres@127.0.0.1:{self.networks[name].port}/{database}"
            f"?sslmode=disable&gssencmode=disable&{limits}"
            for name in ("tables", "served")
        }
        seconds = "socket_timeout=4&socket_connect_timeout=3"
        return {**KEYS, **postgres, "FP_FAULTS_REDIS": f"redis://127.0.0.1:{self.networks['redis'].port}/0?{seconds}"}

    def direct(self, database: str = "postgres") -> dict[str, str]:
        """The environment of readers."""
        postgres = self.postgres.url.replace("/postgres?", f"/{database}?")
        return {**KEYS, "FP_FAULTS_TABLES": postgres, "FP_FAULTS_SERVED": postgres, "FP_FAULTS_REDIS": self.redis.url}


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        postgres, cache = KillablePostgres(), KillableRedis()
        stack.callback(postgres.close)
        stack.callback(cache.close)
        networks = {
            "tables": Proxy(postgres.connect, of_postgres),
            "served": Proxy(postgres.connect, of_postgres),
            "redis": Proxy(cache.connect, of_redis),
        }
        for network in networks.values():
            stack.callback(network.close)
        writers = Writers()
        stack.callback(writers.close)
        yield Servers(postgres, cache, networks, writers)


class World:
    """A project, its servers, its data so far and what may be read of it."""

    def __init__(self, used: Servers, layout: Layout, seed: int) -> None:
        self.servers = used
        self.layout = layout
        self.chosen = random.Random(seed)
        self.folder = Path(tempfile.mkdtemp(prefix="fp-world-", dir=in_memory()))
        self.root = self.folder / "feature_defs"
        self.state = self.folder / ".fp"
        self.database = f"w{seed}_{os.getpid()}"
        own_database(used.postgres.url, self.database)
        client = redis.Redis.from_url(used.redis.url)
        client.flushall()
        client.close()
        self._write_project()
        self.answers: dict[str, Answers] = {}
        self.accounts: Sequence[int] = range(ACCOUNTS)
        """All that there ever were."""
        self.traces: dict[tuple[str, ...], dict[str, dict[str, int]]] = {}
        """What a run of some views asks of each store: requests by phase."""
        self.steps: dict[tuple[str, ...], set[tuple[str, str]]] = {}
        """The steps of such a run: asset, step."""
        self._environment = contextlib.ExitStack()
        for name, value in {**used.direct(self.database), STATE_VARIABLE: None}.items():
            self._environment.enter_context(_variable(name, value))
        self._publish(first_data(self.chosen))

    def open(self) -> Project:
        """The project as readers have it: straight to the servers."""
        return Project.open(self.root)

    def start(self, views: Sequence[str], **more: Any) -> Run:
        """Begins a materialization of ``views`` as of the step, in a process of its own, through the networks."""
        environment = self.servers.through_networks(self.database)
        return self.servers.writers.start(self.root, self.data.now, environment, selection=list(views), **more)

    def advance(self, views: Sequence[str]) -> None:
        """The next step's data."""
        self._publish(following(self.data, self.chosen, views))

    def _publish(self, data: Data) -> None:
        """Puts a step's files in place. Its answers are valid from just before on."""
        for table, answer in expected(data).items():
            self.answers.setdefault(table, Answers(table)).add(answer)
        self.accounts = sorted({*self.accounts, *data.states})
        self.data = data
        write(data, self.state / "data")

    def assets(self, project: Project, view: str) -> list[str]:
        """The names of a view's assets, as reports have them."""
        return ["/".join(each.path) for each in assets_of(project.registry.views[view])]

    def close(self) -> None:
        self._environment.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_project(self) -> None:
        other = {"warehouse": "tables", "tables": "warehouse"}[self.layout]
        views = VIEWS.replace("STATE", self.layout).replace("MOVED", other)
        for file, text in {"platform.yaml": PLATFORM, "bank/tables.yaml": TABLES, "bank/views.yaml": views}.items():
            path = self.root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))


def expected(data: Data) -> dict[str, dict[Any, Any]]:
    """Every table's rows as of a step: ``state``, ``state redis``, ``moved <hour>``, ``moved redis`` and so on."""
    found: dict[str, dict[Any, Any]] = {"state": {}}
    for account, (when, amount, step) in data.states.items():
        found["state"][account] = (when, amount, step, f"state {step}")
    spend = {account: (data.newest_hour, *row) for account, row in data.spend(data.newest_hour).items()}
    for store in ("redis", "served"):
        found[f"state {store}"] = found["state"]
        found[f"moved {store}"] = spend
    for end in data.hours[-CHANGING_HOURS:]:
        found[f"moved {end.isoformat()}"] = {account: (end, *row) for account, row in data.spend(end).items()}
    return found


def read_online(project: Project, view: str, store: str, keys: Sequence[int]) -> dict[Any, Any]:
    """The rows that a model would get of these accounts, in one call."""
    rows = project.online_store(store).read(online_table(project.compiled.views[view]), [(key,) for key in keys])
    return {
        key: (row.event_time, *_ordered(view, row.values))
        for key, row in zip(keys, rows, strict=True)
        if row is not None
    }


def read_history(project: Project, view: str) -> list[tuple[Any, ...]]:
    """Every row of a view's history: account, time, features. Not a mapping: a row that is there twice shows."""
    store = next(each.store for each in assets_of(project.registry.views[view]) if each.role == "offline")
    warehouse, table = project.warehouse(store), table_of(view)
    binding = warehouse.binding(table)
    if binding is None:
        return []
    statement = f'SELECT * FROM features."{view}"'
    rows = warehouse.read(Query(statement, warehouse.engine, tables={table: binding})).read_all().to_pylist()
    return [(row["account_id"], row["event_time"], *_ordered(view, row)) for row in rows]


def _ordered(view: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("amount", "step", "note") if view == "state" else ("amount_sum_2h", "count_2h")
    return tuple(values[name] for name in names)


def leftovers(world: World, project: Project) -> list[str]:
    """What lies in a store and is not live, after everything was swept."""
    found: list[str] = []
    for view in ("state", "moved"):
        offline = next(each.store for each in assets_of(project.registry.views[view]) if each.role == "offline")
        warehouse = project.warehouse(offline)
        for table in (table_of(view), mirror_of(view, "redis"), mirror_of(view, "served")):
            warehouse.sweep(table)
            live = len(warehouse.publications(table))
            there = _parts(world, offline, table)
            if there != live:
                found.append(f"{offline}: {there} parts of {table}, {live} are live")
        for store in ("redis", "served"):
            project.online_store(store).sweep(view)
    with psycopg.connect(os.environ["FP_FAULTS_SERVED"], autocommit=True) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'servedonline' AND tablename ~ '^(snapshot|removed)_'"
        ).fetchall()
    live = sum(project.online_store("served").publication(view) is not None for view in ("state", "moved"))
    if len(tables) != live:
        found.append(f"served: {len(tables)} snapshots of {live} views")
    client: Any = redis.Redis.from_url(os.environ["FP_FAULTS_REDIS"])
    found += [f"redis: {key!r} would expire" for key in client.scan_iter(count=1_000) if client.ttl(key) != -1]
    found += [f"redis: {key!r}" for key in client.scan_iter(match="*:staged", count=1_000)]
    client.close()
    found += [str(path) for path in (world.state / "dagster").rglob("*.lease")]
    found += [str(path) for path in (world.state / "files").glob("*/*/_fp/attempts/*")]
    for lock in (world.state / "files" / "_spill").glob("*.lease"):
        if lease := try_exclusive(lock, create=False):
            lease.release()
            found.append(f"{lock} of a dead process")
    return found


def _parts(world: World, store: str, table: TableName) -> int:
    if store == "warehouse":
        from feature_platform.stores.duckdb_delta_layout import table_folder

        return len(list(table_folder(world.state / "files", table).glob("data/*/*.parquet")))
    with psycopg.connect(os.environ["FP_FAULTS_TABLES"], autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'tables_features' AND starts_with(tablename, %s)",
            [f"{table.name}__"],
        ).fetchone()
    assert row is not None
    return int(row[0])


@contextlib.contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    before = os.environ.get(name)
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
