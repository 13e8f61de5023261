"""Constants of dates and times: read while compiling, so that no engine meets a text that it would read differently."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

from sqlglot import exp

from feature_platform.compiler.numeric import NoTypeError, number_literal
from feature_platform.types import BOOLEAN, DATE, STRING, TIMESTAMP, DataType

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?")


def normal_literal(text: str, type_: DataType) -> str | None:
    """``text`` as ISO 8601 of the type, or None if it is none: no zone, since every time is UTC.

    >>> normal_literal("2026-01-31T06:00", TIMESTAMP)
    '2026-01-31 06:00:00'
    """
    pattern = _DATE if type_ == DATE else _TIMESTAMP
    if not pattern.fullmatch(text):
        return None
    try:
        if type_ == DATE:
            return date.fromisoformat(text).isoformat()
        return datetime.fromisoformat(text).isoformat(sep=" ")
    except ValueError:
        return None


def literal_type(node: exp.Expr) -> DataType | None:
    """The type of a constant: a literal, TRUE, or ``DATE '...'`` and ``TIMESTAMP '...'``; None for anything else."""
    if isinstance(node, exp.Paren | exp.Neg):
        return literal_type(node.this)
    if isinstance(node, exp.Literal):
        if node.is_string:
            return STRING
        try:
            return number_literal(node.name)
        except NoTypeError:
            return None
    if isinstance(node, exp.Boolean):
        return BOOLEAN
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string:
        for type_, names in ((DATE, ("DATE",)), (TIMESTAMP, ("TIMESTAMP", "TIMESTAMPNTZ"))):
            if node.to.this.name in names and normal_literal(node.this.name, type_) is not None:
                return type_
    return None
