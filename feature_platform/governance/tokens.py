"""Keyed tokens: what a personal key is outside of its source.

``tok_<classification>_v<key version>_<32 hex>`` holds the first 128 bits of HMAC-SHA256(key, classification ‖ 0x00 ‖
canonical value). The bits are the same in Python, DuckDB and PostgreSQL, so a token made by a caller finds the row
that an engine wrote. Classifications are separate domains: a number used as card and as telephone gives unrelated
tokens.

The key is never part of SQL text, a parameter, a plan, a session variable, an error or a ``repr``. What engines get
are the two pads of HMAC (key XOR 0x36…, key XOR 0x5c…): as rows of a table that only this platform's own calls name.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, overload

from sqlglot import exp

from feature_platform.errors import GovernanceError
from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import CANONICAL, canonical, canonical_expression
from feature_platform.governance.codes import NOT_TOKENISABLE, TOKEN_KEY_WEAK
from feature_platform.governance.token_engines import Pads, set_up_duckdb, set_up_postgres
from feature_platform.governance.token_keys import MINIMUM_BYTES, read_key
from feature_platform.types import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

TOKEN_PATTERN: Final = "tok_[a-z_]+_v[1-9][0-9]*_[0-9a-f]{32}"  # noqa: S105 - a pattern, not a password
"""Means the same in RE2, PostgreSQL and Python. Anchor it yourself."""

TOKEN_FORM: Final = "v1"  # noqa: S105 - a version, not a password
"""The form of token labels. Part of every fingerprint: raise it together with the version of the key, so that all
views that hold tokens are built anew."""

SCHEMA: Final = "fp_tokens"
"""PostgreSQL schema of the pads and the function."""
DUCKDB_MACRO: Final = "fp_token"

_BLOCK: Final = 64  # bytes in a block of SHA-256
_FINGERPRINT: Final = b"\0fingerprint"  # no classification starts like this
_TOKEN: Final = re.compile(TOKEN_PATTERN)


def is_token(text: str) -> bool:
    """Whether ``text`` has the shape of a token.

    >>> is_token("tok_email_v1_" + "0" * 32)
    True
    """
    return _TOKEN.fullmatch(text) is not None


def token_pattern(classification: str) -> str:
    """The pattern, not anchored, of tokens of one classification and any key version."""
    return TOKEN_PATTERN.replace("[a-z_]+", classification)


def expression(classification: str, value: exp.Expression, engine: Engine) -> exp.Expression:
    """The call that tokenises ``value`` in ``engine``; NULL for NULL, never an error. Needs the session set up by
    :class:`TokenKeys`.

    Raises:
        KeyError: no such classification.
    """
    text = canonical_expression(classification, value, engine)
    if engine == "duckdb":
        return sql.call(DUCKDB_MACRO, sql.text(classification), text)
    return exp.Dot(
        this=exp.to_identifier(SCHEMA, quoted=True), expression=sql.call("token", sql.text(classification), text)
    )


class TokenKeys:
    """The key that tokens are made with, and its version.

    Holds HMAC's pads, shows nothing of them, can't be pickled or copied into another process: each process reads the
    key itself. Safe for use by several threads.
    """

    __slots__ = ("__pads", "version")

    def __init__(self, key: bytes, version: int = 1) -> None:
        """Raises GovernanceError for a key of fewer than 32 bytes or of one repeated byte."""
        if len(key) < MINIMUM_BYTES or len(set(key)) < 8 or version < 1:
            raise GovernanceError(
                TOKEN_KEY_WEAK.problem(
                    f"a token key needs {MINIMUM_BYTES} random bytes and a version from 1 on",
                    mend="make one with `openssl rand -hex 32`",
                )
            )
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        inner, outer = (bytes(byte ^ mask for byte in block) for mask in (0x36, 0x5C))
        self.__pads = Pads(version, _mac(inner, outer, _FINGERPRINT)[:16], inner, outer)
        self.version = version

    @classmethod
    def from_environment(
        cls, env_name: str, state_dir: Path | None = None, *, environ: Mapping[str, str] | None = None
    ) -> TokenKeys:
        """The key from the environment variable ``env_name``.

        Without the variable, the key of ``<state_dir>/token.key``, which is made on first use. Give ``state_dir`` for
        the embedded profile only; with None a missing key is an error.

        Raises:
            GovernanceError: FP-GOV-010 missing, FP-GOV-011 unusable, FP-GOV-012 key file open to others.
        """
        return cls(*read_key(env_name, state_dir, environ))

    @overload
    def token(self, classification: str, value: None) -> None: ...
    @overload
    def token(self, classification: str, value: object) -> str: ...
    def token(self, classification: str, value: object) -> str | None:
        """The token of one value: text, int, Decimal or date. None gives None.

        Raises:
            GovernanceError: FP-GOV-015, the value has no canonical text.
        """
        if value is None:
            return None
        return self._of_text(classification, _canonical_or_refuse(classification, value))

    def tokens(self, classification: str, values: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The tokens of an Arrow array as an array of strings, null for null. Each distinct value is tokenised once.

        Raises:
            GovernanceError: FP-GOV-015, the array's type has no canonical text.
        """
        import pyarrow as pa

        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        if pa.types.is_null(whole.type):
            return pa.nulls(len(whole), pa.string())
        encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        made = pa.array([self.token(classification, value) for value in encoded.dictionary.to_pylist()], pa.string())
        return made.take(encoded.indices)

    def fingerprint(self) -> str:
        """16 hex digits that tell keys apart and say nothing about them."""
        return self.__pads.fingerprint

    def duckdb(self, connection: Any) -> None:
        """Gives a DuckDB connection its macro ``fp_token``. Temporary, so each connection (and cursor) needs it;
        idempotent.
        """
        set_up_duckdb(connection, self.__pads)

    def postgres(self, connection: Any) -> None:
        """Gives a psycopg connection the function ``fp_tokens.token``, installing it where it is missing; idempotent,
        safe when several processes do it.

        Raises:
            GovernanceError: FP-GOV-013 the database has another key of this version, FP-GOV-014 it can't be installed.
        """
        set_up_postgres(connection, self.__pads)

    def _of_text(self, classification: str, text: str) -> str:
        message = classification.encode() + b"\0" + text.encode()
        return f"tok_{classification}_v{self.version}_{_mac(self.__pads.inner, self.__pads.outer, message)[:32]}"

    def __repr__(self) -> str:
        return f"TokenKeys(version={self.version})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a token key does not leave its process")


def _mac(inner: bytes, outer: bytes, message: bytes) -> str:
    return hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).hexdigest()


def _canonical_or_refuse(classification: str, value: object) -> str:
    if classification not in CANONICAL:
        raise GovernanceError(
            NOT_TOKENISABLE.problem(
                f"'{classification}' is no classification of personal data",
                mend=f"use one of: {', '.join(sorted(CANONICAL))}",
            )
        )
    try:
        text = canonical(classification, value)
        text.encode()
    except (TypeError, UnicodeEncodeError):
        raise GovernanceError(
            NOT_TOKENISABLE.problem(
                f"a value of type {type(value).__name__} can't be a '{classification}' token",
                mend="pass text in valid Unicode, an integer, a decimal or a date",
            )
        ) from None
    return text
