"""How DuckDB and PostgreSQL get their token function.

DuckDB: a temporary table with one row per classification, and a temporary macro over it. A literal or a session
variable would be folded into plans that EXPLAIN prints; rows of a table are not. Both names are qualified with
``temp.main``, so that a CTE of the same name in a query can't take their place. Whoever runs an author's query on the
same connection has to keep that table out of it: the guard's list of tables does, and the store's.

PostgreSQL: a table that only its owner may read, and a SECURITY DEFINER function with a fixed search path over it. The
blocks arrive through COPY, since the data of a COPY is neither statement text nor a parameter and so never gets into a
log. Which version a session or transaction uses is a setting per classification without secrecy, ``fp.token_email``, so
old and new keys are in use side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from feature_platform.errors import GovernanceError
from feature_platform.governance.codes import TOKEN_KEY_DIFFERS, TOKEN_SETUP_FAILED


@dataclass(frozen=True, slots=True)
class Block:
    """What one classification's key of one version starts the hash with. Never shown: tools print local variables."""

    classification: str
    version: int
    fingerprint: str
    secret: bytes = field(repr=False)

    @property
    def prefix(self) -> str:
        """How tokens of this key begin."""
        return f"tok_{self.classification}_v{self.version}_"


_DUCKDB: Final = """
CREATE OR REPLACE TEMP MACRO fp_token(class_name, canonical) AS
    (SELECT prefix FROM temp.main.fp_token_keys WHERE classification = class_name) || substr(sha256(
        (SELECT secret FROM temp.main.fp_token_keys WHERE classification = class_name)
        || encode(strlen(canonical) || ':' || canonical)
    ), 1, 32)
"""

_FIND_KEYS: Final = """
SELECT 1 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'fp_tokens' AND c.relname = 'fingerprints'
"""
"""Not to_regclass: that answers from a cache, which may still say no after another process has installed everything."""

_LOCK: Final = 0x6670_746F_6B65_6E73  # "fptokens": no other part of the platform locks this number

_POSTGRES: Final = (
    "CREATE SCHEMA IF NOT EXISTS fp_tokens",
    """
    CREATE TABLE IF NOT EXISTS fp_tokens.keys (
        classification text, version integer, secret bytea NOT NULL, PRIMARY KEY (classification, version)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS fp_tokens.fingerprints (
        classification text, version integer, fingerprint text NOT NULL, PRIMARY KEY (classification, version)
    )
    """,
    "REVOKE ALL ON fp_tokens.keys, fp_tokens.fingerprints FROM PUBLIC",
    """
    CREATE OR REPLACE FUNCTION fp_tokens.token(class_name text, canonical text) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $function$
    DECLARE
        wanted integer := current_setting('fp.token_' || class_name);
        message bytea := convert_to(canonical, 'UTF8');
        block bytea;
    BEGIN
        SELECT secret INTO STRICT block FROM fp_tokens.keys WHERE classification = class_name AND version = wanted;
        RETURN 'tok_' || class_name || '_v' || wanted || '_' || substr(encode(sha256(
            block || convert_to(length(message) || ':', 'UTF8') || message
        ), 'hex'), 1, 32);
    END
    $function$
    """,
    "REVOKE ALL ON FUNCTION fp_tokens.token(text, text) FROM PUBLIC",
    "DROP TABLE IF EXISTS fp_tokens.pads, fp_tokens.versions",  # of tokens in an earlier form
)


def set_up_duckdb(connection: Any, blocks: Sequence[Block]) -> None:
    """Makes the macro on this connection, or replaces it. ``blocks`` has one of each classification."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS fp_token_keys (classification VARCHAR, prefix VARCHAR, secret BLOB)"
    )
    connection.execute("DELETE FROM temp.main.fp_token_keys")
    connection.execute(
        "INSERT INTO temp.main.fp_token_keys SELECT unnest(?), unnest(?), unnest(?)",
        [
            [block.classification for block in blocks],
            [block.prefix for block in blocks],
            [block.secret for block in blocks],
        ],
    )
    connection.execute(_DUCKDB)


def set_up_postgres(connection: Any, blocks: Sequence[Block]) -> None:
    """Installs the function and the keys where they are missing, and checks those that are there.

    Raises:
        GovernanceError: the database has another key of a version, or it can't be installed.
    """
    import psycopg

    wanted = {(block.classification, block.version): block.fingerprint for block in blocks}
    try:
        with connection.transaction():
            found = _installed(connection)
            if not wanted.keys() <= found.keys():
                _install(connection, blocks)
                found = _installed(connection)
    except psycopg.Error as error:
        raise GovernanceError(
            TOKEN_SETUP_FAILED.problem(
                f"PostgreSQL refused to set up tokens (SQLSTATE {error.sqlstate or 'unknown'})",
                mend="let the owner of the database run the platform once with these keys, then grant USAGE on schema "
                "fp_tokens, SELECT on fp_tokens.fingerprints and EXECUTE on fp_tokens.token to this role",
            )
        ) from None
    for (classification, version), fingerprint in wanted.items():
        if found[classification, version] != fingerprint:
            raise GovernanceError(
                TOKEN_KEY_DIFFERS.problem(
                    f"the database holds another key of version {version} for '{classification}' than this process",
                    mend="use the key that the database was set up with, or give the new key a new version (`v2:…`)",
                )
            )


def use_versions(connection: Any, versions: Mapping[str, int], *, transaction: bool) -> None:
    """Says which version each classification's tokens get: until the session's end, or the transaction's."""
    names = [f"fp.token_{classification}" for classification in versions]
    connection.execute(
        "SELECT set_config(name, version, %s) FROM unnest(%s::text[], %s::text[]) AS given(name, version)",
        [transaction, names, [str(version) for version in versions.values()]],
    )


def _installed(connection: Any) -> dict[tuple[str, int], str]:
    if connection.execute(_FIND_KEYS).fetchone() is None:
        return {}
    rows = connection.execute("SELECT classification, version, fingerprint FROM fp_tokens.fingerprints").fetchall()
    return {(classification, version): fingerprint for classification, version, fingerprint in rows}


def _install(connection: Any, blocks: Sequence[Block]) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    found = _installed(connection)  # another process may have been faster
    missing = [block for block in blocks if (block.classification, block.version) not in found]
    if not missing:
        return
    for statement in _POSTGRES:
        connection.execute(statement)
    with connection.cursor() as cursor:
        with cursor.copy("COPY fp_tokens.keys FROM STDIN") as copy:
            for block in missing:
                copy.write_row((block.classification, block.version, block.secret))
        with cursor.copy("COPY fp_tokens.fingerprints FROM STDIN") as copy:
            for block in missing:
                copy.write_row((block.classification, block.version, block.fingerprint))
