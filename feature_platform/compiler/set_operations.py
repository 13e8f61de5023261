"""UNION, INTERSECT and EXCEPT: branches with as many columns; BY NAME becomes by position.

``SELECT a, b FROM t UNION ALL BY NAME SELECT b, c FROM u`` becomes ``SELECT a, b, NULL AS c FROM (...) UNION ALL SELECT
NULL AS a, b, c FROM (...)``: columns of the left branch first, those that only the right one has behind.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from feature_platform.compiler.codes import SET_OPERATION
from feature_platform.compiler.names import Relation, Resolution, quoted
from feature_platform.compiler.scopes import first_select, output_names


def align(operation: exp.SetOperation, state: Resolution) -> None:
    """Makes the columns of resolved branches stand in the same order; notes branches that do not fit."""
    left, right = output_names(operation.this), output_names(operation.expression)
    if operation.args.get("by_name"):
        operation.set("by_name", None)
        names = {name.lower(): name for name in (*right, *left)}
        order = dict.fromkeys(name.lower() for name in (*left, *right))
        for part, own in (("this", left), ("expression", right)):
            wrapped = _in_order(operation.args[part], own, [names[lower] for lower in order], state)
            operation.set(part, wrapped)
        return
    if len(left) != len(right):
        state.report.add(
            SET_OPERATION,
            first_select(operation.expression).expressions[0],
            f"the branches have {len(left)} and {len(right)} columns",
            "give every branch the same columns in the same order, or write UNION BY NAME",
        )


def _in_order(branch: exp.Expr, own: Iterable[str], names: list[str], state: Resolution) -> exp.Select:
    alias = state.unique("branch")
    relation = Relation(alias, "", {name.lower(): name for name in own})
    projections: list[exp.Expr] = [
        exp.alias_(relation.column(name.lower()) if name.lower() in relation.columns else exp.null(), name, quoted=True)
        for name in names
    ]
    inner = branch.this if isinstance(branch, exp.Subquery) else branch
    subquery = exp.Subquery(this=inner, alias=exp.TableAlias(this=quoted(alias)))
    select = exp.Select(expressions=projections, from_=exp.From(this=subquery))
    select.meta["resolved"] = True
    return select
