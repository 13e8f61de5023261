"""An expression of a guarded tree → Doris' text. Every node class stands in a list; what does not has no form.

Names are quoted, casts name the platform's types, operators of several parts have parentheses around each part that is
one itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from feature_platform.compiler.calls import SIGNATURE
from feature_platform.compiler.doris.functions import NO_FORM, template_of
from feature_platform.compiler.doris.special import SPECIAL, NoFormError
from feature_platform.compiler.doris.text import case
from feature_platform.compiler.fragments import NOTHING, Sql, listed, sql
from feature_platform.compiler.functions.catalogue import FUNCTION_NODES, Call, call_of, written_name
from feature_platform.compiler.functions.constants import whole_value
from feature_platform.compiler.functions.model import NotFittingError, Parameter, Signature
from feature_platform.compiler.inference import INPUT_KIND

Visit = Callable[[exp.Expr], Sql]


@dataclass
class Expressions:
    """Writes expressions; notes what has no form, so that all of it is told together."""

    query: Visit
    """Writes a sub-query."""
    rules: Mapping[type[exp.Expr], Callable[[Expressions, exp.Expr], Sql]]
    """By node class; calls of the catalogue need none."""
    lacking: list[tuple[exp.Expr, str, str]] = field(default_factory=list)
    """(node, what, mend)."""
    governed: bool = False
    """Inside the expression of a governed transform, which is Doris' already."""
    platform: bool = False
    """Whether the tree is the platform's own."""

    def text(self, node: exp.Expr) -> Sql:
        """The text of an expression."""
        rule = self.rules.get(type(node))
        try:
            if rule is not None:
                return rule(self, node)
            if type(node) in FUNCTION_NODES:
                return self.call(node)
        except NoFormError as error:
            return self.note(node, str(error), error.mend)
        return self.note(node, _shown(node), "say it in another way")

    def note(self, node: exp.Expr, what: str, mend: str) -> Sql:
        """Notes that ``node`` has no form."""
        self.lacking.append((node, what, mend))
        return Sql("NULL")

    def operand(self, node: exp.Expr) -> Sql:
        """The text of a part of an operator."""
        return enclosed(self.text(node))

    def texts(self, found: Sequence[exp.Expr]) -> list[Sql]:
        return [self.text(each) for each in found]

    # calls of the catalogue

    def call(self, node: exp.Expr, condition: Sql | None = None, over: Sql = NOTHING) -> Sql:
        """A call; of an aggregate only rows with ``condition``, ``over`` a window."""
        call = call_of(node)
        signature = _signature(node, call) if call is not None else None
        if call is None or signature is None:
            return self.note(node, f"{written_name(node)} in this form", "say it in another way")
        function, key = call.function.name, signature.key
        if function == "string_agg":
            return self._joined(call, condition)
        if function == "avg":
            kind = str(node.meta_get(INPUT_KIND) or "")
            key = kind if template_of(function, kind) is not None else key
        if function == "~" and isinstance(node.parent, exp.Binary) and node.arg_key == "this":
            raise NoFormError("~ before another operator, which binds its own way", "put ~x in parentheses")
        special = SPECIAL.get((function, key))
        if special is not None:
            texts = [Sql("") if isinstance(each, exp.Interval) else self.operand(each) for each in call.arguments]
            return special(node, call.arguments, texts)
        template = template_of(function, key)
        if template is None:
            mend = NO_FORM.get((function, key), "leave it out, or model the elements as rows of a source")
            return self.note(node, f"{function}(...) with these arguments", mend)
        if condition is not None and not call.arguments:
            template, condition = sql("COUNT(CASE WHEN :only THEN 1 END)", only=condition), None
        if call.distinct:
            template = template.replace("(", "(DISTINCT ", 1)
        given = self._given(signature, call, condition)
        if ":over" not in template:
            template += ":over"
        return sql(template, **_fitted(template, given), over=over)

    def _given(self, signature: Signature, call: Call, condition: Sql | None) -> Mapping[str, Sql]:
        found: dict[str, list[Sql]] = {}
        for index, argument in enumerate(call.arguments):
            text = self.text(argument)
            if condition is not None and index == 0:
                text = case((condition, text))  # aggregates skip NULLs
            found.setdefault(signature.parameter(index).name, []).append(text)
        return {place: listed(*texts) for place, texts in found.items()}

    def _joined(self, call: Call, condition: Sql | None) -> Sql:
        """GROUP_CONCAT is the only aggregate of Doris with an order inside."""
        if call.distinct:
            raise NoFormError("string_agg(DISTINCT ...)", "select the distinct rows in a CTE first")
        text, separator = self.texts(call.arguments)
        if condition is not None:
            text = case((condition, text))
        order = self.order(call.order)
        return sql("GROUP_CONCAT(:text, :separator :order)", text=text, separator=separator, order=order)

    # windows

    def order(self, keys: Sequence[exp.Expr]) -> Sql:
        """``ORDER BY`` with the place of NULLs told."""
        found = []
        for each in keys:
            way = "DESC" if each.args.get("desc") else "ASC"
            place = "FIRST" if each.args.get("nulls_first") else "LAST"
            found.append(Sql(f"{self.text(each.this)} {way} NULLS {place}"))
        return Sql(f"ORDER BY {listed(*found)}")

    def window(self, node: exp.Expr) -> Sql:
        """``f(...) OVER (...)``."""
        parts = []
        if keys := node.args.get("partition_by"):
            parts.append(f"PARTITION BY {listed(*self.texts(keys))}")
        if (order := node.args.get("order")) is not None:
            parts.append(self.order(order.expressions))
        if (spec := node.args.get("spec")) is not None:
            parts.append(self._frame(spec))
        over = Sql(f" OVER ({' '.join(parts)})")
        called, condition = node.this, None
        if isinstance(called, exp.Filter):
            called, condition = called.this, self.text(called.expression.this)
        if isinstance(called, exp.IgnoreNulls):
            if not isinstance(called.this, exp.FirstValue | exp.LastValue):
                raise NoFormError("IGNORE NULLS here", "filter the NULLs out in a subquery first")
            function = "FIRST_VALUE" if isinstance(called.this, exp.FirstValue) else "LAST_VALUE"
            return sql(f"{function}(:x, TRUE):over", x=self.text(called.this.this), over=over)
        if call_of(called) is None:
            return self.note(called, written_name(called), "say it in another way")
        return self.call(called, condition, over)

    def _frame(self, spec: exp.Expr) -> Sql:
        kind = str(spec.args.get("kind")).upper()
        if spec.args.get("exclude"):
            raise NoFormError("a frame with EXCLUDE", "end the frame at 1 PRECEDING")
        start = self._bound(spec.args.get("start"), spec.args.get("start_side"), kind)
        end = (
            self._bound(spec.args.get("end"), spec.args.get("end_side"), kind)
            if spec.args.get("end")
            else "CURRENT ROW"
        )
        if kind not in ("ROWS", "RANGE"):
            raise NoFormError(f"a {kind} frame", "use ROWS")
        if kind == "RANGE" and (start, end) not in _RANGES:
            raise NoFormError("such a RANGE frame", "join the rows of the window by time, or use an aggregation view")
        return Sql(f"{kind} BETWEEN {start} AND {end}")

    def _bound(self, bound: object, side: object, kind: str) -> str:
        if isinstance(bound, str):
            return " ".join(filter(None, (bound.upper(), str(side or "").upper())))
        if kind == "ROWS" and isinstance(bound, exp.Expr) and (rows := whole_value(bound)) is not None:
            return f"{rows} {str(side).upper()}"
        raise NoFormError(f"a {kind} frame of this length", "use an aggregation view: Doris has no frames of time")


_RANGES: Final = frozenset({
    ("UNBOUNDED PRECEDING", "CURRENT ROW"),
    ("CURRENT ROW", "UNBOUNDED FOLLOWING"),
    ("UNBOUNDED PRECEDING", "UNBOUNDED FOLLOWING"),
})  # fmt: skip
"""The RANGE frames that Doris' analyser takes."""


def enclosed(text: Sql) -> Sql:
    """``text`` in parentheses, if an operator around it could take it apart."""
    depth, quoted = 0, ""
    for char in text:
        if quoted:
            quoted = "" if char == quoted else quoted  # doubled quotes close and open again
        elif char in "'`":
            quoted = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif not depth and (char.isspace() or char == "-"):
            return Sql(f"({text})")
    return text


_PLACE: Final = re.compile(r"(\(|, |WHEN |THEN |ELSE |CAST\(|^)?:([a-z_]\w*)(?=(\)|,| AS | THEN| END|$)?)")


def _fitted(template: str, given: Mapping[str, Sql]) -> Mapping[str, Sql]:
    """The arguments, in parentheses where some place of the template is inside an operator."""
    bound = {found[2] for found in _PLACE.finditer(template) if found[1] is None or found[3] is None}
    return {place: enclosed(text) if place in bound else text for place, text in given.items()}


def _signature(node: exp.Expr, call: Call) -> Signature | None:
    key = node.meta_get(SIGNATURE)
    if key is not None:
        return call.function.signature(key)
    fitting = [each for each in call.function.signatures if _takes(each, call.arguments)]
    return next((each for each in fitting if not each.key), fitting[0] if fitting else None)


def _takes(signature: Signature, arguments: Sequence[exp.Expr]) -> bool:
    if not signature.accepts_count(len(arguments)):
        return False
    pairs = ((signature.parameter(index), argument) for index, argument in enumerate(arguments))
    return all(_constant(parameter, argument) for parameter, argument in pairs)


def _constant(parameter: Parameter, argument: exp.Expr) -> bool:
    if parameter.constant is None:
        return True
    try:
        parameter.constant(argument)
    except NotFittingError:
        return False
    return True


def _shown(node: exp.Expr) -> str:
    words: dict[type[exp.Expr], str] = {
        exp.Struct: "a struct",
        exp.Lambda: "a lambda",
        exp.Bracket: "a place in a list",
        exp.Any: "ANY",
        exp.All: "ALL",
    }
    return words.get(type(node), re.sub("(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper())
