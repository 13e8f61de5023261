"""How DuckDB and PostgreSQL get their token function.

DuckDB: a temporary one-row table with the pads and a temporary macro over it. A literal or a session variable would
be folded into plans that EXPLAIN prints; rows of a table are not. Both names are qualified with ``temp.main``, so
that a CTE of the same name in a query can't take their place. Whoever runs an author's query on the same connection
has to keep that table out of it: the guard's list of tables does.

PostgreSQL: a table that only its owner may read, and a SECURITY DEFINER function with a fixed search path over it.
The pads arrive through COPY, since the data of a COPY is neither statement text nor a parameter and so never gets
into a log. Which version a session uses is a setting without secrecy, ``fp.token_version``, so old and new keys can
be in use side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from feature_platform.errors import GovernanceError
from feature_platform.governance.codes import TOKEN_KEY_DIFFERS, TOKEN_SETUP_FAILED


@dataclass(frozen=True, slots=True)
class Pads:
    """What HMAC makes of a key. Never shown: traceback tools print the local variables of functions."""

    version: int
    fingerprint: str
    inner: bytes = field(repr=False)
    outer: bytes = field(repr=False)


_DUCKDB: Final = """
CREATE OR REPLACE TEMP MACRO fp_token(classification, canonical) AS
    'tok_' || classification || '_v' || (SELECT version FROM temp.main.fp_token_pads) || '_' || substr(sha256(
        (SELECT outer_pad FROM temp.main.fp_token_pads) || unhex(sha256(
            (SELECT inner_pad FROM temp.main.fp_token_pads) || encode(classification || chr(0) || canonical)
        ))
    ), 1, 32)
"""

_FIND_VERSIONS: Final = """
SELECT 1 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'fp_tokens' AND c.relname = 'versions'
"""
"""Not to_regclass: that answers from a cache, which may still say no after another process has installed everything."""

_LOCK: Final = 0x6670_746F_6B65_6E73  # "fptokens": no other part of the platform locks this number

_POSTGRES: Final = (
    "CREATE SCHEMA IF NOT EXISTS fp_tokens",
    """
    CREATE TABLE IF NOT EXISTS fp_tokens.pads (
        version integer PRIMARY KEY, inner_pad bytea NOT NULL, outer_pad bytea NOT NULL
    )
    """,
    "CREATE TABLE IF NOT EXISTS fp_tokens.versions (version integer PRIMARY KEY, fingerprint text NOT NULL)",
    "REVOKE ALL ON fp_tokens.pads, fp_tokens.versions FROM PUBLIC",
    """
    CREATE OR REPLACE FUNCTION fp_tokens.token(classification text, canonical text) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $function$
    DECLARE
        wanted integer := current_setting('fp.token_version');
        inside bytea;
        outside bytea;
    BEGIN
        SELECT inner_pad, outer_pad INTO STRICT inside, outside FROM fp_tokens.pads WHERE version = wanted;
        RETURN 'tok_' || classification || '_v' || wanted || '_' || substr(encode(sha256(
            outside || sha256(inside || convert_to(classification, 'UTF8') || '\\x00' || convert_to(canonical, 'UTF8'))
        ), 'hex'), 1, 32);
    END
    $function$
    """,
    "REVOKE ALL ON FUNCTION fp_tokens.token(text, text) FROM PUBLIC",
)


def set_up_duckdb(connection: Any, pads: Pads) -> None:
    """Makes the macro on this connection, or replaces it."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS fp_token_pads (version INTEGER, inner_pad BLOB, outer_pad BLOB)"
    )
    connection.execute("DELETE FROM temp.main.fp_token_pads")
    connection.execute("INSERT INTO temp.main.fp_token_pads VALUES (?, ?, ?)", [pads.version, pads.inner, pads.outer])
    connection.execute(_DUCKDB)


def set_up_postgres(connection: Any, pads: Pads) -> None:
    """Installs the function where it is missing, checks the key, and sets the session's version."""
    import psycopg

    try:
        with connection.transaction():
            if _installed_fingerprint(connection, pads.version) is None:
                _install(connection, pads)
            found = _installed_fingerprint(connection, pads.version)
            connection.execute("SELECT set_config('fp.token_version', %s, false)", [str(pads.version)])
    except psycopg.Error as error:
        raise GovernanceError(
            TOKEN_SETUP_FAILED.problem(
                f"PostgreSQL refused to set up tokens (SQLSTATE {error.sqlstate or 'unknown'})",
                mend="let the owner of the database run the platform once, then grant USAGE on schema fp_tokens, "
                "SELECT on fp_tokens.versions and EXECUTE on fp_tokens.token to this role",
            )
        ) from None
    if found != pads.fingerprint:
        raise GovernanceError(
            TOKEN_KEY_DIFFERS.problem(
                f"the database holds another key of version {pads.version} than this process",
                mend="use the key that the database was set up with, or give the new key a new version (`v2:…`)",
            )
        )


def _installed_fingerprint(connection: Any, version: int) -> str | None:
    if connection.execute(_FIND_VERSIONS).fetchone() is None:
        return None
    row = connection.execute("SELECT fingerprint FROM fp_tokens.versions WHERE version = %s", [version]).fetchone()
    return None if row is None else str(row[0])


def _install(connection: Any, pads: Pads) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if _installed_fingerprint(connection, pads.version) is not None:
        return  # another process was faster
    for statement in _POSTGRES:
        connection.execute(statement)
    with connection.cursor() as cursor, cursor.copy("COPY fp_tokens.pads FROM STDIN") as copy:
        copy.write_row((pads.version, pads.inner, pads.outer))
    connection.execute("INSERT INTO fp_tokens.versions VALUES (%s, %s)", [pads.version, pads.fingerprint])
