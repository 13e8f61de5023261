"""The token key after a real day's work: searched for, byte by byte, in everything that was said and kept.

A real run on DuckDB, PostgreSQL and Redis through Dagster, with logs at DEBUG, training sets, online reads, queries
that fail; then the logs, Dagster's history, the state folder, SQL, plans, statistics of the servers and every key in
Redis are searched for the key, for what is made of it, and for the addresses themselves.
"""

from __future__ import annotations

import base64
import logging
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
import redis

from feature_platform.errors import GuardError
from feature_platform.governance.canonical import CANONICAL
from feature_platform.governance.token_hash import class_block
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.sdk.client import FeatureStore
from tests.orchestration.builders import Payment, Workplace, utc

VERSION = 77
KEY = os.urandom(48)
ADDRESS = "ada.lovelace-4929@gmail.com"
NOON = utc(2026, 1, 4, 12)

VIEWS = """
    kind: entity
    name: payer
    keys: [{name: email, type: string, pii: email}]
    ---
    kind: source
    name: addresses
    store: postgres
    table: leaks.addresses
    event_time: seen_at
    columns:
      email: {type: string, pii: email}
      seen_at: {type: timestamp, pii: none}
      country: {type: string, pii: none}
    ---
    kind: feature_view
    name: payer_spend
    entity: payer
    sql: SELECT email, event_time, amount FROM transactions
    event_time: event_time
    materialization: {offline: warehouse, online: redis}
    ---
    kind: feature_view
    name: payer_country
    entity: payer
    sql: SELECT email, seen_at, country FROM addresses
    event_time: seen_at
    materialization: {offline: postgres, online: postgres}
"""


def needles() -> dict[str, bytes]:
    """The key and the block of every class, as bytes, hexadecimal and base64 at every alignment; a part is enough."""
    found: dict[str, bytes] = {}
    for name, secret in {"key": KEY, **{each: class_block(KEY, each, VERSION) for each in CANONICAL}}.items():
        for half, part in (("first", secret[:20]), ("last", secret[-20:])):
            found[f"{name} {half} raw"] = part
            found[f"{name} {half} hex"] = part.hex().encode()
            found[f"{name} {half} HEX"] = part.hex().upper().encode()
            found[f"{name} {half} escaped"] = repr(part)[2:-1].encode()
            for skip in range(3):
                coded = base64.b64encode(part[skip:])[: (20 - skip) // 3 * 4]
                found[f"{name} {half} base64 {skip}"] = coded
                found[f"{name} {half} base64url {skip}"] = coded.translate(bytes.maketrans(b"+/", b"-_"))
    return found


NEEDLES = needles()


def leaks(haystack: bytes) -> list[str]:
    return [name for name, needle in NEEDLES.items() if needle in haystack]


def test_the_search_finds_what_it_searches_for() -> None:
    """A check that cannot fail would prove nothing."""
    block = class_block(KEY, "email", VERSION)
    for shown in (
        KEY.hex(),
        repr(block),
        base64.b64encode(b"x" + KEY).decode(),
    ):
        assert leaks(shown.encode())
    assert leaks(b"..." + block + b"...")


@pytest.fixture
def project(cards: Workplace, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("FP_TOKEN_KEY", f"v{VERSION}:{KEY.hex()}")
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE SCHEMA IF NOT EXISTS leaks")
        server.execute("CREATE TABLE leaks.addresses (email text, seen_at timestamp, country text)")
        with server.cursor().copy("COPY leaks.addresses FROM STDIN") as rows:
            rows.write_row((ADDRESS, "2026-01-02", "CZ"))
        server.execute("ALTER DATABASE orchestration SET log_statement = 'all'")
        server.execute("ALTER DATABASE orchestration SET log_error_verbosity = 'verbose'")  # parameters, too
        server.execute("ALTER DATABASE orchestration SET log_min_duration_statement = 0")
    cards.write(VIEWS)
    cards.pay([Payment(1, utc(2026, 1, 1, 9), email=ADDRESS), Payment(2, utc(2026, 1, 2, 9), email="other@gmail.com")])
    with cards.open() as opened:
        yield opened
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("ALTER DATABASE orchestration RESET ALL")
        server.execute("DROP SCHEMA leaks CASCADE")


def test_no_key_and_no_address_gets_out_of_a_days_work(
    project: Project, cards: Workplace, postgres_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    report = materialize(project, as_of=NOON)
    assert report.ok, report
    told, tracebacks = a_days_reads(project)
    said = [str(report), *told]
    said += [str(record.__dict__) for record in caplog.records] + [caplog.text]
    said += plans_in_duckdb(project) + what_postgres_tells(project, postgres_url)
    files = [path for path in sorted(cards.state.rglob("*")) if path.is_file() and path.suffix != ".csv"]
    kept = b"".join(path.read_bytes() for path in files)
    kept += what_redis_holds(redis_url)
    everything = "\n".join(said).encode() + kept
    assert b"tok_email_v77_" in everything
    assert leaks(everything + "".join(tracebacks).encode()) == []
    assert ADDRESS.encode() not in everything


def a_days_reads(project: Project) -> tuple[list[str], list[str]]:
    """What readers are told, errors included; and tracebacks with local variables, which have what the reader gave."""
    store = FeatureStore(project, purpose="fraud_detection")
    spine = pa.table({"email": [ADDRESS, None], "event_time": [NOON, NOON]})
    features = ["payer_spend:amount", "payer_country:country"]
    rows = store.training_set(spine, features).to_arrow().to_pylist()
    assert [row["payer_country__country"] for row in rows] == ["CZ", None]
    vectors = store.online(features, [{"email": ADDRESS}])
    assert vectors[0].values["payer_country__country"] == "CZ"
    told = [str(rows), str(vectors[0]), repr(project.tokens), repr(vars(project))]
    mistakes: list[Any] = [
        lambda: store.online(features, [{"email": 4111.5}]),
        lambda: store.sql("SELECT CAST(note AS INT) AS n FROM transactions").to_arrow(),
        lambda: store.training_set(pa.table({"email": [1.5], "event_time": [NOON]}), features).to_arrow(),
        lambda: project.tokens.token("email", ["x"]),
        lambda: project.tokens.token("email", "x", 3),
        lambda: project.tokens.duckdb(None),
        lambda: project.tokens.postgres(None),
    ]
    shown: list[str] = []
    for mistake in mistakes:
        try:
            mistake()
        except Exception as error:  # noqa: BLE001 - all of them are looked at
            told.append(f"{error} {error!r} {''.join(traceback.format_exception(error))}")
            shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
        else:
            raise AssertionError("the mistake went through")
    return told, shown


def plans_in_duckdb(project: Project) -> list[str]:
    """SQL and plans of a view, and what DuckDB tells of itself, in a session as a warehouse makes it."""
    compiled = project.compiled.views["payer_spend"].materialize
    assert compiled is not None
    text = compiled.sql["duckdb"]
    connection = duckdb.connect()
    connection.execute("CALL enable_logging(level = 'debug')")
    project.tokens.duckdb(connection)
    connection.execute("CREATE SCHEMA sources")
    columns = "card_id BIGINT, event_time TIMESTAMP, amount DECIMAL(18,2), email VARCHAR, note VARCHAR"
    connection.execute(f"CREATE TABLE sources.transactions ({columns})")
    connection.execute("INSERT INTO sources.transactions VALUES (1, '2026-01-01', 1, 'x@example.com', 'n')")
    asked = [
        f"EXPLAIN {text}",
        f"EXPLAIN ANALYZE {text}",
        f"EXPLAIN (FORMAT json) {text}",
        "FROM duckdb_variables()",
        "FROM duckdb_settings()",
        "FROM duckdb_prepared_statements()",
        "FROM duckdb_logs()",
        "SELECT sql FROM duckdb_tables()",
        "SELECT macro_definition FROM duckdb_functions()",
        "FROM duckdb_constraints()",
        "FROM pragma_storage_info('fp_token_keys')",
    ]
    told = [text]
    for statement in asked[:-1]:
        told.append(str(connection.execute(statement).fetchall()))
    assert "fp_token_keys" in told[1]
    return told


def what_postgres_tells(project: Project, postgres_url: str) -> list[str]:
    """SQL and plans of a view, the server's views of what runs, and its log."""
    compiled = project.compiled.views["payer_country"].materialize
    assert compiled is not None
    with psycopg.connect(postgres_url, autocommit=True) as server:
        project.tokens.postgres(server)
        told = [compiled.sql["postgres"]]
        for statement in (
            "EXPLAIN (ANALYZE, VERBOSE) SELECT fp_tokens.token('email', email) FROM leaks.addresses",
            "SELECT * FROM pg_stat_activity",
            "SELECT * FROM pg_settings",
            "SELECT * FROM pg_prepared_statements",
            "SELECT * FROM pg_stats WHERE tablename IN ('keys', 'fingerprints')",
            "SELECT prosrc FROM pg_proc WHERE proname = 'token'",
            "SELECT * FROM fp_tokens.fingerprints",
        ):
            told.append(str(server.execute(statement).fetchall()))
        if server.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'").fetchone():
            told.append(str(server.execute("SELECT query FROM pg_stat_statements").fetchall()))
        data = Path(f"/proc/{server.info.backend_pid}/cwd").resolve()  # a server process stands in its data folder
    text = (data.parent / "server.log").read_text(encoding="utf-8", errors="replace")
    assert "COPY fp_tokens.keys FROM STDIN" in text  # the log is the right one, and shows statements
    return [*told, text]


def what_redis_holds(redis_url: str) -> bytes:
    """Every key and value."""
    with redis.Redis.from_url(redis_url) as client:
        return b"".join(key + (client.dump(key) or b"") for key in client.scan_iter(count=1_000))


ATTEMPTS = (
    "SELECT * FROM fp_token_keys",
    "SELECT * FROM temp.main.fp_token_keys",
    "SELECT secret FROM temp.fp_token_keys",
    "SELECT * FROM fp_tokens.keys",
    "SELECT * FROM query_table('fp_token_keys')",
    "SELECT * FROM query('FROM temp.main.fp_token_keys')",
    "WITH k AS (FROM temp.main.fp_token_keys) SELECT count(*) AS n FROM k",
    "SELECT (SELECT max(secret) FROM temp.main.fp_token_keys) AS s FROM transactions",
    "SELECT fp_token('email', note) AS t FROM transactions",
    "SELECT fp_tokens.token('email', note) AS t FROM transactions",
    "SELECT current_setting('fp.token_email') AS t FROM transactions",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM pragma_storage_info('fp_token_keys')",
    "SUMMARIZE temp.main.fp_token_keys",
)


def test_an_author_reaches_neither_the_keys_nor_the_function(project: Project) -> None:
    store = FeatureStore(project, purpose="fraud_detection")
    for text in ATTEMPTS:
        with pytest.raises(GuardError):
            store.sql(text)
