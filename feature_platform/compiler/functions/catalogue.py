"""The closed catalogue: which function a call is, and the template that an engine says it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions import aggregates, duckdb, lists, logic, maps, numbers, texts, times, windows
from feature_platform.compiler.functions.model import Form, Function

CATALOGUE: Final[Mapping[str, Function]] = {
    function.name: function
    for module in (logic, numbers, texts, times, aggregates, windows, lists, maps, duckdb)
    for function in module.FUNCTIONS
}
"""Every function by the name that authors write."""

_BY_NODE: Final[dict[type[exp.Expr], list[tuple[Function, Form]]]] = {}
_BY_NAME: Final[dict[str, Function]] = {}
for _function in CATALOGUE.values():
    for _form in _function.forms:
        _BY_NODE.setdefault(_form.node, []).append((_function, _form))
    for _name in (_function.name, *_function.aliases):
        _BY_NAME[_name] = _function

AGGREGATE_NODES: Final = frozenset(
    kind for kind, entries in _BY_NODE.items() if any(function.form == "aggregate" for function, _ in entries)
)
FUNCTION_NODES: Final = frozenset(_BY_NODE)


@dataclass(frozen=True, slots=True)
class Call:
    """A call, taken apart. ``arguments`` stand in the order that the author wrote them."""

    function: Function
    arguments: tuple[exp.Expr, ...]
    order: tuple[exp.Expr, ...] = ()
    """``ORDER BY`` inside the parentheses."""
    distinct: bool = False


def call_of(node: exp.Expr) -> Call | None:
    """The catalogue's function that ``node`` calls, or None if there is none or not in this form."""
    if isinstance(node, exp.Anonymous):
        function = _BY_NAME.get(str(node.this).lower())
        return Call(function, tuple(node.expressions)) if function is not None else None
    for function, form in _BY_NODE.get(type(node), ()):
        if _has_form(node, form):
            return _taken_apart(function, form, node)
    return None


def known_names() -> Iterator[str]:
    """Names and aliases, for "did you mean"."""
    return (name for name in _BY_NAME if name[0].isalpha())


def function_named(name: str) -> Function | None:
    """The function with this name or alias."""
    return _BY_NAME.get(name.lower())


def written_name(node: exp.Expr) -> str:
    """The name of a call as messages show it."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    entries = _BY_NODE.get(type(node))
    if entries:
        return entries[0][0].name
    return node.sql_name().lower() if isinstance(node, exp.Func) else type(node).__name__.lower()


def _has_form(node: exp.Expr, form: Form) -> bool:
    for key, wanted in form.fixed.items():
        value = node.args.get(key)
        found = (value.name if isinstance(value, exp.Expr) else str(value)) if value is not None else ""
        if found != wanted and not (wanted == "False" and not value):
            return False
    known = (*form.keys, *form.fixed)
    return all(key in known or key in form.ignored for key, value in node.args.items() if value)


def _taken_apart(function: Function, form: Form, node: exp.Expr) -> Call:
    arguments: list[exp.Expr] = []
    for key in form.keys:
        value = node.args.get(key)
        if isinstance(value, list):
            arguments.extend(value)
        elif isinstance(value, exp.Expr):
            arguments.append(value)
    order: tuple[exp.Expr, ...] = ()
    distinct = False
    if arguments and isinstance(arguments[0], exp.Order):
        inside = arguments[0]
        order = tuple(inside.expressions)
        arguments[0] = inside.this
    if arguments and isinstance(arguments[0], exp.Distinct):
        distinct = True
        arguments[:1] = arguments[0].expressions
    if len(arguments) == 1 and isinstance(arguments[0], exp.Star):
        arguments = []
    return Call(function, tuple(arguments), order, distinct)
