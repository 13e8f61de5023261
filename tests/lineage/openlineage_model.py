"""Reads events back into the official client's model, strictly: no unknown field, none missing, every type as declared.

The client's classes are generated from the specification's JSON schemas, so what fits them fits the schemas.
"""

from __future__ import annotations

import importlib
import pkgutil
import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import attr
from openlineage.client import generated
from openlineage.client.generated import base

_MODULES = [
    importlib.import_module(f"{generated.__name__}.{each.name}") for each in pkgutil.iter_modules(generated.__path__)
]
_FACETS = {
    found._get_schema(): found
    for module in _MODULES
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, base.BaseFacet)
}
_EVENTS = {each._get_schema(): each for each in (base.RunEvent, base.JobEvent, base.DatasetEvent)}


def read(event: Mapping[str, Any]) -> Any:
    """The event as an object of the client's model.

    Raises:
        AssertionError: something is not as the model has it.
    """
    return _object(_EVENTS[event["schemaURL"]], event, "event")


def _object(cls: Any, plain: Any, where: str) -> Any:
    assert isinstance(plain, Mapping), f"{where} is no object"
    if issubclass(cls, base.BaseFacet):
        assert plain["_schemaURL"] in _FACETS, f"{where} is a facet that the specification does not have"
        actual = _FACETS[plain["_schemaURL"]]
        assert issubclass(actual, cls), f"{where} is a facet of another kind"
        cls = actual
    hints, fields = get_type_hints(cls), attr.fields_dict(cls)
    assert set(plain) <= set(fields), f"{where} has {set(plain) - set(fields)}"
    values = {name: _value(hints[name], plain[name], f"{where}.{name}") for name in plain}
    made = {fields[name].alias: value for name, value in values.items() if fields[name].init}
    return cls(**made)  # attrs raises for what is missing, and runs the validators of times and URIs


def _value(kind: Any, plain: Any, where: str) -> Any:
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (some,) = [each for each in inside if each is not type(None)]
        return None if plain is None else _value(some, plain, where)
    if origin is list:
        assert isinstance(plain, list), f"{where} is no list"
        return [_value(inside[0], each, f"{where}[{number}]") for number, each in enumerate(plain)]
    if origin is dict:
        assert isinstance(plain, dict), f"{where} is no object"
        return {name: _value(inside[1], each, f"{where}.{name}") for name, each in plain.items()}
    if attr.has(kind):
        return _object(kind, plain, where)
    if issubclass(kind, Enum):
        return kind(plain)
    assert isinstance(plain, kind), f"{where} is {type(plain).__name__}, not {kind.__name__}"
    return plain
