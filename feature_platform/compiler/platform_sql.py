"""The platform's own statements, over published, staged or declared tables: trees without a word of a user's → text.

DuckDB and PostgreSQL get them from sqlglot. Its writer for Doris changes some trees silently, so Doris gets them from
the emitter with the closed list of constructs, and the linter reads them.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.types import STRING, DataType, Engine, array

_RANK: Final = "fp_rank"
_LIST: Final = array(STRING)


def platform_sql(tree: exp.Query, engine: Engine) -> str:
    """The text of ``tree`` for ``engine``; parameters are ``$name``.

    Raises:
        CompileError: Doris has no form of something in it.
    """
    if engine != "doris":
        return tree.sql(dialect=engine)
    from feature_platform.compiler.doris.render import render

    return render(_without_distinct_on(tree), platform=True)


def text_in_doris(value: exp.Expression, kind: DataType) -> exp.Expression:
    """A value of any type as one text of Doris: of nested ones JSON, of maps that of their keys and of their values,
    since its JSON of maps knows keys of texts alone.
    """
    if kind.key is not None:
        keys, values = (text_in_doris(sql.call(of, value), _LIST) for of in ("map_keys", "map_values"))
        return sql.concat(sql.text("["), keys, sql.text(","), values, sql.text("]"))
    return sql.cast(sql.call("to_json", value) if kind.kind in ("array", "struct") else value, STRING, "doris")


def _without_distinct_on(tree: exp.Query) -> exp.Query:
    """``SELECT DISTINCT ON (a) … ORDER BY a, c`` as the rows that are the first of their group; in no order.

    >>> tree = exp.select("a", "b").distinct("a").from_("t").order_by("a", "c DESC")
    >>> _without_distinct_on(tree).sql("duckdb")  # doctest: +NORMALIZE_WHITESPACE
    'SELECT "a", "b" FROM (SELECT a, b, ROW_NUMBER() OVER (PARTITION BY a ORDER BY c DESC) AS "fp_rank" FROM t) AS
    ranked WHERE "fp_rank" = 1'
    """
    distinct = tree.args.get("distinct")
    if not isinstance(tree, exp.Select) or distinct is None or distinct.args.get("on") is None:
        return tree
    inner = tree.copy()
    names = [each.alias_or_name for each in inner.expressions]
    inner.set("distinct", None)
    keys = [key.copy() for key in distinct.args["on"].expressions]
    order = [each for each in inner.args["order"].pop().expressions if _ordered(each) not in keys]
    rank = exp.Window(this=exp.RowNumber(), partition_by=keys, order=exp.Order(expressions=order), over="OVER")
    inner.select(exp.alias_(rank, _RANK, quoted=True), copy=False)
    first = exp.EQ(this=exp.column(_RANK, quoted=True), expression=exp.Literal.number(1))
    return (
        exp.select(*(exp.column(name, quoted=True) for name in names))
        .from_(inner.subquery("ranked", copy=False))
        .where(first)
    )


def _ordered(node: exp.Expr) -> exp.Expr:
    """What an element of an ORDER BY orders by."""
    by: exp.Expr = node.this if isinstance(node, exp.Ordered) else node
    return by
