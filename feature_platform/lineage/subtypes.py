"""In which way a column flows into another: OpenLineage's subtypes, read off a rendered query.

The compiler says *that* a column flows (DIRECT) or decides (INDIRECT), and that is what counts. This walk only adds
*how*: ``AGGREGATION``, ``JOIN``, ``FILTER``, … It stands apart from the compiler because nothing depends on it: a
construct that it does not know costs the subtype, never the edge.

>>> from sqlglot import parse_one
>>> found = subtypes(parse_one("SELECT sum(amount) AS total FROM sources.payments WHERE status = 'paid'"))
>>> {f"{column.name}: {how}" for column, hows in found["total"].items() for how in hows} == {
...     "amount: AGGREGATION", "status: FILTER"}
True
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from sqlglot import exp

Direct = Literal["IDENTITY", "CAST", "TRANSFORMATION", "AGGREGATION"]
"""``CAST`` is ours: the same value, if the types on both ends are one."""
Indirect = Literal["JOIN", "GROUP_BY", "FILTER", "SORT", "WINDOW", "CONDITIONAL"]
Subtype = Direct | Indirect

DIRECT: Final[tuple[Direct, ...]] = ("AGGREGATION", "TRANSFORMATION", "CAST", "IDENTITY")
"""The strongest first."""
INDIRECT: Final[tuple[Indirect, ...]] = ("JOIN", "GROUP_BY", "FILTER", "SORT", "WINDOW", "CONDITIONAL")


class TableColumn(NamedTuple):
    """A column of a table that the query reads: ``sources.payments``, ``amount``."""

    schema: str
    table: str
    name: str


Ways = Mapping[TableColumn, frozenset[Subtype]]
"""The columns that flow into something, and how."""
_NOTHING: Final[Ways] = {}


@dataclass
class _Query:
    """What a query gives: a way per output column, and what decides about its rows."""

    columns: dict[str, Ways]
    path: Ways


class _Table(NamedTuple):
    """A relation that is a table of the catalogue: it has every column that is asked of it."""

    schema: str
    name: str


_Relation = _Query | _Table


@dataclass
class _Scope:
    """Names that expressions of one query may use."""

    ctes: dict[str, _Query]
    relations: dict[str, _Relation] = field(default_factory=dict)
    outer: _Scope | None = None

    def relation(self, alias: str) -> _Relation | None:
        """The relation of that alias, here or around; without one, the only relation there is."""
        if not alias and len(self.relations) == 1:
            return next(iter(self.relations.values()))
        found = self.relations.get(alias)
        return found if found is not None or self.outer is None else self.outer.relation(alias)


def subtypes(tree: exp.Expr) -> dict[str, Ways]:
    """How tables' columns flow into each output column of a query."""
    found = _query(tree, _Scope({}))
    return {name: _union([ways, found.path]) for name, ways in found.columns.items()}


def _query(node: exp.Expr, around: _Scope) -> _Query:
    scope = _Scope(dict(around.ctes), outer=around)
    query = node
    while isinstance(query, exp.Subquery | exp.Paren):
        _ctes(query, scope)
        query = query.this
    _ctes(query, scope)
    if isinstance(query, exp.Select):
        return _select(query, scope)
    if isinstance(query, exp.SetOperation):
        return _set_operation(query, scope)
    return _Query({}, _ways(query, scope))


def _ctes(query: exp.Expr, scope: _Scope) -> None:
    clause = query.args.get("with_") or query.args.get("with")
    for cte in clause.expressions if clause is not None else ():
        # A recursive CTE reads itself: its first branch is what it means there.
        scope.ctes[cte.alias] = _Query({}, _NOTHING)
        found = _query(cte.this, scope)
        names = [column.name for column in cte.args["alias"].args.get("columns") or ()]
        if names:
            found = _Query(dict(zip(names, found.columns.values(), strict=False)), found.path)
        scope.ctes[cte.alias] = found


def _set_operation(operation: exp.SetOperation, scope: _Scope) -> _Query:
    left, right = _query(operation.this, scope), _query(operation.expression, scope)
    columns = {
        name: _union([one, two]) for (name, one), two in zip(left.columns.items(), right.columns.values(), strict=False)
    }
    path = _union([left.path, right.path])
    if operation.args.get("distinct") or not isinstance(operation, exp.Union):
        path = _union([path, *(_deciding(ways, "GROUP_BY") for ways in columns.values())])
    return _Query(columns, path)


def _select(select: exp.Select, scope: _Scope) -> _Query:
    path = list(_from(select, scope))
    for part in ("where", "having", "qualify"):
        if (clause := select.args.get(part)) is not None:
            path.append(_deciding(_ways(clause.this, scope), "FILTER"))
    if (group := select.args.get("group")) is not None:
        path += [_deciding(_ways(key, scope), "GROUP_BY") for key in group.expressions]
    columns = dict(_projections(select, scope))
    if (order := select.args.get("order")) is not None:
        for ordered in order.expressions:
            ways = _ways(ordered.this, scope) or columns.get(ordered.this.name, _NOTHING)
            path.append(_deciding(ways, "SORT"))
    if (distinct := select.args.get("distinct")) is not None:
        on = distinct.args.get("on")
        keys = [_ways(key, scope) for key in on.expressions] if on is not None else list(columns.values())
        path += [_deciding(ways, "GROUP_BY") for ways in keys]
    return _Query(columns, _union(path))


def _projections(select: exp.Select, scope: _Scope) -> Iterator[tuple[str, Ways]]:
    scan = _is_scan(select)
    for projection in select.expressions:
        if not projection.is_star:
            ways = _ways(projection, scope)
            yield projection.alias_or_name, _made_by_transform(ways) if scan else ways
            continue
        # The platform's own SQL writes stars over subqueries whose columns are known; authors' are expanded by now.
        of = projection.table if isinstance(projection, exp.Column) else None
        for alias, relation in scope.relations.items():
            if isinstance(relation, _Query) and of in (None, alias):
                yield from relation.columns.items()


def _is_scan(select: exp.Select) -> bool:
    """A guarded scan: a subquery that projects columns of one table, as they are or through a governed transform."""
    parts = {name for name, part in select.args.items() if part}
    clause = select.args.get("from_") or select.args.get("from")
    plain = clause is not None and isinstance(clause.this, exp.Table) and bool(clause.this.db)
    return plain and isinstance(select.parent, exp.Subquery) and parts <= {"expressions", "from_", "from", "kind"}


def _made_by_transform(ways: Ways) -> Ways:
    """How a governed transform comes to its result is its own affair: it transforms what it reads."""
    return {column: frozenset({"TRANSFORMATION"}) if found & set(INDIRECT) else found for column, found in ways.items()}


def _from(select: exp.Select, scope: _Scope) -> Iterator[Ways]:
    """Registers the relations; gives what decides about their rows."""
    clause = select.args.get("from_") or select.args.get("from")
    joins = select.args.get("joins") or []
    for item in ([clause.this] if clause is not None else []) + [join.this for join in joins]:
        relation, path = _relation(item, scope)
        scope.relations[item.alias_or_name] = relation
        yield path
    for join in joins:
        for part in (join.args.get("on"), *(join.args.get("using") or ())):
            if part is not None:
                yield _deciding(_ways(part, scope), "JOIN")


def _relation(item: exp.Expr, scope: _Scope) -> tuple[_Relation, Ways]:
    if isinstance(item, exp.Table) and isinstance(item.this, exp.Identifier):
        if item.db:
            return _Table(item.db, item.name), _NOTHING
        found = scope.ctes.get(item.name, _Query({}, _NOTHING))
        return found, found.path
    inner = item.this if isinstance(item, exp.Lateral) else item
    if isinstance(inner, exp.Subquery | exp.Query):
        found = _query(inner, scope)
        return found, found.path
    # Rows made of values (UNNEST, generate_series): whatever they are made of is in each of their columns.
    made = _changed(_ways(item, scope))
    alias = item.args.get("alias")
    names = [column.name for column in alias.args.get("columns") or ()] if alias is not None else []
    return _Query(dict.fromkeys(names or [item.alias_or_name], made), _NOTHING), _NOTHING


def _ways(node: exp.Expr, scope: _Scope) -> Ways:
    """How columns flow into an expression."""
    if isinstance(node, exp.Column):
        return _column(node, scope)
    if isinstance(node, exp.Alias | exp.Paren | exp.Ordered):
        return _ways(node.this, scope)
    if isinstance(node, exp.Cast):
        return _changed(_ways(node.this, scope), "CAST")
    if isinstance(node, exp.Case | exp.If):
        return _choice(node, scope)
    if isinstance(node, exp.Window):
        keys = [
            *(node.args.get("partition_by") or ()),
            *(node.args["order"].expressions if node.args.get("order") else ()),
        ]
        return _union([_ways(node.this, scope), *(_deciding(_ways(key, scope), "WINDOW") for key in keys)])
    if isinstance(node, exp.Filter):
        return _union([_ways(node.this, scope), _deciding(_ways(node.expression.this, scope), "FILTER")])
    if isinstance(node, exp.Query):
        found = _query(node, scope)
        return _union([*found.columns.values(), found.path])
    if isinstance(node, exp.ArgMax | exp.ArgMin):
        picked = _deciding(_ways(node.expression, scope), "SORT")
        return _union([_changed(_ways(node.this, scope), "AGGREGATION"), picked])
    how: Direct = "AGGREGATION" if isinstance(node, exp.AggFunc) else "TRANSFORMATION"
    return _changed(_union(part for child in node.iter_expressions() for part in _argument(child, scope)), how)


def _argument(node: exp.Expr, scope: _Scope) -> Iterator[Ways]:
    """An argument of a function; of an ordered aggregate, the value and what it is ordered by."""
    if not isinstance(node, exp.Order):
        yield _ways(node, scope)
        return
    if isinstance(node.this, exp.Expr):
        yield _ways(node.this, scope)
    for ordered in node.expressions:
        yield _deciding(_ways(ordered, scope), "SORT")


def _column(node: exp.Column, scope: _Scope) -> Ways:
    relation = scope.relation(node.table)
    if isinstance(relation, _Table):
        return {TableColumn(relation.schema, relation.name, node.name): frozenset({"IDENTITY"})}
    if relation is None:
        return _NOTHING
    return relation.columns.get(node.name, _NOTHING)


def _choice(node: exp.Expr, scope: _Scope) -> Ways:
    branches = node.args["ifs"] if isinstance(node, exp.Case) else [node]
    tests = [branch.this for branch in branches]
    if isinstance(node, exp.Case) and node.this is not None:
        tests.append(node.this)
    results = [branch.args["true"] for branch in branches]
    otherwise = node.args.get("default") or node.args.get("false")
    if otherwise is not None:
        results.append(otherwise)
    return _union(
        [
            *(_deciding(_ways(test, scope), "CONDITIONAL") for test in tests),
            *(_changed(_ways(result, scope)) for result in results),
        ]
    )


def _changed(ways: Ways, how: Direct = "TRANSFORMATION") -> Ways:
    """The same columns after an operation: the stronger of what was done before and now."""

    def after(before: Subtype) -> Subtype:
        if before not in DIRECT:
            return before
        return min(before, how, key=DIRECT.index)

    return {column: frozenset(map(after, before)) for column, before in ways.items()}


def _deciding(ways: Ways, how: Indirect) -> Ways:
    """Columns that no longer give a value: what was direct is ``how`` now."""
    return {column: frozenset(how if each in DIRECT else each for each in before) for column, before in ways.items()}


def _union(parts: Iterable[Ways]) -> Ways:
    several = [part for part in parts if part]
    if len(several) <= 1:
        return several[0] if several else _NOTHING
    together: dict[TableColumn, frozenset[Subtype]] = {}
    for part in several:
        for column, ways in part.items():
            together[column] = together.get(column, frozenset()) | ways
    return together
