"""Doris' text of operators, literals, casts, conditions: a rule per node class of the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlglot import exp

from feature_platform.compiler.casts import TESTED, type_of
from feature_platform.compiler.doris.expressions import Expressions, enclosed
from feature_platform.compiler.doris.special import SPECIAL, NoFormError, is_nonzero
from feature_platform.compiler.doris.text import case, cast, name, text_literal
from feature_platform.compiler.fragments import Sql, listed, sql
from feature_platform.compiler.functions.constants import interval_parts
from feature_platform.compiler.inference import ARITHMETIC, SOURCE_KIND
from feature_platform.governance.transforms import PREFIX, TRANSFORMS, render_governed
from feature_platform.governance.transforms.doris import FUNCTIONS as GOVERNED
from feature_platform.types import BIGINT, DOUBLE, STRING, TIMESTAMP, decimal

PLATFORM: Final = frozenset({"regexp_extract", "array_join", "to_json", "map_keys", "map_values"})
"""Functions of Doris that the platform's own statements may call; no author can."""


def _anonymous(self: Expressions, node: exp.Expr) -> Sql:
    called = str(node.this).lower()
    if self.platform and called in PLATFORM:
        return Sql(f"{called.upper()}({listed(*self.texts(node.expressions))})")
    if self.governed:
        if called not in GOVERNED:
            raise NoFormError(called, "ask the owner of the transform for a form in Doris")
        return Sql(f"{called.upper()}({listed(*self.texts(node.expressions))})")
    if called.startswith(PREFIX) and called.removeprefix(PREFIX) in TRANSFORMS:
        try:
            expression = render_governed(called, node.expressions, "doris")
        except ValueError as error:
            raise NoFormError(f"{called.removeprefix(PREFIX)}: {error}", "use another transform") from None
        inside = Expressions(self.query, self.rules, self.lacking, governed=True)
        return inside.text(expression)
    return self.call(node)


def _matched(self: Expressions, node: exp.Expr) -> Sql:
    """A pattern of an author's has to be one of the catalogue's; the platform's own are whatever RE2 reads."""
    if not self.platform:
        return self.call(node)
    return SPECIAL["regexp_matches", ""](node, [node.this, node.expression], [self.text(node.this)])


def _dot(self: Expressions, node: exp.Expr) -> Sql:
    """The call of a function that stands in a database of Doris: of the token alone."""
    called = node.expression
    if not (self.governed and isinstance(called, exp.Anonymous)):
        raise NoFormError("a field of a struct", "declare the field as a column of the source")
    return Sql(f"{name(node.this.name)}.{name(str(called.this))}({listed(*self.texts(called.expressions))})")


def _column(_self: Expressions, node: exp.Expr) -> Sql:
    parts = [part.name for part in (node.args.get("table"), node.this) if part is not None]
    return Sql(".".join(map(name, parts)))


def _literal(_self: Expressions, node: exp.Expr) -> Sql:
    return text_literal(node.name) if node.args.get("is_string") else Sql(node.name)


def _parameter(_self: Expressions, node: exp.Expr) -> Sql:
    return Sql(f"${node.name}")


def _paren(self: Expressions, node: exp.Expr) -> Sql:
    return enclosed(self.text(node.this))


def _binary(sign: str) -> Callable[[Expressions, exp.Expr], Sql]:
    def said(self: Expressions, node: exp.Expr) -> Sql:
        return Sql(f"{self.operand(node.this)} {sign} {self.operand(node.expression)}")

    return said


def _logic(sign: str) -> Callable[[Expressions, exp.Expr], Sql]:
    def said(self: Expressions, node: exp.Expr) -> Sql:
        # Comparisons need no parentheses here.
        parts = [
            self.text(each) if type(each) in _COMPARISONS or type(each) is type(node) else self.operand(each)
            for each in (node.this, node.expression)
        ]
        return Sql(f"{parts[0]} {sign} {parts[1]}")

    return said


def _not(self: Expressions, node: exp.Expr) -> Sql:
    return Sql(f"NOT {self.operand(node.this)}")


def _different(self: Expressions, node: exp.Expr) -> Sql:
    return Sql(f"NOT ({self.operand(node.this)} <=> {self.operand(node.expression)})")


def _is(self: Expressions, node: exp.Expr) -> Sql:
    value = self.operand(node.this)
    if isinstance(node.expression, exp.Null):
        return Sql(f"{value} IS NULL")
    if node.expression.this:
        return sql("COALESCE(:v, FALSE)", v=value)
    return sql("NOT COALESCE(:v, TRUE)", v=value)


def _between(self: Expressions, node: exp.Expr) -> Sql:
    low, high = self.operand(node.args["low"]), self.operand(node.args["high"])
    return Sql(f"{self.operand(node.this)} BETWEEN {low} AND {high}")


def _in(self: Expressions, node: exp.Expr) -> Sql:
    query = node.args.get("query")
    if isinstance(node.this, exp.Tuple) or node.args.get("field") is not None or node.args.get("unnest") is not None:
        raise NoFormError("IN of this form", "use EXISTS, or list_contains")
    inside = self.query(query) if query is not None else listed(*self.texts(node.expressions))
    if query is not None and inside.startswith("("):
        return Sql(f"{self.operand(node.this)} IN {inside}")
    return Sql(f"{self.operand(node.this)} IN ({inside})")


def _like(self: Expressions, node: exp.Expr) -> Sql:
    """Doris' LIKE escapes by backslash, the dialect's by nothing or by what ESCAPE says."""
    escape, like = None, node
    if isinstance(node, exp.Escape):
        escape, like = node.expression.name, node.this
    pattern = like.expression
    if isinstance(pattern, exp.Literal):
        text = text_literal(_escaped(pattern.name, escape))
    elif escape is None:
        text = sql("REPLACE(:p, '\\\\', '\\\\\\\\')", p=self.text(pattern))
    else:
        raise NoFormError("LIKE ... ESCAPE with a computed pattern", "use contains, starts_with or ends_with")
    return Sql(f"{self.operand(like.this)} {'NOT ' if like.args.get('negate') else ''}LIKE {text}")


def _escaped(pattern: str, escape: str | None) -> str:
    found, place = "", 0
    while place < len(pattern):
        char = pattern[place]
        if escape is not None and char == escape and place + 1 < len(pattern):
            place += 1
            found += "\\" + pattern[place] if pattern[place] in "%_\\" else pattern[place]
        else:
            found += "\\\\" if char == "\\" else char
        place += 1
    return found


def _case(self: Expressions, node: exp.Expr) -> Sql:
    value = f" {self.text(node.this)}" if node.this is not None else ""
    told = " ".join(f"WHEN {self.text(each.this)} THEN {self.text(each.args['true'])}" for each in node.args["ifs"])
    default = node.args.get("default")
    return Sql(f"CASE{value} {told}{f' ELSE {self.text(default)}' if default is not None else ''} END")


def _if(self: Expressions, node: exp.Expr) -> Sql:
    other = node.args.get("false")
    return case((self.text(node.this), self.text(node.args["true"])), otherwise=self.text(other) if other else None)


def _arithmetic(sign: str) -> Callable[[Expressions, exp.Expr], Sql]:
    def said(self: Expressions, node: exp.Expr) -> Sql:
        left, right, kind = node.this, node.expression, node.meta_get(ARITHMETIC)
        if not isinstance(right, exp.Interval) and isinstance(left, exp.Interval):
            left, right = right, left
        if isinstance(right, exp.Interval):
            return _moved(self, left, right, -1 if sign == "-" else 1)
        if kind == "days":
            amount = self.text(right)
            return Sql(f"DAYS_{'SUB' if sign == '-' else 'ADD'}({self.text(left)}, {amount})")
        if kind == "between":
            return Sql(f"DATEDIFF({self.text(left)}, {self.text(right)})")
        if kind == "whole":  # Doris' integers wrap; a decimal that does not fit becomes NULL
            wide = [cast(self.text(each), decimal(38, 0)) for each in (left, right)]
            return cast(Sql(f"{wide[0]} {sign} {wide[1]}"), BIGINT)
        return Sql(f"{self.operand(left)} {sign} {self.operand(right)}")

    return said


_MOVES: Final = {
    "MONTH": "MONTHS_ADD",
    "DAY": "DAYS_ADD",
    "HOUR": "HOURS_ADD",
    "MINUTE": "MINUTES_ADD",
    "SECOND": "SECONDS_ADD",
}


def _moved(self: Expressions, time: exp.Expr, by: exp.Expr, sign: int) -> Sql:
    parts = interval_parts(by)
    if parts is None:
        raise NoFormError("this interval", "write a constant in one unit")
    months, micros = (sign * part for part in parts)
    moved = cast(self.text(time), TIMESTAMP)
    if months:
        return Sql(f"MONTHS_ADD({moved}, {months})")
    days, rest = divmod(abs(micros), 86_400_000_000)
    seconds, left = divmod(rest, 1_000_000)
    way = "SUB" if micros < 0 else "ADD"
    for unit, amount in (("DAYS", days), ("SECONDS", seconds), ("MICROSECONDS", left)):
        if amount:
            moved = Sql(f"{unit}_{way}({moved}, {amount})")
    return moved


def _divided(self: Expressions, node: exp.Expr) -> Sql:
    if self.governed:
        raise NoFormError("/", "divide whole numbers")
    divisor = cast(self.text(node.expression), DOUBLE)
    if not is_nonzero(node.expression):
        divisor = sql("NULLIF(:d, 0)", d=divisor)
    return Sql(f"{cast(self.text(node.this), DOUBLE)} / {divisor}")


def _divided_whole(self: Expressions, node: exp.Expr) -> Sql:
    divisor = self.operand(node.expression)
    if not is_nonzero(node.expression):
        divisor = sql("NULLIF(:d, 0)", d=divisor)
    return Sql(f"{self.operand(node.this)} DIV {divisor}")


def _negated(self: Expressions, node: exp.Expr) -> Sql:
    return Sql(f"-{self.operand(node.this)}")


def _cast(self: Expressions, node: exp.Expr) -> Sql:
    target = type_of(node.args["to"])
    if target is None:
        raise NoFormError("a cast to this type", "cast to a type of the platform")
    try:
        target.sql("doris")
    except ValueError:
        raise NoFormError(f"the type {target}", "take the parts out that are needed") from None
    value, source = self.text(node.this), node.meta_get(SOURCE_KIND)
    if node.meta_get(TESTED):
        return Sql(f"TRY_CAST({value} AS {target.sql('doris')})")
    if target.is_integer and source == "double":  # CAST would cut; halves go to the even neighbour everywhere
        value = sql("ROUND_BANKERS(:v)", v=value)
    elif target.is_integer and source == "decimal":
        value = sql("ROUND(:v, 0)", v=value)
    elif target == STRING and source == "boolean":
        return sql("CASE WHEN :v THEN 'true' WHEN NOT :v THEN 'false' END", v=enclosed(value))
    return cast(value, target)


def _subquery(self: Expressions, node: exp.Expr) -> Sql:
    inside = self.query(node.this if isinstance(node, exp.Subquery) else node)
    return inside if inside.startswith("(") else Sql(f"({inside})")


def _exists(self: Expressions, node: exp.Expr) -> Sql:
    return Sql(f"EXISTS ({self.query(node.this)})")


def _filter(self: Expressions, node: exp.Expr) -> Sql:
    return self.call(node.this, self.text(node.expression.this))


def _no_collation(self: Expressions, node: exp.Expr) -> Sql:
    return self.text(node.this)  # Doris compares texts by their bytes, which is by code point


_COMPARISONS: Final = frozenset({
    exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.Is, exp.Between, exp.In, exp.Like,
})  # fmt: skip

RULES: Final[Mapping[type[exp.Expr], Callable[[Expressions, exp.Expr], Sql]]] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: lambda _self, node: Sql("TRUE" if node.this else "FALSE"),
    exp.Null: lambda _self, _node: Sql("NULL"),
    exp.Placeholder: _parameter,
    exp.Parameter: _parameter,
    exp.Paren: _paren,
    exp.Collate: _no_collation,
    exp.And: _logic("AND"),
    exp.Or: _logic("OR"),
    exp.Not: _not,
    exp.EQ: _binary("="),
    exp.NEQ: _binary("<>"),
    exp.LT: _binary("<"),
    exp.LTE: _binary("<="),
    exp.GT: _binary(">"),
    exp.GTE: _binary(">="),
    exp.NullSafeEQ: _binary("<=>"),
    exp.NullSafeNEQ: _different,
    exp.Is: _is,
    exp.Between: _between,
    exp.In: _in,
    exp.Like: _like,
    exp.Escape: _like,
    exp.Case: _case,
    exp.If: _if,
    exp.Add: _arithmetic("+"),
    exp.Sub: _arithmetic("-"),
    exp.Mul: _arithmetic("*"),
    exp.Div: _divided,
    exp.IntDiv: _divided_whole,
    exp.Neg: _negated,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Window: Expressions.window,
    exp.Filter: _filter,
    exp.Subquery: _subquery,
    exp.Select: _subquery,
    exp.Exists: _exists,
    exp.Anonymous: _anonymous,
    exp.RegexpLike: _matched,
    exp.Dot: _dot,
}
"""Node classes that Doris has a form of, besides calls of the catalogue."""
