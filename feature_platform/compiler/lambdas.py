"""Lambdas and list comprehensions: their spellings, and the names of their parameters.

A parameter shadows every column of its name. To keep it so whatever is rewritten around it, each gets a name of its
own, ``fp_x_1``, and becomes a column without a table, which no resolved column is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlglot import exp

from feature_platform.compiler.codes import ARGUMENTS, CONSTRUCT
from feature_platform.compiler.report import Report

LAMBDA_CALLS: Final = (exp.Transform, exp.ArrayFilter, exp.Reduce)
"""``list_transform``, ``list_filter`` and ``list_reduce``, however they are spelled."""

NO_TABLE: Final = ""
"""In place of the table in columns that are parameters."""

_NAMES: Final[Mapping[type[exp.Expr], str]] = {
    exp.Transform: "list_transform",
    exp.ArrayFilter: "list_filter",
    exp.Reduce: "list_reduce",
}
_SPELLINGS: Final[Mapping[str, type[exp.Expr]]] = {
    "list_transform": exp.Transform,
    "list_filter": exp.ArrayFilter,
    "filter": exp.ArrayFilter,
    "list_apply": exp.Transform,
    "apply": exp.Transform,
    "array_apply": exp.Transform,
    "array_transform": exp.Transform,
    "array_filter": exp.ArrayFilter,
    "list_reduce": exp.Reduce,
    "reduce": exp.Reduce,
    "array_reduce": exp.Reduce,
}
_DEEPEST: Final = 8
"""Lambdas inside one lambda. What a reduction gathers is looked at several times, so depth costs."""
_PARAMETERS: Final[Mapping[type[exp.Expr], tuple[int, int]]] = {
    exp.Transform: (1, 2),
    exp.ArrayFilter: (1, 2),
    exp.Reduce: (2, 3),
}


def lambda_name(node: exp.Expr) -> str:
    """What messages call a call with a lambda."""
    return _NAMES[type(node)]


def lambda_of(node: exp.Expr) -> Any:
    """What stands in the lambda's place of a call of one of :data:`LAMBDA_CALLS`."""
    held: Any = node.args["merge"] if isinstance(node, exp.Reduce) else node.args["expression"]
    return held


def spelled_as_call(node: exp.Anonymous) -> bool:
    """Whether the parser left a call with a lambda as a call that it does not know."""
    return str(node.this).lower() in _SPELLINGS


def is_lambda_argument(node: exp.Expr) -> bool:
    """Whether a lambda stands where one belongs: behind the list of a call that takes one."""
    holder = node.parent
    return isinstance(holder, LAMBDA_CALLS) or (isinstance(holder, exp.Anonymous) and spelled_as_call(holder))


def lambda_call(node: exp.Anonymous, report: Report) -> exp.Expr:
    """The call as a node of its own, with its parameters bound."""
    kind, arguments = _SPELLINGS[str(node.this).lower()], node.expressions
    fits = len(arguments) in ((2, 3) if kind is exp.Reduce else (2,))
    if not (fits and isinstance(arguments[1], exp.Lambda)):
        name = _NAMES[kind]
        report.add(ARGUMENTS, node, f"{name} takes a list and a lambda", f"write {name}(list, x -> ...)")
        return node
    if kind is exp.Reduce:
        initial = arguments[2] if len(arguments) == 3 else None
        call: exp.Expr = exp.Reduce(this=arguments[0], merge=arguments[1], initial=initial)
    else:
        call = kind(this=arguments[0], expression=arguments[1])
    bind_parameters(call, report)
    return call


def bind_parameters(call: exp.Expr, report: Report) -> None:
    """Gives the parameters of a call's lambda their own names."""
    held = lambda_of(call)
    name = lambda_name(call)
    if not isinstance(held, exp.Lambda):
        report.add(ARGUMENTS, call, f"{name} takes a list and a lambda", f"write {name}(list, x -> ...)")
        return
    least, most = _PARAMETERS[type(call)]
    if not least <= len(held.expressions) <= most:
        report.add(
            ARGUMENTS,
            held,
            f"the lambda of {name} has {least} or {most} parameters",
            f"write {name}(list, {'(sum, x)' if isinstance(call, exp.Reduce) else 'x'} -> ...)",
        )
        return
    bind(held, report)


def bind(held: exp.Lambda, report: Report) -> None:
    """Names the parameters of one lambda, in its head and in its body."""
    if held.this.find(exp.Query) is not None:
        report.add(
            CONSTRUCT,
            held,
            "not part of the dialect: a subquery in a lambda",
            "compute it in a CTE, join it, and use its column",
        )
    depth = 1 + sum(1 for inner in held.find_all(exp.Lambda) if inner is not held)
    if depth > _DEEPEST:
        report.add(CONSTRUCT, held, f"a lambda with more than {_DEEPEST} lambdas inside", "split it into CTEs")
    named = {parameter.name.lower(): f"fp_{parameter.name.lower()}_{depth}" for parameter in held.expressions}
    if len(named) < len(held.expressions):
        report.add(ARGUMENTS, held, "two parameters of a lambda have one name", "rename one of them")
    _replace(held, named)
    held.set("expressions", [_identifier(named[parameter.name.lower()], parameter) for parameter in held.expressions])


def comprehension(node: exp.Comprehension, report: Report) -> exp.Expr:
    """``[f(x) FOR x IN l IF c(x)]`` as calls; with a position as DuckDB itself does it, on pairs of test and result."""
    parameters = [part for part in (node.args["expression"], node.args.get("position")) if part is not None]
    over, condition = node.args["iterator"], node.args.get("condition")

    def lambda_(body: exp.Expr) -> exp.Lambda:
        held = exp.Lambda(this=exp.Paren(this=body), expressions=[_identifier(part.name, part) for part in parameters])
        bind(held, report)
        held.set("this", held.this.this)
        return held

    if condition is None:
        return exp.Transform(this=over, expression=lambda_(node.this))
    if len(parameters) == 1:
        kept = exp.ArrayFilter(this=over, expression=lambda_(condition))
        return exp.Transform(this=kept, expression=lambda_(node.this))
    report.add(
        CONSTRUCT,
        node,
        "not part of the dialect: a list comprehension with a position and IF",
        "filter first: list_transform(list_filter(l, (x, i) -> ...), x -> ...)",
    )
    return node


def _replace(held: exp.Lambda, named: Mapping[str, str]) -> None:
    for node in list(held.this.walk()):
        made = _parameter(node, named)
        if made is not None:
            node.replace(made)


def _parameter(node: exp.Expr, named: Mapping[str, str]) -> exp.Expr | None:
    """What a node of a lambda's body becomes if it names a parameter."""
    if isinstance(node, exp.Column) and not node.meta_get("resolved"):
        parts = [part for part in node.parts if isinstance(part, exp.Identifier)]
        if parts[0].name.lower() in named:
            return _fields(_column(parts[0], named), parts[1:])
    elif isinstance(node, exp.Identifier) and node.name.lower() in named and _is_value(node):
        return _column(node, named)
    return None


def _is_value(node: exp.Identifier) -> bool:
    """Whether an identifier stands for a value: the parser leaves parameters so. Everywhere else it names something."""
    parent, key = node.parent, node.arg_key
    if isinstance(parent, exp.Alias | exp.Dot):
        return key == "this"
    if isinstance(parent, exp.PropertyEQ):
        return key == "expression"
    naming = (exp.Column, exp.TableAlias, exp.ColumnDef)
    return not isinstance(parent, naming) and not (isinstance(parent, exp.Lambda) and key == "expressions")


def _column(origin: exp.Expr, named: Mapping[str, str]) -> exp.Column:
    column = exp.Column(this=_identifier(named[origin.name.lower()], origin))
    column.meta["resolved"] = True
    return column


def _fields(base: exp.Expr, names: list[exp.Identifier]) -> exp.Expr:
    for name in names:
        base = exp.StructExtract(this=base, expression=exp.Literal.string(name.name))
    return base


def _identifier(name: str, origin: exp.Expr) -> exp.Identifier:
    identifier = exp.Identifier(this=name, quoted=True)
    start = origin.meta_get("start")
    if start is not None:
        identifier.meta["start"] = start
    return identifier
