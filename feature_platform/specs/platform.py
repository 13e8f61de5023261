"""The kind ``platform``: purposes, and profiles with their stores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from feature_platform.errors import did_you_mean
from feature_platform.specs.fields import (
    MEMORY_PATTERN,
    NAME_PATTERN,
    PLUGIN_PATTERN,
    VARIABLE_PATTERN,
    Document,
    Name,
    Spec,
    contradiction,
)


class DuckDBDeltaStore(Spec):
    """DuckDB as engine over Delta Lake tables in a folder."""

    type: Literal["duckdb_delta"]
    path: str = Field(default="warehouse", description="Folder of the tables; relative to the state folder.")
    memory_limit: str = Field(
        default="1GB", pattern=MEMORY_PATTERN, description="What DuckDB may use before it spills to disk."
    )
    threads: int | None = Field(default=None, ge=1, description="Default: one per core.")
    spine_rows: int = Field(
        default=4_000_000,
        ge=1,
        description="Rows of a training set's spine that are joined at a time: longer spines are taken in parts.",
    )


class PostgresStore(Spec):
    """A PostgreSQL server: the embedded one, or the one that an environment variable names."""

    type: Literal["postgres"]
    url_env: str | None = Field(
        default=None,
        pattern=VARIABLE_PATTERN,
        description="Environment variable with the URL, which may be that of a pooler in transaction mode. None: "
        "embedded server.",
    )
    direct_url_env: str | None = Field(
        default=None,
        pattern=VARIABLE_PATTERN,
        description="Environment variable with the URL of the server itself, where `url_env` is a pooler's: for what "
        "writes.",
    )
    schema_prefix: str = Field(
        default="fp", pattern=NAME_PATTERN, description="Begins the names of all schemas that the platform makes."
    )
    read_timeout_seconds: int = Field(default=3_600, ge=1, description="Of a statement that reads from the warehouse.")
    online_timeout_seconds: int = Field(default=10, ge=1, description="Of a read of rows online.")
    write_timeout_seconds: int = Field(default=3_600, ge=1, description="Of a statement that stages or publishes.")
    lock_timeout_seconds: int = Field(
        default=60, ge=1, description="Of waiting for a lock that another session holds; a publication fails then."
    )
    idle_timeout_seconds: int = Field(
        default=600, ge=1, description="Of a transaction in which the platform asks for nothing: the server ends it."
    )

    @model_validator(mode="after")
    def _direct_beside_another(self) -> PostgresStore:
        if self.direct_url_env and not self.url_env:
            raise contradiction(
                "`direct_url_env` without `url_env`",
                "name the variable with the server's URL in `url_env`; `direct_url_env` is for one behind a pooler",
                "direct_url_env",
            )
        return self


class RedisStore(Spec):
    """Redis or Valkey: the embedded server, or what an environment variable names: one server, a cluster, or the
    sentinels of a master and its replicas."""

    type: Literal["redis"]
    url_env: str | None = Field(
        default=None,
        pattern=VARIABLE_PATTERN,
        description="Environment variable with the URL: `redis://USER:PASSWORD@HOST:PORT`, with TLS `rediss://…`; of a "
        "cluster some of its nodes, of sentinels all of them, as `HOST:PORT,HOST:PORT`. None: embedded server.",
    )
    key_prefix: str = Field(default="fp", pattern=NAME_PATTERN, description="Begins all keys that the platform writes.")
    mode: Literal["server", "cluster", "sentinel"] = Field(
        default="server", description="What answers at the address: one server, a cluster's nodes, or sentinels."
    )
    groups: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Into how many groups an entity's rows fall, each whole on one node: a power of two. Cannot be "
        "changed under a `key_prefix`. Default: 1, in a cluster 256.",
    )
    sentinel_service: str | None = Field(default=None, description="What the sentinels call the master.")
    sentinel_login_env: str | None = Field(
        default=None,
        pattern=VARIABLE_PATTERN,
        description="Environment variable with the sentinels' own `USER:PASSWORD` (the user may be empty).",
    )
    ca_file: str | None = Field(default=None, description="Authorities that certificates are checked against.")
    certificate_file: str | None = Field(default=None, description="Certificate that this client shows.")
    key_file: str | None = Field(default=None, description="Private key of `certificate_file`.")
    acknowledging_replicas: int = Field(
        default=0,
        ge=0,
        description="Replicas of each master that must have the new rows before readers are directed to them.",
    )
    memory_check: bool = Field(
        default=True,
        description="Whether a snapshot is refused, before it is sent, that does not fit into a server's memory, or "
        "that its `maxmemory-policy` may evict.",
    )

    @model_validator(mode="after")
    def _hangs_together(self) -> RedisStore:
        if self.mode != "server" and self.url_env is None:
            raise contradiction(
                f"the embedded server is no {self.mode}", "Name a variable in `url_env`, or leave `mode` out.", "mode"
            )
        if (self.mode == "sentinel") != (self.sentinel_service is not None):
            raise contradiction(
                "`mode: sentinel` and `sentinel_service` go together",
                "Say what the sentinels call the master."
                if self.sentinel_service is None
                else "Set `mode: sentinel`, or leave `sentinel_service` out.",
                "sentinel_service" if self.sentinel_service is not None else "mode",
            )
        if self.groups is not None and self.groups & (self.groups - 1):
            raise contradiction(f"{self.groups} groups are no power of two", "Use e.g. 64 or 256.", "groups")
        return self


class DorisStore(Spec):
    """An Apache Doris cluster, 4.0 or later."""

    type: Literal["doris"]
    url_env: str = Field(
        pattern=VARIABLE_PATTERN,
        description="Environment variable with the address: `doris://USER:PASSWORD@FE1:9030,FE2:9030`.",
    )
    ledger: Name | None = Field(
        default=None,
        description="Store of type `postgres` that keeps what was loaded. Default: the first of that type.",
    )
    database_prefix: str = Field(
        default="fp", pattern=NAME_PATTERN, description="Begins the names of all databases that the platform makes."
    )
    backends: tuple[str, ...] = Field(
        default=(),
        description="Hosts besides the frontends' that loads may go to: names, patterns such as `*.doris.internal`, "
        "networks such as `10.1.0.0/16`.",
    )
    backend_addresses: dict[str, str] = Field(
        default_factory=dict,
        description="What the cluster calls a backend → where it is reached from here (`host:port`).",
    )
    http_port: int = Field(default=8030, ge=1, le=65535, description="Of the frontends, for loads.")
    tls: bool = Field(default=False, description="Whether all ports speak TLS; certificates are checked.")
    ca_file: str | None = Field(default=None, description="Authorities that certificates are checked against.")
    flight: bool = Field(default=False, description="Read over Arrow Flight SQL (extra `doris-flight`).")
    flight_port: int = Field(default=8070, ge=1, le=65535, description="Of the frontends, for Arrow Flight SQL.")
    replicas: int = Field(default=3, ge=1, description="Of every partition.")
    buckets: int = Field(default=8, ge=1, description="Of every partition.")
    properties: dict[str, str] = Field(
        default_factory=dict, description="Further properties of the tables that are made."
    )
    query_timeout_seconds: int = Field(default=3_600, ge=1, description="After it the cluster ends a statement.")
    capabilities: dict[Literal["arrow_flight"], bool] = Field(
        default_factory=dict, description="What is known better than the server's version tells."
    )


StoreSpec = Annotated[DuckDBDeltaStore | PostgresStore | RedisStore | DorisStore, Field(discriminator="type")]


class Profile(Spec):
    """One set of stores: a laptop's, production's. Definitions do not change between profiles."""

    stores: dict[Name, StoreSpec] = Field(min_length=1, description="Every store, by the name that documents use.")
    environment: Name | None = Field(
        default=None, description="What policies' `environments` mean by it. Default: the profile's name."
    )
    data: str = Field(default="data", description="Folder that source paths start from; relative to the state folder.")
    token_key_env: str = Field(
        default="FP_TOKEN_KEY",
        pattern=VARIABLE_PATTERN,
        description="Environment variable with the token keys; with `_FILE` after it, of a file with them.",
    )
    token_keys: str | None = Field(
        default=None,
        pattern=PLUGIN_PATTERN,
        description="What gives the token keys in place of a variable, e.g. a KMS: an entry point of the group "
        "`feature_platform.token_keys`, or `module:function`.",
    )
    audit_store: Name | None = Field(
        default=None,
        description="Store of type `postgres` that keeps the audit ledger. Default: the first of that type; files in "
        "the state folder where there is none.",
    )
    audit_key_env: str = Field(
        default="FP_AUDIT_KEY", pattern=VARIABLE_PATTERN, description="Environment variable with the audit key."
    )

    def ledger_of(self, store: DorisStore) -> str:
        """The store of type `postgres` that keeps what was loaded into a Doris cluster."""
        return store.ledger or next(name for name, spec in self.stores.items() if isinstance(spec, PostgresStore))

    @property
    def ledgers(self) -> frozenset[str]:
        """The stores that keep such ledgers."""
        return frozenset(self.ledger_of(spec) for spec in self.stores.values() if isinstance(spec, DorisStore))

    @model_validator(mode="after")
    def _doris_has_a_ledger(self) -> Profile:
        servers = [name for name, spec in self.stores.items() if isinstance(spec, PostgresStore)]
        for name, spec in self.stores.items():
            if isinstance(spec, DorisStore) and (spec.ledger not in servers if spec.ledger else not servers):
                raise contradiction(
                    f"the store '{name}' needs a store of type `postgres` that keeps what was loaded",
                    f"Name one of: {', '.join(servers)}." if servers else "Add a store of type `postgres`.",
                    "stores",
                )
        return self

    @model_validator(mode="after")
    def _audit_store_is_postgres(self) -> Profile:
        wanted = self.audit_store
        if wanted is not None and not isinstance(self.stores.get(wanted), PostgresStore):
            known = ", ".join(name for name, spec in self.stores.items() if isinstance(spec, PostgresStore))
            raise contradiction(
                f"'{wanted}', which should keep the audit ledger, is no store of type `postgres`",
                f"Use one of: {known}." if known else "Add a store of type `postgres`, or leave `audit_store` out.",
                "audit_store",
            )
        return self


class Platform(Document):
    """The project itself. One document, in `platform.yaml`."""

    kind: Literal["platform"]
    purposes: dict[Name, str] = Field(min_length=1, description="Why data is used: name → description.")
    default_profile: Name = Field(default="embedded", description="Used when nobody names another.")
    profiles: dict[Name, Profile] = Field(min_length=1, description="By name, e.g. `embedded`, `production`.")
    strict_pii: bool = Field(
        default=True, description="An unclassified column whose name looks personal does not compile."
    )

    def environment_of(self, profile: str | None = None) -> str:
        """The environment of a profile, by default the default profile."""
        name = self.default_profile if profile is None else profile
        return self.profiles[name].environment or name

    @model_validator(mode="after")
    def _default_exists(self) -> Platform:
        if self.default_profile not in self.profiles:
            raise contradiction(
                f"the default profile '{self.default_profile}' is not one of `profiles`",
                f"Use one of {', '.join(self.profiles)}.{did_you_mean(self.default_profile, self.profiles)}",
                "default_profile" if "default_profile" in self.model_fields_set else None,
            )
        return self
