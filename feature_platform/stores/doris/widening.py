"""Which types a column of a declared type takes as they are: Doris computes some things in a narrower type than the
other engines (``DATEDIFF`` and ``CHAR_LENGTH`` are INT), and every value of that is one of the declared.
"""

from __future__ import annotations

from typing import Final

from feature_platform.types import Column, DataType, TableSchema

_DIGITS: Final = {"int": 10, "bigint": 19}


def widened(found: TableSchema, declared: TableSchema) -> TableSchema:
    """``found`` with the declared type wherever that holds every value exactly."""
    return TableSchema(tuple(Column(column.name, _widened(column, declared)) for column in found.columns))


def _widened(column: Column, declared: TableSchema) -> DataType:
    wanted = declared.column(column.name)
    return wanted.type if wanted is not None and holds(wanted.type, column.type) else column.type


def holds(wide: DataType, narrow: DataType) -> bool:
    """Whether every value of ``narrow`` is one of ``wide``, unchanged.

    >>> holds(DataType.parse("bigint"), DataType.parse("int")), holds(DataType.parse("int"), DataType.parse("bigint"))
    (True, False)
    >>> holds(DataType.parse("decimal(18,2)"), DataType.parse("decimal(17,2)"))
    True
    >>> holds(DataType.parse("decimal(18,2)"), DataType.parse("decimal(18,1)"))
    False
    """
    if wide == narrow:
        return True
    if wide.element is not None and narrow.element is not None and wide.kind == narrow.kind:
        keys = wide.key is None or (narrow.key is not None and holds(wide.key, narrow.key))
        return keys and holds(wide.element, narrow.element)
    if wide.kind == "decimal" and narrow.is_exact:
        digits = _DIGITS.get(narrow.kind, narrow.precision - narrow.scale)
        return wide.scale >= narrow.scale and wide.precision - wide.scale >= digits
    return wide.kind == "bigint" and narrow.kind == "int"
