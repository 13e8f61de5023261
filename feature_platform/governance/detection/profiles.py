"""What detection found in the columns of sources, kept between ``fp profile`` and the next compile.

One JSON file per platform profile holds all of it, so that compiling reads one small file and no data. It keeps
classes, shares and counts, never a value and not even a value's shape. A profile stands for one version of the
source's data and one declaration of where and what that data is; ``pii:`` is not part of it, since declaring a class
does not change the data. A profile of an older version of the data still counts: what held card numbers last week is
looked at again before it is believed to hold none.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from feature_platform.errors import GovernanceError
from feature_platform.governance.codes import PROFILES_UNREADABLE
from feature_platform.governance.detection.finding import CERTAIN, Finding
from feature_platform.specs.models import Source

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class SourceProfile:
    """What a source's columns hold, as far as detection can tell."""

    data_version: str
    """The store's word for the rows that were looked at."""
    declaration: str
    """:func:`declaration` of the source at that time."""
    rows: int
    columns: Mapping[str, tuple[Finding, ...]]
    """By column, surest first; clean columns are left out."""


Profiles = Mapping[str, SourceProfile]
"""By source."""

NO_PROFILES: Final[Profiles] = {}


def declaration(source: Source) -> str:
    """A digest of where a source's rows are and of which types: another one means other data."""
    types = {name: str(column.type) for name, column in source.columns.items()}
    text = json.dumps([source.store, source.table, source.path, source.format, types])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def suspicions(profiles: Profiles, name: str, source: Source) -> dict[str, Finding]:
    """By column, the surest finding that is sure enough to ask for a declaration."""
    profile = profiles.get(name)
    if profile is None or profile.declaration != declaration(source):
        return {}
    surest = {column: findings[0] for column, findings in profile.columns.items() if findings}
    return {column: finding for column, finding in surest.items() if finding.confidence >= CERTAIN}


def load_profiles(file: Path) -> Profiles:
    """What was found before; nothing if nothing was profiled yet.

    Raises:
        GovernanceError: the file is there and can't be understood. Going on would take its columns for clean.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return NO_PROFILES
    except (OSError, UnicodeDecodeError):
        raise _unreadable(file) from None
    try:
        document = json.loads(text)
        if document["format"] != _FORMAT:
            raise ValueError
        return {name: _decoded(entry) for name, entry in document["sources"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _unreadable(file) from None


def save_profiles(file: Path, profiles: Profiles) -> None:
    """Replaces the file in one step; whoever reads sees the old or the new one."""
    sources = {name: _encoded(profiles[name]) for name in sorted(profiles)}
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        beside.write_text(json.dumps({"format": _FORMAT, "sources": sources}, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def _encoded(profile: SourceProfile) -> dict[str, Any]:
    columns = {
        column: [
            {
                "classification": finding.classification,
                "confidence": round(finding.confidence, 3),
                "evidence": finding.evidence,
                "rows": finding.rows,
                "share": round(finding.share, 4),
            }
            for finding in findings
        ]
        for column, findings in profile.columns.items()
    }
    return {
        "data_version": profile.data_version,
        "declaration": profile.declaration,
        "rows": profile.rows,
        "columns": columns,
    }


def _decoded(entry: Mapping[str, Any]) -> SourceProfile:
    columns = {
        str(column): tuple(
            Finding(
                str(found["classification"]),
                float(found["confidence"]),
                found["evidence"],
                int(found["rows"]),
                float(found["share"]),
            )
            for found in findings
        )
        for column, findings in entry["columns"].items()
    }
    return SourceProfile(str(entry["data_version"]), str(entry["declaration"]), int(entry["rows"]), columns)


def _unreadable(file: Path) -> GovernanceError:
    return GovernanceError(
        PROFILES_UNREADABLE.problem(
            f"'{file}' is damaged or of another version", mend="remove it and run `fp profile` again"
        )
    )
