"""What was compiled before, on disk, by content.

A key is a digest of everything that a view's compilation depends on, so an entry never goes stale: something else has
another key. One SQLite file holds all entries: a warm project reads thousands of them in one go, and SQLite keeps
several processes apart. Whatever is wrong with the file or an entry is a miss, never an error; a damaged file is put
aside.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from feature_platform.compiler.codec import decode, encode
from feature_platform.compiler.plan import CompiledView

FILE: Final = "compiled.sqlite"
_TABLE: Final = "CREATE TABLE IF NOT EXISTS compiled (key TEXT PRIMARY KEY, sum TEXT NOT NULL, view TEXT NOT NULL)"
_AT_ONCE: Final = 500
_KEPT: Final = 40_000
"""Entries; the oldest go first."""
_WAIT_SECONDS: Final = 5.0


def load(folder: Path, keys: Iterable[str]) -> dict[str, CompiledView]:
    """Those of ``keys`` that are known."""
    file = folder / FILE
    if not file.exists():
        return {}
    try:
        rows = _read(file, list(keys))
    except sqlite3.DatabaseError:
        return {}
    found = {}
    for key, total, text in rows:
        if total == _sum(text):
            with suppress(ValueError, KeyError, TypeError, IndexError):
                found[key] = decode(text)
    return found


def save(folder: Path, views: Mapping[str, CompiledView]) -> None:
    """Adds entries. If the disk is full or another process holds the file for long, they are compiled again next
    time."""
    rows = []
    for key, view in views.items():
        with suppress(TypeError):
            text = encode(view)
            rows.append((key, _sum(text), text))
    file = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(file, rows)
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError:
        with suppress(OSError, sqlite3.DatabaseError):
            file.replace(file.with_suffix(".damaged"))
            _write(file, rows)
    except OSError:
        return


def _read(file: Path, keys: list[str]) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    with closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as connection:
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            rows += connection.execute(f"SELECT key, sum, view FROM compiled WHERE key IN ({marks})", some)  # noqa: S608 - question marks only
    return rows


def _write(file: Path, rows: list[tuple[str, str, str]]) -> None:
    with closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as connection, connection:
        connection.execute(_TABLE)
        connection.executemany("INSERT OR REPLACE INTO compiled VALUES (?, ?, ?)", rows)
        connection.execute(
            "DELETE FROM compiled WHERE rowid <= (SELECT max(rowid) FROM compiled) - ?", (max(_KEPT, 2 * len(rows)),)
        )


def _sum(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
