"""Recursive CTEs: ``WITH RECURSIVE r AS (SELECT ... UNION ALL SELECT ... FROM r ...)``.

In the first branch the CTE's name is not known yet: it means a table, or a CTE before. In the second it means the rows
of the round before. Types and labels are those that no further round would change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import CONSTRUCT, SET_OPERATION
from feature_platform.compiler.engines import limit
from feature_platform.compiler.flows import QueryFlows, union
from feature_platform.compiler.inference import UNKNOWN, Inference
from feature_platform.compiler.numeric import Inferred, NoTypeError, supertype
from feature_platform.compiler.paths import whole
from feature_platform.compiler.report import Report
from feature_platform.compiler.scan_columns import collated
from feature_platform.compiler.scopes import aggregates_in, bare, first_select, output_names
from feature_platform.compiler.trees import clone
from feature_platform.types import STRING

_ROUNDS: Final = 12
_RECURSIVE: Final = "recursive"
_PLAIN: Final = (exp.Table, exp.From, exp.Join, exp.Select, exp.Subquery, exp.Lateral)
_FILTERING: Final = ("where", "having", "qualify", "joins", "limit")
_COLLAPSING: Final = ("group", "having", "distinct", "order", "limit", "offset", "qualify")


def may_recurse(cte: exp.Expr, with_: exp.Expr) -> bool:
    """Whether the CTE's own name can mean itself in its second branch."""
    return bool(with_.args.get("recursive")) and isinstance(bare(cte.this), exp.Union)


def is_recursive(cte: exp.Expr) -> bool:
    """Whether a resolved CTE reads itself."""
    return bool(cte.meta_get(_RECURSIVE))


def note_recursion(cte: exp.CTE, report: Report) -> None:
    """Marks a resolved CTE that reads itself; notes forms that do not end, or that some engine lacks."""
    operation = bare(cte.this)
    reads = [table for table in operation.expression.find_all(exp.Table) if table.name == cte.alias and not table.db]
    if not reads:
        return
    cte.meta[_RECURSIVE] = True
    if any(operation.args.get(part) for part in ("order", "limit", "offset")):
        report.add(CONSTRUCT, operation, "ORDER BY or LIMIT on a recursion", "put them where the CTE is read")
    if not operation.args.get("distinct") and not _is_filtered(reads[0]):
        report.add(
            CONSTRUCT, reads[0], "a recursion that nothing ends", "write WHERE depth < 10, or UNION for UNION ALL"
        )
    if len(reads) > 1 or not _is_plain(reads[0], operation.expression):
        limit(
            reads[-1],
            "a recursion that reads itself twice, in a subquery, under an outer join, or aggregated",
            "read the CTE once in the second branch, in FROM or by an inner join, and aggregate behind the recursion",
        )


def _is_filtered(table: exp.Table) -> bool:
    """Whether something may leave rows out on the way to the next round; whether it does, nobody can see."""
    around = table.find_ancestor(exp.Select, exp.CTE)
    while isinstance(around, exp.Select):
        if any(around.args.get(part) for part in _FILTERING):
            return True
        around = around.find_ancestor(exp.Select, exp.CTE)
    return False


def _is_plain(table: exp.Table, branch: exp.Expr) -> bool:
    node: exp.Expr = table
    while True:
        collapsing = isinstance(node, exp.Select) and (
            any(node.args.get(part) for part in _COLLAPSING)
            or any(True for projection in node.expressions for _ in aggregates_in(projection))
            or any(join.side for join in node.args.get("joins") or ())
        )
        if collapsing or not isinstance(node, _PLAIN):
            return False
        if node is branch or node.parent is None:
            return True
        if isinstance(node, exp.Subquery) and not isinstance(node.parent, exp.From | exp.Join | exp.Lateral):
            return False
        node = node.parent


def recursive_flows(known: QueryFlows, again: Callable[[QueryFlows], QueryFlows]) -> QueryFlows:
    """The flows that another round leaves as they are, from those of the first branch; ``again`` gives those of both
    branches, when the CTE has the flows given. Values that nest deeper each round are soon told apart no more."""
    for number in count():
        found = again(known)
        columns = {
            name: union([flow, new]) if number < _ROUNDS else whole(union([flow, new]))
            for (name, flow), new in zip(known.columns.items(), found.columns.values(), strict=False)
        }
        wider = QueryFlows(columns, union([known.path, found.path]))
        if wider == known:
            return known
        known = wider
    raise AssertionError("there are finitely many labels")


def recursive_types(cte: exp.CTE, state: Inference) -> None:
    """Gives the CTE, in ``state``, the types that another round leaves as they are. The tree stays as it is; texts get
    the one collation, which PostgreSQL wants to be the same in both branches."""
    operation = bare(cte.this)
    scratch = replace(state, report=Report(state.report.places))
    types: Mapping[str, Inferred] = dict(scratch.query(clone(operation.this)))
    for _ in range(_ROUNDS):
        state.ctes[cte.alias] = types
        second = scratch.query(clone(operation.expression))
        wider = {name: _wider(one, two) for (name, one), two in zip(types.items(), second.values(), strict=False)}
        if wider == types:
            break
        types = wider
    else:
        state.report.add(
            SET_OPERATION,
            operation,
            "a column's type grows with each round of the recursion",
            "cast the column to one type in both branches",
        )
    for branch in (operation.this, operation.expression):
        _collate(branch, [name for name, type_ in types.items() if type_ == STRING], output_names(operation))


def _wider(one: Inferred, two: Inferred) -> Inferred:
    try:
        return UNKNOWN if UNKNOWN in (one, two) else supertype([one, two])
    except NoTypeError:
        return one  # said of the branches as they stand


def _collate(branch: exp.Expr, texts: list[str], names: list[str]) -> None:
    inner = bare(branch)
    if isinstance(inner, exp.SetOperation):
        _collate(inner.this, texts, names)
        _collate(inner.expression, texts, names)
        return
    for name, projection in zip(names, first_select(inner).expressions, strict=False):
        if name in texts and not isinstance(projection.this, exp.Collate):
            projection.set("this", collated(projection.this))
