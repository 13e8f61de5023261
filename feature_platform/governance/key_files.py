"""Keys as text, and files that hold one: what token keys and audit keys have in common."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NEW_KEY_BYTES: Final = 32


def decoded(text: str) -> bytes:
    """The key that ``text`` is in hexadecimal or base64; empty if it is neither."""
    with suppress(ValueError):
        return bytes.fromhex(text)
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(text, validate=True)
    return b""


def make_key_file(path: Path) -> None:
    """Writes a new key, ``v1:<hexadecimal>``, whole or not at all, readable by its owner alone.

    When two processes do it at once, both go on with the same one.

    Raises:
        OSError: the folder can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"v1:{secrets.token_hex(NEW_KEY_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
