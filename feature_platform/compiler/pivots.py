"""PIVOT → grouped aggregates with FILTER, UNPIVOT → a cross join with the names of the columns.

``FROM t PIVOT (sum(b) AS s FOR a IN ('x', 'y') GROUP BY c)`` becomes ``(SELECT c, sum(b) FILTER (WHERE a = 'x') AS x_s,
sum(b) FILTER (WHERE a = 'y') AS y_s FROM t GROUP BY c)``; without GROUP BY, all columns that are not used are grouped.
``FROM t UNPIVOT (v FOR n IN (a, b))`` becomes ``(SELECT c, names.name AS n, CASE names.number WHEN 1 THEN a WHEN 2
THEN b END AS v FROM t CROSS JOIN (VALUES (1, 'a'), (2, 'b')) AS names (number, name) WHERE v IS NOT NULL)``.

So both run on every engine, and labels follow from the rules of what they become: a token stays one, and columns of two
classes do not meet in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from sqlglot import exp

from feature_platform.compiler.codes import CONSTRUCT, UNKNOWN_COLUMN
from feature_platform.compiler.functions.catalogue import call_of
from feature_platform.compiler.names import Queries, Relation, Scope, quoted
from feature_platform.compiler.scopes import aggregates_in
from feature_platform.compiler.stars import is_star, selected_columns, star_columns
from feature_platform.compiler.values import union_of
from feature_platform.errors import did_you_mean

_NUMBER, _NAME = "fp_number", "fp_name"


def pivoted(item: exp.Expr, scope: Scope, queries: Queries) -> exp.Subquery:
    """Puts a resolved subquery in the place of ``item``, a table or subquery with PIVOT or UNPIVOT behind it."""
    pivots = item.args["pivots"]
    given = item.args.get("alias")
    holder = exp.Paren(this=exp.null())
    item.replace(holder)
    source: exp.Expr = item
    source.set("pivots", None)
    result = exp.Subquery()
    scope.touched = False
    for pivot in pivots:
        select = exp.Select(expressions=[], from_=exp.From(this=source))
        own = Scope(outer=scope)
        queries.tables(select, own)
        writer = _Writer(pivot, select, own.relations[-1], own, queries)
        if pivot.args.get("unpivot"):
            writer.unpivot()
        else:
            writer.pivot()
        queries.clauses(select, own)
        select.meta["resolved"] = True
        alias = pivot.args.get("alias") or given
        result = exp.Subquery(this=select, alias=alias.copy() if alias is not None else None)
        source = result
    holder.replace(result)
    return result


@dataclass(frozen=True)
class _Value:
    """One value of a pivot's key: the text in the column's name, and the condition that a row has it."""

    name: str
    condition: exp.Expr


@dataclass
class _Writer:
    """Writes the SELECT that a pivot becomes."""

    pivot_node: exp.Expr
    select: exp.Select
    relation: Relation
    own: Scope
    queries: Queries

    # --- PIVOT

    def pivot(self) -> None:
        fields = [self._values(field) for field in self.pivot_node.args["fields"]]
        wanted = self.pivot_node.expressions
        used = {column.name.lower() for node in (*self.pivot_node.args["fields"], *wanted) for column in _named(node)}
        group = self.pivot_node.args.get("group")
        free = [lower for lower in self.relation.columns if lower not in used] if group is None else []
        keys: list[exp.Expr] = [*(group.expressions if group is not None else map(self._star_column, free))]
        projections: list[exp.Expr] = [key.copy() for key in keys] if group is not None else [*map(self._aliased, free)]
        for combination in product(*fields):
            condition = exp.and_(*(value.condition.copy() for value in combination), copy=False)
            prefix = "_".join(value.name for value in combination)
            for aggregate in wanted:
                name = f"{prefix}_{self._name(aggregate)}" if _is_named(aggregate, wanted) else prefix
                value = self._filtered(aggregate.this if isinstance(aggregate, exp.Alias) else aggregate, condition)
                projections.append(exp.alias_(value, name, quoted=True, copy=False))
        self.select.set("expressions", projections)
        if keys:
            self.select.set("group", exp.Group(expressions=[key.copy() for key in keys]))

    def _values(self, field: exp.Expr) -> list[_Value]:
        found: dict[str, _Value] = {}
        for entry in field.expressions:
            value = entry.this if isinstance(entry, exp.PivotAlias | exp.Alias) else entry
            name = entry.alias if value is not entry else _text(value)
            if name is None:
                self._refuse(entry, "a value of a pivot without a plain name", "give it one: IN (value AS name, ...)")
                continue
            if name in found:
                self._refuse(entry, f"two columns of the pivot are called '{name}'", "give one another name with AS")
            is_null = isinstance(value, exp.Null)
            compare = exp.Is if is_null else exp.EQ
            found[name] = _Value(name, compare(this=field.this.copy(), expression=value.copy()))
        return list(found.values())

    def _filtered(self, aggregate: exp.Expr, condition: exp.Expr) -> exp.Expr:
        holder = exp.Paren(this=aggregate.copy())
        calls = list(aggregates_in(holder))
        if not calls:
            self._refuse(aggregate, "a pivot without an aggregate", "write USING sum(x), or another aggregate")
        for call in calls:
            if isinstance(call.parent, exp.Filter) and call.arg_key == "this":
                # DuckDB forgets it; what it means to us would be another number than there.
                self._refuse(
                    call, "FILTER in a pivot", "filter in a subquery first, or write CASE inside the aggregate"
                )
            filtered = exp.Filter(this=exp.null(), expression=exp.Where(this=condition.copy()))
            call.replace(filtered)
            filtered.set("this", call)
        inner: exp.Expr = holder.this
        return inner.pop()

    def _name(self, aggregate: exp.Expr) -> str:
        """The aggregate in the column's name, as DuckDB writes it."""
        if isinstance(aggregate, exp.Alias):
            return aggregate.alias
        call = call_of(aggregate)
        arguments = call.arguments if call is not None else ()
        if call is None or call.order or call.distinct or not all(isinstance(each, exp.Column) for each in arguments):
            self._refuse(aggregate, "several aggregates of a pivot, one of them without a name", "name each with AS")
            return "value"
        name = call.function.name
        return f"{name}({', '.join(each.name for each in arguments)})" if arguments else f"{name}_star()"

    # --- UNPIVOT

    def unpivot(self) -> None:
        field = self.pivot_node.args["fields"][0]
        names = [each.name for each in _flat(self.pivot_node.expressions)]
        entries = list(self._entries(field.expressions))
        if any(len(columns) != len(names) for _, columns in entries):
            self._refuse(field, f"{len(names)} value columns, and entries of another number", "make them as many")
            return
        used = {lower for _, columns in entries for lower in columns}
        labels = union_of([_label(number, label) for number, (label, _) in enumerate(entries, start=1)])
        alias = exp.TableAlias(this=quoted("unpivoted"))
        beside = self._joined(exp.Join(this=exp.Subquery(this=labels, alias=alias), kind="CROSS"))
        values = [self._choice(beside, [columns[place] for _, columns in entries]) for place in range(len(names))]
        rest = [self._aliased(lower) for lower in self.relation.columns if lower not in used]
        label = exp.alias_(beside.column(_NAME), field.this.name, quoted=True)
        chosen = [exp.alias_(value, name, quoted=True) for value, name in zip(values, names, strict=True)]
        self.select.set("expressions", [*rest, label, *chosen])
        if not self.pivot_node.args.get("include_nulls"):
            present = [exp.Not(this=exp.Is(this=value.copy(), expression=exp.null())) for value in values]
            self.select.set("where", exp.Where(this=exp.and_(*present, copy=False)))

    def _joined(self, join: exp.Join) -> Relation:
        """Adds a join to the SELECT; gives its right side, which no star of the SELECT sees."""
        holder, beside = exp.Select(from_=exp.From(this=join.this)), Scope()
        self.queries.tables(holder, beside)
        join.set("this", holder.args["from_"].this)
        self.select.append("joins", join)
        return beside.relations[-1]

    def _entries(self, entries: Sequence[exp.Expr]) -> Iterator[tuple[str, list[str]]]:
        """Label and columns of each row that a row becomes."""
        for entry in entries:
            inner = entry.this if isinstance(entry, exp.PivotAlias | exp.Alias) else entry
            if isinstance(inner, exp.Columns) or is_star(inner):
                choose = selected_columns if isinstance(inner, exp.Columns) else star_columns
                chosen = choose(inner, self.own, self.queries.state)
                yield from ((column.name, [column.name.lower()]) for column in chosen)
                continue
            columns = [each for each in _flat([inner]) if self._knows(each)]
            label = entry.alias if inner is not entry else "_".join(self.relation.name(c.name.lower()) for c in columns)
            yield label, [column.name.lower() for column in columns]

    def _knows(self, column: exp.Expr) -> bool:
        if not isinstance(column, exp.Column | exp.Identifier):
            self._refuse(column, "an expression in UNPIVOT", "compute it in a subquery first, and name its column")
            return False
        if column.name.lower() in self.relation.columns:
            return True
        if self.relation.alias:
            hint = did_you_mean(column.name, self.relation.columns)
            self.queries.state.report.add(
                UNKNOWN_COLUMN,
                column,
                f"there is no column '{column.name}' in '{self.relation.written}'.{hint}",
                f"the columns are {', '.join(self.relation.names[:30])}",
            )
        return False

    def _choice(self, beside: Relation, columns: Sequence[str]) -> exp.Expr:
        ifs = [
            exp.If(this=exp.Literal.number(number), true=self.relation.column(lower, self.pivot_node))
            for number, lower in enumerate(columns, start=1)
        ]
        return exp.Case(this=beside.column(_NUMBER), ifs=ifs)

    def _aliased(self, lower: str) -> exp.Expr:
        return exp.alias_(self._star_column(lower), self.relation.name(lower), quoted=True)

    def _star_column(self, lower: str) -> exp.Column:
        column = self.relation.column(lower, self.pivot_node)
        column.meta["star"] = True
        return column

    def _refuse(self, node: exp.Expr, what: str, mend: str) -> None:
        self.queries.state.report.add(CONSTRUCT, node, what, mend)


def _named(node: exp.Expr) -> Iterator[exp.Column]:
    return (column for column in node.find_all(exp.Column) if isinstance(column.this, exp.Identifier))


def _is_named(aggregate: exp.Expr, every: Sequence[exp.Expr]) -> bool:
    return isinstance(aggregate, exp.Alias) or len(every) > 1


def _flat(nodes: Sequence[exp.Expr]) -> Iterator[exp.Expr]:
    for node in nodes:
        if isinstance(node, exp.Tuple | exp.Paren):
            yield from _flat(node.expressions if isinstance(node, exp.Tuple) else [node.this])
        else:
            yield node


def _label(number: int, label: str) -> exp.Select:
    return exp.Select(
        expressions=[
            exp.alias_(exp.Literal.number(number), _NUMBER, quoted=True),
            exp.alias_(exp.Literal.string(label), _NAME, quoted=True),
        ]
    )


def _text(value: exp.Expr) -> str | None:
    """What DuckDB calls the column of a value; None where that depends on how a type is written."""
    match value:
        case exp.Literal():
            return value.name
        case exp.Null():
            return "NULL"
        case exp.Boolean():
            return str(value.this).lower()
        case exp.Neg() if isinstance(value.this, exp.Literal) and not value.this.is_string:
            return f"-{value.this.name}"
        case exp.Cast() if value.to.this == exp.DType.DATE and isinstance(value.this, exp.Literal):
            return value.this.name
    return None
