"""Names that are more than a column: whole rows, fields of structs, columns by position.

``SELECT t FROM t`` is ``{'a': t.a, 'b': t.b}``, as in DuckDB: a struct of the columns that a star would give, so that
it has what the policy lets through and denied columns are an error. A column comes before a row of the same name, and
``t.a`` is a column of the table ``t`` before it is a field of a column ``t``.
"""

from __future__ import annotations

from sqlglot import exp

from feature_platform.compiler.codes import UNKNOWN_COLUMN
from feature_platform.compiler.functions.constants import whole_value
from feature_platform.compiler.names import Relation, Resolution, Scope


def resolve_beyond_columns(column: exp.Column, scope: Scope) -> bool:
    """Replaces a name that is no column of ``scope`` by what else it means there; False if it means nothing."""
    parts = [part for part in column.parts if isinstance(part, exp.Identifier)]
    if len(parts) == 1:
        relation = scope.relation(parts[0].name.lower())
        if relation is None or not relation.alias:
            return False
        column.replace(_row(relation, column))
        return True
    found = _based(parts, scope)
    if found is None:
        return False
    base, fields = found
    for field in fields:
        access = exp.StructExtract(this=base, expression=exp.Literal.string(field.name))
        base = access
    column.replace(base)
    return True


def is_access(column: exp.Column) -> bool:
    """Whether a name has more parts than a table and a column."""
    return column.args.get("db") is not None


def resolve_position(node: exp.PositionalColumn, scope: Scope, state: Resolution) -> None:
    """``#2``: the second column of everything in FROM."""
    columns = [(relation, name) for relation in scope.relations for name in relation.columns.values()]
    position = whole_value(node.this) or 0
    if 1 <= position <= len(columns):
        relation, name = columns[position - 1]
        node.replace(_column(relation, name, node))
    elif all(relation.alias for relation in scope.relations):
        what = f"there is no column number {position} in FROM"
        state.report.add(UNKNOWN_COLUMN, node, what, f"there are {len(columns)} columns")


def _based(parts: list[exp.Identifier], scope: Scope) -> tuple[exp.Expr, list[exp.Identifier]] | None:
    """The column that a dotted name begins with, and the fields behind it."""
    if len(parts) > 2:
        named = scope.relation(parts[1].name.lower())
        if named is not None and _is_of_schema(named, parts[0].name.lower()):
            name = named.columns.get(parts[2].name.lower())
            if name is not None:
                return _column(named, name, parts[0]), parts[3:]
    relation = scope.relation(parts[0].name.lower())
    if relation is not None and len(parts) > 2:
        name = relation.columns.get(parts[1].name.lower())
        if name is not None:
            return _column(relation, name, parts[0]), parts[2:]
    lower = parts[0].name.lower()
    merged = scope.merged.get(lower)
    if merged is not None:
        return exp.Paren(this=merged.expression.copy()), parts[1:]
    holders = [relation for relation in scope.relations if lower in relation.columns]
    if len(holders) == 1:
        return _column(holders[0], holders[0].columns[lower], parts[0]), parts[1:]
    return None


def _is_of_schema(relation: Relation, schema: str) -> bool:
    """Whether it is a table of the catalogue under its own name: ``sources.t.a`` of ``FROM t``."""
    table = relation.table
    return table is not None and table.ref.schema == schema and table.ref.name.lower() == relation.written


def _row(relation: Relation, origin: exp.Column) -> exp.Expr:
    if isinstance(origin.parent, exp.Count) or (isinstance(origin.parent, exp.Is) and origin.arg_key == "this"):
        return exp.true()  # a row is never NULL, whatever it holds
    fields = [
        exp.PropertyEQ(
            this=exp.Identifier(this=relation.name(lower), quoted=True),
            expression=_column(relation, name, origin, star=True),
        )
        for lower, name in relation.columns.items()
    ]
    return exp.Struct(expressions=fields)


def _column(relation: Relation, name: str, origin: exp.Expr, *, star: bool = False) -> exp.Column:
    column = exp.column(exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=relation.alias, quoted=True))
    column.meta["resolved"] = True
    if star:
        column.meta["star"] = True
    starts = [start for part in origin.walk() if (start := part.meta_get("start")) is not None]
    if starts:
        column.this.meta["start"] = min(starts)
    return column
