"""Renderings for Apache Doris, made from those for DuckDB function by function.

Both engines match patterns with RE2 and have most text functions in common; what differs under the same name is
rewritten here. The list is closed: a node or function that it does not know raises, so a transform whose text would
mean something else in Doris can't be rendered at all. Differences that matter, for Doris 4.0.5 and later:

* ``||`` is OR unless a session says otherwise: ``concat``, which is NULL when one argument is;
* ``length`` counts bytes: ``char_length``;
* ``trim`` takes a text to remove, not a set of characters: a pattern;
* ``regexp_replace`` replaces every match and takes no flags;
* ``REGEXP`` may be matched by Hyperscan, whose ``$`` also stands before a last line end: ``regexp_extract``, which is
  RE2's and gives the empty text where nothing matches;
* in text literals a backslash escapes: sqlglot's generator doubles it.

A token comes from a function ``fp_tokens.token`` of Doris' own, over a key that Doris holds: no key is in its SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.tokens import SCHEMA

FUNCTIONS: Final = frozenset(
    {"char_length", "coalesce", "concat", "lpad", "nullif", "regexp_extract", "regexp_replace", "repeat", "replace",
     "substr", "translate"}
)  # fmt: skip
"""Every function that renderings may call, besides the token."""

_NODES: Final[frozenset[type[exp.Expression]]] = frozenset((
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Case, exp.If, exp.In, exp.Between,
    exp.EQ, exp.NEQ, exp.And, exp.Or, exp.Not, exp.Is, exp.Add, exp.Sub, exp.Mod, exp.IntDiv, exp.Cast, exp.DataType,
    exp.Anonymous, exp.Dot,
))  # fmt: skip
"""Nodes that Doris and sqlglot's generator for it understand as DuckDB does."""

_ARGUMENT: Final = "fp_argument_{}"

Render = Callable[[Sequence[exp.Expression]], exp.Expression]


def in_doris(render: Render, args: Sequence[exp.Expression]) -> exp.Expression:
    """What ``render``, a rendering for DuckDB, gives for ``args``, as Doris has to be told. ``args`` go in untouched.

    Raises:
        ValueError: something in it is not known to mean the same in Doris.
    """
    stand_ins = [exp.column(_ARGUMENT.format(place)) for place in range(len(args))]
    tree = rewritten(render(stand_ins))
    given = {_ARGUMENT.format(place): argument for place, argument in enumerate(args)}
    return tree.transform(
        lambda node: given[node.name].copy() if isinstance(node, exp.Column) and node.name in given else node
    )


def token_in_doris(classification: str, text: exp.Expression) -> exp.Expression:
    """The call that makes a token of a canonical text."""
    call = sql.call("token", sql.text(classification), text)
    return exp.Dot(this=exp.to_identifier(SCHEMA, quoted=True), expression=call)


def rewritten(tree: exp.Expression) -> exp.Expression:
    """A DuckDB expression of a transform as one for Doris.

    Raises:
        ValueError: something in it is not known to mean the same in Doris.
    """
    return _below(_node(tree.copy()))


def _below(node: exp.Expression) -> exp.Expression:
    """``node`` with everything inside rewritten."""
    for child in list(node.iter_expressions()):
        new = _node(child)
        if new is not child:
            child.replace(new)
        _below(new)
    return node


def _node(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.DPipe):
        return sql.call("concat", *_joined(node))
    if isinstance(node, exp.RegexpLike):
        matched = sql.call("regexp_extract", node.this, node.expression, sql.number(0))
        return exp.paren(exp.NEQ(this=matched, expression=sql.text("")), copy=False)
    if isinstance(node, exp.Anonymous):
        name = str(node.this).lower()
        if name in _REWRITTEN:
            return _REWRITTEN[name](node.expressions)
        if name not in FUNCTIONS:
            raise ValueError(f"the function {name} is not known to mean the same in Doris")
    elif type(node) not in _NODES:  # exactly these: a TRY_CAST is a kind of CAST
        raise ValueError(f"{type(node).__name__} is not known to mean the same in Doris")
    return node


def _joined(node: exp.Expression) -> list[exp.Expression]:
    """The parts of ``a || b || c``."""
    if isinstance(node, exp.DPipe):
        return [*_joined(node.this), *_joined(node.expression)]
    return [node]


def _characters(node: exp.Expression) -> str:
    """The text that an expression of literals and ``chr`` spells out."""
    if isinstance(node, exp.Paren):
        return _characters(node.this)
    if isinstance(node, exp.DPipe):
        return _characters(node.this) + _characters(node.expression)
    if isinstance(node, exp.Anonymous) and str(node.this).lower() == "chr":
        return chr(int(node.expressions[0].name))
    if isinstance(node, exp.Literal) and node.is_string:
        return node.name
    raise ValueError("trim takes characters that are written out")


def _trim(args: Sequence[exp.Expression]) -> exp.Expression:
    if set(_characters(args[1])) != set(sql.WHITESPACE):
        raise ValueError("only white space can be trimmed in Doris")
    ends = f"^[{sql.WHITESPACE_CLASS}]+|[{sql.WHITESPACE_CLASS}]+$"
    return sql.call("regexp_replace", args[0], sql.text(ends), sql.text(""))


def _regexp_replace(args: Sequence[exp.Expression]) -> exp.Expression:
    if len(args) not in {3, 4} or (len(args) == 4 and args[3].name != "g"):
        raise ValueError("regexp_replace replaces every match in Doris")
    return sql.call("regexp_replace", *args[:3])


_REWRITTEN: Final[Mapping[str, Render]] = {
    "trim": _trim,
    "length": lambda args: sql.call("char_length", *args),
    "regexp_replace": _regexp_replace,
}
