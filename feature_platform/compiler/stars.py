"""Stars and COLUMNS(...) → columns, and a name for every projection.

``SELECT t.* EXCLUDE (a) REPLACE (b + 1 AS b), count(*)`` becomes ``SELECT t.b + 1 AS b, t.c AS c, count(*) AS count``,
``SELECT max(COLUMNS('_sum$')) AS 'max_\\0'`` a projection for each column whose name matches.
This happens before any table is rewritten, so that a star means what was declared, not what a policy lets through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import CONSTRUCT, LITERAL, UNKNOWN_COLUMN
from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.catalogue import call_of
from feature_platform.compiler.functions.model import NotFittingError
from feature_platform.compiler.name_conditions import like_pattern, name_condition
from feature_platform.compiler.names import Relation, Resolution, Scope, distinct_names, quoted
from feature_platform.compiler.trees import children
from feature_platform.errors import did_you_mean


@dataclass(frozen=True)
class StarColumn:
    """One column that a star stands for."""

    name: str
    """What it is called in the result."""
    value: exp.Expr


def expand_projections(select: exp.Select, scope: Scope, state: Resolution) -> None:
    """Replaces the stars of ``select`` and names what has no name. Columns of stars come out resolved."""
    if _only_rows_count(select):  # no column is read
        select.set("expressions", [exp.alias_(exp.Literal.number(1), "found", quoted=True)])
        return
    expanded: list[exp.Expr] = []
    for projection in select.expressions:
        special = _columns_in(projection)
        if special:
            _unpack(projection, scope, state)
            for filtered in [each for each in _own_level(projection) if isinstance(each, exp.Filter)]:
                expand_conditions(filtered.expression, scope, state)
        if is_star(projection):
            expanded.extend(_aliased(column) for column in star_columns(projection, scope, state))
        elif special and _columns_in(projection):
            expanded.extend(_each_column(projection, scope, state))
        else:
            expanded.append(_named(projection, len(expanded) + 1))
    names = distinct_names(projection.alias for projection in expanded)
    for projection, name in zip(expanded, names, strict=True):
        if projection.alias != name:  # as DuckDB does for a second column of this name
            projection.set("alias", quoted(name, projection.args["alias"]))
    select.set("expressions", expanded)


def _only_rows_count(select: exp.Select) -> bool:
    """``EXISTS (SELECT * FROM t ...)``."""
    plain = select.args.get("distinct") is None and select.args.get("order") is None
    return isinstance(select.parent, exp.Exists) and plain and all(map(is_star, select.expressions))


def expand_conditions(clause: exp.Expr, scope: Scope, state: Resolution) -> None:
    """Replaces COLUMNS(...) in a condition: it has to hold for each of the columns."""
    if not _columns_in(clause.this):
        return
    _unpack(clause, scope, state)
    if _columns_in(clause.this):
        several = [each.this for each in _each_column(clause.this, scope, state)]
        clause.set("this", exp.and_(*several, copy=False) if several else exp.true())


def expand_order(select: exp.Select, scope: Scope, state: Resolution) -> None:
    """Replaces COLUMNS(...) in ORDER BY: each of the columns, in order."""
    order = select.args.get("order")
    if order is None or not any(map(_columns_in, order.expressions)):
        return
    expanded: list[exp.Expr] = []
    for ordered in order.expressions:
        if not _columns_in(ordered):
            expanded.append(ordered)
            continue
        parts = {key: value for key, value in ordered.args.items() if key != "this"}
        expanded += [exp.Ordered(this=each.this, **parts) for each in _each_column(ordered.this, scope, state)]
    order.set("expressions", expanded)


def star_columns(star: exp.Expr, scope: Scope, state: Resolution) -> list[StarColumn]:
    """The columns that a star stands for, in order: ``*``, ``t.*``, with EXCLUDE, REPLACE, RENAME, LIKE, SIMILAR TO."""
    pattern = None if isinstance(star, exp.Star | exp.Column) else star
    inner = _bare_star(star)
    qualifier = inner.table.lower() if isinstance(inner, exp.Column) else ""
    bare = inner.this if isinstance(inner, exp.Column) else inner
    columns = list(_expand(qualifier, bare, scope, state))
    if pattern is None:
        return columns
    matches = _matcher(pattern, state)
    found = [column for column in columns if matches(column.name)]
    if not found and columns:
        _note_no_match(star, "no column's name matches the pattern", columns, state)
    return found


def is_star(node: exp.Expr) -> bool:
    """Whether it is ``*`` or ``t.*``, with a pattern behind it or not."""
    inner = _bare_star(node)
    return isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star))


def _bare_star(node: exp.Expr) -> exp.Expr:
    """The star under a pattern."""
    while isinstance(node, (exp.Not, *PATTERNS)):
        node = node.this
    return node


PATTERNS: Final = (exp.Like, exp.ILike, exp.SimilarTo)
"""What may filter the names of a star: ``* LIKE 'a%'``."""


def _expand(qualifier: str, star: exp.Expr, scope: Scope, state: Resolution) -> Iterator[StarColumn]:
    relations = [relation for relation in scope.relations if not qualifier or relation.written == qualifier]
    if not relations:
        names = [relation.written for relation in scope.relations]
        state.report.add(
            UNKNOWN_COLUMN,
            star,
            f"no table here is called '{qualifier}'.{did_you_mean(qualifier, names)}"
            if qualifier
            else "a star without any table",
            f"the tables here are {', '.join(names)}" if names else "read a source or a view",
        )
    excluded = {column.name.lower(): column for column in star.args.get("except_") or ()}
    replaced = {alias.alias.lower(): alias for alias in star.args.get("replace") or ()}
    renamed = {alias.this.name.lower(): alias for alias in star.args.get("rename") or ()}
    known: set[str] = set()
    for name, value in _columns(relations, star, scope, qualified=bool(qualifier)):
        lower = name.lower()
        known.add(lower)
        if lower in excluded:
            continue
        if lower in replaced:
            yield StarColumn(replaced[lower].alias, replaced[lower].this.copy())
        else:
            yield StarColumn(renamed[lower].alias if lower in renamed else name, value)
    if all(relation.alias for relation in relations):
        _note_unknown({**excluded, **replaced, **renamed}, known, state)


def _columns(
    relations: list[Relation], star: exp.Expr, scope: Scope, *, qualified: bool
) -> Iterator[tuple[str, exp.Expr]]:
    """Names and values; a merged column once, where the first of its columns stands."""
    covers = {} if qualified else {key: lower for lower, one in scope.merged.items() for key in one.covers}
    given: set[str] = set()
    for relation in relations:
        for lower, inside in relation.columns.items():
            merged = covers.get((relation.alias, inside))
            if merged is None:
                column = relation.column(lower, star)
                column.meta["star"] = True
                yield relation.name(lower), column
            elif merged not in given:
                given.add(merged)
                yield relation.name(lower), scope.merged[merged].expression.copy()


def _note_unknown(wanted: Mapping[str, exp.Expr], known: set[str], state: Resolution) -> None:
    for lower, node in wanted.items():
        if lower not in known:
            state.report.add(
                UNKNOWN_COLUMN,
                node,
                f"the star has no column '{lower}'.{did_you_mean(lower, known)}",
                f"its columns are {', '.join(sorted(known)[:30])}",
            )


def _aliased(column: StarColumn) -> exp.Expr:
    return exp.alias_(column.value, column.name, quoted=True, copy=False)


# --- COLUMNS(...)


def _columns_in(node: exp.Expr) -> list[exp.Columns]:
    return [each for each in _own_level(node) if isinstance(each, exp.Columns)]


def _own_level(node: exp.Expr) -> Iterator[exp.Expr]:
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        if not isinstance(current, exp.Query):
            stack += children(current)


def _each_column(projection: exp.Expr, scope: Scope, state: Resolution) -> Iterator[exp.Alias]:
    """The projection once for each column that COLUMNS(...) selects."""
    calls = _columns_in(projection)
    if any(call != calls[0] for call in calls[1:]):
        state.report.add(
            CONSTRUCT, calls[1], "two different COLUMNS(...) in one expression", "use one, or write the columns out"
        )
        return
    pattern = _regex(calls[0], state)
    for column in selected_columns(calls[0], scope, state):
        copied = projection.copy()
        holder = exp.Paren(this=copied)
        for call in _columns_in(copied):
            call.replace(column.value.copy())
        value = holder.this
        name = column.name
        if isinstance(projection, exp.Alias):
            name, value = _new_name(projection.alias, column.name, pattern), value.this
        alias = exp.alias_(value, name, quoted=True, copy=False)
        assert isinstance(alias, exp.Alias)
        yield alias


def selected_columns(call: exp.Expr, scope: Scope, state: Resolution) -> list[StarColumn]:
    """The columns that ``COLUMNS(...)`` selects: by a star, a regular expression, a condition or a list of names."""
    argument = call.this
    if is_star(argument):
        return star_columns(argument, scope, state)
    every = list(_expand("", exp.Star(), scope, state))
    for column in every:
        _place(column.value, argument)
    if isinstance(argument, exp.Lambda):
        holds = name_condition(argument, state.report)
        chosen = [column for column in every if holds(column.name)]
        if every and not chosen:
            _note_no_match(call, "no column's name fulfils the condition", every, state)
        return chosen
    if isinstance(argument, exp.Array):
        wanted = {name.name.lower(): name for name in argument.expressions}
        _note_unknown(wanted, {column.name.lower() for column in every}, state)
        return [column for column in every if column.name.lower() in wanted]
    if not (isinstance(argument, exp.Literal) and argument.is_string):
        what = "not part of the dialect: COLUMNS(...) of this expression"
        state.report.add(CONSTRUCT, call, what, "write COLUMNS(*), a regular expression, or a list of names")
        return []
    pattern = _regex(call, state)
    found = [column for column in every if pattern is not None and pattern.search(column.name)]
    if not found and pattern is not None:
        _note_no_match(call, "no column's name matches the regular expression", every, state)
    return found


def _note_no_match(node: exp.Expr, what: str, every: list[StarColumn], state: Resolution) -> None:
    state.report.add(UNKNOWN_COLUMN, node, what, f"the columns are {', '.join(column.name for column in every[:30])}")


def _regex(call: exp.Expr, state: Resolution) -> re.Pattern[str] | None:
    if not (isinstance(call.this, exp.Literal) and call.this.is_string):
        return None
    return _compiled(call.this, state)


def _compiled(literal: exp.Expr, state: Resolution) -> re.Pattern[str] | None:
    try:
        text = constants.regex(literal).name
    except NotFittingError as problem:
        state.report.add(LITERAL, literal, f"this regular expression is not usable here: {problem}", "simplify it")
        return None
    return re.compile(text)


def _new_name(given: str, name: str, pattern: re.Pattern[str] | None) -> str:
    r"""``AS 'x_\1'``: groups of the regular expression; ``\0`` is the whole name."""
    found = pattern.search(name) if pattern is not None else None

    def part(reference: re.Match[str]) -> str:
        number = int(reference[1])
        if number == 0:
            return name
        return (found[number] or "") if found is not None and number <= found.re.groups else ""

    return re.sub(r"\\(\d)", part, given)


def _unpack(node: exp.Expr, scope: Scope, state: Resolution) -> None:
    """``*COLUMNS(...)``: the columns become arguments of the call around."""
    for call in [each for each in _columns_in(node) if each.args.get("unpack")]:
        parent = call.parent
        values = [column.value.copy() for column in selected_columns(call, scope, state)]
        if parent is None or not isinstance(parent, exp.Func) or not values:
            state.report.add(
                CONSTRUCT, call, "*COLUMNS(...) outside of a call", "write it as an argument of a function"
            )
            continue
        if call.arg_key == "this":
            parent.set("this", values[0])
            parent.set("expressions", [*values[1:], *parent.expressions])
        else:
            place = parent.expressions.index(call)
            parent.set("expressions", [*parent.expressions[:place], *values, *parent.expressions[place + 1 :]])


def _matcher(node: exp.Expr, state: Resolution) -> Callable[[str], bool]:
    """Whether a name fits the pattern of a star."""
    negated = False
    while isinstance(node, exp.Not):
        negated, node = not negated, node.this
    negated = negated != bool(node.args.get("negate"))
    literal = node.args["expression"]
    if not (isinstance(literal, exp.Literal) and literal.is_string):
        state.report.add(LITERAL, literal, "the pattern of a star is a text", "write it in single quotes")
        return lambda _name: True
    pattern = like_pattern(node) if isinstance(node, exp.Like | exp.ILike) else _compiled(literal, state)
    return lambda name: pattern is None or bool(pattern.search(name)) != negated


def _place(value: exp.Expr, origin: exp.Expr) -> None:
    start = origin.meta_get("start")
    if start is not None and isinstance(value, exp.Column):
        value.this.meta["start"] = start


def _named(projection: exp.Expr, position: int) -> exp.Expr:
    if isinstance(projection, exp.Alias):
        return projection
    inner = projection
    while isinstance(inner, exp.Paren | exp.Cast):
        inner = inner.this
    if isinstance(inner, exp.Column):
        name = inner.name
    elif isinstance(inner, exp.StructExtract) and inner.expression.name:
        name = inner.expression.name
    else:
        called = inner.this if isinstance(inner, exp.Window | exp.Filter) else inner
        call = call_of(called)
        name = call.function.name if call is not None and call.function.name.isidentifier() else f"column_{position}"
        if isinstance(called, exp.Anonymous):
            name = str(called.this).lower()
    if isinstance(projection, exp.Subquery):  # it would take the alias for itself
        return exp.Alias(this=projection, alias=exp.Identifier(this=name, quoted=True))
    return exp.alias_(projection, name, quoted=True, copy=False)
