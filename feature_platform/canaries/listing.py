"""The list of canaries: which value stands in which column of which source.

The file lies in the data folder, beside the raw sources that hold the same values, and is as confidential as they are.
No text, repr or log of this package holds a value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform.canaries.codes import BAD_LIST, NO_LIST
from feature_platform.errors import UsageError

if TYPE_CHECKING:
    from feature_platform.registry.graph import Registry

FILE_NAME: Final = "canaries.json"
"""In the data folder: ``{"canaries": [{"source": "customers", "column": "email", "value": "…"}]}``."""
SHORTEST: Final = 7
"""Characters. A shorter value would be found by chance."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One value that must not leave its source."""

    source: str
    column: str
    classification: str
    value: str = field(repr=False)
    """As text: a date in ISO format."""

    @property
    def name(self) -> str:
        """``customers.email``: what a report says instead of the value."""
        return f"{self.source}.{self.column}"


def read_canaries(file: Path, registry: Registry) -> tuple[Canary, ...]:
    """The canaries of a file, each with the classification that its column was declared to have.

    Raises:
        UsageError: no such file, or it is not a list of canaries of this project.
    """
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            NO_LIST.problem(
                f"there is no {file.name} in {file.parent}",
                mend="write one beside the raw data, or name it with --canaries; the demonstration makes its own",
            )
        ) from None
    except ValueError:
        raise _bad(file, "it is not JSON") from None
    entries = plain.get("canaries") if isinstance(plain, dict) else None
    if not isinstance(entries, list) or not entries:
        raise _bad(file, "it has no list `canaries`, or an empty one")
    return tuple(_canary(file, number, entry, registry) for number, entry in enumerate(entries, 1))


def write_canaries(file: Path, canaries: Sequence[tuple[str, str, str]]) -> None:
    """Writes (source, column, value) of each, for the owner of the file alone."""
    entries = [{"source": source, "column": column, "value": value} for source, column, value in canaries]
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(json.dumps({"canaries": entries}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _canary(file: Path, number: int, entry: Any, registry: Registry) -> Canary:
    fields = ("source", "column", "value")
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in fields):
        raise _bad(file, f"entry {number} needs the texts source, column and value")
    source = registry.sources.get(entry["source"])
    column = source.spec.columns.get(entry["column"]) if source is not None else None
    if column is None or column.pii in (None, "none"):
        raise _bad(file, f"entry {number} names no classified column of a source")
    if len(entry["value"]) < SHORTEST:
        raise _bad(file, f"the value of entry {number} has fewer than {SHORTEST} characters")
    return Canary(entry["source"], entry["column"], str(column.pii), entry["value"])


def _bad(file: Path, why: str) -> UsageError:
    return UsageError(
        BAD_LIST.problem(f"{file}: {why}", mend="one entry is {source, column, value}; values are never shown here")
    )
