"""An entity's key as text that every language can make: the field name under which a row lies in Redis.

One key column: its text. Several: each as ``<bytes>:<text>,`` (a netstring), one after the other, so that no value can
be taken for another whatever characters it holds. Texts: integers in decimal, strings as they are (UTF-8), dates
``YYYY-MM-DD``, timestamps as microseconds since 1970 (UTC), booleans ``true`` and ``false``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import index
from typing import TYPE_CHECKING, Any, Final

from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

KEY_KINDS: Final = ("boolean", "int", "bigint", "string", "date", "timestamp")
"""Types that can be keys: those whose equality means the same in every engine and language."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - stores hold UTC without a zone
_MICROSECOND: Final = timedelta(microseconds=1)


class KeyTypeError(TypeError):
    """A key value that is not of its column's type. The text names columns and types, never the value."""


@dataclass(frozen=True, slots=True)
class KeyEncoder:
    """Turns key tuples of one table into field names. Made by :func:`key_encoder`."""

    _names: tuple[str, ...]
    _normalize: tuple[Callable[[Any], Any], ...]
    _types: tuple[DataType, ...]

    def normalize(self, key: Sequence[Any]) -> tuple[Any, ...] | None:
        """``key`` with plain Python values of the columns' types; None if a part is NULL, which no row can match.

        Raises:
            KeyTypeError: too many or too few parts, or a part of another type.
        """
        if len(key) != len(self._names):
            raise KeyTypeError(f"{len(key)} key values for {len(self._names)} columns ({', '.join(self._names)})")
        if any(part is None for part in key):
            return None
        parts: list[Any] = []
        for name, convert, kind, part in zip(self._names, self._normalize, self._types, key, strict=True):
            try:
                parts.append(convert(part))
            except TypeError as error:
                raise KeyTypeError(f"'{name}' is a {kind}, not a {type(part).__name__}") from error
        return tuple(parts)

    def field(self, key: Sequence[Any]) -> bytes | None:
        """The field name of ``key``; None if a part is NULL.

        Raises:
            KeyTypeError: as :meth:`normalize`.
        """
        parts = self.normalize(key)
        if parts is None:
            return None
        texts = [_text(part).encode("utf-8") for part in parts]
        if len(texts) == 1:
            return texts[0]
        return b"".join(b"%d:%b," % (len(text), text) for text in texts)


def key_encoder(table: OnlineTable) -> KeyEncoder:
    """The encoder of ``table``'s keys.

    Raises:
        KeyTypeError: a key column has a type that can't be a key.
    """
    types = tuple(_key_type(table, name) for name in table.keys)
    return KeyEncoder(table.keys, tuple(_NORMALIZE[kind.kind] for kind in types), types)


def encode_fields(table: OnlineTable, batch: pa.RecordBatch) -> pa.BinaryArray:
    """The field names of all rows of ``batch``; NULL where a part of the key is NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [_arrow_text(batch.column(name), _key_type(table, name)) for name in table.keys]
    if len(texts) == 1:
        return texts[0]
    pieces: list[Any] = []
    for text in texts:
        length = pc.binary_length(text).cast(pa.string()).cast(pa.binary())
        pieces += [length, pa.scalar(b":", pa.binary()), text, pa.scalar(b",", pa.binary())]
    return pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.binary()))


def _key_type(table: OnlineTable, name: str) -> DataType:
    column = table.schema.column(name)
    if column is None or column.type.kind not in KEY_KINDS:
        found = "missing" if column is None else f"a {column.type}"
        raise KeyTypeError(f"key '{name}' is {found}; a key is one of {', '.join(KEY_KINDS)}")
    return column.type


def _arrow_text(values: pa.Array, kind: DataType) -> pa.BinaryArray:
    import pyarrow as pa

    if kind.kind == "timestamp":
        values = values.cast(pa.int64())
    return values.cast(pa.string()).cast(pa.binary())


def _text(part: Any) -> str:
    """The text of a normalized part."""
    if isinstance(part, bool):
        return "true" if part else "false"
    if isinstance(part, datetime):
        return str((part - _EPOCH) // _MICROSECOND)
    return str(part)


def _boolean(value: Any) -> bool:
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError
    return bool(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return index(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def _date(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError
    return value


def _timestamp(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


_NORMALIZE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "boolean": _boolean,
    "int": _integer,
    "bigint": _integer,
    "string": _string,
    "date": _date,
    "timestamp": _timestamp,
}
