"""Keyed tokens: what a personal key is outside of its source.

``tok_<classification>_v<key version>_<32 hex>`` holds 128 bits of a keyed hash of the canonical value; see
:mod:`token_hash` for which, and :mod:`token_keys` for where keys come from. The bits are the same in Python, DuckDB and
PostgreSQL, so a token made by a caller finds the row that an engine wrote. Every classification has a key of its own: a
number used as card and as telephone gives unrelated tokens.

Several versions of a key can be in use. New tokens are made with the newest one; rows that hold tokens of older ones
are still found, because whoever looks them up asks for the version that they were written with.

No key is ever part of SQL text, a plan, a session variable, an error or a ``repr``. What engines get are rows of a
table that only this platform's own calls name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, overload

from sqlglot import exp

from feature_platform.errors import GovernanceError
from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import CANONICAL, canonical, quick_canonical_expression
from feature_platform.governance.codes import NO_KEY_OF_VERSION, NOT_TOKENISABLE, TOKEN_KEY_WEAK
from feature_platform.governance.token_engines import Block, set_up_duckdb, set_up_postgres, use_versions
from feature_platform.governance.token_hash import block_fingerprint, class_block, keyed_hash
from feature_platform.governance.token_keys import MINIMUM_BYTES, KeyMaterial, read_keys
from feature_platform.types import Engine

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

TOKEN_PATTERN: Final = "tok_[a-z_]+_v[1-9][0-9]*_[0-9a-f]{32}"  # noqa: S105 - a pattern, not a password
"""Means the same in RE2, PostgreSQL and Python. Anchor it yourself."""

TOKEN_FORM: Final = "v1"  # noqa: S105 - a version, not a password
"""The key version in token labels as long as nobody knows which keys there are: compilation touches no key. Results
carry the version that their rows have."""

SCHEMA: Final = "fp_tokens"
"""PostgreSQL schema, and Doris database, of the keys and the function."""
_PROBE: Final = "probe \u00e9 1"
"""Not ASCII: what counts bytes, and what counts characters, tell themselves apart."""
DUCKDB_MACRO: Final = "fp_token"

_DIFFERENT_BYTES: Final = 8  # fewer in 32 bytes do not come from a random generator
_TOKEN: Final = re.compile(TOKEN_PATTERN)
_PARTS: Final = re.compile("tok_([a-z_]+)_v([1-9][0-9]*)_[0-9a-f]{32}")


def is_token(text: str) -> bool:
    """Whether ``text`` has the shape of a token.

    >>> is_token("tok_email_v1_" + "0" * 32)
    True
    """
    return _TOKEN.fullmatch(text) is not None


def token_version(text: str, classification: str) -> int | None:
    """The key version of a token of ``classification``; None for any other text.

    >>> token_version("tok_email_v2_" + "0" * 32, "email")
    2
    """
    match = _PARTS.fullmatch(text)
    return int(match[2]) if match and match[1] == classification else None


def token_pattern(classification: str) -> str:
    """The pattern, not anchored, of tokens of one classification and any key version."""
    return TOKEN_PATTERN.replace("[a-z_]+", classification)


def expression(classification: str, value: exp.Expression, engine: Engine) -> exp.Expression:
    """The call that tokenises ``value`` in ``engine``; NULL for NULL, never an error. Needs the session set up by
    :class:`TokenKeys`.

    Raises:
        KeyError: no such classification.
    """
    text = quick_canonical_expression(classification, value, engine)
    if engine == "duckdb":
        return sql.call(DUCKDB_MACRO, sql.text(classification), text)
    return exp.Dot(
        this=exp.to_identifier(SCHEMA, quoted=True), expression=sql.call("token", sql.text(classification), text)
    )


class TokenKeys:
    """The key ring: for every classification the versions of its key, of which one makes new tokens.

    Shows nothing of the keys, can't be pickled or copied into another process: each process reads them itself. Safe for
    use by several threads.
    """

    __slots__ = ("__blocks", "__writing")

    def __init__(self, key: bytes, version: int = 1) -> None:
        """A ring with one root key.

        Raises:
            GovernanceError: FP-GOV-011, a key of fewer than 32 bytes or of one repeated byte.
        """
        self.__blocks, self.__writing = _ring([KeyMaterial(key, version)])

    @classmethod
    def of(cls, materials: Iterable[KeyMaterial]) -> TokenKeys:
        """A ring of several keys: root keys, which give every classification a key, and keys for one classification,
        which come before those. Of each classification the highest version that ``writes`` makes new tokens.

        Raises:
            GovernanceError: FP-GOV-011, a key is weak, given twice, or nothing may write.
        """
        ring = cls.__new__(cls)
        ring.__blocks, ring.__writing = _ring(tuple(materials))
        return ring

    @classmethod
    def from_environment(
        cls,
        env_name: str,
        state_dir: Path | None = None,
        *,
        plugin: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> TokenKeys:
        """The keys of the plug-in, of the environment variable ``env_name``, or of the file that ``<env_name>_FILE``
        names; see :mod:`token_keys`.

        Without them, the key of ``<state_dir>/token.key``, which is made on first use. Give ``state_dir`` for the
        embedded profile only; with None a missing key is an error.

        Raises:
            GovernanceError: FP-GOV-010 missing, FP-GOV-011 unusable, FP-GOV-012 key file open to others.
        """
        return cls.of(read_keys(env_name, state_dir, plugin=plugin, environ=environ))

    def versions(self, classification: str) -> tuple[int, ...]:
        """Every version of this classification's key, the writing one first, then from the newest on."""
        writing = self.writing(classification)
        others = {version for name, version in self.__blocks if name == classification} - {writing}
        return (writing, *sorted(others, reverse=True))

    @property
    def rotating(self) -> bool:
        """Whether some classification has more than one version."""
        return len(self.__blocks) > len(self.__writing)

    def writing(self, classification: str) -> int:
        """The version that new tokens of this classification get.

        Raises:
            GovernanceError: FP-GOV-015, no such classification.
        """
        _check_classification(classification)
        return self.__writing[classification]

    @overload
    def token(self, classification: str, value: None, version: int | None = None) -> None: ...
    @overload
    def token(self, classification: str, value: object, version: int | None = None) -> str: ...
    def token(self, classification: str, value: object, version: int | None = None) -> str | None:
        """The token of one value: text, int, Decimal or date; None for None. ``version``: by default the writing one.

        Raises:
            GovernanceError: FP-GOV-015, the value has no canonical text; FP-GOV-016, no key of this version.
        """
        if value is None:
            return None
        block = self._block(classification, version)
        return block.prefix + keyed_hash(block.secret, _canonical_or_refuse(classification, value))

    def tokens(self, classification: str, values: pa.Array | pa.ChunkedArray, version: int | None = None) -> pa.Array:
        """The tokens of an Arrow array as an array of strings, null for null. Each distinct value is tokenised once.

        Raises:
            GovernanceError: FP-GOV-015, the array's type has no canonical text; FP-GOV-016, no key of this version.
        """
        import pyarrow as pa

        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        if pa.types.is_null(whole.type):
            return pa.nulls(len(whole), pa.string())
        encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        made = [self.token(classification, value, version) for value in encoded.dictionary.to_pylist()]
        return pa.array(made, pa.string()).take(encoded.indices)

    def fingerprint(self, classification: str, version: int | None = None) -> str:
        """16 hex digits that tell keys apart and say nothing about them."""
        return self._block(classification, version).fingerprint

    def probe(self, classification: str, version: int) -> tuple[str, str]:
        """A text, and the token that a function with this key has to make of it: so the functions of engines that keep
        keys of their own can be held to this one.

        Raises:
            GovernanceError: FP-GOV-016, no key of this version.
        """
        block = self._block(classification, version)
        return _PROBE, block.prefix + keyed_hash(block.secret, _PROBE)

    @property
    def duckdb_name(self) -> str:
        """The macro's: a query that does not call it gets no keys."""
        return DUCKDB_MACRO

    def duckdb(self, connection: Any, versions: Mapping[str, int] | None = None) -> None:
        """Gives a DuckDB connection its macro ``fp_token``. Temporary, so each connection (and cursor) needs it;
        idempotent. ``versions`` says of some classifications which key to use in place of the writing one.

        Raises:
            GovernanceError: FP-GOV-016, no key of this version.
        """
        chosen = versions or {}
        set_up_duckdb(connection, [self._block(name, chosen.get(name)) for name in self.__writing])

    def postgres(self, connection: Any, *, lasting: bool = True) -> None:
        """Gives a psycopg connection the function ``fp_tokens.token``, installing it and every key where they are
        missing; idempotent, safe when several processes do it. With ``lasting`` the session's tokens get the writing
        versions; without, each transaction says which, see :meth:`postgres_transaction`.

        Raises:
            GovernanceError: FP-GOV-013 the database has another key of this version, FP-GOV-014 it can't be installed.
        """
        set_up_postgres(connection, tuple(self.__blocks.values()))
        if lasting:
            use_versions(connection, self.__writing, transaction=False)

    def postgres_transaction(self, connection: Any, versions: Mapping[str, int]) -> None:
        """Makes the current transaction of a connection that was set up use ``versions``, as :meth:`duckdb` does, and
        of other classifications the writing ones.

        Raises:
            GovernanceError: FP-GOV-016, no key of this version.
        """
        chosen = {name: self._block(name, versions[name]).version for name in versions}
        use_versions(connection, {**self.__writing, **chosen}, transaction=True)

    def _block(self, classification: str, version: int | None) -> Block:
        writing = self.writing(classification)
        found = self.__blocks.get((classification, writing if version is None else version))
        if found is None:
            raise GovernanceError(
                NO_KEY_OF_VERSION.problem(
                    f"there is no key of version {version} for '{classification}'; "
                    f"there {'is' if len(self.versions(classification)) == 1 else 'are'} "
                    f"{', '.join(f'v{each}' for each in self.versions(classification))}",
                    mend="put that key back beside the others until `fp token status` shows that nothing holds its "
                    "tokens any more",
                )
            )
        return found

    def __repr__(self) -> str:
        return f"TokenKeys(versions={sorted({version for _, version in self.__blocks})})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a token key does not leave its process")


def _ring(materials: Iterable[KeyMaterial]) -> tuple[dict[tuple[str, int], Block], dict[str, int]]:
    """Blocks by classification and version, and the writing version of each classification."""
    roots: dict[int, KeyMaterial] = {}
    own: dict[tuple[str, int], KeyMaterial] = {}
    for material in materials:
        _check_strength(material)
        twice = roots.get(material.version) if material.classification is None else None
        if material.classification is None:
            roots[material.version] = material
        else:
            _check_classification(material.classification)
            twice = own.get((material.classification, material.version))
            own[material.classification, material.version] = material
        if twice is not None and twice.key != material.key:
            raise _weak(f"two different token keys of version {material.version}", "give the newer one a new version")
    blocks: dict[tuple[str, int], Block] = {}
    writing: dict[str, int] = {}
    for name in CANONICAL:
        versions = {**roots, **{version: each for (of, version), each in own.items() if of == name}}
        for version, each in versions.items():
            secret = class_block(each.key, name, version)
            blocks[name, version] = Block(name, version, block_fingerprint(secret), secret)
        may_write = [version for version, each in versions.items() if each.writes]
        if not may_write:
            raise _weak(f"no token key of '{name}' may write", "give a root key without `read:`")
        writing[name] = max(may_write)
    return blocks, writing


def _check_strength(material: KeyMaterial) -> None:
    if len(material.key) < MINIMUM_BYTES or len(set(material.key)) < _DIFFERENT_BYTES or material.version < 1:
        raise _weak(
            f"a token key needs {MINIMUM_BYTES} random bytes and a version from 1 on",
            "make one with `openssl rand -hex 32`",
        )


def _weak(what: str, mend: str) -> GovernanceError:
    return GovernanceError(TOKEN_KEY_WEAK.problem(what, mend=mend))


def _check_classification(name: str) -> None:
    if name not in CANONICAL:
        raise GovernanceError(
            NOT_TOKENISABLE.problem(
                f"'{name}' is no classification of personal data",
                mend=f"use one of: {', '.join(sorted(CANONICAL))}",
            )
        )


def _canonical_or_refuse(classification: str, value: object) -> str:
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
