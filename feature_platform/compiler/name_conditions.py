"""``COLUMNS(lambda c: c LIKE 'amount%' AND c <> 'amount_eur')``: conditions on names, decided while compiling.

A name is compared with constant texts, as it is spelled where it is declared; upper and lower case differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import CONSTRUCT, LITERAL
from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.model import NotFittingError
from feature_platform.compiler.report import Report

Condition = Callable[[str], bool]

_COMPARED: Final[dict[type[exp.Expr], Callable[[str, str], bool]]] = {
    exp.EQ: lambda name, text: name == text,
    exp.NEQ: lambda name, text: name != text,
    exp.StartsWith: str.startswith,
    exp.EndsWith: str.endswith,
    exp.Contains: lambda name, text: text in name,
}
_CHANGED: Final[dict[type[exp.Expr], Callable[[str], str]]] = {exp.Lower: str.lower, exp.Upper: str.upper}


def name_condition(chosen: exp.Lambda, report: Report) -> Condition:
    """Whether a column's name fulfils the lambda; what is no condition on a name is noted, and holds for every name."""
    parameters = [parameter.name for parameter in chosen.expressions]
    try:
        if len(parameters) == 1:
            return _condition(chosen.this, parameters[0])
    except NotFittingError as problem:
        report.add(LITERAL, chosen, f"this regular expression is not usable here: {problem}", "simplify it")
        return _always
    except ValueError:
        pass
    report.add(
        CONSTRUCT,
        chosen,
        "not part of the dialect: a lambda in COLUMNS(...) that does more than look at the name",
        "compare the name with texts: =, IN, LIKE, starts_with(name, text), regexp_matches(name, text), AND, OR, NOT",
    )
    return _always


def like_pattern(node: exp.Like | exp.ILike) -> re.Pattern[str]:
    """The constant pattern of LIKE or ILIKE as a regular expression.

    Raises:
        ValueError: it is no constant.
    """
    parts = {"%": ".*", "_": "."}
    text = "".join(parts.get(char, re.escape(char)) for char in _text(node.expression))
    return re.compile(f"^(?s:{text})$", re.IGNORECASE if isinstance(node, exp.ILike) else 0)


def _always(_name: str) -> bool:
    return True


def _condition(node: exp.Expr, parameter: str) -> Condition:
    match node:
        case exp.Paren():
            return _condition(node.this, parameter)
        case exp.Not():
            inner = _condition(node.this, parameter)
            return lambda name: not inner(name)
        case exp.And() | exp.Or():
            one, two = _condition(node.this, parameter), _condition(node.expression, parameter)
            if isinstance(node, exp.And):
                return lambda name: one(name) and two(name)
            return lambda name: one(name) or two(name)
    return _comparison(node, parameter)


def _comparison(node: exp.Expr, parameter: str) -> Condition:
    subject = _subject(node.this, parameter)
    match node:
        case exp.In() if node.expressions:
            texts = [_text(each) for each in node.expressions]
            return lambda name: subject(name) in texts
        case exp.Like() | exp.ILike():
            pattern, negated = like_pattern(node), bool(node.args.get("negate"))
            return lambda name: bool(pattern.search(subject(name))) != negated
        case exp.RegexpLike() if not node.args.get("flag"):
            found = re.compile(constants.regex(node.expression).name)
            return lambda name: bool(found.search(subject(name)))
    compare = _COMPARED.get(type(node))
    if compare is None:
        raise ValueError(node)
    text = _text(node.expression)
    return lambda name: compare(subject(name), text)


def _subject(node: exp.Expr, parameter: str) -> Callable[[str], str]:
    """The name itself, or in lower or upper case."""
    change = _CHANGED.get(type(node))
    if change is not None:
        inner = _subject(node.this, parameter)
        return lambda name: change(inner(name))
    named = node.this if isinstance(node, exp.Column) and not node.table else node
    if not isinstance(named, exp.Identifier) or named.name.lower() != parameter.lower():
        raise ValueError(node)
    return str


def _text(node: exp.Expr) -> str:
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise ValueError(node)
    return node.name
