"""Nothing but guarded SQL gets to an engine: every place that could send something else is written down here.

SQL reaches an engine in two ways only: as the text of a ``Query`` that a store runs, or through the engine's driver.
So a way around the guard has to make a ``Query`` (or a compiled query, which becomes one), import a driver, or run a
statement on somebody's connection. All places that do are listed below with what they send, and were looked at; a new
one fails here until it has been looked at too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import feature_platform

PACKAGE = Path(feature_platform.__file__).parent

DRIVERS = ("duckdb", "psycopg", "psycopg_pool", "pymysql", "adbc_driver_flightsql", "deltalake", "sqlalchemy")
DRIVER_FILES = {
    "canaries/servers.py": "copies out whole tables, to search them for values that must not be there",
    "stores/": "runs what a Query says, and statements of its own",
    "governance/audit/postgres_ledger.py": "the ledger's own statements",
    "layouts/": "makes and changes the platform's own tables",
    "governance/token_engines.py": "sets up the token function of a connection",
    "governance/transforms/testing.py": "for tests of packages, on their connection",
    "lineage/names.py": "takes a connection string apart",
    "orchestration/sqlite_storage.py": "Dagster's own storage",
    "orchestration/storage.py": "Dagster's own storage",
    "project/binding.py": "describes guarded queries over empty tables",
    "sdk/derived.py": "runs the compiled `derive` query of a view over rows in memory",
}
"""What may import a driver, and what for."""

EXECUTING_FILES = DRIVER_FILES | {
    "canaries/files.py": "SQLite files, to search them",
    "governance/audit/layouts/": "the ledger's own tables",
    "compiler/cache.py": "the cache of what was compiled",
}
"""What may run a statement on a connection."""

QUERIES = {
    # what users define or ask: rendered from guarded trees, through render() or fragments around rendered text
    (
        "compiler/aggregations.py",
        "CompiledQuery",
        "{engine: str(_as_of(plan, parameter, engine)) for engine in engines}",
    ),
    (
        "compiler/event_digests.py",
        "CompiledQuery",
        "{engine: str(_of_events(plan, _WITHIN[unit], engine)) for engine in engines}",
    ),
    (
        "compiler/event_digests.py",
        "CompiledQuery",
        "{engine: str(_of_rows(view, Sql(given.sql[engine]), engine)) for engine in given.sql}",
    ),
    (
        "compiler/event_digests.py",
        "CompiledQuery",
        "{engine: str(_of_rows(view, _published_rows(view, engine), engine))}",
    ),
    ("compiler/derived.py", "CompiledQuery", "{engine: str(_derivation(plan, engine)) for engine in engines}"),
    (
        "compiler/guard.py",
        "CompiledQuery",
        "sql = {each: self.sql(each) for each in ([engine] if engine else self.engines)}",
    ),
    (
        "compiler/sql_views.py",
        "CompiledQuery",
        "{engine: render(tree, engine, spent=engine == engines[-1], places=guarded.places) for engine in engines}",
    ),
    ("compiler/training.py", "CompiledQuery", "{engine: str(request.sql(time, engine, rows)) for engine in engines}"),
    ("compiler/training.py", "CompiledQuery", "request.forms(time) if rows is None and 'duckdb' in engines else None"),
    ("compiler/training.py", "SpineForms", "tuple(map(str, found.queries))"),
    (
        "compiler/training.py",
        "SpineForms",
        "{str(form): str(with_relations(*self._planned(time, 'duckdb', GIVEN_SPINE, form))) for form in found.forms}",
    ),
    ("sdk/training.py", "Query", "forms.texts if forms else {}"),
    ("sdk/training.py", "Query", "forms.measures if forms else ()"),
    ("compiler/codec.py", "CompiledQuery", "sql = data"),
    ("project/project.py", "Query", "compiled.sql[engine]"),
    ("sdk/query.py", "Query", "sent = guarded.sql(warehouse.engine)"),
    ("sdk/sql_spine.py", "Query", "sent = rows.sql(warehouse.engine)"),
    ("sdk/training.py", "Query", "compiled.sql[warehouse.engine]"),
    # the platform's own statements, over published, staged or declared tables: trees without a word of a user's
    ("canaries/scan.py", "Query", "platform_sql(select, warehouse.engine)"),
    ("monitoring/staged_table.py", "Query", "text = platform_sql(statement, warehouse.engine)"),
    ("orchestration/io_managers.py", "Query", "platform_sql(select, warehouse.engine)"),
    ("orchestration/online_rows.py", "Query", "platform_sql(select, warehouse.engine)"),
    ("orchestration/store_status.py", "Query", "platform_sql(newest, warehouse.engine)"),
    ("orchestration/online_changes.py", "Query", "platform_sql(select, warehouse.engine)"),
    ("project/stores.py", "Query", "platform_sql(statement, warehouse.engine)"),
    ("stores/duckdb_delta.py", "Query", "'SELECT 1'"),
}
"""(file, what is made, where its SQL comes from)."""

PARSERS = {
    "compiler/parse.py": "the guard's own first step",
    "compiler/round_trip.py": "the guard's check of what it parsed",
    "compiler/render.py": "templates of the function catalogue",
    "registry/references.py": "which names a definition reads, for their order",
    "stores/doris/query.py": "places of tables and parameters in a text that is guarded already",
    "stores/postgres_query.py": "parameters of a text that is guarded already",
    "cli/author.py": "shows a compiled text in lines",
    "lineage/graph.py": "describes a compiled text",
    "sdk/derived.py": "describes a compiled text",
}
"""Files that read SQL text."""


def sources() -> dict[str, str]:
    return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


def queries_made(files: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Every place that makes a query or changes its text, with the expression that the SQL comes from."""
    for file, text in files.items():
        if not any(word in text for word in ("Query", "sql=", "forms=", "measures=", "SpineForms")):
            continue
        tree = ast.parse(text)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for place in [*functions, tree]:
            for node in ast.walk(place):
                if isinstance(node, ast.Call) and (texts := _texts_of(node)):
                    inner = place is tree and any(node in set(ast.walk(function)) for function in functions)
                    if not inner:
                        yield from ((file, _name(node.func), _origin(given, place)) for given in texts)


def _texts_of(call: ast.Call) -> list[ast.expr]:
    """What a call makes a query's texts of; nothing if it makes none."""
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    others = [named[each] for each in ("forms", "measures", "texts") if each in named]
    if _name(call.func) in ("Query", "CompiledQuery"):
        return [named.get("sql") or (call.args[0] if call.args else call), *others]
    if _name(call.func) == "SpineForms":
        return [*call.args, *others]
    if _name(call.func) in ("replace", "__replace__", "__setattr__", "setattr"):
        return [*([named["sql"]] if "sql" in named else []), *others]
    return []


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _origin(given: ast.expr, place: ast.AST) -> str:
    """The expression; of a variable the values that it gets."""
    if not isinstance(given, ast.Name):
        return ast.unparse(given)
    values = [
        ast.unparse(node.value)
        for node in ast.walk(place)
        if isinstance(node, ast.Assign) and given.id in set(_names(node.targets))
    ]
    return f"{given.id} = {'; '.join(values) or 'an argument'}"


def _names(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def drivers_imported(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    for file, text in files.items():
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            yield from ((file, name) for name in names if name.partition(".")[0] in DRIVERS)


def statements_run(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    for file, text in files.items():
        for node in ast.walk(ast.parse(text)) if "execute" in text or "cursor" in text else ():
            if isinstance(node, ast.Call) and _name(node.func) in ("execute", "executemany", "cursor"):
                yield file, ast.unparse(node)


def texts_parsed(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    for file, text in files.items():
        if "sqlglot" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                *("sqlglot.parse", "sqlglot.parse_one", "parse_one", "exp.maybe_parse", "exp.condition", "maybe_parse"),
            ):
                yield file, ast.unparse(node)


def test_every_query_that_is_made_is_a_guarded_one_or_the_platforms_own() -> None:
    assert set(queries_made(sources())) == QUERIES


def test_drivers_of_engines_are_imported_where_it_was_looked_at_only() -> None:
    found = {file for file, _ in drivers_imported(sources())}
    assert {file for file in found if not file.startswith(tuple(DRIVER_FILES))} == set()
    assert {place for place in DRIVER_FILES if not any(file.startswith(place) for file in found)} == set()


def test_statements_are_run_on_connections_where_it_was_looked_at_only() -> None:
    found = {file for file, _ in statements_run(sources())}
    assert {file for file in found if not file.startswith(tuple(EXECUTING_FILES))} == set()


def test_sql_is_read_where_it_was_looked_at_only() -> None:
    assert {file for file, _ in texts_parsed(sources())} == set(PARSERS)


@pytest.mark.parametrize(
    ("file", "bypass", "found_by"),
    [
        ("sdk/client.py", "def sql(self, text): return warehouse.read(Query(text, 'duckdb'))", queries_made),
        ("sdk/query.py", "def f(text):\n  sent = text\n  return Query(sent, engine)", queries_made),
        ("sdk/query.py", "def f(q, text): return replace(q, sql=text)", queries_made),
        ("sdk/query.py", "def f(q, text): return replace(q, forms={'sparse': text})", queries_made),
        ("monitoring/gate.py", "x = protocols.Query(sql=f'SELECT {expression}', engine='duckdb')", queries_made),
        ("orchestration/checks.py", "def f(text): return CompiledQuery({'duckdb': text}, (), ())", queries_made),
        ("compiler/derived.py", "def f(v): return CompiledQuery({'duckdb': v.spec.sql}, (), ())", queries_made),
        ("cli/data.py", "import duckdb\nduckdb.sql(text)", drivers_imported),
        ("sdk/online.py", "def f():\n  from psycopg import connect", drivers_imported),
        ("sdk/client.py", "project.warehouse('w')._connection.execute(text)", statements_run),
        ("monitoring/checks.py", "import sqlglot\nsqlglot.parse_one(text)", texts_parsed),
    ],
)
def test_a_new_way_around_is_noticed(
    file: str, bypass: str, found_by: Callable[[dict[str, str]], Iterator[tuple[str, ...]]]
) -> None:
    known = QUERIES | {(file, "") for file in (*EXECUTING_FILES, *PARSERS)}
    found = set(found_by({file: bypass}))
    assert found
    assert not found & known
    if found_by is not queries_made:
        assert not file.startswith((*EXECUTING_FILES, *PARSERS))
