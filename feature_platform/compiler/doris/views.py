"""The queries of a project's views for Doris, made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterable

from feature_platform.compiler.aggregations import compile_aggregations
from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.derived import compile_derived
from feature_platform.compiler.plan import CompiledProject, CompiledQuery
from feature_platform.compiler.sql_views import compile_sql_view
from feature_platform.errors import CompileError, Problem
from feature_platform.registry.graph import Registry
from feature_platform.types import Engine

_DORIS: tuple[Engine, ...] = ("doris",)


def doris_query(view: str, registry: Registry, compiled: CompiledProject) -> CompiledQuery:
    """What materializes ``view`` in Doris, or, of a derived view, computes it: the same definition, guarded anew, with
    ``sql["doris"]`` alone. Read by the linter before it is handed out.

    Raises:
        CompileError: FP-SQL-051, what Doris has no form of, at its place in the definition.
    """
    linked = registry.views[view]
    catalog, author = catalog_of(registry, compiled.views, compiled.profiles), compiled.author
    match linked.spec.form:
        case "sql":
            made = compile_sql_view(linked, registry, catalog, author, {}, engines=_DORIS)
        case "aggregations":
            made = compile_aggregations(linked, registry, catalog, author, engines=_DORIS)
        case "derived":
            made = compile_derived(linked, registry, compiled.views, catalog, author, engines=_DORIS)
    query = made.materialize or made.derive
    assert query is not None
    return query


def check_doris(views: Iterable[str], registry: Registry, compiled: CompiledProject) -> None:
    """Makes the queries of ``views`` for what it tells: those that have none.

    Raises:
        CompileError: FP-SQL-051, for all views together.
    """
    problems: list[Problem] = []
    for name in views:
        if compiled.views[name].materialize is None:
            continue
        try:
            doris_query(name, registry, compiled)
        except CompileError as error:
            problems += error.problems
    if problems:
        raise CompileError(problems)
