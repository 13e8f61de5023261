"""What the typing rules share: the types of relations, a way down into sub-expressions, and the making of casts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import LITERAL
from feature_platform.compiler.numeric import Inferred, Special, literal_digits, supertype
from feature_platform.compiler.report import Report
from feature_platform.compiler.temporal import normal_literal
from feature_platform.compiler.trees import clone
from feature_platform.types import DATE, TIMESTAMP, DataType

UNKNOWN: Final = Special("unknown")
"""Of an expression that was refused already: fits everything, so that one mistake gives one message."""

DUCKDB_ALONE: Final = "fp_duckdb_alone"
"""Key in a node's ``meta``, with words for it: a value of a type that DuckDB alone has, or a use of one."""

ARITHMETIC: Final = "fp_arithmetic"
"""Key in the ``meta`` of ``+ - *``, where what is meant depends on types: ``whole`` numbers of 64 bits, a date and
``days``, the days ``between`` two dates."""

SOURCE_KIND: Final = "fp_source_kind"
"""Key in a cast's ``meta``: the kind of type that it converts from."""

INPUT_KIND: Final = "fp_input_kind"
"""Key in the ``meta`` of a call of ``round`` or ``avg``: the kind of type of its first argument."""


@dataclass
class Inference:
    """The state of typing one query."""

    report: Report
    visit: Callable[[exp.Expr, Inference], Inferred]
    visit_query: Callable[[exp.Expr, Inference], Mapping[str, Inferred]]
    scans: frozenset[str] = frozenset()
    """Aliases of the guarded scans: the types of their columns are known from the start."""
    relations: dict[str, Mapping[str, Inferred]] = field(default_factory=dict)
    ctes: dict[str, Mapping[str, Inferred]] = field(default_factory=dict)

    def of(self, node: exp.Expr) -> Inferred:
        """The type of an expression; rewrites what is below it."""
        type_ = self.visit(node, self)
        if isinstance(type_, DataType) and (not type_.is_stored or type_.key) and not _handed_on(node, type_):
            node.meta[DUCKDB_ALONE] = "an array of arrays" if type_.kind == "array" else f"a {type_.kind}"
        return type_

    def query(self, node: exp.Expr) -> Mapping[str, Inferred]:
        """The types of a query's columns, in order."""
        return self.visit_query(node, self)


def _handed_on(node: exp.Expr, type_: DataType) -> bool:
    """Whether it is a column of stored values that a SELECT gives as they are, which needs no type in the engine."""
    parent = node.parent
    while isinstance(parent, exp.Alias | exp.Paren):
        parent = parent.parent
    return type_.is_stored and isinstance(node.unnest(), exp.Column) and isinstance(parent, exp.Select | exp.Is)


def is_known(*types: Inferred) -> bool:
    """Whether none of the types belongs to something that was refused."""
    return UNKNOWN not in types


def cast_to(node: exp.Expr, type_: DataType) -> exp.Expr:
    """Puts a cast around ``node`` in its tree; gives what stands there now. Nothing happens when it is cast to this
    type already."""
    if isinstance(node, exp.Cast) and node.meta_get("type") == str(type_):
        return node
    cast = exp.Cast(this=exp.null(), to=type_node(type_))
    cast.meta["type"] = str(type_)
    if node.parent is not None:
        node.replace(cast)
    cast.set("this", node)
    return cast


def type_node(type_: DataType) -> exp.DataType:
    """The type as a node of a tree."""
    node = clone(_type_node(type_))
    assert isinstance(node, exp.DataType)
    return node


@cache
def _type_node(type_: DataType) -> exp.DataType:
    return exp.DataType.build(type_.sql("duckdb"), dialect="duckdb")


def is_whole_literal(node: exp.Expr) -> bool:
    """Whether it is a whole number as written, possibly with a sign."""
    while isinstance(node, exp.Paren | exp.Neg):
        node = node.this
    return isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit()


def tightened(nodes: list[exp.Expr], types: list[Inferred]) -> list[Inferred]:
    """Next to decimals, whole-number literals count with their digits only: ``coalesce(amount, 0)`` stays what
    ``amount`` is."""
    if not any(isinstance(type_, DataType) and type_.kind == "decimal" for type_ in types):
        return types
    return [_digits(node) if is_whole_literal(node) else type_ for node, type_ in zip(nodes, types, strict=True)]


def _digits(node: exp.Expr) -> DataType:
    while isinstance(node, exp.Paren | exp.Neg):
        node = node.this
    return literal_digits(node.name)


def read_time_literals(nodes: list[exp.Expr], types: list[Inferred], state: Inference) -> list[Inferred]:
    """Where some of ``nodes`` are times, text literals among them are read as such: ``event_time >= '2026-01-01'``."""
    wanted = [type_ for type_ in types if type_ in (DATE, TIMESTAMP)]
    if not wanted:
        return types
    target = supertype(list(wanted))
    assert isinstance(target, DataType)
    return [read_time_literal(node, type_, target, state) for node, type_ in zip(nodes, types, strict=True)]


def read_time_literal(node: exp.Expr, type_: Inferred, target: DataType, state: Inference) -> Inferred:
    """Turns a text literal into a literal of ``target``; gives the type afterwards."""
    if not (isinstance(node, exp.Literal) and node.is_string):
        return type_
    finer = TIMESTAMP if target == DATE and normal_literal(node.name, DATE) is None else target
    text = normal_literal(node.name, finer)
    if text is None:
        state.report.add(
            LITERAL,
            node,
            f"this text is no {target}",
            "write DATE '2026-01-31' or TIMESTAMP '2026-01-31 06:00:00', in UTC",
        )
        return UNKNOWN
    literal = exp.Literal.string(text)
    start = node.meta_get("start")
    if start is not None:
        literal.meta["start"] = start
    node.replace(literal)
    cast_to(literal, finer)
    return finer


def meet(nodes: list[exp.Expr], types: list[Inferred], state: Inference) -> Inferred:
    """The common type of several expressions, after literals were read.

    Raises:
        NoTypeError: there is none.
    """
    types = tightened(nodes, read_time_literals(nodes, types, state))
    return UNKNOWN if not is_known(*types) else supertype(types)
