"""ASOF joins for PostgreSQL, which has none: the nearest row by LATERAL.

``a ASOF LEFT JOIN b ON a.k = b.k AND a.t >= b.t`` becomes ``a LEFT JOIN LATERAL (SELECT * FROM b WHERE a.k = b.k AND
a.t >= b.t ORDER BY b.t DESC LIMIT 1) AS b ON TRUE``. Rows of ``b`` that are equally near are the author's to tell
apart, as with ``row_number()``.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

_SMALLEST: Final[dict[type[exp.Expr], bool]] = {exp.GT: False, exp.GTE: False, exp.LT: True, exp.LTE: True}
"""Whether the nearest value of the right side is its smallest, when it stands on the right of the sign."""


def nearest_rows(join: exp.Expr) -> exp.Join:
    """The join without ASOF; takes the parts of ``join``."""
    right, condition = join.this, join.args["on"]
    alias = right.alias
    parts = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    inequality = next(part for part in parts if type(part) in _SMALLEST)
    reversed_ = any(column.table == alias for column in inequality.this.find_all(exp.Column))
    key = inequality.this if reversed_ else inequality.expression
    ascending = _SMALLEST[type(inequality)] != reversed_
    select = exp.Select(
        expressions=[exp.Star()],
        from_=exp.From(this=right),
        where=exp.Where(this=condition),
        order=exp.Order(expressions=[exp.Ordered(this=key.copy(), desc=not ascending, nulls_first=False)]),
        limit=exp.Limit(expression=exp.Literal.number(1)),
    )
    lateral = exp.Lateral(
        this=exp.Subquery(this=select), alias=exp.TableAlias(this=exp.Identifier(this=alias, quoted=True))
    )
    return exp.Join(this=lateral, side=join.args.get("side"), on=exp.true())
