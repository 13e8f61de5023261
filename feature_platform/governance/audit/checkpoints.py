"""Checkpoints in the state folder, for copying to a place that the ledger's writers can't reach.

``head.json`` is the newest record that this folder has seen in the ledger, renewed with every append. ``checkpoints/``
has one file per hour or hundred thousand records, never changed. Whatever was in ``head.json`` when the ledger turned
out to be another is kept there as well.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from feature_platform.errors import AuditError
from feature_platform.governance.audit.chain import Checkpoint
from feature_platform.governance.audit.codes import LEDGER_UNUSABLE

HEAD: Final = "head.json"
FOLDER: Final = "checkpoints"


def read_head(folder: Path) -> Checkpoint | None:
    """The newest record that this folder has seen; None before the first.

    Raises:
        AuditError: the file is no checkpoint.
    """
    path = folder / HEAD
    return _read(path) if path.exists() else None


def write_head(folder: Path, checkpoint: Checkpoint) -> None:
    """Renews ``head.json``, as a whole or not at all."""
    _write(folder / HEAD, checkpoint)


def keep(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes a file that is never changed; gives its path."""
    path = folder / FOLDER / f"{checkpoint.seq:012d}-{checkpoint.head[:12]}.json"
    if not path.exists():
        _write(path, checkpoint)
    return path


def read_all(folder: Path) -> Iterator[Checkpoint]:
    """Every checkpoint of a folder: ``head.json`` and kept ones, or any JSON files that were copied from there.

    Raises:
        AuditError: a file is no checkpoint.
    """
    for path in sorted({*folder.glob("*.json"), *(folder / FOLDER).glob("*.json")}):
        yield _read(path)


def read_stored(folder: Path) -> set[Checkpoint]:
    """Every checkpoint of a folder that somebody names because copies are there: at least one.

    Raises:
        AuditError: there is none, as where a volume is not mounted; or a file is no checkpoint.
    """
    if not (found := set(read_all(folder))):
        raise AuditError(
            LEDGER_UNUSABLE.problem(
                f"there is no checkpoint in '{folder}', so nothing was held against it",
                mend="mount the folder, or name the one that `fp audit checkpoint --out` writes to",
            )
        )
    return found


def _read(path: Path) -> Checkpoint:
    try:
        return Checkpoint(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise AuditError(
            LEDGER_UNUSABLE.problem(f"'{path.name}' is no checkpoint", mend="give a folder of checkpoints, unchanged")
        ) from None


def _write(path: Path, checkpoint: Checkpoint) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(checkpoint.as_dict(), file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError as error:
        raise AuditError(
            LEDGER_UNUSABLE.problem(
                f"the checkpoint '{path.name}' can't be written: {error.strerror}", mend="make room in the state folder"
            )
        ) from None
