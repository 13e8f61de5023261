"""Where everything of a Delta table lies in its folder.

::

    <table>/_delta_log/…                  the table, for any reader of Delta
    <table>/data/<shape>/<token>.parquet  one file per staged write; live once the log says so
    <table>/_fp/publish.lock              held while committing and while files are removed
    <table>/_fp/attempts/<token>          held by the process that stages ``token``
    <table>/_fp/readers/<version>         shared by readers of that version

``<shape>`` is a digest of the columns, so that files of several generations of a growing schema can be read together
without opening each. Properties of a publication lie in the Parquet footer of its file: they cannot part from the rows,
and reading them never scans the log.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import FOLDER_UNUSABLE
from feature_platform.stores.protocols import TableName
from feature_platform.types import TableSchema

_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_NAME_LENGTH: Final = 200


def usable_root(root: Path) -> Path:
    """``root``, if libraries will take it for a path: they decode percent signs.

    Raises:
        StoreError: it holds what would be decoded.
    """
    if _ESCAPE.search(str(root)):
        raise StoreError(
            FOLDER_UNUSABLE.problem(
                f"{root} holds a percent sign before two digits", mend="rename or choose another folder"
            )
        )
    return root


def table_folder(root: Path, table: TableName) -> Path:
    """Where ``table`` lies below ``root``. Whatever its name holds, the folder cannot lie elsewhere."""
    return root / _file_name(table.schema) / _file_name(table.name)


def table_of_folder(folder: Path) -> TableName | None:
    """The table whose folder it is; None where the name was too long to stand in it."""
    names = [_text(folder.parent.name), _text(folder.name)]
    return TableName(names[0], names[1]) if names[0] is not None and names[1] is not None else None


def staged_path(folder: Path, schema: TableSchema, token: str) -> Path:
    """Where the rows of attempt ``token`` are written."""
    return folder / "data" / _shape(schema) / f"{_file_name(token)}.parquet"


def publish_lock(folder: Path) -> Path:
    """Held while committing and while files are removed."""
    return folder / "_fp" / "publish.lock"


def attempt_lease(folder: Path, token: str) -> Path:
    """Held by the process that stages ``token``."""
    return folder / "_fp" / "attempts" / _file_name(token)


def reader_lease(folder: Path, version: int) -> Path:
    """Shared by readers of ``version``."""
    return folder / "_fp" / "readers" / str(version)


def commit_path(folder: Path, version: int) -> Path:
    """What makes ``version`` one, in the log."""
    return folder / "_delta_log" / f"{version:020d}.json"


def _shape(schema: TableSchema) -> str:
    """A short digest of column names and types."""
    text = "\0".join(f"{column.name}\0{column.type}" for column in schema.columns)
    return sha256(text.encode()).hexdigest()[:12]


def _file_name(text: str) -> str:
    """``text`` as one component of a path: letters, digits, ``_`` and ``-`` as they are, other bytes as ``~2e``.

    Not percent signs: libraries take paths for URLs and decode those.
    """
    name = "".join(chr(byte) if chr(byte) in _PLAIN else f"~{byte:02x}" for byte in text.encode())
    return name if len(name) <= _NAME_LENGTH else f"{name[:100]}~~{sha256(text.encode()).hexdigest()[:24]}"


def _text(name: str) -> str | None:
    """The inverse of :func:`_file_name`."""
    if "~~" in name:
        return None
    try:
        return re.sub(rb"~([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), name.encode()).decode()
    except UnicodeDecodeError:
        return None
