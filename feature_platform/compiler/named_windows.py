"""WINDOW clauses → the windows themselves, where they are used.

>>> import sqlglot
>>> from feature_platform.compiler.parse import Places
>>> sql = "SELECT sum(a) OVER (w ORDER BY b) FROM t WINDOW w AS (PARTITION BY c)"
>>> inline_windows(sqlglot.parse_one(sql, read="duckdb"), Report(Places(None, None))).sql("duckdb")
'SELECT SUM(a) OVER (PARTITION BY c ORDER BY b) FROM t'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from sqlglot import exp

from feature_platform.compiler.codes import UNKNOWN_COLUMN
from feature_platform.compiler.report import Report
from feature_platform.compiler.scopes import windows_in
from feature_platform.compiler.trees import walk
from feature_platform.errors import did_you_mean

_PARTS: Final = ("partition_by", "order", "spec")
Q = TypeVar("Q", bound=exp.Expr)


def inline_windows(tree: Q, report: Report) -> Q:
    """Rewrites ``tree`` in place; gives it. A name that no window has is noted."""
    for select in walk(tree):
        if not isinstance(select, exp.Select):
            continue
        known: dict[str, exp.Expr] = {}
        for window in select.args.get("windows") or ():
            _complete(window, known, report)
            known[window.name.lower()] = window
        select.set("windows", None)
        for part in (*select.expressions, select.args.get("qualify"), select.args.get("order")):
            for window in windows_in(part) if part is not None else ():
                _complete(window, known, report)
    return tree


def _complete(window: exp.Expr, known: Mapping[str, exp.Expr], report: Report) -> None:
    """Takes over what the window that is named has; what is written beside the name adds to it."""
    name = window.args.get("alias")
    if name is None:
        return
    window.set("alias", None)
    base = known.get(name.name.lower())
    if base is None:
        hint = did_you_mean(name.name, known)
        report.add(UNKNOWN_COLUMN, name, f"no window is called '{name.name}'.{hint}", "name it in the WINDOW clause")
        return
    for part in _PARTS:
        value = base.args.get(part)
        if value and not window.args.get(part):
            copied = [each.copy() for each in value] if isinstance(value, list) else value.copy()
            window.set(part, copied)
