"""GROUP BY → plain expressions, and whether aggregates stand where they may.

``SELECT a, sum(b) FROM t GROUP BY ALL`` and ``GROUP BY 1`` become ``GROUP BY t.a``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import GROUPING, UNKNOWN_COLUMN
from feature_platform.compiler.functions.constants import whole_value
from feature_platform.compiler.names import Resolution, Resolver
from feature_platform.compiler.report import Report
from feature_platform.compiler.scopes import aggregates_in, from_items, is_aggregate, windows_in
from feature_platform.compiler.trees import children

_SETS: Final = (exp.Rollup, exp.Cube, exp.GroupingSets, exp.Tuple)
"""What may hold keys of GROUP BY inside."""


def resolve_groups(select: exp.Select, resolve: Resolver, state: Resolution) -> None:
    """Resolves GROUP BY of a select whose projections are resolved."""
    group = select.args.get("group")
    if group is None:
        return
    projections = select.expressions
    if group.args.get("all"):
        keys = [projection.this.copy() for projection in projections if not any(aggregates_in(projection.this))]
        group.set("all", None)
        group.set("expressions", keys)
    else:
        for key in list(group.expressions):
            _resolve_keys(key, select, resolve, state)
    if any(isinstance(key, _SETS) for key in group.expressions):
        _check_sets(group, state)
        return
    keys = [_unwrapped(key) for key in group.expressions]
    for key in keys:
        if key.find(exp.Query) is not None:
            state.report.add(GROUPING, key, "a subquery has no place in GROUP BY", "compute it in a CTE first")
    kept = [key for key in keys if not _is_constant(key)]
    if keys and not kept:
        state.report.add(GROUPING, group, "grouping by constants alone", "leave out GROUP BY, or group by a column")
    if kept:
        group.set("expressions", kept)
    elif not keys:
        select.set("group", None)


def check_aggregation(select: exp.Select, own: set[str], report: Report) -> None:
    """Aggregates and windows in their places; beside them only grouped columns. ``own`` are the aliases of the
    select's tables."""
    group = select.args.get("group")
    if group is None and select.args.get("having") is None and not _calls_below(children(select)):
        return  # most queries: nothing is aggregated, no window
    _check_places(select, report)
    parts = [
        *select.expressions,
        *(select.args[part] for part in ("having", "qualify", "order") if select.args.get(part)),
    ]
    aggregated = group is not None or any(True for part in parts for _ in aggregates_in(part))
    if not aggregated:
        if select.args.get("having") is not None:
            report.add(
                GROUPING,
                select.args["having"],
                "HAVING without aggregation",
                "use WHERE, or QUALIFY for window functions",
            )
        return
    keys = set(keys_of(group.expressions)) if group is not None else set()
    for part in parts:
        _check_grouped(part, keys, own, report)


def _calls_below(parts: Iterable[exp.Expr]) -> int:
    """How many windows and calls of aggregates there are in parts of a query, not counting those of subqueries."""
    found, open_nodes = 0, list(parts)
    for node in open_nodes:  # which grows
        if isinstance(node, exp.Query):
            continue
        found += isinstance(node, exp.Window) or is_aggregate(node)
        open_nodes += children(node)
    return found


def _resolve_keys(key: exp.Expr, select: exp.Select, resolve: Resolver, state: Resolution) -> None:
    """A key, or the keys inside of ROLLUP, CUBE, GROUPING SETS and parentheses."""
    if isinstance(key, _SETS):
        for inner in list(key.expressions):
            _resolve_keys(inner, select, resolve, state)
    elif isinstance(key, exp.Paren):
        _resolve_keys(key.this, select, resolve, state)
    else:
        _resolve_key(key, select, resolve, state)


def keys_of(nodes: Iterable[exp.Expr]) -> Iterator[exp.Expr]:
    """The keys of GROUP BY, also those inside of ROLLUP, CUBE and GROUPING SETS."""
    for node in nodes:
        if isinstance(node, _SETS):
            yield from keys_of(node.expressions)
        else:
            yield _unwrapped(node)


def _check_sets(group: exp.Expr, state: Resolution) -> None:
    for key in keys_of(group.expressions):
        if key.find(exp.Query) is not None or _is_constant(key):
            what = "a subquery" if key.find(exp.Query) is not None else "a constant"
            state.report.add(GROUPING, key, f"{what} has no place in GROUPING SETS", "compute it in a CTE first")


def _resolve_key(key: exp.Expr, select: exp.Select, resolve: Resolver, state: Resolution) -> None:
    ordinal = whole_value(key)
    if ordinal is None:
        resolve(key)
        return
    if 1 <= ordinal <= len(select.expressions):
        key.replace(select.expressions[ordinal - 1].this.copy())
    else:
        state.report.add(
            UNKNOWN_COLUMN,
            key,
            f"there is no column number {ordinal}",
            f"the SELECT has {len(select.expressions)} columns",
        )


def _check_places(select: exp.Select, report: Report) -> None:
    places = [("WHERE", select.args.get("where")), ("GROUP BY", select.args.get("group"))]
    places += [("ON", join.args.get("on")) for _, join in from_items(select) if join is not None]
    for name, clause in places:
        if clause is None or not _calls_below([clause]):
            continue
        for call in aggregates_in(clause):
            report.add(
                GROUPING, call, f"an aggregate has no place in {name}", "use HAVING, or aggregate in a CTE first"
            )
        for call in windows_in(clause):
            report.add(
                GROUPING, call, f"a window function has no place in {name}", "use QUALIFY, or compute it in a CTE first"
            )
    having = select.args.get("having")
    for call in windows_in(having) if having is not None else ():
        report.add(GROUPING, call, "a window function has no place in HAVING", "use QUALIFY")
    for projection in select.expressions:
        _check_nesting(projection, report)


def _check_nesting(node: exp.Expr, report: Report) -> None:
    if _calls_below([node]) < 2:
        return
    for call in aggregates_in(node):
        if any(True for child in children(call) for _ in aggregates_in(child)):
            report.add(GROUPING, call, "an aggregate inside an aggregate", "aggregate in a CTE first")
        if any(True for child in children(call) for _ in windows_in(child)):
            report.add(GROUPING, call, "a window function inside an aggregate", "compute it in a CTE first")
    for window in windows_in(node):
        if any(True for child in children(window) for _ in windows_in(child)):
            report.add(
                GROUPING, window, "a window function inside a window function", "compute the inner one in a CTE first"
            )


def _check_grouped(node: exp.Expr, keys: set[exp.Expr], own: set[str], report: Report) -> None:
    if node in keys:
        return
    if isinstance(node, exp.Window):
        inner = node.this.this if isinstance(node.this, exp.Filter) else node.this
        for child in [*children(inner), *(part for part in children(node) if part is not node.this)]:
            _check_grouped(child, keys, own, report)
        return
    if isinstance(node, exp.Filter) or is_aggregate(node):
        return
    if isinstance(node, exp.Grouping):
        for each in node.expressions:
            if _unwrapped(each) not in keys:
                report.add(GROUPING, each, "grouping(...) of what is not in GROUP BY", "name one of its keys")
        return
    if isinstance(node, exp.Column):
        if node.table in own and not node.meta_get("output"):
            report.add(
                GROUPING,
                node,
                f"'{node.name}' is neither grouped nor aggregated",
                f"add {node.name} to GROUP BY, or aggregate it, for instance max({node.name})",
            )
        return
    for child in children(node):
        _check_grouped(child, keys, own, report)


def _unwrapped(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _is_constant(node: exp.Expr) -> bool:
    return not any(isinstance(part, exp.Column | exp.Query) for part in node.walk())
