"""Fingerprints: one short text per value, the same in every process, on every machine, in every run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Set
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel


def digest(value: Any) -> str:
    """SHA-256, in hex, over the canonical JSON of ``value``.

    Takes None, booleans, numbers, text, bytes, dates, decimals, enums, paths, mappings, sequences, sets, dataclasses
    and pydantic models of those. Order counts in sequences only. Values of different types differ: 1, 1.0, "1" and
    Decimal("1").

    Raises:
        TypeError: a value of any other type; a fingerprint must not depend on somebody's ``repr``.
        ValueError: NaN or an infinity.

    >>> digest({"b": 1, "a": (1, 2)}) == digest({"a": [1, 2], "b": 1})
    True
    """
    return hashlib.sha256(_dump(_plain(value)).encode("utf-8", "surrogatepass")).hexdigest()


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """``value`` in JSON's own types. What JSON cannot tell apart is wrapped with the name of its type."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, Set):
        return {"$set": sorted((_plain(item) for item in value), key=_dump)}
    if isinstance(value, BaseModel):
        return {f"${type(value).__name__}": {name: _plain(getattr(value, name)) for name in type(value).model_fields}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {f"${type(value).__name__}": fields}
    return _plain_scalar(value)


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: _plain(item) for key, item in value.items()}
    pairs = ([_plain(key), _plain(item)] for key, item in value.items())
    return {"$map": sorted(pairs, key=_dump)}


def _plain_scalar(value: Any) -> dict[str, Any]:
    if isinstance(value, Enum):
        return {f"${type(value).__name__}": value.name}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, date):
        return {"$date": value.isoformat()}
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, PurePath):
        return {"$path": value.as_posix()}
    raise TypeError(f"a fingerprint cannot be taken of {type(value).__name__}")
