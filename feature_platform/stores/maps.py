"""Maps between Arrow and PostgreSQL, which has no type for them: there a map is a ``jsonb`` object of texts.

``{"grocery": "12.50", "travel": null}``: keys and values are texts that name them exactly, so decimals keep their
digits, 64-bit integers and doubles every bit; ``(m ->> 'grocery')::numeric`` reads one. ``jsonb`` has an order of keys
of its own; what comes out here has the map's own order, by key (``docs/adr/0024-maps.md``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from feature_platform.types import DataType

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "boolean": lambda text: text == "true",
    "int": int,
    "bigint": int,
    "double": float,
    "decimal": Decimal,
    "string": str,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}


@dataclass(frozen=True, slots=True)
class Entries:
    """All keys and values of a map column side by side; row *i* has those from ``offsets[i]`` to ``offsets[i + 1]``."""

    offsets: npt.NDArray[np.int32]
    keys: pa.Array
    values: pa.Array


def entries(maps: pa.MapArray) -> Entries:
    """The entries of ``maps`` alone: none that a slice leaves out, none that lie under a NULL."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    pairs = pa.StructArray.from_arrays([maps.keys, maps.items], ["key", "value"])
    offsets = pa.array(maps.offsets.to_numpy())  # a slice's are no array of their own
    lists = pa.ListArray.from_arrays(offsets, pairs, mask=maps.is_null() if maps.null_count else None)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    keys, values = lists.flatten().flatten()
    return Entries(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32), keys, values)


def as_json(maps: pa.MapArray) -> pa.StringArray:
    """The JSON object of each map."""
    import pyarrow as pa
    import pyarrow.compute as pc

    inside = entries(maps)
    key, value = _quoted(inside.keys), pc.fill_null(_quoted(inside.values), "null")
    members = pc.binary_join_element_wise(key, value, ":")
    objects = pc.binary_join(pa.ListArray.from_arrays(pa.array(inside.offsets), members), ",")
    texts = pc.binary_join_element_wise("{", objects, "}", "")
    return pc.if_else(maps.is_valid(), texts, pa.scalar(None, pa.string())) if maps.null_count else texts


def from_json(texts: pa.Array, kind: DataType) -> pa.MapArray:
    """The maps of JSON objects, their keys in order."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    assert kind.key is not None
    assert kind.element is not None
    found = [None if text is None else json.loads(text) for text in texts.to_pylist()]
    sizes = [len(each) if each else 0 for each in found]
    keys = pa.array([key for each in found if each for key in each], pa.string()).cast(kind.key.arrow())
    values = pa.array([value for each in found if each for value in each.values()], pa.string())
    rows = pa.array(np.repeat(np.arange(len(sizes)), sizes))
    order = pc.sort_indices(pa.table({"row": rows, "key": keys}), [("row", "ascending"), ("key", "ascending")])
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))
    return pa.MapArray.from_arrays(
        offsets,
        keys.take(order),
        values.cast(kind.element.arrow()).take(order),
        type=kind.arrow(),
        mask=pa.array([each is None for each in found], pa.bool_()),
    )


def reader(kind: DataType) -> Callable[[Mapping[str, str | None]], dict[Any, Any]]:
    """From one object of texts to the map of Python values, its keys in order."""
    assert kind.key is not None
    assert kind.element is not None
    as_key, as_value = _PARSERS[kind.key.kind], _PARSERS[kind.element.kind]

    def read(texts: Mapping[str, str | None]) -> dict[Any, Any]:
        pairs = [(as_key(key), None if text is None else as_value(text)) for key, text in texts.items()]
        return dict(sorted(pairs, key=lambda pair: pair[0]))

    return read


def _quoted(values: pa.Array) -> pa.StringArray:
    """Each value's text as a JSON string; NULL stays NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = values.cast(pa.string())
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        if pc.any(pc.match_substring_regex(texts, "[\\x00-\\x1f]")).as_py():
            return pa.array([None if text is None else json.dumps(text) for text in texts.to_pylist()], pa.string())
        texts = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    return pc.binary_join_element_wise('"', texts, '"', "")
