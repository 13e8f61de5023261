"""Spines that are queries: guarded, computed with the features where both lie in one store, shipped where not."""

from __future__ import annotations

from datetime import UTC

import pyarrow as pa
import pytest

from feature_platform import Sql
from feature_platform.errors import GuardError, Location, UsageError
from feature_platform.project.project import Project
from feature_platform.sdk.client import FeatureStore
from tests.sdk.two_stores import (
    CARDS,
    EVERYTHING,
    Data,
    Reference,
    differences,
)

KEYS = "card_number, customer_id, event_time, price"
LABELS = f"SELECT label_id, {KEYS}, fraud, score FROM labels"


@pytest.fixture
def store(both_stores: Project) -> FeatureStore:
    return FeatureStore(both_stores, purpose="fraud")


def test_a_query_gives_the_rows_of_a_training_set(store: FeatureStore, data: Data) -> None:
    query = Sql(f"{LABELS} WHERE score > 0 ORDER BY event_time DESC, label_id")
    rows = store.training_set(query, ["spend:*", "last_payment:amount"]).to_arrow().to_pylist()
    wanted = sorted((each for each in data.labels if each["score"] > 0), key=lambda row: row["label_id"])
    wanted.sort(key=lambda row: row["event_time"], reverse=True)
    assert [row["label_id"] for row in rows] == [row["label_id"] for row in wanted]
    assert [row["score"] for row in rows] == [row["score"] for row in wanted]
    reference = Reference(store.project, data)
    for row, given in zip(rows, wanted, strict=True):
        expected = reference.row(given["card_number"], None, given["event_time"], None)
        names = [name for name in row if name.startswith(("spend__", "last_payment__"))]
        assert differences(row, {name: expected[name] for name in names}) == {}
        assert row["event_time"] == given["event_time"].replace(tzinfo=UTC)
        assert row["card_number"].startswith("tok_payment_card_v1_")


@pytest.mark.parametrize(
    ("features", "order"),
    [
        (["spend:*", "share:*"], "label_id"),  # one statement in DuckDB
        (["browsing:*", "last_click:*"], "label_id DESC"),  # rows from DuckDB, shipped to PostgreSQL
        (list(EVERYTHING), "event_time, label_id"),  # everything there is
    ],
)
def test_a_query_gives_what_its_rows_as_a_table_give(store: FeatureStore, features: list[str], order: str) -> None:
    query = f"SELECT {KEYS}, label_id FROM labels ORDER BY {order}"
    asked = store.training_set(Sql(query), features)
    rows = asked.to_arrow()
    given = store.training_set(store.sql(query).to_arrow(), features)
    assert rows.equals(given.to_arrow())
    assert [each.name for each in asked.columns] == [each.name for each in given.columns] == rows.column_names
    assert [each.role for each in asked.columns] == [each.role for each in given.columns]


def test_rows_and_features_in_postgresql_are_one_statement_there(store: FeatureStore, data: Data) -> None:
    query = Sql("SELECT churn_id, customer_id, event_time, left_us FROM churn ORDER BY churn_id DESC")
    rows = store.training_set(query, ["browsing:*", "last_click:seconds"]).to_arrow().to_pylist()
    assert [row["churn_id"] for row in rows] == [row["churn_id"] for row in reversed(data.churn)]
    reference = Reference(store.project, data)
    for row, given in zip(rows, reversed(data.churn), strict=True):
        expected = reference.row(None, given["customer_id"], given["event_time"], None)
        names = [name for name in row if name.startswith(("browsing__", "last_click__"))]
        assert differences(row, {name: expected[name] for name in names}) == {}
        assert row["left_us"] == given["left_us"]


@pytest.mark.parametrize(
    ("query", "features", "store_name", "how"),
    [
        (LABELS, ["spend:count_1h"], "warehouse", "the query is part of the statement"),
        ("SELECT * FROM churn", ["browsing:count_1d"], "server", "the query is part of the statement"),
        (
            LABELS,
            ["browsing:count_1d"],
            "server",
            "rows of the query are streamed to 'server': its rows lie in 'warehouse'",
        ),
        (
            "SELECT * REPLACE (CAST(customer_id AS double) AS customer_id) FROM churn",
            ["browsing:count_1d"],
            "server",
            "rows of the query are streamed to 'server': 'customer_id' is checked on its way from double to bigint",
        ),
    ],
)
def test_the_plan_says_how_rows_and_features_come_together(
    store: FeatureStore, query: str, features: list[str], store_name: str, how: str
) -> None:
    plan = store.training_set(Sql(query), features).plan
    assert plan is not None
    assert (plan.store, plan.spine) == (store_name, how)


def test_a_query_needs_no_table(store: FeatureStore) -> None:
    query = Sql("SELECT 1 AS customer_id, TIMESTAMP '2026-03-20 00:00:00' AS event_time UNION ALL SELECT 2, NULL")
    assert store.training_set(query, ["browsing:count_30d"]).to_arrow().num_rows == 2


def test_a_key_that_is_no_token_becomes_one_on_the_way(store: FeatureStore) -> None:
    query = f"SELECT '{CARDS[0]}' AS card_number, TIMESTAMP '2026-03-20 00:00:00' AS event_time"
    result = store.training_set(Sql(query), ["spend:*"])
    given = store.training_set(store.sql(query).to_arrow(), ["spend:*"])
    assert result.to_arrow().equals(given.to_arrow())
    assert result.to_arrow()["card_number"].to_pylist()[0].startswith("tok_")
    assert str(result.column("card_number")) == "card_number: string (token(payment_card, v1))"


def test_a_key_that_could_lose_something_is_refused_as_in_a_table(store: FeatureStore) -> None:
    half = Sql("SELECT 1.5 AS customer_id, TIMESTAMP '2026-03-20 00:00:00' AS event_time")
    with pytest.raises(UsageError, match="FP-SDK-012"):
        store.training_set(half, ["browsing:count_1d"]).to_arrow()


def test_labels_and_lineage_of_the_query_stay_with_the_columns(store: FeatureStore) -> None:
    query = Sql(f"SELECT {KEYS}, email_domain(email) AS domain, score + label_id AS mixed FROM labels WHERE fraud")
    result = store.training_set(query, ["spend:count_1h", "share:after"])
    domain, mixed, count, after = (
        result.column(name) for name in ("domain", "mixed", "spend__count_1h", "share__after")
    )
    assert {str(label) for label in domain.labels} >= {"partial(email, email_domain)"}
    assert domain.transforms == {"email_domain"}
    assert {str(ref) for ref in mixed.direct} == {"labels.score", "labels.label_id"}
    assert {"labels.fraud", "labels.event_time", "labels.card_number"} <= {str(ref) for ref in count.indirect}
    assert "labels.price" in {str(ref) for ref in after.direct}
    assert "labels.price" not in {str(ref) for ref in count.direct}


def test_what_goes_into_a_request_value_goes_into_what_is_derived_from_it(store: FeatureStore) -> None:
    price = "CAST(length(email_domain(email)) AS decimal(18,2)) AS price"
    result = store.training_set(
        Sql(f"SELECT card_number, event_time, {price} FROM labels"), ["share:after", "share:quiet"]
    )
    assert "partial(email, email_domain)" in {str(label) for label in result.column("share__after").labels}
    assert "partial(email, email_domain)" not in {str(label) for label in result.column("share__quiet").labels}


@pytest.mark.parametrize(
    ("query", "code", "place"),
    [
        (f"SELECT {KEYS},\n  email_name FROM labels", "FP-", (2, 3)),
        ("DELETE FROM labels", "FP-", (1, 1)),
        (f"SELECT {KEYS},\n  upper(email) AS e FROM labels", "FP-", (2, 9)),
        ("SELECT email AS card_number, event_time FROM labels", "FP-SDK-014", (1, 8)),
        ("SELECT\n last4(card_number) AS card_number, event_time FROM labels", "FP-SDK-014", (2, 2)),
        ("SELECT event_time, customer_id FROM labels", "FP-SDK-011", (1, 1)),
        ("SELECT card_number, fraud AS event_time FROM labels", "FP-SDK-012", (1, 1)),
        (f"SELECT {KEYS}, 1 AS Spend__Count_1h FROM labels", "FP-SDK-013", (1, 1)),
        (f"SELECT {KEYS},\n last4(card_number) AS l FROM labels", "FP-SQL-043", (1, 8)),
    ],
)
def test_what_is_wrong_with_a_query_is_told_at_its_place(
    store: FeatureStore, query: str, code: str, place: tuple[int, int]
) -> None:
    with pytest.raises((GuardError, UsageError)) as caught:
        store.training_set(Sql(query, Location("spine.sql")), ["spend:count_1h"])
    problem = next(each for each in caught.value.problems if each.code.startswith(code))
    assert problem.where is not None
    assert (problem.where.file, problem.where.line, problem.where.column) == ("spine.sql", *place)


def test_forms_of_one_value_do_not_meet_in_query_and_features(store: FeatureStore) -> None:
    query = "SELECT customer_id, event_time FROM labels"
    assert store.training_set(Sql(query), ["issuer:bin"]).column("issuer__bin").transforms == {"bin6"}
    for text in (f"{query} WHERE last4(card_number) = '1111'", query.replace(",", ", last4(card_number) AS l,")):
        with pytest.raises(UsageError, match="FP-SDK-003: bin6 and last4 of payment_card together"):
            store.training_set(Sql(text), ["issuer:bin"])


def test_the_purpose_decides_what_a_query_may_read(both_stores: Project) -> None:
    offers = FeatureStore(both_stores, purpose="offers")
    query = Sql("SELECT customer_id, event_time, email FROM labels")
    with pytest.raises(GuardError, match="email"):
        offers.training_set(query, ["browsing:count_1d"])
    with pytest.raises(UsageError, match="FP-SDK-003"):
        offers.training_set(Sql("SELECT card_number, event_time FROM labels"), ["spend:count_1h"])


def test_what_the_engine_of_the_rows_lacks_is_told_at_its_place(store: FeatureStore) -> None:
    query = "SELECT customer_id, event_time,\n  list_transform([churn_id], lambda x: x + 1) AS l FROM churn"
    for features in (["browsing:count_1d"], ["daily:count_7d"]):
        with pytest.raises(GuardError) as caught:
            store.training_set(Sql(query), features)
        problem = caught.value.problems[0]
        assert problem.where is not None
        assert (problem.where.line, "postgres" in problem.what.lower()) == (2, True)


def test_an_empty_query_gives_an_empty_training_set(store: FeatureStore) -> None:
    for features in (["spend:*"], ["browsing:*"]):
        rows = store.training_set(Sql(f"SELECT {KEYS} FROM labels WHERE label_id < 0"), features).to_arrow()
        assert rows.num_rows == 0
        assert rows.column_names[:4] == KEYS.split(", ")


def test_every_read_computes_anew(store: FeatureStore) -> None:
    result = store.training_set(Sql(f"SELECT {KEYS} FROM labels ORDER BY label_id"), ["browsing:count_1d"])
    first = result.to_arrow()
    assert isinstance(first, pa.Table)
    assert result.to_arrow().equals(first)
