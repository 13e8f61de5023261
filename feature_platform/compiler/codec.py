"""Compiled views as JSON text, for the cache: small, and quick to read back."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, cast

from feature_platform.compiler.plan import AppliedRule, CompiledQuery, CompiledView, Feature, OutputColumn, Reach
from feature_platform.errors import Location
from feature_platform.governance.labels import Label, LabelKind
from feature_platform.registry.graph import ColumnRef, TableRef
from feature_platform.types import Column, DataType

_SEPARATOR: Final = "\n"


def encode(view: CompiledView) -> str:
    """The view as text.

    Raises:
        TypeError: a default value of a feature is of a type that JSON does not keep apart.
    """
    return json.dumps(
        {
            "name": view.name,
            "form": view.form,
            "entity": view.entity,
            "keys": [[key.name, str(key.type), key.nullable] for key in view.keys],
            "features": [[feature.name, _place(feature, view), _value(feature.empty)] for feature in view.features],
            "materialize": _query(view.materialize),
            "derive": _query(view.derive),
            "partitioned": view.partitioned,
            "fingerprint": view.fingerprint,
            "reads": [[ref.kind, ref.name] for ref in view.reads],
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def decode(text: str) -> CompiledView:
    """The view that :func:`encode` made ``text`` of.

    Raises:
        ValueError, KeyError, TypeError, IndexError: the text is something else.
    """
    data = json.loads(text)
    materialize, derive = _read_query(data["materialize"]), _read_query(data["derive"])
    columns = [*(materialize.columns if materialize else ()), *(derive.columns if derive else ())]
    return CompiledView(
        name=data["name"],
        form=data["form"],
        entity=data["entity"],
        keys=tuple(Column(name, _type(type_), nullable) for name, type_, nullable in data["keys"]),
        features=tuple(
            Feature(name, columns[place] if isinstance(place, int) else _read_column(place), _read_value(empty))
            for name, place, empty in data["features"]
        ),
        materialize=materialize,
        derive=derive,
        partitioned=data["partitioned"],
        fingerprint=data["fingerprint"],
        reads=tuple(_table(kind, name) for kind, name in data["reads"]),
    )


def _place(feature: Feature, view: CompiledView) -> Any:
    """Most features are a column of the view's query, which is there already: its number, else the column."""
    queries = (view.materialize, view.derive)
    columns = [column for query in queries if query is not None for column in query.columns]
    return columns.index(feature.column) if feature.column in columns else _column(feature.column)


def _query(query: CompiledQuery | None) -> Any:
    if query is None:
        return None
    reads = [[ref.kind, ref.name] for ref in query.reads]
    rules = [_rule(rule) for rule in query.rules]
    reach = query.reach and [query.reach.column, query.reach.first, query.reach.back, query.reach.last]
    return [dict(query.sql), [_column(each) for each in query.columns], reads, list(query.parameters), rules, reach]


def _read_query(data: Any) -> CompiledQuery | None:
    if data is None:
        return None
    sql, columns, reads, parameters, rules, reach = data
    return CompiledQuery(
        sql,
        tuple(map(_read_column, columns)),
        tuple(_table(kind, name) for kind, name in reads),
        tuple(parameters),
        tuple(map(_read_rule, rules)),
        reach=Reach(*reach) if reach else None,
    )


def _rule(rule: AppliedRule) -> list[Any]:
    where = [rule.where.file, rule.where.line, rule.where.column]
    return [_ref_text(rule.column), rule.classification, rule.gives, rule.policy, *where]


def _read_rule(data: list[Any]) -> AppliedRule:
    column, classification, gives, policy, file, line, place = data
    return AppliedRule(_ref(column), classification, gives, policy, Location(file, line, place))


def _column(column: OutputColumn) -> list[Any]:
    return [
        column.name,
        str(column.type),
        _SEPARATOR.join(f"{label.kind} {label.classification} {label.form}" for label in sorted(column.labels)),
        _SEPARATOR.join(map(_ref_text, sorted(column.direct))),
        _SEPARATOR.join(map(_ref_text, sorted(column.indirect))),
        _SEPARATOR.join(sorted(column.transforms)),
        column.description,
    ]


def _read_column(data: list[Any]) -> OutputColumn:
    name, type_, labels, direct, indirect, transforms, description = data
    return OutputColumn(
        name, _type(type_), _labels(labels), _refs(direct), _refs(indirect), _names(transforms), description
    )


def _value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a default of type {type(value).__name__} can't be kept")


def _read_value(data: Any) -> Any:
    return Decimal(data["decimal"]) if isinstance(data, dict) else data


def _ref_text(ref: ColumnRef) -> str:
    return f"{ref.table.kind} {ref.table.name} {ref.column}"


# Columns of one view share most of their sets, so reading one again costs a look-up only.
@lru_cache(maxsize=100_000)
def _refs(text: str) -> frozenset[ColumnRef]:
    return frozenset(map(_ref, text.split(_SEPARATOR))) if text else frozenset()


@lru_cache(maxsize=10_000)
def _labels(text: str) -> frozenset[Label]:
    if not text:
        return frozenset()
    parts = (part.split(" ", 2) for part in text.split(_SEPARATOR))
    return frozenset(Label(cast(LabelKind, kind), classification, form) for kind, classification, form in parts)


@lru_cache(maxsize=1_000)
def _names(text: str) -> frozenset[str]:
    return frozenset(text.split(_SEPARATOR)) if text else frozenset()


def _ref(text: str) -> ColumnRef:
    kind, name, column = text.split(" ", 2)
    return ColumnRef(_table(kind, name), column)


@lru_cache(maxsize=100_000)
def _table(kind: Any, name: str) -> TableRef:
    return TableRef(kind, name)


@lru_cache(maxsize=1_000)
def _type(text: str) -> DataType:
    return DataType.parse(text)
