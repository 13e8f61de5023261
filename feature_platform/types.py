"""The platform's logical types: what a column is, whatever engine or store holds it.

======================  =============================  =====================  ====================
logical                 Arrow                          DuckDB                 PostgreSQL
======================  =============================  =====================  ====================
``boolean``             ``bool``                       ``BOOLEAN``            ``boolean``
``int``                 ``int32``                      ``INTEGER``            ``integer``
``bigint``              ``int64``                      ``BIGINT``             ``bigint``
``double``              ``float64``                    ``DOUBLE``             ``double precision``
``decimal(p,s)``        ``decimal128(p, s)``           ``DECIMAL(p, s)``      ``numeric(p, s)``
``string``              ``string``                     ``VARCHAR``            ``text``
``date``                ``date32``                     ``DATE``               ``date``
``timestamp``           ``timestamp[us]``, always UTC  ``TIMESTAMP``          ``timestamp``
``array<scalar>``       ``list<scalar>``               ``scalar[]``           ``scalar[]``
======================  =============================  =====================  ====================

A ``timestamp`` is an instant in UTC to the microsecond. Engines hold it without a zone, so that no session
setting can shift it; the SDK hands it out as ``timestamp[us, tz=UTC]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Engine = Literal["duckdb", "postgres"]
"""The SQL engines that a definition is rendered for."""

ENGINES: Final[tuple[Engine, ...]] = ("duckdb", "postgres")

Kind = Literal["boolean", "int", "bigint", "double", "decimal", "string", "date", "timestamp", "array"]

_SCALARS: Final[tuple[Kind, ...]] = ("boolean", "int", "bigint", "double", "string", "date", "timestamp")
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
_ARRAY = re.compile(r"array<(.+)>")
_SQL: Final[dict[Engine, dict[str, str]]] = {
    "duckdb": {
        "boolean": "BOOLEAN",
        "int": "INTEGER",
        "bigint": "BIGINT",
        "double": "DOUBLE",
        "string": "VARCHAR",
        "date": "DATE",
        "timestamp": "TIMESTAMP",
        "decimal": "DECIMAL",
    },
    "postgres": {
        "boolean": "BOOLEAN",
        "int": "INTEGER",
        "bigint": "BIGINT",
        "double": "DOUBLE PRECISION",
        "string": "TEXT",
        "date": "DATE",
        "timestamp": "TIMESTAMP",
        "decimal": "NUMERIC",
    },
}


@dataclass(frozen=True, slots=True)
class DataType:
    """One logical type. Made by :meth:`parse` or the constants below; hashable, printable, comparable."""

    kind: Kind
    precision: int = 0
    scale: int = 0
    element: DataType | None = None

    @classmethod
    def parse(cls, text: str) -> DataType:
        """The type that ``text`` names, e.g. ``bigint``, ``decimal(18,2)``, ``array<string>``.

        Raises:
            ValueError: no such type; the message lists those there are.
        """
        normal = text.strip().lower()
        for kind in _SCALARS:
            if normal == kind:
                return cls(kind)
        if match := _DECIMAL.fullmatch(normal):
            precision, scale = int(match[1]), int(match[2])
            if not 1 <= precision <= 38 or scale > precision:
                raise ValueError(f"'{text}': a decimal has 1 to 38 digits and no more decimals than digits")
            return cls("decimal", precision, scale)
        if match := _ARRAY.fullmatch(normal):
            element = cls.parse(match[1])
            if element.kind == "array":
                raise ValueError(f"'{text}': an array holds scalars, not arrays")
            return cls("array", element=element)
        raise ValueError(f"unknown type '{text}'; known are {', '.join(_SCALARS)}, decimal(p,s) and array<...>")

    def __str__(self) -> str:
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.kind == "array":
            return f"array<{self.element}>"
        return self.kind

    @property
    def is_integer(self) -> bool:
        return self.kind in ("int", "bigint")

    @property
    def is_exact(self) -> bool:
        """Whether arithmetic on it is exact: integers and decimals."""
        return self.is_integer or self.kind == "decimal"

    @property
    def is_numeric(self) -> bool:
        return self.is_exact or self.kind == "double"

    @property
    def is_temporal(self) -> bool:
        return self.kind in ("date", "timestamp")

    def sql(self, engine: Engine) -> str:
        """The type's name in ``engine``'s DDL and casts."""
        if self.kind == "array":
            assert self.element is not None
            return f"{self.element.sql(engine)}[]"
        name = _SQL[engine][self.kind]
        return f"{name}({self.precision}, {self.scale})" if self.kind == "decimal" else name

    def arrow(self) -> pa.DataType:
        """The Arrow type. Timestamps have no zone here; they are UTC by rule."""
        import pyarrow as pa

        if self.kind == "decimal":
            return pa.decimal128(self.precision, self.scale)
        if self.kind == "array":
            assert self.element is not None
            return pa.list_(self.element.arrow())
        plain: dict[str, pa.DataType] = {
            "boolean": pa.bool_(),
            "int": pa.int32(),
            "bigint": pa.int64(),
            "double": pa.float64(),
            "string": pa.string(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us"),
        }
        return plain[self.kind]


BOOLEAN: Final = DataType("boolean")
INT: Final = DataType("int")
BIGINT: Final = DataType("bigint")
DOUBLE: Final = DataType("double")
STRING: Final = DataType("string")
DATE: Final = DataType("date")
TIMESTAMP: Final = DataType("timestamp")


def decimal(precision: int, scale: int) -> DataType:
    """``decimal(precision, scale)``."""
    return DataType("decimal", precision, scale)


def array(element: DataType) -> DataType:
    """``array<element>``."""
    return DataType("array", element=element)


@dataclass(frozen=True, slots=True)
class Column:
    """A named, typed column of a table."""

    name: str
    type: DataType
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a table, in order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def arrow(self) -> pa.Schema:
        """The Arrow schema, every field nullable (NOT NULL is a check, not a type)."""
        import pyarrow as pa

        return pa.schema([pa.field(column.name, column.type.arrow()) for column in self.columns])
