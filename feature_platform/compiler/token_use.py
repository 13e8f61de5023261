"""The rules of tokens: equality with a token of the same class, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from feature_platform.compiler.codes import TOKEN_CLASSES, TOKEN_USE
from feature_platform.compiler.flows import Flow, union
from feature_platform.compiler.paths import SHAPE
from feature_platform.compiler.report import Report
from feature_platform.compiler.scopes import is_null


def check_comparison(node: exp.Expr, sides: list[exp.Expr], flows: list[Flow], report: Report) -> None:
    """Notes a comparison of two sides that no tokens of this class can be equal in."""
    if not any(flow.token for flow in flows):
        return
    if len(flows) == 2 and flows[0].parts and flows[0].parts.keys() == flows[1].parts.keys():
        for step in flows[0].parts:  # nested values are equal part by part
            check_comparison(node, sides, [flow.parts[step] for flow in flows], report)
        return
    plain = next((side for side, flow in zip(sides, flows, strict=True) if not flow.token), None)
    if plain is not None:
        constant = not any(isinstance(part, exp.Column) for part in plain.walk())
        if is_null(plain):
            report.add(TOKEN_USE, node, "a comparison with NULL is never true", "write IS NULL or IS NOT NULL")
        elif constant:
            report.add(
                TOKEN_USE,
                node,
                f"{_named(flows)} is compared with a constant, which would ask whether a known person is in the data",
                "compare it with another column of the same classification; pass persons in through a spine",
            )
        else:
            report.add(
                TOKEN_CLASSES,
                node,
                f"{_named(flows)} is compared with a value that is no token; they are never equal",
                "compare columns of the same classification; declare `pii:` of the other column if it holds the same",
            )
    elif len(set(map(tokens_of, flows))) > 1 or len(tokens_of(flows[0])) > 1:
        report.add(
            TOKEN_CLASSES,
            node,
            f"tokens of two classes are compared ({_named(flows)}); they are never equal",
            "compare columns of the same classification",
        )
    elif _differ_in_shape(flows):
        report.add(
            TOKEN_CLASSES,
            node,
            f"{_named(flows)} is compared inside a nested value with one of another shape",
            "compare field by field",
        )


def are_apart(one: Flow, two: Flow) -> bool:
    """Whether two branches of a set operation give a token where the other gives none, or one of another class."""
    if not (one.token or two.token):
        return False
    if one.parts and one.parts.keys() == two.parts.keys():
        return any(are_apart(part, two.parts[step]) for step, part in one.parts.items() if step != SHAPE)
    return tokens_of(one) != tokens_of(two) or _differ_in_shape([one, two])


def _differ_in_shape(flows: list[Flow]) -> bool:
    """Whether the sides don't say of the same parts what they are: a token could meet a constant."""
    return len({frozenset(flow.parts) for flow in flows}) > 1


def check_mixture(results: Iterable[exp.Expr], flows: list[Flow], report: Report) -> None:
    """The branches of a choice are tokens of one class all, or none is; NULL goes with everything."""
    seen = [(result, flow) for result, flow in zip(results, flows, strict=True) if not is_null(result)]
    apart = [result for result, flow in seen if are_apart(seen[0][1], flow)]
    if apart:
        report.add(
            TOKEN_CLASSES,
            apart[-1],
            f"{_named(flows)} is mixed with values that are no tokens of its class",
            "give all branches the same classification; for a missing token leave NULL",
        )


def refuse_token(flow: Flow, node: exp.Expr, how: str, report: Report) -> None:
    """Notes a token where a value is needed."""
    if flow.token:
        report.add(
            TOKEN_USE,
            node,
            f"{_named([flow])} is {how}; a token tells only whether two values are equal",
            "use it in =, IN, JOIN, GROUP BY or count(DISTINCT ...), or read the column by a governed transform",
        )


def tokens_of(flow: Flow) -> frozenset[str]:
    """The classes whose tokens an expression gives."""
    return frozenset(label.classification for label in flow.labels if label.kind == "token")


def _named(flows: Iterable[Flow]) -> str:
    flow = union(flows)
    columns = ", ".join(str(ref) for ref in sorted(flow.direct))
    return f"the token of {' and '.join(sorted(tokens_of(flow)))} ({columns})"
