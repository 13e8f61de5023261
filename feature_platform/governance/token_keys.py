"""Where the token key comes from: an environment variable, or the embedded profile's own file."""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from feature_platform.errors import GovernanceError
from feature_platform.governance.codes import TOKEN_KEY_EXPOSED, TOKEN_KEY_MISSING, TOKEN_KEY_WEAK

KEY_FILE: Final = "token.key"
MINIMUM_BYTES: Final = 32
_VERSIONED: Final = re.compile(r"(?:v([1-9][0-9]{0,3}):)?(.+)")


def read_key(env_name: str, state_dir: Path | None, environ: Mapping[str, str] | None = None) -> tuple[bytes, int]:
    """(key, version) from the variable, else from the file in ``state_dir``, which is made if need be.

    Raises:
        GovernanceError: see :meth:`feature_platform.governance.tokens.TokenKeys.from_environment`.
    """
    given = (os.environ if environ is None else environ).get(env_name, "").strip()
    if given:
        return _parse(given, f"environment variable {env_name}")
    if state_dir is None:
        raise GovernanceError(
            TOKEN_KEY_MISSING.problem(
                f"environment variable {env_name} is not set",
                mend=f"set {env_name} to the project's token key; a new one comes from `openssl rand -hex 32`",
            )
        )
    path = state_dir / KEY_FILE
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise GovernanceError(
            TOKEN_KEY_EXPOSED.problem(
                f"{KEY_FILE} in the state folder is open to other users", mend=f"chmod 600 {path}"
            )
        )
    return _parse(path.read_text(encoding="ascii", errors="replace").strip(), f"file {KEY_FILE} in the state folder")


def _parse(text: str, source: str) -> tuple[bytes, int]:
    match = _VERSIONED.fullmatch(text)
    key = _decode(match[2]) if match else b""
    if match is None or len(key) < MINIMUM_BYTES:
        raise GovernanceError(
            TOKEN_KEY_WEAK.problem(
                f"the token key in {source} is not {MINIMUM_BYTES} bytes or more in hexadecimal or base64",
                mend="make one with `openssl rand -hex 32`; write `v2:` before it if it replaces an older one",
            )
        )
    return key, int(match[1] or 1)


def _decode(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _make(path: Path) -> None:
    """Writes a new key whole or not at all; when two processes do it at once, both go on with the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"v1:{secrets.token_hex(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
