"""What compiles, what it becomes, and what is refused: golden files, and the same rows on both engines."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from feature_platform.compiler.catalog import CatalogTable
from feature_platform.compiler.guard import guard
from feature_platform.compiler.parse import parse_expression, parse_query
from feature_platform.compiler.report import Report
from feature_platform.compiler.round_trip import check_round_trip
from feature_platform.errors import CompileError, GuardError
from feature_platform.governance.access import Access
from feature_platform.governance.policies import PolicyBook
from feature_platform.types import ENGINES, DataType
from tests.compiler.sql_catalogs import (
    CARD_SPEND,
    CUSTOMERS,
    FRAUD,
    HERE,
    MERCHANTS,
    POLICIES,
    TRANSACTIONS,
    catalog,
    guarded,
    rule,
    source,
)
from tests.compiler.sql_engines import SqlEngines, differences, type_name
from tests.compiler.sql_fixtures import Block, compilation, read, refusal

TABLES = (TRANSACTIONS, CUSTOMERS, MERCHANTS, CARD_SPEND)
COMPILED, REFUSED = [*read("compiled.sql"), *read("relations.sql")], read("refused.sql")
EVERYWHERE = [block for block in COMPILED if "--> postgres:" in str(block)]


def titles(block: Block) -> str:
    return block.title


@pytest.mark.parametrize("block", COMPILED, ids=titles)
def test_a_query_compiles_to_what_the_golden_file_says(block: Block) -> None:
    assert compilation(block.sql) == block.outcome


@pytest.mark.parametrize("block", REFUSED, ids=titles)
def test_a_query_is_refused_as_the_golden_file_says(block: Block) -> None:
    assert refusal(block.sql) == block.outcome


@pytest.fixture(scope="module")
def engines(sql_engines: SqlEngines) -> SqlEngines:
    chance = random.Random(7)
    for table in TABLES:
        sql_engines.load(table, [some_row(table, chance) for _ in range(40)])
    return sql_engines


def some_row(table: CatalogTable, chance: random.Random) -> tuple[Any, ...]:
    return tuple(
        None if chance.random() < 0.1 else some_value(column.name, column.type, chance) for column in table.columns
    )


def some_value(name: str, type_: DataType, chance: random.Random) -> Any:
    moment = datetime.fromisoformat("2026-01-01") + timedelta(
        minutes=chance.randrange(60 * 24 * 90), microseconds=chance.randrange(10**6)
    )
    match type_.kind:
        case "int" | "bigint":
            return chance.randrange(8)
        case "decimal":
            return Decimal(chance.randrange(-10_000, 100_000)) / 100
        case "double":
            return chance.randrange(1000) / 8
        case "boolean":
            return chance.random() < 0.5
        case "timestamp":
            return moment
        case "date":
            return moment.date() if name != "birth_date" else date(1950 + chance.randrange(60), 2, 28)
    texts = {
        "card_number": ["4111111111111111", "5500 0000 0000 0004"],
        "email": ["jan@gmail.com", "Eva@firma.example"],
    }
    return chance.choice(texts.get(name, ["CZ", "SK", "12", "2026-01-31", "a\\b", "10%", "ž", ""]))


@pytest.mark.parametrize("block", EVERYWHERE, ids=titles)
def test_a_guarded_query_gives_the_same_rows_on_both_engines(block: Block, engines: SqlEngines) -> None:
    query = guarded(block.sql)
    in_duckdb, in_postgres = (engines.rows(query, engine) for engine in ENGINES)
    assert differences(in_duckdb, in_postgres, tolerance=True) == []


@pytest.mark.parametrize("block", COMPILED, ids=titles)
def test_a_guarded_query_has_the_inferred_types_on_both_engines(block: Block, engines: SqlEngines) -> None:
    query = guarded(block.sql)
    for engine in query.engines:
        assert engines.types(query, engine) == [type_name(column.type, engine) for column in query.columns]


def test_a_token_and_a_transform_of_one_column_are_computed_from_the_raw_value(engines: SqlEngines) -> None:
    query = guarded("SELECT card_number, last4(card_number) AS last4 FROM transactions WHERE card_number IS NOT NULL")
    for engine in ENGINES:
        rows = set(engines.rows(query, engine))
        assert {row[1] for row in rows} == {"1111", "0004"}
        assert all(row[0].startswith("tok_payment_card_v1_") for row in rows)


def test_a_guarded_query_reads_only_what_it_lists() -> None:
    query = guarded("SELECT t.amount FROM transactions AS t JOIN card_spend AS s ON t.card_number = s.card_number")
    assert [str(ref) for ref in query.reads] == ["sources.transactions", "features.card_spend"]


def test_problems_stand_at_their_place_in_the_yaml_file() -> None:
    with pytest.raises(GuardError) as caught:
        guarded("SELECT customer_id, phone,\n  birth_date\nFROM customers")
    assert [str(problem.where) for problem in caught.value.problems] == ["view.yaml:10:25", "view.yaml:11:7"]


def test_problems_of_a_tree_stand_where_the_caller_says() -> None:
    tree = parse_query("SELECT phone FROM customers").tree
    with pytest.raises(GuardError) as caught:
        guard(tree, catalog(), FRAUD, where=HERE)
    assert caught.value.problems[0].where == HERE


def test_a_tree_that_is_guarded_stays_as_it_was() -> None:
    tree = parse_query("SELECT * FROM merchants").tree
    before = tree.sql("duckdb")
    guard(tree, catalog(), FRAUD)
    assert tree.sql("duckdb") == before


def test_a_column_of_a_view_is_refused_to_a_purpose_that_may_not_have_its_label() -> None:
    marketing = Access(("marketing",), policies=POLICIES)
    guarded("SELECT amount_sum_1d FROM card_spend", marketing)
    with pytest.raises(GuardError, match=r"FP-SQL-028.*partial\(payment_card, bin6\)"):
        guarded("SELECT issuer FROM card_spend", marketing)


def test_a_view_is_refused_to_a_purpose_that_it_is_not_for() -> None:
    with pytest.raises(GuardError, match="FP-SQL-042"):
        guarded("SELECT amount_sum_1d FROM card_spend", Access(("credit_risk",), policies=POLICIES))


def test_a_view_of_several_purposes_may_use_what_one_of_them_opens() -> None:
    both = guarded(
        "SELECT last4(card_number) AS x FROM transactions", Access(("marketing", "fraud"), policies=POLICIES)
    )
    assert [str(label) for label in both.columns[0].labels] == ["partial(payment_card, last4)"]
    with pytest.raises(GuardError, match="FP-SQL-021"):
        guarded("SELECT last4(card_number) AS x FROM transactions", Access(("marketing",), policies=POLICIES))


def test_an_unclassified_column_that_looks_personal_does_not_compile_in_strict_mode() -> None:
    table = source("people", id="bigint", home_phone="string")
    with pytest.raises(GuardError, match=r"FP-SQL-024.*looks like phone"):
        guarded("SELECT home_phone FROM people", over=catalog(table))
    guarded("SELECT id FROM people", over=catalog(table))


def test_a_double_can_not_be_tokenised() -> None:
    table = source("devices", device="double pii:device_id")
    with pytest.raises(GuardError, match="FP-SQL-029"):
        guarded("SELECT device FROM devices", over=catalog(table))


def test_texts_of_postgres_compare_by_code_point_whatever_the_database_says() -> None:
    sql = guarded("SELECT max(country) AS m FROM transactions").sql("postgres")
    assert '"country" COLLATE "C"' in sql


def test_without_any_policy_every_classified_column_is_denied() -> None:
    for column in ("email", "name", "birth_date", "phone", "card_number"):
        with pytest.raises(GuardError, match="FP-SQL-020"):
            guarded(f"SELECT {column} FROM customers", Access(("fraud",)))


def test_a_stricter_rule_takes_away_what_another_gives() -> None:
    strict = PolicyBook((rule("email", "token", "email_domain"), rule("email", "deny")))
    with pytest.raises(GuardError, match="FP-SQL-020"):
        guarded("SELECT email FROM customers", Access(("fraud",), policies=strict))


@pytest.mark.parametrize("text", ["amount > 0 AND ok", "lower(country)", "1"])
def test_an_expression_is_read_alone(text: str) -> None:
    assert parse_expression(text).parent is None


@pytest.mark.parametrize("text", ["a, b", "a AS b", "a FROM t", "*", "a; b", "", "a WHERE b", "a ORDER BY b"])
def test_more_than_an_expression_is_refused(text: str) -> None:
    with pytest.raises(GuardError, match=r"FP-SQL-00[12]"):
        parse_expression(text, where=HERE)


@pytest.mark.parametrize(
    "expression",
    [
        " / ".join(["amount"] * 140),
        "(" * 60 + "amount" + ")" * 60,
        "CASE WHEN ok THEN 1 ELSE " * 40 + "2" + " END" * 40,
        " || ".join(["country"] * 100),
        " AND ".join(["ok"] * 140),
        "abs(" * 70 + "amount" + ")" * 70,
    ],
    ids=["divisions", "parentheses", "cases", "texts", "conditions", "calls"],
)
def test_deep_nesting_compiles_or_is_refused_but_never_breaks(expression: str) -> None:
    assert compiles_or_is_too_deep(f"SELECT {expression} AS x FROM transactions")


def compiles_or_is_too_deep(sql: str) -> bool:
    try:
        return all(guarded(sql).sql(engine) for engine in ENGINES)
    except CompileError as error:
        return "nested" in str(error)


def test_reading_a_query_back_leaves_its_tree_as_it_is() -> None:
    parsed = parse_query("SELECT if(ok, last4(card_number), country) AS x FROM transactions")
    check_round_trip(parsed.tree, Report(parsed.places))
    assert all(child.parent is node for node in parsed.tree.walk() for child in node.iter_expressions())
    assert guarded(parsed.places.text or "").columns[0].labels
