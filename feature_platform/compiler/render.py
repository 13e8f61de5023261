"""A tree → the text of one engine.

First the tree is lowered: every function of the catalogue becomes its template for the engine, every governed call the
engine's expression, and what engines read differently (division, LIKE, doubles, parameters) is spelled out. What is
left means the same everywhere and is written by sqlglot. A construct that sqlglot can't say faithfully is an error,
never a guess.

Rendering trusts its trees: platform SQL around a guarded tree may use constructs that authors may not. Every name is
quoted. Parameters are ``$name`` for every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from feature_platform.compiler.asof import nearest_rows
from feature_platform.compiler.calls import SIGNATURE
from feature_platform.compiler.casts import TESTED
from feature_platform.compiler.codes import UNRENDERABLE
from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.catalogue import FUNCTION_NODES, Call, call_of
from feature_platform.compiler.functions.model import NotFittingError, Parameter, Signature
from feature_platform.compiler.parse import Places
from feature_platform.compiler.trees import clone, nodes
from feature_platform.errors import CompileError
from feature_platform.governance.transforms import PREFIX, TRANSFORMS, render_governed
from feature_platform.types import Engine


def render(
    tree: exp.Expr, engine: Engine, *, pretty: bool = False, spent: bool = False, places: Places | None = None
) -> str:
    """The text of ``tree`` for ``engine``. The tree stays as it is, unless it is ``spent``: then nobody may use it
    afterwards. ``places`` tells where its nodes stand.

    Raises:
        CompileError: a construct has no faithful form there.
    """
    if engine == "doris":  # by an emitter of its own, which most projects never load
        from feature_platform.compiler.doris.render import render as render_for_doris

        return render_for_doris(tree, places, pretty=pretty)
    try:
        lowered = lower(tree if spent else clone(tree), engine)
        return lowered.sql(
            dialect=engine, identify=True, comments=False, pretty=pretty, unsupported_level=ErrorLevel.RAISE, copy=False
        )
    except UnsupportedError as error:
        raise CompileError(
            UNRENDERABLE.problem(f"{engine} has no faithful form: {error}", mend="say it in another way")
        ) from None
    except RecursionError:
        raise CompileError(
            UNRENDERABLE.problem(f"too deeply nested for {engine}", mend="split the query into CTEs")
        ) from None


def parameter(name: str) -> exp.Expr:
    """A parameter of the rendered SQL, ``$name``."""
    return exp.Placeholder(this=name)


def lower(tree: exp.Expr, engine: Engine) -> exp.Expr:
    """Rewrites ``tree`` in place to what ``engine`` understands; gives the root."""
    for node in reversed(nodes(tree)):
        rule = _RULES.get(type(node))
        if rule is not None:
            new = rule(node, engine)
        elif type(node) in FUNCTION_NODES:
            new = _call(node, engine)
        else:
            continue
        if new is not node:
            new = _fitting(new, node.parent)
            if node is tree:
                tree = new
            else:
                node.replace(new)
    return tree


def _call(node: exp.Expr, engine: Engine) -> exp.Expr:
    """A call of the catalogue, unless FILTER or OVER around it takes care of it."""
    if isinstance(node.parent, exp.Filter | exp.Window) and node.arg_key == "this":
        return node
    call = call_of(node)
    return node if call is None else _from_template(node, call, engine)


def _anonymous(node: exp.Expr, engine: Engine) -> exp.Expr:
    name = str(node.this).lower()
    if name.startswith(PREFIX) and name.removeprefix(PREFIX) in TRANSFORMS:
        return render_governed(name, node.expressions, engine)
    return _call(node, engine)


def _over(node: exp.Expr, engine: Engine) -> exp.Expr:
    """FILTER and OVER belong to the aggregate inside the template: ``CAST(avg(x) FILTER (...) AS double
    precision)``."""
    if isinstance(node.parent, exp.Window) and node.arg_key == "this":
        return node  # FILTER ... OVER: the window does both
    filtered = node.this if isinstance(node, exp.Window) and isinstance(node.this, exp.Filter) else None
    called = filtered.this if filtered is not None else node.this
    call = call_of(called)
    if call is None:
        return node
    expression = _from_template(called, call, engine)
    holder = exp.Paren(this=expression)  # so that the aggregate has a parent even if it is the root
    condition = (
        filtered.expression if filtered is not None else node.expression if isinstance(node, exp.Filter) else None
    )
    if condition is not None:
        _add_filter(_core(holder), condition.this)
    if isinstance(node, exp.Window):
        core = _core(holder)
        window = exp.Window(**{key: value for key, value in node.args.items() if key != "this"}, this=exp.null())
        core.replace(window)
        window.set("this", core)
    inner: exp.Expr = holder.this
    inner.pop()
    return inner


def _core(holder: exp.Expr) -> exp.Expr:
    """The aggregate or window function of a template; with its FILTER if it has one."""
    for node in holder.walk():
        if (
            isinstance(node, exp.Filter | exp.WithinGroup | exp.AggFunc | exp.Anonymous)
            or type(node) in _WINDOW_FUNCTIONS
        ):
            return node
    raise AssertionError(f"no aggregate in {holder.sql()}")


def _add_filter(core: exp.Expr, condition: exp.Expr) -> None:
    if isinstance(core, exp.Filter):
        core.set("expression", exp.Where(this=exp.and_(core.expression.this, condition)))
        return
    filtered = exp.Filter(this=exp.null(), expression=exp.Where(this=condition))
    core.replace(filtered)
    filtered.set("this", core)


def _from_template(node: exp.Expr, call: Call, engine: Engine) -> exp.Expr:
    signature = _signature(node, call)
    if signature is None:
        return node
    template = clone(_template(signature.templates[engine], engine))
    holder = exp.Paren(this=template)
    _fill_places(holder, _by_parameter(signature, call.arguments, engine))
    if call.distinct or call.order:
        core = _core(holder)
        aggregate = core.this if isinstance(core, exp.Filter) else core
        if call.distinct:
            aggregate.set("this", exp.Distinct(expressions=[aggregate.this]))
        if call.order:
            aggregate.set("this", exp.Order(this=aggregate.this, expressions=list(call.order)))
    inner: exp.Expr = holder.this
    inner.pop()
    return inner


def _signature(node: exp.Expr, call: Call) -> Signature | None:
    """The one that typing chose; in platform SQL, which is not typed, the plain one that takes these arguments."""
    key = node.meta_get(SIGNATURE)
    if key is not None:
        return call.function.signature(key)
    fitting = [signature for signature in call.function.signatures if _takes(signature, call.arguments)]
    return next((signature for signature in fitting if not signature.key), fitting[0] if fitting else None)


def _takes(signature: Signature, arguments: Sequence[exp.Expr]) -> bool:
    if not signature.accepts_count(len(arguments)):
        return False
    for index, argument in enumerate(arguments):
        constant = signature.parameter(index).constant
        if constant is not None:
            try:
                constant(argument)
            except NotFittingError:
                return False
    return True


def _by_parameter(signature: Signature, arguments: Sequence[exp.Expr], engine: Engine) -> Mapping[str, list[exp.Expr]]:
    given: dict[str, list[exp.Expr]] = {}
    for index, argument in enumerate(arguments):
        parameter_ = signature.parameter(index)
        given.setdefault(parameter_.name, []).append(_constant(parameter_, argument, engine))
    return given


def _constant(parameter_: Parameter, argument: exp.Expr, engine: Engine) -> exp.Expr:
    if parameter_.constant is constants.strftime and engine == "postgres":
        return exp.Literal.string(constants.to_char_format(argument.name))
    return argument


def _fill_places(holder: exp.Expr, given: Mapping[str, list[exp.Expr]]) -> None:
    used: set[str] = set()
    for place in list(holder.find_all(exp.Column)):
        name = place.name
        values = given[name]
        _fill(place, [clone(value) for value in values] if name in used else values)
        used.add(name)


def _fill(place: exp.Column, given: list[exp.Expr]) -> None:
    parent, key = place.parent, place.arg_key
    assert parent is not None
    values = [_fitting(value, parent) for value in given]
    if len(values) == 1:
        place.replace(values[0])
    elif key == "this":
        parent.set("this", values[0])
        parent.set("expressions", values[1:])
    else:
        siblings = [part for part in parent.args[str(key)] if part is not place]
        parent.set(str(key), [*siblings, *values])


@cache
def _template(text: str, engine: Engine) -> exp.Expr:
    select = sqlglot.parse_one(f"SELECT {text}", read=engine)
    assert isinstance(select, exp.Select)
    template: exp.Expr = select.expressions[0].pop()
    return template


def _filled(text: str, engine: Engine, **given: exp.Expr) -> exp.Expr:
    holder = exp.Paren(this=clone(_template(text, engine)))
    _fill_places(holder, {name: [value] for name, value in given.items()})
    inner: exp.Expr = holder.this
    inner.pop()
    return inner


def _fitting(expression: exp.Expr, parent: exp.Expr | None) -> exp.Expr:
    """In parentheses, where the operator around it could bind its parts."""
    if isinstance(expression, _OPERATORS) and isinstance(parent, (*_OPERATORS, exp.Bracket, exp.Collate)):
        return exp.Paren(this=expression)
    return expression


def _division(node: exp.Expr, engine: Engine) -> exp.Expr:
    divisor = (
        "CAST(b AS DOUBLE PRECISION)" if _is_nonzero(node.expression) else "NULLIF(CAST(b AS DOUBLE PRECISION), 0)"
    )
    return _filled(f"CAST(a AS DOUBLE PRECISION) / {divisor}", engine, a=node.this, b=node.expression)


def _whole_division(node: exp.Expr, engine: Engine) -> exp.Expr:
    divisor = "b" if _is_nonzero(node.expression) else "NULLIF(b, 0)"
    sign = "//" if engine == "duckdb" else "/"
    return _filled(f"a {sign} {divisor}", engine, a=node.this, b=node.expression)


def _is_nonzero(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and float(node.name) != 0


def _like(node: exp.Expr, engine: Engine) -> exp.Expr:
    negated = bool(node.args.get("negate"))
    if negated:
        node.set("negate", None)
    result: exp.Expr = node
    if isinstance(node.parent, exp.Escape):
        return _negate_escape(node.parent) if negated else node
    if engine == "postgres":  # its backslash escapes unless told otherwise
        result = exp.Escape(this=node.copy(), expression=exp.Literal.string(""))
    return exp.Not(this=exp.Paren(this=result if result is not node else node.copy())) if negated else result


def _negate_escape(escape: exp.Expr) -> exp.Expr:
    like: exp.Expr = escape.this
    negation = exp.Not(this=exp.null())
    escape.replace(negation)
    negation.set("this", exp.Paren(this=escape))
    return like


def _literal(node: exp.Expr, engine: Engine) -> exp.Expr:
    assert isinstance(node, exp.Literal)
    if not node.is_string and engine == "postgres" and "e" in node.name.lower():
        return exp.Cast(
            this=exp.Literal.string(node.name), to=exp.DataType.build("DOUBLE PRECISION", dialect="postgres")
        )
    return node


def _parameter(node: exp.Expr, _engine: Engine) -> exp.Expr:
    return exp.Var(this=f"${node.name}")


def _collation(node: exp.Expr, engine: Engine) -> exp.Expr:
    if engine == "duckdb" and node.expression.name == "C":
        bare: exp.Expr = node.this  # DuckDB compares by code point anyway
        return bare
    return node


def _join(node: exp.Expr, engine: Engine) -> exp.Expr:
    return nearest_rows(node) if engine == "postgres" and node.args.get("method") == "ASOF" else node


_OPERATORS: Final = (exp.Binary, exp.Not, exp.Neg, exp.Between, exp.In)
_WINDOW_FUNCTIONS: Final = frozenset(
    {
        exp.RowNumber,
        exp.Rank,
        exp.DenseRank,
        exp.PercentRank,
        exp.CumeDist,
        exp.Ntile,
        exp.Lag,
        exp.Lead,
        exp.FirstValue,
        exp.LastValue,
        exp.NthValue,
    }
)


def _tested_cast(node: exp.Expr, engine: Engine) -> exp.Expr:
    """DuckDB computes what is constant before it looks at the condition around it."""
    if engine == "duckdb" and node.meta_get(TESTED):
        return exp.TryCast(**node.args)
    return node


_RULES: Final[dict[type[exp.Expr], Callable[[exp.Expr, Engine], exp.Expr]]] = {
    exp.Anonymous: _anonymous,
    exp.Window: _over,
    exp.Filter: _over,
    exp.Div: _division,
    exp.IntDiv: _whole_division,
    exp.Like: _like,
    exp.Literal: _literal,
    exp.Placeholder: _parameter,
    exp.Parameter: _parameter,
    exp.Collate: _collation,
    exp.Cast: _tested_cast,
    exp.Join: _join,
}
