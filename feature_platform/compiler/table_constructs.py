"""Where the constructs of FROM, GROUP BY and stars may stand, beyond the closed list of nodes and parts.

>>> from feature_platform.compiler.parse import Places, parse_query
>>> report = Report(Places(None, None))
>>> tree = parse_query("SELECT * FROM t PIVOT (sum(a) FOR b IN (SELECT c FROM u))").tree
>>> stands_right(tree.find(exp.Pivot), report)
False
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import CONSTRUCT, UNKNOWN_FUNCTION
from feature_platform.compiler.functions.catalogue import written_name
from feature_platform.compiler.functions.refused import refusal_of
from feature_platform.compiler.report import Report
from feature_platform.compiler.stars import PATTERNS

_JOIN_KINDS: Final = ("", "INNER", "OUTER", "CROSS", "SEMI", "ANTI")
_JOIN_METHODS: Final = ("", "NATURAL", "ASOF", "POSITIONAL")
_HOLD_TUPLES: Final = (
    exp.Group,
    exp.GroupingSets,
    exp.Rollup,
    exp.Cube,
    exp.Values,
    exp.Pivot,
)


def stands_right(node: exp.Expr, report: Report) -> bool:
    """Whether a listed node is in a place where the dialect has it; notes where it is not."""
    match node:
        case exp.Table() if not isinstance(node.this, exp.Identifier):
            return _refuse_table_function(node, report)
        case exp.Table() | exp.Subquery() if node.args.get("joins") and not _is_enclosed(node):
            what, mend = "not part of the dialect: joins in this place", "put them into parentheses behind FROM or JOIN"
        case exp.Join() if (node.args.get("kind") or "") not in _JOIN_KINDS or node.method not in _JOIN_METHODS:
            what, mend = f"not part of the dialect: {node.args['kind']} JOIN", "write JOIN ... ON"
        case exp.Star() if not _is_star_place(node):
            what, mend = "not part of the dialect: a star inside an expression", "name the columns, or use COLUMNS(*)"
        case exp.Pivot() if not node.args.get("unpivot") and not all(map(_is_listed, node.args.get("fields") or ())):
            what = "a pivot without listed values: its columns would depend on the data"
            mend = "list them: ON column IN ('a', 'b')"
        case _:
            return True
    report.add(CONSTRUCT, node, what, mend)
    return False


def _is_enclosed(node: exp.Expr) -> bool:
    """Whether it is the first of a join in parentheses, in FROM: ``FROM t, (u JOIN v USING (k))``."""
    around = node.parent
    return isinstance(around, exp.Subquery) and isinstance(around.parent, exp.From | exp.Join | exp.Subquery)


def _is_listed(field: exp.Expr) -> bool:
    listed = field.expressions if isinstance(field, exp.In) else []
    return bool(listed) and not any(isinstance(value, exp.Query) for value in listed)


def is_list_of_columns(node: exp.Expr) -> bool:
    """Whether parentheses around several expressions stand where they are no row value: in GROUP BY, DISTINCT ON,
    VALUES and UNPIVOT."""
    parent = node.parent
    if isinstance(parent, exp.PivotAlias | exp.Alias | exp.In | exp.Tuple | exp.Paren):
        return parent.find_ancestor(exp.Pivot, exp.Select) is not None and isinstance(
            parent.find_ancestor(exp.Pivot, exp.Select, exp.Where), exp.Pivot
        )
    return isinstance(parent, _HOLD_TUPLES) or node.arg_key == "on"


def _is_star_place(star: exp.Star) -> bool:
    holder: exp.Expr = star.parent if isinstance(star.parent, exp.Column) else star
    if holder is star and isinstance(star.parent, exp.Count):
        return True
    while isinstance(holder.parent, (exp.Not, *PATTERNS)) and holder.arg_key == "this":
        holder = holder.parent
    parent = holder.parent
    if isinstance(parent, exp.In):
        return isinstance(parent.parent, exp.Pivot)
    return isinstance(parent, exp.Select | exp.Columns)


def _refuse_table_function(node: exp.Table, report: Report) -> bool:
    call = node.this
    name = written_name(call) if isinstance(call, exp.Expr) else str(call)
    refused = refusal_of(call, name)
    why, mend = (
        (refused.why, refused.mend) if refused else ("a query reads sources and views by name", "name a source or view")
    )
    report.add(UNKNOWN_FUNCTION, node, f"the table function {name} is not offered: {why}", mend)
    return False
