"""Results of reading files, kept between runs: a file whose content is known is neither parsed nor validated again.

One pack per project: the results of all its files, each under the digest of path and content. A pack belongs to
exactly one version of platform, Python, pydantic and sqlglot. It is replaced as a whole and atomically, so processes
that load at once each find a whole pack; the last one wins, and the others have lost time, nothing else. A pack that is
damaged in any way counts as absent.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pydantic

import feature_platform
from feature_platform.registry.references import SqlReads
from feature_platform.specs.loader import LoadedDocument

_NAME: Final = "specs.pack"
_MAGIC: Final = b"feature-platform specs\n"
_ALLOWED: Final = frozenset(
    {("builtins", "frozenset"), ("builtins", "set"), ("datetime", "datetime"), ("datetime", "date")}
)


@dataclass(frozen=True)
class Entry:
    """What a file without problems gave: its documents, and what their SQL reads."""

    documents: tuple[LoadedDocument, ...]
    sql_reads: Mapping[str, SqlReads]


def entry_key(file: str, content: bytes) -> str:
    """The key of a file's entry. The path is in it because every location of the entry names it."""
    return hashlib.sha256(file.encode() + b"\0" + content).hexdigest()


def read_pack(folder: Path) -> dict[str, bytes]:
    """Packed entries by key; empty when there is no pack of this version, or a damaged one."""
    try:
        content = (folder / _NAME).read_bytes()
    except OSError:
        return {}
    head = _head()
    checksum_end = len(head) + 32
    payload = content[checksum_end:]
    if not content.startswith(head) or hashlib.sha256(payload).digest() != content[len(head) : checksum_end]:
        return {}
    listing, _, packed = payload.partition(b"\n")
    entries: dict[str, bytes] = {}
    position = 0
    for key, length in json.loads(listing):
        entries[key] = packed[position : position + length]
        position += length
    return entries


def write_pack(folder: Path, entries: Mapping[str, bytes]) -> None:
    """Replaces the pack. A folder that cannot be written means loading again next time, no error."""
    listing = json.dumps([(key, len(packed)) for key, packed in entries.items()])
    payload = b"".join((listing.encode(), b"\n", *entries.values()))
    try:
        # Often the first that is written into a state folder, where data and keys will lie: its owner's alone.
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=folder, prefix=f"{_NAME}.")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_head() + hashlib.sha256(payload).digest() + payload)
        os.replace(draft, folder / _NAME)
    except OSError:
        Path(draft).unlink(missing_ok=True)


def pack(entry: Entry) -> bytes:
    """An entry as bytes."""
    return pickle.dumps(entry, protocol=5)


def unpack(packed: bytes) -> Entry | None:
    """The entry; None if the bytes hold anything but documents of this platform."""
    try:
        entry = _Unpickler(io.BytesIO(packed)).load()
    except Exception:  # noqa: BLE001 - a damaged pickle may raise anything, and then the file is read again
        return None
    return entry if isinstance(entry, Entry) else None


class _Unpickler(pickle.Unpickler):
    """Knows classes of this platform and a few plain ones, so that a planted pickle runs nothing."""

    def find_class(self, module_name: str, global_name: str) -> object:
        if module_name.startswith("feature_platform.") or (module_name, global_name) in _ALLOWED:
            found: object = super().find_class(module_name, global_name)
            if isinstance(found, type):
                return found
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is not allowed here")


@cache
def _head() -> bytes:
    """Names everything that decides what an entry looks like: versions, and the code that makes entries."""
    package = Path(feature_platform.__file__).parent
    code = hashlib.sha256()
    for module in (*sorted((package / "specs").glob("*.py")), package / "types.py", package / "registry/references.py"):
        code.update(module.read_bytes())
    versions = (feature_platform.__version__, sys.version, pydantic.VERSION, version("sqlglot"), code.hexdigest())
    return _MAGIC + hashlib.sha256("\n".join(versions).encode()).hexdigest().encode() + b"\n"
