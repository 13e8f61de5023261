"""Records of the audit ledger in files: JSON lines, which can be verified again, or CSV for a spreadsheet."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Final

from feature_platform.cli.codes import BAD_VALUE
from feature_platform.errors import UsageError
from feature_platform.governance.audit.chain import Record

_COLUMNS: Final = (
    "seq", "recorded_at", "at", "action", "decision", "object", "human", "service", "host", "tool", "purposes", "role",
    "input_classes", "transforms", "inputs", "refusals", "rows", "run_id", "request_id", "policy_hash", "fingerprint",
    "hash",
)  # fmt: skip


def write(records: Iterable[Record], out: Path | None, count: Callable[[int], None]) -> int:
    """Writes records to a file, or JSON lines to standard output; gives how many.

    Raises:
        UsageError: the file ends neither in .jsonl nor in .csv.
    """
    if out is None:
        return _lines(records, sys.stdout, count)
    writers = {".jsonl": _lines, ".csv": _table}
    if out.suffix not in writers:
        raise UsageError(
            BAD_VALUE.problem(
                f"'{out}' ends neither in .jsonl nor in .csv", mend="give a file with one of these endings"
            )
        )
    with out.open("w", encoding="utf-8", newline="") as file:
        return writers[out.suffix](records, file, count)


def line_of(record: Record) -> str:
    """One JSON document: the hash, and the record as it was sealed, byte by byte."""
    return f'{{"hash":"{record.hash.hex()}","record":{record.text}}}'


def _lines(records: Iterable[Record], file: IO[str], count: Callable[[int], None]) -> int:
    number = 0
    for record in records:
        file.write(line_of(record) + "\n")
        count(1)
        number += 1
    return number


def _table(records: Iterable[Record], file: IO[str], count: Callable[[int], None]) -> int:
    rows = csv.writer(file)
    rows.writerow(_COLUMNS)
    number = 0
    for record in records:
        event = record.event()
        flat: dict[str, Any] = {**event, **event.get("actor", {}), **event.get("origin", {})}
        flat |= {"seq": record.seq, "recorded_at": record.recorded_at, "hash": record.hash.hex()}
        flat["refusals"] = [f"{each['code']} {each.get('place', '')}".strip() for each in event.get("refusals", ())]
        rows.writerow([_cell(flat.get(name, "")) for name in _COLUMNS])
        count(1)
        number += 1
    return number


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = (
        " ".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)
    )
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
