"""Nested values: what compiles gives what DuckDB gives by itself, each part has its own labels, and nothing personal
gets out by way of a part."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from feature_platform.compiler.guard import guard
from feature_platform.errors import GuardError
from feature_platform.governance.labels import describe
from feature_platform.types import ENGINES
from tests.compiler import function_examples
from tests.compiler.nested_examples import EXPRESSIONS, FUNCTIONS, GROUPS, QUERIES, ROWS, SHAPES
from tests.compiler.sql_catalogs import FRAUD, catalog, guarded, source

OVER = catalog(SHAPES, function_examples.EDGES)


@pytest.fixture(scope="module")
def clean() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with tables that nobody need be kept from."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("CREATE SCHEMA sources")
        tables = ((SHAPES, ROWS), (function_examples.EDGES, function_examples.rows()))
        for table, rows in tables:
            columns = ", ".join(f'"{column.name}" {column.type.sql("duckdb")}' for column in table.columns)
            connection.execute(f"CREATE TABLE sources.{table.ref.name} ({columns})")
            marks = ", ".join("?" for _ in table.columns)
            connection.executemany(f"INSERT INTO sources.{table.ref.name} VALUES ({marks})", rows)
        connection.execute("SET schema = 'sources'")
        yield connection


def check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    query = guarded(sql, over=OVER)
    text = query.sql("duckdb")
    assert rows(connection, text) == rows(connection, sql)
    described = connection.execute(f"DESCRIBE {text}").fetchall()
    assert [row[1] for row in described] == [
        connection.execute(f"SELECT typeof(CAST(NULL AS {column.type.sql('duckdb')}))").fetchall()[0][0]
        for column in query.columns
    ]


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    return sorted(repr(plain(row)) for row in connection.execute(sql).fetchall())


def plain(value: Any) -> Any:
    """A value without the difference between the kinds of numbers: sums are wider here than in DuckDB."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return type(value)(plain(part) for part in value)
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_gives_what_duckdb_gives_by_itself(expression: str, clean: duckdb.DuckDBPyConnection) -> None:
    check(clean, f"SELECT {expression} AS z FROM shapes")


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_gives_what_duckdb_gives_by_itself(sql: str, clean: duckdb.DuckDBPyConnection) -> None:
    check(clean, sql)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gives_what_duckdb_gives_by_itself(name: str, clean: duckdb.DuckDBPyConnection) -> None:
    for expression in FUNCTIONS[name]:
        if expression != "[]":
            check(clean, f"SELECT id, {expression} AS z FROM edges")


@pytest.mark.parametrize("name", GROUPS)
def test_an_aggregate_gives_what_duckdb_gives_by_itself(name: str, clean: duckdb.DuckDBPyConnection) -> None:
    for expression in GROUPS[name]:
        check(clean, f"SELECT grp, {expression} AS z FROM edges GROUP BY grp")


def test_an_arrow_makes_a_lambda_too(clean: duckdb.DuckDBPyConnection) -> None:
    spelled = ["list_transform(l, x -> x + 1)", "list_transform(l, (x) -> x + 1)", "list_transform(l, lambda x: x + 1)"]
    texts = {guarded(f"SELECT {expression} AS z FROM shapes", over=OVER).sql("duckdb") for expression in spelled}
    assert len(texts) == 1
    reduced = guarded("SELECT list_reduce(l, (s, x) -> s + x, 0) AS z FROM shapes", over=OVER)
    assert rows(clean, reduced.sql("duckdb")) == rows(clean, "SELECT list_reduce(l, lambda s, x: s + x, 0) FROM shapes")


def test_text_that_is_no_json_is_null_where_duckdb_would_stop_with_the_text_in_its_message(
    clean: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(duckdb.Error, match=r'Input: "x"'):
        clean.execute("SELECT b -> 'a' FROM shapes").fetchall()
    query = guarded("SELECT b -> 'a' AS z FROM shapes", over=OVER)
    assert rows(clean, query.sql("duckdb"))[0] == '(\'{"b":[1,"z"]}\',)'
    cast = guarded("SELECT CAST(b AS json) ->> '$.a.b[1]' AS z FROM shapes", over=OVER)
    assert rows(clean, cast.sql("duckdb")) == ["('z',)", "(None,)", "(None,)", "(None,)", "(None,)"]


PORTABLE = [
    "SELECT (quantity, ok) = (1, true) AS z FROM transactions",
    "SELECT (quantity, ok) IN ((1, true), (2, false)) AS z FROM transactions",
    "SELECT ok FROM transactions WHERE (quantity, ok) IN (SELECT t.quantity, t.ok FROM transactions AS t)",
    "SELECT quantity = ANY (SELECT t.quantity FROM transactions AS t) AS z FROM transactions",
    "SELECT quantity > ALL (SELECT t.quantity FROM transactions AS t WHERE t.ok) AS z FROM transactions",
    "SELECT quantity IN [1, 2] AS z FROM transactions",
    "SELECT count(transactions) AS n FROM transactions",
    "SELECT #2 AS z FROM merchants",
    "SELECT quantity & 1 AS z, country SIMILAR TO 'C.' AS y FROM transactions",
    "SELECT event_time AT TIME ZONE 'UTC' AS z, country.upper() AS y FROM transactions",
    "SELECT [country] || [country] AS z, len([country]) AS n FROM transactions",
]


@pytest.mark.parametrize("sql", PORTABLE)
def test_what_has_an_exact_form_on_every_engine_runs_on_every_engine(sql: str) -> None:
    query = guarded(sql)
    assert query.engines == ENGINES
    assert all(query.sql(engine) for engine in ENGINES)


@pytest.mark.parametrize(
    "expression",
    [
        "{'a': a}",
        "[[a]]",
        "len([[a]])",
        "MAP {'k': a}",
        "to_json(a)",
        "{'a': a}.a",
        "list_sum(l)",
        "[x FOR x IN l]",
        "a = ANY(l)",
        "b ILIKE 'x'",
        "TRY(a + 1)",
        "unnest(l)",
        "NULL::STRUCT(a INT)",
    ],
)
def test_what_postgres_has_no_exact_form_of_is_duckdbs_alone(expression: str) -> None:
    sql = f"SELECT {expression} AS z FROM shapes"
    assert guarded(sql, over=OVER).engines == ("duckdb",)
    with pytest.raises(GuardError, match="FP-SQL-051: postgres has no form of"):
        guard(sql, OVER, FRAUD, engines=ENGINES)


LABELS = {
    # parts carry their own labels
    "{'t': email, 'n': customer_id}.n": "clean",
    "{'t': email, 'n': customer_id}.t": "token(email, v1)",
    "{'t': email, 'n': customer_id}['N']": "clean",
    "{'t': email, 'n': customer_id}": "token(email, v1)",
    "{'o': {'t': email, 'n': customer_id}}.o.n": "clean",
    "[{'t': email, 'n': customer_id}][1].n": "clean",
    "[email][1]": "token(email, v1)",
    "MAP {'t': email, 'n': country}['n']": "clean",
    "MAP {'t': email, 'n': country}['t']": "token(email, v1)",
    "MAP {'t': email, 'n': country}[country]": "token(email, v1)",
    "map([country], [email])": "token(email, v1)",
    "map_keys(map([country], [email]))": "clean",
    "map_values(map([country], [email]))": "token(email, v1)",
    "map_entries(map([country], [email]))[1].key": "clean",
    "to_json({'t': email, 'n': customer_id}) ->> 'n'": "clean",
    "to_json({'t': email, 'n': customer_id}) ->> 't'": "token(email, v1)",
    "to_json({'t': email, 'n': customer_id}) ->> '$'": "token(email, v1)",
    "to_json({'o': [{'t': email, 'n': customer_id}]}) ->> '$.o[0].n'": "clean",
    "to_json({'t': email, 'T': customer_id}) ->> 'T'": None,
    "json_object('t', email, 'n', customer_id) -> 'n'": "clean",
    "json_array(email, customer_id) ->> 1": "token(email, v1)",
    "to_json(email)": "token(email, v1)",
    "row(email, customer_id)[2]": "clean",
    "CASE WHEN customer_id > 1 THEN {'t': email, 'n': 1} ELSE {'t': email, 'n': 2} END.n": None,
    "(CASE WHEN customer_id > 1 THEN {'t': email, 'n': 1} ELSE {'t': email, 'n': 2} END).n": "clean",
    "coalesce({'t': email, 'n': 1}, {'t': email, 'n': 2}).n": "clean",
    "CAST({'t': email, 'n': 1} AS STRUCT(t VARCHAR, n BIGINT)).n": "clean",
    # facts about them
    "{'t': email} IS NULL": "derived(email)",
    "len([email, email])": "clean",
    "len(list_distinct([email, email]))": "derived(email)",
    "list_count([email])": "derived(email)",
    "[email] = [email]": "derived(email)",
    "list_contains([email], email)": "derived(email)",
    "email IN [email]": "derived(email)",
    "email = ANY([email])": "derived(email)",
    "len(list_filter([email_domain(email)], x -> x = 'gmail.com'))": "partial(email, email_domain)",
    "list_contains([email_domain(email)], 'gmail.com')": "partial(email, email_domain)",
    "json_type(to_json(email))": "derived(email)",
    # lambdas carry what goes through them
    "list_transform([email], x -> x)": "token(email, v1)",
    "list_transform([email], x -> 1)": "clean",
    "list_transform([customer_id], x -> email)": "token(email, v1)",
    "list_transform([customer_id], x -> {'t': email, 'n': x})[1].n": "clean",
    "list_transform([{'t': email, 'n': customer_id}], x -> x.n)": "clean",
    "list_filter([customer_id], x -> email IS NOT NULL)": "derived(email)",
    "list_filter([customer_id], x -> email_domain(email) = 'gmail.com')": "partial(email, email_domain)",
    "list_reduce([customer_id], (s, x) -> s + x, 0)": "clean",
    "list_reduce([customer_id], (s, x) -> s + birth_year(birth_date), 0)": "partial(birth_date, birth_year)",
    "list_transform([country], email -> email)": "clean",
    "[x FOR x IN [email]]": "token(email, v1)",
    "[1 FOR x IN [customer_id] IF last4(card_number) = '1111']": "partial(payment_card, last4)",
    "list_sum([birth_year(birth_date)])": "aggregated(birth_date)",
    "list_max([birth_year(birth_date)])": "partial(birth_date, birth_year)",
    # operators
    "email_domain(email) ILIKE 'g%'": "partial(email, email_domain)",
    "TRY(birth_year(birth_date) + 1)": "partial(birth_date, birth_year)",
    "birth_year(birth_date) & 1": "partial(birth_date, birth_year)",
    "birth_year(birth_date) = ANY([customer_id::int])": "partial(birth_date, birth_year)",
}


@pytest.mark.parametrize("expression", [expression for expression, labels in LABELS.items() if labels])
def test_a_part_carries_its_own_labels(expression: str) -> None:
    column = guarded(f"SELECT {expression} AS z FROM customers").columns[0]
    assert describe(column.labels) == LABELS[expression]


def test_lineage_follows_the_part() -> None:
    column = guarded("SELECT s.n FROM (SELECT {'t': email, 'n': customer_id} AS s FROM customers) AS c").columns[0]
    assert sorted(map(str, column.direct)) == ["customers.customer_id"]


def test_labels_per_part_go_through_queries() -> None:
    sql = "WITH c AS (SELECT {'t': email, 'n': customer_id} AS s FROM customers) SELECT x.n, x.t FROM "
    for rest in (
        "(SELECT s AS x FROM c)",
        "(SELECT s AS x FROM c UNION ALL SELECT s FROM c)",
        "(SELECT unnest(array_agg(s ORDER BY s.n)) AS x FROM c)",
        "(SELECT arg_max(s, s.n) AS x FROM c)",
        "(SELECT first_value(s) OVER (ORDER BY s.n) AS x FROM c)",
        "(SELECT (SELECT s FROM c LIMIT 1) AS x FROM c)",
    ):
        n, t = guarded(f"{sql}{rest} AS d").columns
        assert (describe(n.labels), describe(t.labels)) == ("clean", "token(email, v1)"), rest


def test_a_number_of_rows_made_by_unnest_is_decided_by_what_decides_the_length() -> None:
    decided = "list_filter([1], x -> email_domain(email) = 'gmail.com')"
    for unnested, labels in (("[email_domain(email)]", "clean"), (decided, "derived(email)")):
        column = guarded(f"SELECT customer_id, unnest({unnested}) AS d FROM customers").columns[0]
        assert describe(column.labels) == labels


REFUSED = {
    # whole rows are the guarded row
    "SELECT customers FROM customers": "FP-SQL-027",
    "SELECT to_json(c) AS z FROM customers AS c": "FP-SQL-027",
    "SELECT c.phone FROM (SELECT customers AS c FROM customers) AS t": "FP-SQL-027",
    "SELECT {'a': c}.a.phone AS z FROM customers AS c": "FP-SQL-027",
    "SELECT [phone] AS z FROM customers": "FP-SQL-020",
    "SELECT {'p': phone}.p AS z FROM customers": "FP-SQL-020",
    "SELECT {'p': phone, 'n': 1}.n AS z FROM customers": "FP-SQL-020",
    "SELECT MAP {'p': phone} AS z FROM customers": "FP-SQL-020",
    "SELECT to_json(phone) AS z FROM customers": "FP-SQL-020",
    "SELECT len([phone]) AS z FROM customers": "FP-SQL-020",
    "SELECT list_transform([1], x -> phone) AS z FROM customers": "FP-SQL-020",
    "SELECT list_filter([1], x -> phone LIKE '4%') AS z FROM customers": "FP-SQL-020",
    "SELECT [x FOR x IN [1] IF phone = '1'] AS z FROM customers": "FP-SQL-020",
    "SELECT unnest([phone]) AS z FROM customers": "FP-SQL-020",
    "SELECT histogram(phone) AS z FROM customers": "FP-SQL-020",
    "SELECT array_agg({'p': phone} ORDER BY customer_id) AS z FROM customers": "FP-SQL-020",
    "SELECT #5 AS z FROM customers": "FP-SQL-020",
    "SELECT (phone, 1) = ('1', 1) AS z FROM customers": "FP-SQL-020",
    "SELECT phone ILIKE '%1' AS z FROM customers": "FP-SQL-020",
    "SELECT TRY(CAST(phone AS bigint)) AS z FROM customers": "FP-SQL-020",
    "SELECT phone.length() AS z FROM customers": "FP-SQL-020",
    # tokens inside nested values are still tokens
    "SELECT [email] = ['tok_x'] AS z FROM customers": "FP-SQL-025",
    "SELECT {'t': email} = {'t': 'tok_x'} AS z FROM customers": "FP-SQL-025",
    "SELECT {'t': email}.t = 'tok_x' AS z FROM customers": "FP-SQL-025",
    "SELECT (email, 1) = ('tok_x', 1) AS z FROM customers": "FP-SQL-025",
    "SELECT (email, 1) IN (('tok_x', 1)) AS z FROM customers": "FP-SQL-025",
    "SELECT list_contains([email], 'tok_x') AS z FROM customers": "FP-SQL-025",
    "SELECT list_position([email], 'tok_x') AS z FROM customers": "FP-SQL-025",
    "SELECT email IN ['tok_x'] AS z FROM customers": "FP-SQL-025",
    "SELECT 'tok_x' = ANY([email]) AS z FROM customers": "FP-SQL-025",
    "SELECT list_filter([email], x -> x = 'tok_x') AS z FROM customers": "FP-SQL-025",
    "SELECT len([x FOR x IN [email] IF x = 'tok_x']) AS z FROM customers": "FP-SQL-025",
    "SELECT list_has_any([email], ['tok_x']) AS z FROM customers": "FP-SQL-025",
    "SELECT list_intersect([email], ['tok_x']) AS z FROM customers": "FP-SQL-025",
    "SELECT map([email], [1])['tok_x'] AS z FROM customers": "FP-SQL-025",
    "SELECT map_contains(map([email], [1]), 'tok_x') AS z FROM customers": "FP-SQL-025",
    "SELECT to_json(email) = to_json('tok_x') AS z FROM customers": "FP-SQL-025",
    "SELECT (to_json({'t': email}) ->> 't') = 'tok_x' AS z FROM customers": "FP-SQL-025",
    "SELECT email[1] AS z FROM customers": "FP-SQL-025",
    "SELECT email[1:3] AS z FROM customers": "FP-SQL-025",
    "SELECT {'t': email}.t[1:3] AS z FROM customers": "FP-SQL-025",
    "SELECT email ILIKE 'tok%' AS z FROM customers": "FP-SQL-025",
    "SELECT email GLOB 'tok*' AS z FROM customers": "FP-SQL-025",
    "SELECT email SIMILAR TO 'tok.*' AS z FROM customers": "FP-SQL-025",
    "SELECT email.length() AS z FROM customers": "FP-SQL-025",
    "SELECT length(to_json(email)) AS z FROM customers": "FP-SQL-025",
    "SELECT list_transform([email], x -> length(x)) AS z FROM customers": "FP-SQL-025",
    "SELECT list_transform([email], x -> x < 'tok_m') AS z FROM customers": "FP-SQL-025",
    "SELECT list_reduce([email], (s, x) -> s || x) AS z FROM customers": "FP-SQL-025",
    "SELECT list_sort([email]) AS z FROM customers": "FP-SQL-025",
    "SELECT list_max([email]) AS z FROM customers": "FP-SQL-025",
    "SELECT array_to_string([email], ',') AS z FROM customers": "FP-SQL-025",
    "SELECT CAST([email] AS varchar) AS z FROM customers": "FP-SQL-025",
    "SELECT CAST(to_json({'t': email}) AS varchar) AS z FROM customers": "FP-SQL-025",
    "SELECT customer_id FROM customers ORDER BY {'t': email}": "FP-SQL-025",
    "SELECT array_agg(customer_id ORDER BY {'t': email}.t) AS z FROM customers": "FP-SQL-025",
    "SELECT [email] = [card_number] AS z FROM customers": "FP-SQL-026",
    "SELECT {'t': email} = {'t': card_number} AS z FROM customers": "FP-SQL-026",
    "SELECT list_contains([email], card_number) AS z FROM customers": "FP-SQL-026",
    "SELECT [email, card_number] AS z FROM customers": "FP-SQL-026",
    "SELECT [email, 'x'] AS z FROM customers": "FP-SQL-026",
    "SELECT [email] || [country] AS z FROM customers": "FP-SQL-026",
    "SELECT list_append([email], card_number) AS z FROM customers": "FP-SQL-026",
    # transforms stay where the source is read
    "SELECT list_transform([email], x -> email_domain(x)) AS z FROM customers": "FP-SQL-022",
    "SELECT email_domain({'e': email}.e) AS z FROM customers": "FP-SQL-022",
    "SELECT list_transform([email], x -> md5(x)) AS z FROM customers": "FP-SQL-025",
    # what can't be followed
    "SELECT list_transform([1], x -> (SELECT max(amount) FROM transactions)) AS z FROM customers": "FP-SQL-003",
    "SELECT json_extract(to_json({'a': 1}), '$.*') AS z FROM customers": "FP-SQL-013",
    "SELECT json_extract(to_json({'a': 1}), country) AS z FROM customers": "FP-SQL-013",
    "SELECT upper(x -> x) AS z FROM customers": "FP-SQL-003",
    "SELECT row() AS z FROM customers": "FP-SQL-011",
    "SELECT abs(x := 1) AS z FROM customers": "FP-SQL-0",
    "SELECT (customer_id, 1) IN ((1, 2, 3)) AS z FROM customers": "FP-SQL-014",
    "SELECT customer_id IN ((1, 2)) AS z FROM customers": "FP-SQL-014",
    "SELECT (customer_id, 1) <> ANY (SELECT 1 AS a FROM customers) AS z FROM customers": "FP-SQL-014",
    "SELECT struct_extract({'a': 1}, country) AS z FROM customers": "FP-SQL-003",
    "SELECT customer_id FROM customers WHERE unnest([true])": "FP-SQL-003",
    "SELECT list_transform([1], x -> unnest([x])) AS z FROM customers": "FP-SQL-003",
    "SELECT event_time AT TIME ZONE 'Europe/Prague' AS z FROM transactions": "FP-SQL-003",
    "SELECT a_macro(customer_id) AS z FROM customers": "FP-SQL-011",
    "SELECT pg_catalog.pg_read_file('x') AS z FROM customers": "FP-SQL-012",
    "SELECT country.query() AS z FROM customers": "FP-SQL-012",
    "SELECT country.read_csv() AS z FROM customers": "FP-SQL-011",
    "SELECT list_aggregate([customer_id], 'approx_count_distinct') AS z FROM customers": "FP-SQL-011",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_nothing_personal_gets_out_by_way_of_a_part(sql: str) -> None:
    with pytest.raises(GuardError, match=REFUSED[sql]):
        guarded(sql)


def test_a_whole_row_is_the_row_that_a_star_would_give() -> None:
    table = source("people", id="bigint pii:none", email="string pii:email", card="string pii:payment_card")
    query = guarded("SELECT p, p.email AS e, to_json(p) ->> 'id' AS i FROM people AS p", over=catalog(table))
    row, email, number = query.columns
    assert str(row.type) == "struct<id: bigint, email: string, card: string>"
    assert describe(row.labels) == "token(email, v1) + token(payment_card, v1)"
    assert describe(email.labels) == "token(email, v1)"
    assert describe(number.labels) == "clean"


def test_a_row_of_which_only_the_presence_counts_reads_nothing() -> None:
    query = guarded("SELECT count(c) AS n, bool_or(c IS NULL) AS m FROM customers AS c")
    assert [describe(column.labels) for column in query.columns] == ["clean", "clean"]
    assert "phone" not in query.sql("duckdb")


def test_a_macro_is_not_visible_and_the_message_says_so() -> None:
    with pytest.raises(GuardError, match="macros of a database are not visible here"):
        guarded("SELECT my_macro(country) AS z FROM customers")
