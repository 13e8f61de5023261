"""Tokens: the same bits everywhere, and the key nowhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pickle
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.errors import GovernanceError
from feature_platform.governance.canonical import CANONICAL
from feature_platform.governance.token_hash import class_block
from feature_platform.governance.token_keys import KeyMaterial
from feature_platform.governance.tokens import TokenKeys, is_token, token_pattern, token_version
from tests.databases import own_database
from tests.governance.conftest import KEY, Engines

values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


def test_a_token_is_half_of_a_hash_over_the_block_of_its_class_and_the_value_with_its_length(keys: TokenKeys) -> None:
    block = class_block(KEY, "email", 1)
    digest = hashlib.sha256(block + b"15:jan@example.com").hexdigest()
    assert keys.token("email", " Jan@Example.com") == f"tok_email_v1_{digest[:32]}"


@pytest.mark.parametrize("length", [32, 64, 65, 200])
def test_the_block_of_a_class_follows_rfc_5869(length: int) -> None:
    """HKDF-SHA256, written out once more with the ``cryptography``-free primitives of the RFC."""
    key = bytes(range(256))[:length]
    prk = hmac.new(b"feature_platform.tokens", key, hashlib.sha256).digest()
    first = hmac.new(prk, b"phone\0" + b"7\0" + b"\x01", hashlib.sha256).digest()
    second = hmac.new(prk, first + b"phone\0" + b"7\0" + b"\x02", hashlib.sha256).digest()
    assert class_block(key, "phone", 7) == first + second
    digest = hashlib.sha256(first + second + b"13:+420601234567").hexdigest()
    assert TokenKeys(key, 7).token("phone", "+420 601 234 567") == f"tok_phone_v7_{digest[:32]}"


def test_one_token_is_known_for_good(keys: TokenKeys) -> None:
    """Whoever changes how tokens are made has to change this line, and to think of the tokens that are out there."""
    assert keys.token("payment_card", "4111 1111 1111 1111") == "tok_payment_card_v1_3d6c8c279a8ff31c0bf101990b8e101f"


@pytest.mark.parametrize("classification", sorted(CANONICAL))
def test_engines_and_python_make_the_same_tokens_of_text(
    classification: str, engines: Engines, keys: TokenKeys
) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(st.none() | values | st.from_regex(r"\A(00[0-9 ()-]{3}|1984-02-29[T x])\Z"), min_size=1, max_size=20)
    )
    def check(texts: list[str | None]) -> None:
        expected = [keys.token(classification, text) for text in texts]
        results = engines.evaluate("token", [(text,) for text in texts], ["string"], classification=classification)
        assert results == {"duckdb": expected, "postgres": expected}

    check()


@pytest.mark.parametrize(
    ("classification", "kind", "column"),
    [
        ("birth_date", "date", [date(1984, 2, 29), date(1, 1, 1), None]),
        ("payment_card", "bigint", [4111111111111111, -1, 2**63 - 1, None]),
        ("payment_card", "decimal(19,0)", [Decimal(4111111111111111), None]),
        ("postcode", "int", [11000, 0, None]),
    ],
)
def test_engines_and_python_make_the_same_tokens_of_dates_and_numbers(
    classification: str, kind: str, column: list[Any], engines: Engines, keys: TokenKeys
) -> None:
    expected = [keys.token(classification, value) for value in column]
    results = engines.evaluate("token", [(value,) for value in column], [kind], classification=classification)
    assert results == {"duckdb": expected, "postgres": expected}


def test_an_iso_date_means_the_same_whatever_the_session_shows_dates_as(engines: Engines, keys: TokenKeys) -> None:
    engines.postgres.execute("SET datestyle = 'German'")
    try:
        results = engines.evaluate("token", [(date(1984, 2, 1),)], ["date"], classification="birth_date")
    finally:
        engines.postgres.execute("RESET datestyle")
    assert results["postgres"] == [keys.token("birth_date", date(1984, 2, 1))]


def test_classes_and_key_versions_are_separate_domains(keys: TokenKeys) -> None:
    made = {keys.token(name, "123456789") for name in CANONICAL} | {TokenKeys(KEY, 2).token("phone", "123456789")}
    assert len({token.rsplit("_", 1)[0] for token in made}) == len(CANONICAL) + 1
    assert len({keys.token(name, "123456789").rsplit("_", 1)[1] for name in CANONICAL}) == len(CANONICAL)


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a@b.cz", None, "A@B.cz", "c@d.cz"]),
        pa.chunked_array([["a@b.cz"], [None, "c@d.cz"]]),
        pa.array(["a@b.cz", "a@b.cz", None]).dictionary_encode(),
        pa.array([1, None, 1]),
        pa.array([None, None]),
        pa.array([], pa.string()),
    ],
)
def test_an_arrow_array_is_tokenised_value_by_value(array: Any, keys: TokenKeys) -> None:
    expected = [keys.token("email", value) for value in array.to_pylist()]
    result = keys.tokens("email", array)
    assert (result.type, result.to_pylist()) == (pa.string(), expected)


def test_tokens_are_recognised_and_nothing_else_is(keys: TokenKeys) -> None:
    token = keys.token("ip_address", "10.0.0.1")
    assert is_token(token)
    assert not [
        text for text in (token + "\n", token[:-1], token.upper(), "tok_email_v0_" + "0" * 32) if is_token(text)
    ]
    assert "email" in token_pattern("email")
    assert token_version(token, "ip_address") == 1
    assert token_version(token, "email") is None


@pytest.mark.parametrize("value", [1.5, True, ["a"], "\ud800"])
def test_a_value_without_canonical_text_is_refused_without_being_shown(value: Any, keys: TokenKeys) -> None:
    with pytest.raises(GovernanceError) as refusal:
        keys.token("email", value)
    assert refusal.value.code == "FP-GOV-015"


def test_a_classification_that_does_not_exist_is_refused(keys: TokenKeys) -> None:
    with pytest.raises(GovernanceError, match="FP-GOV-015"):
        keys.token("none", "x")


# The key and where it comes from


@pytest.mark.parametrize(
    ("text", "version"),
    [(KEY.hex(), 1), ("v3:" + KEY.hex(), 3), ("ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoOEhYaHiImKiw==", 1)],
)
def test_the_environment_gives_key_and_version_in_hexadecimal_or_base64(text: str, version: int) -> None:
    made = TokenKeys.from_environment("FP_KEY", environ={"FP_KEY": f" {text}\n"})
    assert made.versions("email") == (version,)
    assert made.fingerprint("email") == TokenKeys(KEY, version).fingerprint("email")


def ring(text: str) -> TokenKeys:
    return TokenKeys.from_environment("FP_KEY", environ={"FP_KEY": text})


NEWER = bytes(range(50, 90))


def test_of_several_root_keys_the_newest_writes_and_all_read(keys: TokenKeys) -> None:
    both = ring(f"v1:{KEY.hex()}, v2:{NEWER.hex()}")
    assert both.versions("email") == (2, 1)
    assert both.token("email", "a@b.cz") == TokenKeys(NEWER, 2).token("email", "a@b.cz")
    assert both.token("email", "a@b.cz", 1) == keys.token("email", "a@b.cz")
    assert both.tokens("email", pa.array(["a@b.cz"]), 1).to_pylist() == [keys.token("email", "a@b.cz")]


def test_a_key_that_is_only_read_does_not_write_yet() -> None:
    assert ring(f"v1:{KEY.hex()} read:v2:{NEWER.hex()}").versions("email") == (1, 2)


def test_a_key_of_its_own_comes_before_what_the_root_key_gives(keys: TokenKeys) -> None:
    own = ring(f"{KEY.hex()} payment_card:v1:{NEWER.hex()} iban:v3:{NEWER.hex()}")
    assert own.token("email", "a@b.cz") == keys.token("email", "a@b.cz")
    assert (
        own.token("payment_card", "4111")
        == TokenKeys(NEWER).token("payment_card", "4111")
        != keys.token("payment_card", "4111")
    )
    assert (own.versions("iban"), own.versions("email")) == ((3, 1), (1,))


def test_a_version_that_is_not_there_is_refused(keys: TokenKeys) -> None:
    with pytest.raises(GovernanceError, match="FP-GOV-016"):
        keys.token("email", "a@b.cz", 2)
    with pytest.raises(GovernanceError, match="FP-GOV-016"):
        keys.duckdb(duckdb.connect(), {"email": 2})


@pytest.mark.parametrize(
    "text",
    [
        f"v1:{KEY.hex()} v1:{NEWER.hex()}",
        f"email:{KEY.hex()} email:v1:{NEWER.hex()} {KEY.hex()}",
        f"email:{KEY.hex()}",
        f"read:{KEY.hex()}",
        f"nonsense:{KEY.hex()} {KEY.hex()}",
    ],
)
def test_keys_that_contradict_each_other_or_leave_a_class_without_one_are_refused(text: str) -> None:
    with pytest.raises(GovernanceError, match="FP-GOV-011") as refusal:
        ring(text)
    assert_nothing_secret_in(str(refusal.value))


def test_a_key_file_takes_the_place_of_the_variable(tmp_path: Path, keys: TokenKeys) -> None:
    path = tmp_path / "keys"
    path.write_text(f"v1:{KEY.hex()}\nread:v2:{NEWER.hex()}\n")
    path.chmod(0o600)
    found = TokenKeys.from_environment("FP_KEY", environ={"FP_KEY_FILE": str(path)})
    assert (found.fingerprint("email"), found.versions("email")) == (keys.fingerprint("email"), (1, 2))
    path.chmod(0o640)
    with pytest.raises(GovernanceError, match="FP-GOV-012"):
        TokenKeys.from_environment("FP_KEY", environ={"FP_KEY_FILE": str(path)})


def test_a_key_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GovernanceError, match="FP-GOV-010"):
        TokenKeys.from_environment("FP_KEY", tmp_path, environ={"FP_KEY_FILE": str(tmp_path / "none")})


def keys_of_a_kms() -> list[KeyMaterial]:
    """What a plug-in looks like."""
    return [KeyMaterial(KEY), KeyMaterial(NEWER, 2, "payment_card")]


def failing_kms() -> list[KeyMaterial]:
    raise RuntimeError(f"no answer for {KEY.hex()}")


def test_a_plug_in_gives_the_keys(keys: TokenKeys) -> None:
    found = TokenKeys.from_environment("FP_KEY", plugin=f"{__name__}:keys_of_a_kms", environ={"FP_KEY": "ignored"})
    assert found.fingerprint("email") == keys.fingerprint("email")
    assert found.versions("payment_card") == (2, 1)


def test_an_entry_point_gives_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: TokenKeys) -> None:
    installed = tmp_path / "company_kms-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: company-kms\nVersion: 1.0\n")
    entry = f"[feature_platform.token_keys]\ncompany-kms = {__name__}:keys_of_a_kms\n"
    (installed / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert TokenKeys.from_environment("FP_KEY", plugin="company-kms").fingerprint("email") == keys.fingerprint("email")
    with pytest.raises(GovernanceError, match="FP-GOV-010"):
        TokenKeys.from_environment("FP_KEY", plugin="another-kms")


@pytest.mark.parametrize("name", ["failing_kms", "missing", "Path"])
def test_a_plug_in_that_fails_is_refused_without_its_text(name: str) -> None:
    with pytest.raises(GovernanceError, match=r"FP-GOV-01[01]") as refusal:
        TokenKeys.from_environment("FP_KEY", plugin=f"{__name__}:{name}")
    assert_nothing_secret_in(str(refusal.value))


def test_without_a_key_nothing_goes_on() -> None:
    with pytest.raises(GovernanceError, match="FP-GOV-010"):
        TokenKeys.from_environment("FP_KEY", None, environ={})


@pytest.mark.parametrize(
    "text", ["abc", "v1:", "v0:" + "ab" * 32, "correct horse battery staple!", "00" * 31, "00" * 64]
)
def test_a_weak_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(GovernanceError, match="FP-GOV-011") as refusal:
        TokenKeys.from_environment("FP_KEY", environ={"FP_KEY": text})
    assert text not in str(refusal.value)


def test_the_embedded_profile_makes_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    first = TokenKeys.from_environment("FP_KEY", tmp_path / "state", environ={})
    again = TokenKeys.from_environment("FP_KEY", tmp_path / "state", environ={})
    path = tmp_path / "state" / "token.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.fingerprint("email") == again.fingerprint("email")
    assert [entry.name for entry in path.parent.iterdir()] == ["token.key"]


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    TokenKeys.from_environment("FP_KEY", tmp_path, environ={})
    (tmp_path / "token.key").chmod(0o644)
    with pytest.raises(GovernanceError, match="FP-GOV-012"):
        TokenKeys.from_environment("FP_KEY", tmp_path, environ={})


def test_processes_that_make_the_key_at_once_end_up_with_one(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from feature_platform.governance.tokens import TokenKeys\n"
        "print(TokenKeys.from_environment('FP_KEY', pathlib.Path(sys.argv[1]), environ={}).fingerprint('email'))\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1


# Where the key must not be seen


def secrets_of(key: bytes) -> list[bytes]:
    """The key, and what is made of it for each class."""
    return [key, *(class_block(key, name, 1) for name in CANONICAL)]


def assert_nothing_secret_in(text: str) -> None:
    """Neither key nor blocks, as hexadecimal, escaped, in base64 or as bytes are printed; half of one is enough."""
    normal = text.lower().replace("\\x", "")
    for secret in secrets_of(KEY):
        for part in (secret[:16], secret[-16:]):
            assert part.hex() not in normal
            assert repr(part)[2:-1].lower().replace("\\x", "") not in normal
        assert base64.b64encode(secret)[:20].decode() not in text


def test_a_key_shows_nothing_of_itself(keys: TokenKeys) -> None:
    assert repr(keys) == str(keys) == "TokenKeys(versions=[1])"
    assert not hasattr(keys, "__dict__")
    assert_nothing_secret_in(
        f"{keys!r} {keys.fingerprint('email')} {[getattr(keys, n) for n in dir(keys) if n[0] != '_']}"
    )
    with pytest.raises(TypeError, match="does not leave its process"):
        pickle.dumps(keys)


def test_a_traceback_with_local_variables_shows_no_key(keys: TokenKeys) -> None:
    with pytest.raises(AttributeError) as failure:
        keys.duckdb(None)
    shown = [repr(entry.frame.f_locals) for entry in failure.traceback if "governance" in str(entry.path)]
    assert_nothing_secret_in(" ".join(shown))


def test_duckdb_shows_the_key_in_no_plan_no_setting_and_no_error(keys: TokenKeys) -> None:
    connection = duckdb.connect()
    keys.duckdb(connection)
    connection.execute("CREATE TABLE people AS SELECT 'jan@example.com' AS email")
    shown = []
    query = "SELECT fp_token('email', email) FROM people WHERE fp_token('email', email) = fp_token('email', 'x')"
    for statement in (
        f"EXPLAIN {query}",
        f"EXPLAIN ANALYZE {query}",
        "SELECT * FROM duckdb_variables()",
        "SELECT * FROM duckdb_settings()",
        "SELECT sql FROM duckdb_tables()",
        "SELECT macro_definition FROM duckdb_functions() WHERE function_name = 'fp_token'",
        "SELECT * FROM duckdb_prepared_statements()",
        "SELECT * FROM duckdb_logs()",
    ):
        shown.append(str(connection.execute(statement).fetchall()))
    connection.execute("PRAGMA explain_output = 'all'")
    shown.append(str(connection.execute(f"EXPLAIN {query}").fetchall()))
    for mistake in (
        "SELECT fp_token('email')",
        "SELECT fp_token('email', 1, 2)",
        "SELECT fp_token(DATE '2020-01-01', 'x')::INT",
    ):
        with pytest.raises(duckdb.Error) as error:
            connection.execute(mistake).fetchall()
        shown.append(str(error.value))
    assert_nothing_secret_in(" ".join(shown))
    assert "fp_token_keys" in " ".join(shown)  # the plans are really those of the token


def test_a_query_can_not_put_its_own_pads_in_place_of_the_keys(keys: TokenKeys) -> None:
    connection = duckdb.connect()
    keys.duckdb(connection)
    shadow = "WITH fp_token_keys AS (SELECT 'email' AS classification, 'tok_' AS prefix, ''::BLOB AS secret) "
    row = connection.execute(shadow + "SELECT fp_token('email', 'a@b.cz') FROM fp_token_keys").fetchone()
    assert row == (keys.token("email", "a@b.cz"),)


def test_setting_up_duckdb_again_replaces_the_key(keys: TokenKeys) -> None:
    connection = duckdb.connect()
    keys.duckdb(connection)
    newer = TokenKeys(NEWER, 2)
    newer.duckdb(connection)
    assert connection.execute("SELECT fp_token('email', 'a@b.cz')").fetchone() == (newer.token("email", "a@b.cz"),)


def test_postgres_shows_the_key_in_no_plan_no_statement_and_no_error(
    postgres_url: str, engines: Engines, keys: TokenKeys
) -> None:
    shown = []
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        keys.postgres(connection)
        for statement in (
            "EXPLAIN (ANALYZE, VERBOSE) SELECT fp_tokens.token('email', 'a@b.cz')",
            "SELECT prosrc, pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'token'",
            # Of this session, which was given the key: what other tests send has alphabets in it, as the key has.
            "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()",
            "SELECT name, setting FROM pg_settings",
            "SELECT * FROM pg_prepared_statements",
            "SELECT * FROM fp_tokens.fingerprints",
            "SELECT current_setting('fp.token_email')",
        ):
            shown.append(str(connection.execute(statement).fetchall()))
        for mistake in ("SELECT fp_tokens.token('email')", "SELECT fp_tokens.token('email', 'x')::int"):
            with pytest.raises(psycopg.Error) as error:
                connection.execute(mistake)
            shown.append(str(error.value))
    assert_nothing_secret_in(" ".join(shown))


def test_postgres_keeps_the_pads_from_everyone_but_their_owner(postgres_url: str, engines: Engines) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE stranger")
        connection.execute("GRANT USAGE ON SCHEMA fp_tokens TO stranger")
        connection.execute("SET ROLE stranger")
        try:
            for statement in ("SELECT * FROM fp_tokens.keys", "SELECT fp_tokens.token('email', 'a@b.cz')"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        finally:
            connection.execute("RESET ROLE")


def test_a_role_that_was_granted_the_function_can_use_it_but_not_read_the_pads(
    postgres_url: str, engines: Engines, keys: TokenKeys
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE worker")
        connection.execute("GRANT USAGE ON SCHEMA fp_tokens TO worker")
        connection.execute("GRANT SELECT ON fp_tokens.fingerprints TO worker")
        connection.execute("GRANT EXECUTE ON FUNCTION fp_tokens.token(text, text) TO worker")
        connection.execute("SET ROLE worker")
        try:
            keys.postgres(connection)
            row = connection.execute("SELECT fp_tokens.token('email', 'a@b.cz')").fetchone()
        finally:
            connection.execute("RESET ROLE")
    assert row == (keys.token("email", "a@b.cz"),)


def test_a_session_without_its_key_version_gets_an_error_and_no_token(postgres_url: str, engines: Engines) -> None:
    with psycopg.connect(postgres_url) as connection, pytest.raises(psycopg.Error):
        connection.execute("SELECT fp_tokens.token('email', 'a@b.cz')")


def test_another_key_of_the_same_version_is_refused(postgres_url: str, engines: Engines) -> None:
    with psycopg.connect(postgres_url) as connection, pytest.raises(GovernanceError, match="FP-GOV-013"):
        TokenKeys(os.urandom(32), 1).postgres(connection)


def test_two_versions_live_side_by_side(postgres_url: str, engines: Engines, keys: TokenKeys) -> None:
    newer = TokenKeys(NEWER, 2)
    with psycopg.connect(postgres_url) as old, psycopg.connect(postgres_url) as new:
        keys.postgres(old)
        newer.postgres(new)
        tokens = [c.execute("SELECT fp_tokens.token('email', 'a@b.cz')").fetchone() for c in (old, new)]
    assert tokens == [(keys.token("email", "a@b.cz"),), (newer.token("email", "a@b.cz"),)]


def test_a_transaction_can_use_an_older_version(postgres_url: str, engines: Engines, keys: TokenKeys) -> None:
    both = ring(f"v1:{KEY.hex()} v2:{NEWER.hex()}")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        both.postgres(connection)
        with connection.transaction():
            both.postgres_transaction(connection, {"email": 1})
            old = connection.execute("SELECT fp_tokens.token('email', 'a@b.cz')").fetchone()
            other = connection.execute("SELECT fp_tokens.token('phone', '1')").fetchone()
        new = connection.execute("SELECT fp_tokens.token('email', 'a@b.cz')").fetchone()
    assert (old, other, new) == (
        (keys.token("email", "a@b.cz"),),
        (both.token("phone", "1"),),
        (both.token("email", "a@b.cz"),),
    )


def test_many_connections_can_install_the_function_at_once(postgres_url: str, keys: TokenKeys) -> None:
    database = own_database(postgres_url, "at_once")

    def install(_: int) -> tuple[Any, ...] | None:
        with psycopg.connect(database) as connection:
            keys.postgres(connection)
            return connection.execute("SELECT fp_tokens.token('email', 'a@b.cz')").fetchone()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(install, range(8))) == {(keys.token("email", "a@b.cz"),)}


def test_a_role_that_may_not_install_gets_a_mend_and_no_key(postgres_url: str, keys: TokenKeys) -> None:
    database = own_database(postgres_url, "closed")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE nobody_special LOGIN")
    with (
        psycopg.connect(database, user="nobody_special") as connection,
        pytest.raises(GovernanceError, match="FP-GOV-014") as refusal,
    ):
        keys.postgres(connection)
    assert_nothing_secret_in(str(refusal.value))
