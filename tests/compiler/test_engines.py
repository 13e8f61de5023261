"""Queries that only some engines can run."""

from __future__ import annotations

from typing import Any

import pytest

from feature_platform.compiler import engines
from feature_platform.compiler.engines import Limit
from feature_platform.compiler.functions.catalogue import CATALOGUE
from feature_platform.compiler.guard import guard
from feature_platform.errors import GuardError
from feature_platform.types import ENGINES
from tests.compiler.sql_catalogs import FRAUD, HERE, catalog, guarded

POSITIONAL = "SELECT t.amount, m.mcc FROM transactions AS t POSITIONAL JOIN merchants AS m"


def test_most_queries_run_everywhere() -> None:
    assert guarded("SELECT amount FROM transactions").engines == ENGINES


def test_a_query_says_which_engines_can_run_it() -> None:
    query = guarded(POSITIONAL)
    assert query.engines == ("duckdb",)
    assert list(query.compiled().sql) == ["duckdb"]
    assert "POSITIONAL JOIN" in query.sql("duckdb")


def test_the_text_for_an_engine_that_lacks_something_is_refused_at_its_place() -> None:
    with pytest.raises(GuardError, match=r"view.yaml:10:\d+: FP-SQL-051: postgres has no form of a POSITIONAL JOIN"):
        guarded(POSITIONAL).sql("postgres")


def test_a_query_that_has_to_run_on_an_engine_that_lacks_something_does_not_compile() -> None:
    assert guard(POSITIONAL, catalog(), FRAUD, where=HERE, engines=("duckdb",)).engines == ("duckdb",)
    with pytest.raises(GuardError, match="FP-SQL-051"):
        guard(POSITIONAL, catalog(), FRAUD, where=HERE, engines=ENGINES)


def test_a_function_without_a_template_for_an_engine_does_not_run_there(monkeypatch: pytest.MonkeyPatch) -> None:
    templates: Any = CATALOGUE["upper"].signatures[0].templates
    monkeypatch.delitem(templates, "postgres")
    query = guarded("SELECT upper(country) AS x FROM transactions")
    assert query.engines == ("duckdb",)
    with pytest.raises(
        GuardError, match=r"10:12: FP-SQL-051: postgres has no form of upper\(...\) with these arguments"
    ):
        query.sql("postgres")


def test_a_query_that_no_engine_can_run_does_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in list(engines.LIMITED):
        monkeypatch.setitem(engines.LIMITED, key, Limit("it", "leave it out", frozenset()))  # type: ignore[arg-type]
    with pytest.raises(GuardError, match=r"duckdb has no form(.|\n)*postgres has no form"):
        guarded(POSITIONAL)
