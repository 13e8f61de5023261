"""The audit key: seals the spool, the chain and the checkpoints, and keys the digests of SQL.

One key for each use is derived from it. Older versions only verify.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from feature_platform.errors import AuditError
from feature_platform.governance.audit.codes import AUDIT_KEY_MISSING, AUDIT_KEY_UNUSABLE
from feature_platform.governance.key_files import decoded, make_key_file

KEY_FILE: Final = "audit.key"
MINIMUM_BYTES: Final = 32
Use = Literal["chain", "spool", "checkpoint", "sql"]
_USES: Final[tuple[Use, ...]] = ("chain", "spool", "checkpoint", "sql")
_VERSIONED: Final = re.compile(r"(?:v([1-9][0-9]{0,3}):)?([0-9A-Za-z+/=]+)")


class AuditKeys:
    """The key that seals, and older ones that verify. Shows nothing of them and can't be pickled."""

    __slots__ = ("__keys", "version")

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """``keys`` by version; the highest version seals. Raises AuditError for a key that can be guessed."""
        if not keys or any(len(key) < MINIMUM_BYTES or len(set(key)) < 8 for key in keys.values()):
            raise _unusable(f"an audit key needs {MINIMUM_BYTES} random bytes")
        self.__keys = {
            (version, use): hmac.digest(key, b"fp audit " + use.encode(), "sha256")
            for version, key in keys.items()
            for use in _USES
        }
        self.version = max(keys)

    @classmethod
    def from_environment(
        cls, env_name: str, state: Path | None = None, *, environ: Mapping[str, str] | None = None
    ) -> AuditKeys:
        """The keys from the environment variable ``env_name``: ``v2:<key>,v1:<key>``; or from the file that
        ``<env_name>_FILE`` names.

        Without either, the key of ``<state>/audit.key``, made on first use. Give ``state`` for the embedded
        profile only.

        Raises:
            AuditError: FP-AUDIT-001 missing, FP-AUDIT-002 not usable.
        """
        variables = os.environ if environ is None else environ
        if given := variables.get(env_name, "").strip():
            return cls(_parse(given, f"environment variable {env_name}"))
        if file := variables.get(f"{env_name}_FILE", "").strip():
            return cls(_from_file(Path(file), make=False))
        if state is None:
            raise AuditError(
                AUDIT_KEY_MISSING.problem(
                    f"environment variable {env_name} is not set",
                    mend=f"set {env_name} to the audit key; a new one comes from `openssl rand -hex 32`",
                )
            )
        return cls(_from_file(state / KEY_FILE))

    def mac(self, use: Use, version: int, *parts: bytes) -> bytes:
        """HMAC-SHA256 under the key of one use. Raises KeyError for a version that isn't held."""
        return hmac.digest(self.__keys[version, use], b"".join(parts), "sha256")

    def knows(self, version: int) -> bool:
        return (version, "chain") in self.__keys

    def sql_digest(self, text: str) -> str:
        """32 hex digits that are the same for the same SQL. Without the key nobody can try out literals."""
        return self.mac("sql", self.version, text.encode("utf-8", "surrogatepass")).hex()[:32]

    def __repr__(self) -> str:
        return f"AuditKeys(version={self.version})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("an audit key does not leave its process")


def _from_file(path: Path, *, make: bool = True) -> dict[int, bytes]:
    called = f"file '{path.name}'"
    try:
        if make and not path.exists():
            make_key_file(path)
        if path.stat().st_mode & 0o077:
            raise _unusable(f"{called} with the audit key is open to other users", f"chmod 600 {path}")
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise _unusable(
            f"{called} with the audit key can't be read or made: {error.strerror}", "check the folder's owner"
        ) from None
    return _parse(text, called)


def _parse(text: str, source: str) -> dict[int, bytes]:
    keys: dict[int, bytes] = {}
    for part in re.split(r"[,\s]+", text):
        match = _VERSIONED.fullmatch(part)
        version = int(match[1] or 1) if match else 0
        key = decoded(match[2]) if match else b""
        if len(key) < MINIMUM_BYTES or version in keys:
            raise _unusable(f"the audit key in {source} is not {MINIMUM_BYTES} bytes or more in hexadecimal or base64")
        keys[version] = key
    return keys


def _unusable(
    what: str, mend: str = "make one with `openssl rand -hex 32`; write `v2:` before a newer one"
) -> AuditError:
    return AuditError(AUDIT_KEY_UNUSABLE.problem(what, mend=mend))
