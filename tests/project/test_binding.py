"""What a real engine does not understand as the compiler did is not released."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.compiler.plan import CompiledProject, CompiledView, OutputColumn
from feature_platform.compiler.project import compile_project
from feature_platform.errors import CompileError, GuardError
from feature_platform.project.binding import Binder
from feature_platform.project.bound_texts import BoundTexts
from feature_platform.registry.graph import Registry
from feature_platform.types import BIGINT, STRING, Column, DataType, TableSchema
from tests.compiler.sql_projects import CARD_DAY, project, view

SPEND = """
kind: feature_view
name: spend
domain: payments
entity: card
source: transactions
aggregations: [{function: sum, column: amount, windows: [1d]}, {function: count, windows: [7d], name: n}]
"""


class Bound:
    """A small project, and its binder."""

    def __init__(self, folder: Path) -> None:
        self.registry: Registry = project(folder, view("card_day", CARD_DAY), SPEND)
        self.compiled: CompiledProject = compile_project(self.registry)
        self.binder = Binder(self.registry)

    def guarded(self, text: str) -> GuardedQuery:
        access = self.compiled.author.with_purposes(["fraud"])
        return guard(text, catalog_of(self.registry, self.compiled.views), access)

    def check(self, query: GuardedQuery, sql: str = "", columns: tuple[OutputColumn, ...] = ()) -> None:
        sql = sql or query.sql("duckdb")
        self.binder.check(sql, columns or query.columns, query.reads, self.compiled.views)


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Bound]:
    made = Bound(tmp_path)
    yield made
    made.binder.close()


QUERY = "SELECT c.card_number, t.amount * 2 AS twice FROM card_day AS c JOIN transactions AS t USING (card_number)"


def test_what_compiler_and_engine_understand_alike_is_released(bound: Bound) -> None:
    bound.check(bound.guarded(QUERY))
    for each in bound.compiled.views.values():
        bound.binder.check_view(each, bound.compiled.views)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"amount" FROM', '"nothing" FROM'), "DuckDB refuses it (BinderException)"),
        (("SELECT", "SELEKT"), "DuckDB refuses it (ParserException)"),
        (('AS "twice"', 'AS "thrice"'), "DuckDB sees 'thrice'"),
        (('"sources"."transactions"', "read_csv('/etc/passwd')"), "DuckDB refuses it (PermissionException)"),
    ],
)
def test_a_text_that_is_not_what_was_checked_is_refused(bound: Bound, change: tuple[str, str], told: str) -> None:
    query = bound.guarded(QUERY)
    text = query.sql("duckdb")
    assert change[0] in text
    with pytest.raises(GuardError) as caught:
        bound.check(query, text.replace(*change))
    (problem,) = caught.value.problems
    assert problem.code == "FP-PROJ-010"
    assert told in problem.what


def test_a_column_of_another_type_is_refused(bound: Bound) -> None:
    query = bound.guarded("SELECT customer_id FROM transactions")
    wrong = replace(query.columns[0], type=STRING)
    with pytest.raises(GuardError, match="DuckDB sees 'customer_id' BIGINT where the compiler does not"):
        bound.check(query, columns=(wrong,))
    assert query.columns[0].type == BIGINT


def test_constants_of_an_author_are_not_in_the_refusal(bound: Bound) -> None:
    query = bound.guarded("SELECT amount FROM transactions WHERE customer_id = 4242424242")
    with pytest.raises(GuardError) as caught:
        bound.check(query, query.sql("duckdb").replace("WHERE", "WHERE nothing AND"))
    assert "4242424242" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_view_that_is_not_released_does_not_compile_and_is_not_cached(bound: Bound, tmp_path: Path) -> None:
    seen = []

    def refusing(compiled: CompiledView, views: Mapping[str, CompiledView]) -> None:
        seen.append(compiled.name)
        assert compiled.materialize is not None
        broken = replace(compiled.materialize, columns=compiled.materialize.columns[:-1])
        bound.binder.check_view(replace(compiled, materialize=broken), views)

    for _ in range(2):
        with pytest.raises(CompileError, match="FP-PROJ-010"):
            compile_project(bound.registry, cache=tmp_path / "cache", release=refusing)
    compile_project(bound.registry, cache=tmp_path / "cache", release=bound.binder.check_view)
    compile_project(bound.registry, cache=tmp_path / "cache", release=refusing)
    assert seen == ["card_day", "spend"] * 2, "what is cached was looked at before"


def test_what_one_process_bound_is_not_bound_again_by_the_next(
    bound: Bound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, file = bound.guarded(QUERY), tmp_path / "cache" / "bound"
    wrong = query.sql("duckdb").replace('AS "twice"', 'AS "thrice"')

    def binding(sql: str, columns: tuple[OutputColumn, ...] = query.columns, *, lasting: bool = True) -> None:
        with closing(Binder(bound.registry, file)) as binder:
            binder.check(sql, columns, query.reads, bound.compiled.views, lasting=lasting)

    binding(query.sql("duckdb"), lasting=False)
    assert not file.exists(), "a text of people's own"
    binding(query.sql("duckdb"))
    with pytest.raises(GuardError):
        binding(wrong)
    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "connect", None)
        binding(query.sql("duckdb"))
        assert len(file.read_text(encoding="ascii").splitlines()) == 1, "what was refused is not remembered"
        for other in (query.sql("duckdb") + " ", wrong):
            with pytest.raises(TypeError):  # an engine is needed
                binding(other)
        with pytest.raises(TypeError):
            binding(query.sql("duckdb"), query.columns[:1])
    file.write_bytes(b"\xff damaged")
    binding(query.sql("duckdb"))


def test_only_so_many_digests_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "bound"
    file.write_text("".join(f"{number}\n" for number in range(20_000)), encoding="ascii")
    assert "19999" in BoundTexts(file)
    assert "0" not in BoundTexts(file)
    assert len(file.read_text(encoding="ascii").splitlines()) == 5_000


def test_tables_that_come_with_a_query_are_declared_with_it(bound: Bound) -> None:
    columns = (OutputColumn("n", BIGINT),)

    def check(sql: str, of: DataType) -> None:
        inputs = {"spine": TableSchema((Column("fp_row", of),))}
        bound.binder.check(sql, columns, (), bound.compiled.views, inputs=inputs)

    query = 'SELECT s.fp_row AS "n" FROM "inputs"."spine" AS s'
    check(query, BIGINT)
    check(query, BIGINT)  # remembered
    with pytest.raises(GuardError, match=r"FP-PROJ-010: .*DuckDB sees 'n' VARCHAR"):
        check(query, STRING)  # what was remembered was about another table
    with pytest.raises(GuardError, match=r"FP-PROJ-010: .*DuckDB refuses it"):
        check(query.replace("fp_row", "fp_rows"), BIGINT)
