"""The platform's logical types: what a column is, whatever engine or store holds it.

======================  =============================  =====================  ====================  ===================
logical                 Arrow                          DuckDB                 PostgreSQL            Doris
======================  =============================  =====================  ====================  ===================
``boolean``             ``bool``                       ``BOOLEAN``            ``boolean``           ``BOOLEAN``
``int``                 ``int32``                      ``INTEGER``            ``integer``           ``INT``
``bigint``              ``int64``                      ``BIGINT``             ``bigint``            ``BIGINT``
``double``              ``float64``                    ``DOUBLE``             ``double precision``  ``DOUBLE``
``decimal(p,s)``        ``decimal128(p, s)``           ``DECIMAL(p, s)``      ``numeric(p, s)``     ``DECIMAL(p, s)``
``string``              ``string``                     ``VARCHAR``            ``text``              ``STRING``
``date``                ``date32``                     ``DATE``               ``date``              ``DATE``
``timestamp``           ``timestamp[us]``, always UTC  ``TIMESTAMP``          ``timestamp``         ``DATETIME(6)``
``array<scalar>``       ``list<scalar>``               ``scalar[]``           ``scalar[]``          ``ARRAY<scalar>``
``array<type>``         ``list<type>``                 ``type[]``             –                     ``ARRAY<type>``
``struct<a: type>``     ``struct<a: type>``            ``STRUCT("a" type)``   –                     ``STRUCT<`a`:type>``
``map<scalar, scalar>`` ``map<scalar, scalar>``        ``MAP(key, value)``    ``jsonb``, of texts    ``MAP<key, value>``
``map<type, type>``     ``map<type, type>``            ``MAP(type, type)``    –                     ``MAP<type, type>``
``json``                ``string``, the text           ``JSON``               –                     ``JSON``
======================  =============================  =====================  ====================  ===================

Stores and published tables hold scalars, arrays of scalars and maps of scalars (:attr:`DataType.is_stored`); the other
nested types are there inside queries and in what an ad-hoc query gives, on DuckDB alone. What looks into a map runs on
DuckDB alone, too; PostgreSQL hands maps on as they are (ADR 0024). A map's keys are in order, texts by code point.

A ``timestamp`` is an instant in UTC to the microsecond. Engines hold it without a zone, so that no session
setting can shift it; the SDK hands it out as ``timestamp[us, tz=UTC]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Engine = Literal["duckdb", "postgres", "doris"]
"""The SQL engines that a definition can be rendered for."""

ENGINES: Final[tuple[Engine, ...]] = ("duckdb", "postgres")
"""Those that every definition is rendered for when it compiles; Doris' text is made when somebody asks for it."""

Kind = Literal[
    "boolean", "int", "bigint", "double", "decimal", "string", "date", "timestamp", "array", "struct", "map", "json"
]

_SCALARS: Final[tuple[Kind, ...]] = ("boolean", "int", "bigint", "double", "string", "date", "timestamp")
_OPAQUE: Final[tuple[Kind, ...]] = ("json",)
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
_NESTED = re.compile(r"(array|struct|map)\s*<(.*)>", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([A-Za-z_][A-Za-z0-9_]*))\s*:(.+)', re.DOTALL)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
    "doris": {
        "boolean": "BOOLEAN",
        "int": "INT",
        "bigint": "BIGINT",
        "double": "DOUBLE",
        "string": "STRING",
        "date": "DATE",
        "timestamp": "DATETIME(6)",  # without a scale fractions are lost
        "decimal": "DECIMAL",
    },
}


@dataclass(frozen=True, slots=True)
class DataType:
    """One logical type. Made by :meth:`parse` or the constants below; hashable, printable, comparable."""

    kind: Kind
    precision: int = 0
    scale: int = 0
    element: DataType | None = None
    """Of an array, and of a map's values."""
    fields: tuple[tuple[str, DataType], ...] = ()
    """Of a struct: names and types, in order."""
    key: DataType | None = None
    """Of a map."""

    @classmethod
    def parse(cls, text: str) -> DataType:
        """The type that ``text`` names, e.g. ``bigint``, ``decimal(18,2)``, ``array<string>``,
        ``struct<a: int, "b c": map<string, date>>``.

        Raises:
            ValueError: no such type; the message lists those there are.
        """
        normal = text.strip().lower()
        for kind in (*_SCALARS, *_OPAQUE):
            if normal == kind:
                return cls(kind)
        if match := _DECIMAL.fullmatch(normal):
            precision, scale = int(match[1]), int(match[2])
            if not 1 <= precision <= 38 or scale > precision:
                raise ValueError(f"'{text}': a decimal has 1 to 38 digits and no more decimals than digits")
            return cls("decimal", precision, scale)
        if match := _NESTED.fullmatch(text.strip()):
            return _nested(match[1].lower(), _split(match[2]), text)
        raise ValueError(f"unknown type '{text}'; known are {', '.join(_SCALARS)}, decimal(p,s) and array<...>")

    def __str__(self) -> str:
        match self.kind:
            case "decimal":
                return f"decimal({self.precision},{self.scale})"
            case "array":
                return f"array<{self.element}>"
            case "map":
                return f"map<{self.key}, {self.element}>"
            case "struct":
                return f"struct<{', '.join(f'{_name(name)}: {type_}' for name, type_ in self.fields)}>"
        return self.kind

    @property
    def is_nested(self) -> bool:
        """Whether there are values inside: arrays, structs, maps, JSON."""
        return self.kind in ("array", "struct", "map", "json")

    @property
    def is_stored(self) -> bool:
        """Whether sources, stores and published tables can hold it: scalars, arrays and maps of scalars."""
        if not self.is_nested:
            return True
        return self.element is not None and not any(part.is_nested for part in (self.element, self.key) if part)

    def field(self, name: str) -> tuple[str, DataType] | None:
        """A struct's field, by name without regard to case."""
        return next((field for field in self.fields if field[0].lower() == name.lower()), None)

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
        """The type's name in ``engine``'s DDL and casts.

        Raises:
            ValueError: the engine has no such type.
        """
        if engine == "doris":
            return self._doris()
        if self.is_nested and not (engine == "duckdb" or self.is_stored):
            raise ValueError(f"{engine} has no form of {self}")
        match self.kind:
            case "decimal":
                return f"{_SQL[engine]['decimal']}({self.precision}, {self.scale})"
            case "array":
                assert self.element is not None
                return f"{self.element.sql(engine)}[]"
            case "map":
                assert self.key is not None
                assert self.element is not None
                if engine == "postgres":
                    return "JSONB"
                return f"MAP({self.key.sql(engine)}, {self.element.sql(engine)})"
            case "struct":
                return f"STRUCT({', '.join(f'{_quoted(name)} {type_.sql(engine)}' for name, type_ in self.fields)})"
            case "json":
                return "JSON"
        return _SQL[engine][self.kind]

    def _doris(self) -> str:
        match self.kind:
            case "decimal":
                return f"DECIMAL({self.precision}, {self.scale})"
            case "array":
                assert self.element is not None
                return f"ARRAY<{self.element.sql('doris')}>"
            case "map":
                assert self.key is not None
                assert self.element is not None
                return f"MAP<{self.key.sql('doris')}, {self.element.sql('doris')}>"
            case "struct":
                fields = (f"`{name.replace('`', '``')}`:{type_.sql('doris')}" for name, type_ in self.fields)
                return f"STRUCT<{', '.join(fields)}>"
            case "json":
                return "JSON"
        return _SQL["doris"][self.kind]

    def arrow(self) -> pa.DataType:
        """The Arrow type. Timestamps have no zone here; they are UTC by rule."""
        import pyarrow as pa

        if self.kind == "decimal":
            return pa.decimal128(self.precision, self.scale)
        if self.kind == "array":
            assert self.element is not None
            return pa.list_(self.element.arrow())
        if self.kind == "map":
            assert self.key is not None
            assert self.element is not None
            return pa.map_(self.key.arrow(), self.element.arrow())
        if self.kind == "struct":
            return pa.struct([pa.field(name, type_.arrow()) for name, type_ in self.fields])
        plain: dict[str, pa.DataType] = {
            "boolean": pa.bool_(),
            "int": pa.int32(),
            "bigint": pa.int64(),
            "double": pa.float64(),
            "string": pa.string(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us"),
            "json": pa.string(),
        }
        return plain[self.kind]


BOOLEAN: Final = DataType("boolean")
INT: Final = DataType("int")
BIGINT: Final = DataType("bigint")
DOUBLE: Final = DataType("double")
STRING: Final = DataType("string")
DATE: Final = DataType("date")
TIMESTAMP: Final = DataType("timestamp")
JSON: Final = DataType("json")


def decimal(precision: int, scale: int) -> DataType:
    """``decimal(precision, scale)``."""
    return DataType("decimal", precision, scale)


def array(element: DataType) -> DataType:
    """``array<element>``."""
    return DataType("array", element=element)


def struct(*fields: tuple[str, DataType]) -> DataType:
    """``struct<name: type, ...>``."""
    return DataType("struct", fields=fields)


def map_of(key: DataType, element: DataType) -> DataType:
    """``map<key, element>``."""
    return DataType("map", element=element, key=key)


def _nested(kind: str, parts: list[str], text: str) -> DataType:
    if kind == "array" and len(parts) == 1:
        return array(DataType.parse(parts[0]))
    if kind == "map" and len(parts) == 2:
        return map_of(DataType.parse(parts[0]), DataType.parse(parts[1]))
    fields = [_FIELD.fullmatch(part) for part in parts]
    if kind == "struct" and all(fields):
        named = [((field[1] or "").replace('""', '"') or field[2], field[3]) for field in fields if field]
        if len({name.lower() for name, _ in named}) < len(named):
            raise ValueError(f"'{text}': two fields have one name")
        return struct(*((name, DataType.parse(type_)) for name, type_ in named))
    raise ValueError(f"'{text}': write array<type>, map<type, type> or struct<name: type, ...>")


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets and no quotes."""
    parts, depth, quoted = [""], 0, False
    for char in text:
        quoted ^= char == '"'
        if not quoted:
            depth += (char in "<(") - (char in ">)")
        if char == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _name(field: str) -> str:
    return field if _PLAIN_NAME.fullmatch(field) else _quoted(field)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


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

    @property
    def maps(self) -> dict[str, DataType]:
        """The columns that are maps, by name."""
        return {column.name: column.type for column in self.columns if column.type.kind == "map"}

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def arrow(self) -> pa.Schema:
        """The Arrow schema, every field nullable (NOT NULL is a check, not a type)."""
        import pyarrow as pa

        return pa.schema([pa.field(column.name, column.type.arrow()) for column in self.columns])
