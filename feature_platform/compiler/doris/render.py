"""A guarded tree → Doris' text: clauses and relations; :mod:`expressions` writes what stands in them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from feature_platform.compiler.codes import NO_FORM
from feature_platform.compiler.doris.expressions import Expressions
from feature_platform.compiler.doris.lint import checked
from feature_platform.compiler.doris.operators import RULES
from feature_platform.compiler.doris.text import name
from feature_platform.compiler.doris.tokens import laid_out
from feature_platform.compiler.fragments import Sql, listed
from feature_platform.compiler.parse import Places
from feature_platform.compiler.report import Report

_PARTS: Mapping[type[exp.Expr], frozenset[str]] = {
    exp.Select: frozenset(
        ["expressions", "distinct", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "with_"]
    ),
    exp.Union: frozenset(["this", "expression", "distinct", "with_", "order", "limit", "offset"]),
    exp.Except: frozenset(["this", "expression", "distinct", "with_", "order", "limit", "offset"]),
    exp.Intersect: frozenset(["this", "expression", "distinct", "with_", "order", "limit", "offset"]),
    exp.Join: frozenset(["this", "method", "side", "kind", "on"]),
    exp.Subquery: frozenset(["this", "alias"]),
    exp.Table: frozenset(["this", "alias", "db"]),
    exp.Group: frozenset(["expressions"]),
    exp.CTE: frozenset(["this", "alias", "materialized"]),
    exp.With: frozenset(["expressions"]),
    exp.Values: frozenset(["expressions", "alias"]),
}
"""What a clause may have."""
_UNSAID: Mapping[tuple[type[exp.Expr], str], tuple[str, str]] = {
    (exp.With, "recursive"): ("WITH RECURSIVE before 4.1", "model the steps as rows of a source"),
    (exp.Join, "using"): ("USING", "write ON a.k = b.k"),
    (exp.Group, "rollup"): ("ROLLUP", "use UNION ALL of several GROUP BY"),
    (exp.Group, "cube"): ("CUBE", "use UNION ALL of several GROUP BY"),
    (exp.Group, "grouping_sets"): ("GROUPING SETS", "use UNION ALL of several GROUP BY"),
    (exp.Group, "all"): ("GROUP BY ALL", "name the columns"),
    (exp.Union, "by_name"): ("UNION BY NAME", "select the columns in one order"),
}


def render(tree: exp.Expr, places: Places | None = None, *, pretty: bool = False, platform: bool = False) -> str:
    """The text of a guarded tree for Doris, read by the linter before it is handed out; ``pretty``, a clause a line. A
    tree of the ``platform`` itself may call functions of Doris that no author can name.

    Raises:
        CompileError: FP-SQL-051, all that has no form, at its place; FP-SQL-050, the linter does not know something.
    """
    writer = _Queries(platform=platform)
    text = writer.query(tree)
    report = Report(places or Places(None, None))
    for node, what, mend in writer.expressions.lacking:
        report.add(NO_FORM, node, f"doris has no form of {what}", mend)
    report.raise_if_any()
    found = checked(str(text))
    return laid_out(found).rstrip() if pretty else found


class _Queries:
    """Writes queries; what has no form is noted with the expressions'."""

    def __init__(self, *, platform: bool) -> None:
        self.expressions = Expressions(self.query, RULES, platform=platform)

    def query(self, node: exp.Expr) -> Sql:
        """The text of a query, without parentheses around it."""
        if isinstance(node, exp.Subquery) and not node.args.get("alias"):
            return self.query(node.this)
        self._check_parts(node)
        match node:
            case exp.Select():
                return self._select(node)
            case exp.Union() | exp.Except() | exp.Intersect():
                return self._set_operation(node)
            case exp.Values():
                return self._values(node)
        return self._lacking(node, type(node).__name__.upper())

    def _lacking(self, node: exp.Expr, what: str, mend: str = "say it in another way") -> Sql:
        return self.expressions.note(node, what, mend)

    def _check_parts(self, node: exp.Expr) -> None:
        allowed = _PARTS.get(type(node))
        for part, value in node.args.items():
            if value and allowed is not None and part not in allowed:
                what, mend = _UNSAID.get(
                    (type(node), part), (f"{type(node).__name__.upper()} with {part}", "leave it out")
                )
                self._lacking(node, what, mend)

    def _select(self, node: exp.Select) -> Sql:
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            return self._lacking(node, "DISTINCT ON", "use row_number()")
        found = listed(*(self._projection(each) for each in node.expressions))
        text = f"{self._with(node)}SELECT {'DISTINCT ' if distinct is not None else ''}{found}"
        source = node.args.get("from_")
        if source is not None:
            text += f" FROM {self._relation(source.this)}"
        for join in node.args.get("joins") or ():
            text += self._join(join)
        for clause, word in (("where", "WHERE"), ("having", "HAVING")):
            condition = node.args.get(clause)
            if clause == "having" and (group := node.args.get("group")) is not None:
                self._check_parts(group)
                text += f" GROUP BY {listed(*self.expressions.texts(group.expressions))}"
            if condition is not None:
                text += f" {word} {self.expressions.text(condition.this)}"
        return Sql(text + self._tail(node))

    def _projection(self, node: exp.Expr) -> Sql:
        if isinstance(node, exp.Alias | exp.Subquery) and node.alias:
            value = node.this if isinstance(node, exp.Alias) else exp.Subquery(this=node.this.copy())
            return Sql(f"{self.expressions.text(value)} AS {name(node.alias)}")
        return self.expressions.text(node)

    def _with(self, node: exp.Expr) -> str:
        clause = node.args.get("with_")
        if clause is None:
            return ""
        self._check_parts(clause)
        told = []
        for each in clause.expressions:
            self._check_parts(each)
            told.append(f"{self._named(each)} AS ({self.query(each.this)})")
        return f"WITH {', '.join(told)} "

    def _named(self, node: exp.Expr) -> str:
        """The alias of a relation, with names for its columns if it has any."""
        alias = node.args.get("alias")
        if not isinstance(alias, exp.TableAlias):
            return name(node.alias)
        columns = alias.args.get("columns") or ()
        inside = f" ({listed(*(name(each.name) for each in columns))})" if columns else ""
        return name(alias.name) + inside

    def _tail(self, node: exp.Expr) -> str:
        text = ""
        if (order := node.args.get("order")) is not None:
            text += f" {self.expressions.order(order.expressions)}"
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if limit is not None and limit.args.get("limit_options") is not None:
            self._lacking(node, "LIMIT of a percentage", "count the rows with ntile")
        elif limit is not None:
            text += f" LIMIT {self.expressions.text(limit.expression)}"
        if offset is not None:
            if limit is None:
                self._lacking(node, "OFFSET without LIMIT", "filter by row_number()")
            text += f" OFFSET {self.expressions.text(offset.expression)}"
        return text

    def _set_operation(self, node: exp.Expr) -> Sql:
        word = type(node).__name__.upper()
        if not node.args.get("distinct"):
            if not isinstance(node, exp.Union):
                return self._lacking(
                    node, f"{word} ALL", "number equal rows with row_number() and compare the numbers too"
                )
            word = "UNION ALL"
        chained = word == "UNION ALL" and _is_plain_union(node.this)
        sides = [self.query(node.this) if chained else self._side(node.this), self._side(node.expression)]
        return Sql(f"{self._with(node)}{sides[0]} {word} {sides[1]}{self._tail(node)}")

    def _side(self, node: exp.Expr) -> str:
        inside = self.query(node)
        return inside if type(node) is exp.Select and not _has_tail(node) else f"({inside})"

    def _values(self, node: exp.Expr) -> Sql:
        """Rows of constants, as SELECTs."""
        alias = node.args.get("alias")
        names = [each.name for each in (alias.args.get("columns") or ())] if alias is not None else []
        rows = []
        for row in node.expressions:
            texts = self.expressions.texts(row.expressions)
            called = names or [f"col{place}" for place in range(len(texts))]
            rows.append(
                "SELECT " + ", ".join(f"{text} AS {name(as_)}" for text, as_ in zip(texts, called, strict=True))
            )
        return Sql(" UNION ALL ".join(rows))

    def _relation(self, node: exp.Expr) -> Sql:
        self._check_parts(node)
        match node:
            case exp.Subquery():
                if not node.alias:
                    return self._lacking(node, "a sub-query without a name", "name it with AS")
                return Sql(f"({self.query(node.this)}) AS {self._named(node)}")
            case exp.Values():
                return Sql(f"({self._values(node)}) AS {name(node.alias)}")
            case exp.Table() if isinstance(node.this, exp.Identifier):
                database = f"{name(node.args['db'].name)}." if node.args.get("db") is not None else ""
                alias = f" AS {self._named(node)}" if node.alias else ""
                return Sql(f"{database}{name(node.name)}{alias}")
        mend = "model the elements as rows of a source"
        return self._lacking(node, f"{type(node).__name__.upper()} in FROM", mend)

    def _join(self, node: exp.Expr) -> str:
        self._check_parts(node)
        method, side, kind = (str(node.args.get(part) or "").upper() for part in ("method", "side", "kind"))
        if method:
            mend = "rank the rows with row_number() by time and keep the first"
            self._lacking(node, f"{'an' if method == 'ASOF' else 'a'} {method} JOIN before 4.0.5", mend)
            return ""
        words = f"{side} OUTER" if side in ("LEFT", "RIGHT", "FULL") else "INNER"
        if kind in ("SEMI", "ANTI"):
            words = f"LEFT {kind}"
        on = node.args.get("on")
        if kind == "CROSS" or on is None:
            if kind in ("SEMI", "ANTI") or side:
                self._lacking(node, "a join without ON", "write the condition")
            words = "CROSS"
        condition = f" ON {self.expressions.text(on)}" if on is not None and words != "CROSS" else ""
        return f" {words} JOIN {self._relation(node.this)}{condition}"


def _is_plain_union(node: exp.Expr) -> bool:
    """Whether it is ``a UNION ALL b`` and nothing more: one more may follow without parentheses."""
    while isinstance(node, exp.Subquery) and not node.args.get("alias") and not _has_tail(node):
        node = node.this
    return type(node) is exp.Union and not node.args.get("distinct") and not _has_tail(node)


def _has_tail(node: exp.Expr) -> bool:
    return any(node.args.get(part) is not None for part in ("order", "limit", "offset", "with_"))
