"""Sessions on a small project with a personal key, a ttl, derived features and two purposes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import feature_platform
from feature_platform.errors import FeaturePlatformError, GuardError, StoreError, UsageError
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from feature_platform.sdk.sql_spine import Sql

CARD = "4111111111111111"
OTHER = "5500005555555559"
NOW = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)

PROJECT = """
kind: platform
name: cards
purposes: {fraud: Stopping fraud., offers: Making offers.}
profiles:
  embedded:
    stores: {warehouse: {type: duckdb_delta}, redis: {type: redis}}
---
kind: policy
name: privacy
owner: team:privacy
rules:
  - {classification: payment_card, action: token}
  - {classification: birth_date, purposes: [fraud], action: deny, transforms: [birth_year]}
---
kind: domain
name: cards
owner: team:cards
---
kind: entity
name: card
keys: [{name: card_number, type: string, pii: payment_card}]
---
kind: source
name: payments
domain: cards
path: payments.parquet
event_time: paid_at
key: [payment_id]
columns:
  payment_id: {type: bigint, pii: none}
  paid_at: {type: timestamp, pii: none}
  card_number: {type: string, pii: payment_card}
  amount: {type: "decimal(18,2)", pii: none}
---
kind: source
name: holders
domain: cards
path: holders.parquet
event_time: updated_at
columns:
  card_number: {type: string, pii: payment_card}
  updated_at: {type: timestamp, pii: none}
  birth_date: {type: date, pii: birth_date}
  level: {type: string, pii: none}
  joined_on: {type: date, pii: none}
---
kind: feature_view
name: spend
domain: cards
entity: card
source: payments
aggregations:
  - {function: sum, column: amount, windows: [30d], default: 0}
  - {function: count, windows: [30d], description: How many payments.}
  - {function: max, column: paid_at, windows: [30d], name: newest}
materialization: {offline: warehouse, online: redis}
---
kind: feature_view
name: holder
domain: cards
description: Who holds the card.
entity: card
event_time: updated_at
ttl: 10d
sql: SELECT card_number, updated_at, level, joined_on FROM holders
materialization: {offline: warehouse, online: redis}
---
kind: feature_view
name: birth
domain: cards
entity: card
purposes: [fraud]
event_time: updated_at
sql: SELECT card_number, updated_at, birth_year(birth_date) AS year FROM holders
materialization: {offline: warehouse, online: redis}
---
kind: feature_view
name: history
domain: cards
entity: card
event_time: updated_at
sql: SELECT card_number, updated_at, level AS old_level FROM holders
materialization: {offline: warehouse}
---
kind: feature_view
name: check
domain: cards
entity: card
inputs: [spend]
request: {price: "decimal(18,2)"}
derived:
  - {name: after, expression: spend.amount_sum_30d + price}
  - {name: is_first, expression: spend.count_30d = 0}
---
kind: feature_service
name: scoring
domain: cards
purpose: fraud
features: ["spend:*", "holder:level", "birth:year", "check:*"]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sdk") / "cards"
    (folder / ".fp" / "data").mkdir(parents=True)
    (folder / "all.yaml").write_text(PROJECT, encoding="utf-8")
    payments = {
        "payment_id": [1, 2, 3],
        "paid_at": [NOW - 20 * DAY, NOW - 2 * DAY, NOW - DAY],
        "card_number": [CARD, CARD, OTHER],
        "amount": [Decimal("10.00"), Decimal("2.50"), Decimal("7.00")],
    }
    holders = {
        "card_number": [CARD, CARD, OTHER],
        "updated_at": [NOW - 25 * DAY, NOW - 5 * DAY, NOW - 15 * DAY],
        "birth_date": [date(1980, 1, 1), date(1980, 1, 1), date(1990, 6, 1)],
        "level": ["silver", "gold", "bronze"],
        "joined_on": [date(2020, 1, 1)] * 3,
    }
    pq.write_table(pa.table(payments).cast(decimals(payments)), folder / ".fp" / "data" / "payments.parquet")
    pq.write_table(pa.table(holders), folder / ".fp" / "data" / "holders.parquet")
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(STATE_VARIABLE, raising=False)
        yield folder


def decimals(columns: dict[str, Any]) -> pa.Schema:
    schema = pa.table(columns).schema
    return schema.set(schema.get_field_index("amount"), pa.field("amount", pa.decimal128(18, 2)))


@pytest.fixture(scope="module")
def project(root: Path) -> Iterator[Project]:
    with Project.open(root) as opened:
        report = materialize(opened, as_of=NOW)
        assert report.ok, report.of("failed")
        yield opened


@pytest.fixture(scope="module")
def store(project: Project) -> FeatureStore:
    return FeatureStore(project, purpose="fraud")


def spine(**columns: Any) -> pa.Table:
    return pa.table({"card_number": [CARD, OTHER, CARD], "at": [NOW - DAY, NOW, NOW - 10 * DAY], **columns})


def test_connect_opens_a_session_that_needs_a_known_purpose(root: Path) -> None:
    with feature_platform.connect(root, purpose="fraud") as session:
        assert session.purpose == "fraud"
    with pytest.raises(UsageError, match=r"FP-SDK-001: .*Did you mean 'fraud'"):
        feature_platform.connect(root, purpose="frauds")


def test_rows_come_back_in_order_with_features_of_their_time(store: FeatureStore) -> None:
    rows = store.training_set(spine(note=["a", "b", "c"]), ["spend:count_30d", "holder:level"], time="at").to_arrow()
    assert rows.drop_columns(["card_number", "at"]).to_pylist() == [
        {"note": "a", "spend__count_30d": 2, "holder__level": "gold"},
        {"note": "b", "spend__count_30d": 1, "holder__level": None},  # older than the ttl
        {"note": "c", "spend__count_30d": 1, "holder__level": None},
    ]


def test_times_come_back_in_utc_and_other_columns_as_they_were(store: FeatureStore) -> None:
    naive = pa.array([NOW] * 3, pa.timestamp("ms"))
    rows = store.training_set(spine(naive=naive), ["spend:newest_30d", "holder:joined_on"], time="at").to_arrow()
    utc = pa.timestamp("us", tz="UTC")
    assert {field.name: field.type for field in rows.schema} == {
        "card_number": pa.string(),
        "at": utc,
        "naive": pa.timestamp("ms"),
        "spend__newest_30d": utc,
        "holder__joined_on": pa.date32(),
    }


def test_card_numbers_come_back_as_tokens_and_tokens_are_taken_back(store: FeatureStore) -> None:
    first = store.training_set(spine(), ["spend:count_30d"], time="at").to_arrow()
    assert all(token.startswith("tok_payment_card_v1_") for token in first["card_number"].to_pylist())
    again = store.training_set(first.drop_columns(["spend__count_30d"]), ["spend:count_30d"], time="at").to_arrow()
    assert again == first


def test_the_same_rows_in_every_library(store: FeatureStore, tmp_path: Path) -> None:
    table = spine()
    pq.write_table(table, tmp_path / "spine.parquet")
    expected = store.training_set(table, ["spend:*"], time="at").to_arrow()
    for given in (table.to_pandas(), pl.from_arrow(table), table.to_reader(), tmp_path / "spine.parquet"):
        assert store.training_set(given, ["spend:*"], time="at").to_arrow() == expected
    result = store.training_set(table, ["spend:*"], time="at")
    assert result.reader().read_all() == expected
    assert isinstance(result.to_pandas(), pd.DataFrame)
    assert result.to_polars().shape == (3, 5)


def test_columns_tell_type_label_and_origin(store: FeatureStore) -> None:
    result = store.training_set(spine(), ["spend:amount_sum_30d", "birth:year"], time="at")
    assert [column.name for column in result.columns] == ["card_number", "at", "spend__amount_sum_30d", "birth__year"]
    total, year = result.features
    assert (total.type, {str(ref) for ref in total.direct}) == ("decimal(38,2)", {"payments.amount"})
    assert str(year) == "birth__year: int (partial(birth_date, birth_year))"
    assert year.transforms == {"birth_year"}
    assert str(result.column("card_number")) == "card_number: string (token(payment_card, v1))"


def test_a_feature_tells_what_is_personal_behind_it_and_who_uses_it(store: FeatureStore) -> None:
    (year,) = store.features("birth:year")
    assert {str(origin) for origin in year.origins} == {"holders.birth_date"}
    assert (year.transforms, year.purposes, year.services) == (("birth_year",), ("fraud",), ("scoring",))


def test_nothing_is_read_before_somebody_asks(store: FeatureStore) -> None:
    result = store.training_set(spine(), ["spend:count_30d"], time="at")
    with result.reader() as reader:
        assert reader.schema.names == ["card_number", "at", "spend__count_30d"]


def test_an_empty_spine_gives_an_empty_training_set(store: FeatureStore) -> None:
    rows = store.training_set(spine().slice(0, 0), ["spend:*"], time="at").to_arrow()
    assert (rows.num_rows, rows.num_columns) == (0, 5)


def test_a_null_key_keeps_its_row_with_empty_answers(store: FeatureStore) -> None:
    table = pa.table({"card_number": pa.array([None], pa.string()), "at": [NOW]})
    rows = store.training_set(table, ["spend:count_30d", "spend:amount_sum_30d"], time="at").to_arrow().to_pylist()
    assert rows[0]["spend__count_30d"] == 0
    assert rows[0]["spend__amount_sum_30d"] == 0
    assert rows[0]["card_number"] is None


def test_a_long_spine_keeps_its_order_over_many_batches(store: FeatureStore) -> None:
    rows = 150_000
    long = pa.table(
        {"n": range(rows), "card_number": [CARD, OTHER] * (rows // 2), "at": [NOW - DAY, NOW] * (rows // 2)}
    )
    result = store.training_set(long, ["spend:count_30d"], time="at").to_arrow()
    assert result["n"].to_pylist() == list(range(rows))
    assert result["spend__count_30d"].to_pylist() == [2, 1] * (rows // 2)


def test_a_spine_that_asks_often_gets_what_one_that_asks_once_gets(store: FeatureStore) -> None:
    """The first is merged with the published rows, the second is compared with them row by row."""
    features = ["holder:*", "history:*", "birth:year", "spend:count_30d"]
    once = spine(kept=[1, 2, 3])
    often = pa.concat_tables([once] * 20)
    rows = store.training_set(once, features, time="at").to_arrow().to_pylist()
    assert [row["holder__level"] for row in rows] == ["gold", None, None]
    assert [row["history__old_level"] for row in rows] == ["gold", "bronze", "silver"]
    assert store.training_set(often, features, time="at").to_arrow().to_pylist() == rows * 20


def test_the_plan_says_what_decides_how_published_rows_are_joined(store: FeatureStore) -> None:
    plans = [
        store.training_set(given, [feature], time="at").plan
        for given, feature in (
            (spine(), "holder:level"),
            (Sql('SELECT card_number, paid_at AS "at" FROM payments'), "holder:level"),
            (spine(), "spend:count_30d"),
        )
    ]
    joins = [plan.join for plan in plans if plan]
    rule = "pairs if the spine asks at most 3 times about an entity on average and 16 times about any, else"
    assert all(join.startswith(rule) for join in joins[:2])
    assert joins[0].endswith("the spine is measured before the statement, of a long one each part")
    assert joins[1].endswith("the statement measures the spine")
    assert joins[2] == ""


def test_unknown_features_are_refused_together_with_the_nearest(store: FeatureStore) -> None:
    with pytest.raises(UsageError) as caught:
        store.training_set(spine(), ["spent:*", "spend:count_30", "spend", "scorin"], time="at")
    assert len(caught.value.problems) == 4
    text = str(caught.value)
    assert "Did you mean 'spend'?" in text
    assert "Did you mean 'count_30d'?" in text
    assert "'spend:*'" in text


def test_a_spine_without_key_or_request_is_refused(store: FeatureStore) -> None:
    with pytest.raises(UsageError) as caught:
        store.training_set(pa.table({"card": [CARD], "at": [NOW]}), ["scoring"], time="at")
    assert {problem.code for problem in caught.value.problems} == {"FP-SDK-011"}
    assert len(caught.value.problems) == 2


def test_a_purpose_gets_only_what_its_labels_allow(project: Project) -> None:
    offers = FeatureStore(project, purpose="offers")
    assert offers.training_set(spine(), ["spend:*"], time="at").to_arrow().num_rows == 3
    with pytest.raises(UsageError, match="FP-SDK-003"):
        offers.training_set(spine(), ["birth:year"], time="at")
    with pytest.raises(UsageError, match="purpose 'fraud'"):
        offers.online("scoring", {"card_number": CARD, "price": 1})
    assert {info.name.partition(":")[0] for info in offers.features()} == {"spend", "holder", "history", "check"}


def test_features_are_found_by_all_words_of_name_description_and_owner(store: FeatureStore) -> None:
    assert [info.name for info in store.features("payments count")] == ["spend:count_30d"]
    assert [info.name for info in store.features("who holds LEVEL")] == ["holder:level"]
    assert store.features("nothing like it") == []
    (found,) = store.features("amount_sum_30d")
    assert found.description == "sum of amount over 30d"
    assert len(store.features("team:cards")) == len(store.features())


def test_an_online_vector_has_values_statuses_and_times(store: FeatureStore) -> None:
    vector = store.online("scoring", {"card_number": CARD, "price": 1.25})[0]
    assert vector.values == {
        "spend__amount_sum_30d": Decimal("12.50"),
        "spend__count_30d": 2,
        "spend__newest_30d": (NOW - 2 * DAY).replace(tzinfo=UTC),
        "holder__level": "gold",
        "birth__year": 1980,
        "check__after": Decimal("13.75"),
        "check__is_first": False,
    }
    assert set(vector.statuses.values()) == {"present"}
    assert vector.event_times["holder__level"] == (NOW - 5 * DAY).replace(tzinfo=UTC)
    assert vector.event_times["check__after"] == NOW.replace(tzinfo=UTC)
    assert vector.entity["card_number"].startswith("tok_payment_card_v1_")


def test_many_vectors_keep_the_order_of_entities_and_their_repeats(store: FeatureStore) -> None:
    token = store.project.tokens.token("payment_card", OTHER)
    cards = [CARD, OTHER, "4000000000000002", None, token, CARD]
    vectors = store.online("scoring", [{"card_number": card, "price": 0} for card in cards])
    assert [vector.values["spend__count_30d"] for vector in vectors] == [2, 1, 0, 0, 1, 2]
    assert [vector.statuses["spend__count_30d"] for vector in vectors] == [
        "present", "present", "missing", "missing", "present", "present",
    ]  # fmt: skip
    assert [vector.values["check__is_first"] for vector in vectors] == [False, False, True, True, False, False]
    assert vectors.to_arrow().num_rows == 6
    assert vectors.to_dict()["spend__count_30d"] == [2, 1, 0, 0, 1, 2]
    assert vectors.latency > timedelta(0)


def test_a_vector_table_has_the_declared_types(store: FeatureStore) -> None:
    table = store.online("scoring", [{"card_number": "unknown", "price": 1}]).to_arrow()
    assert table.schema.field("spend__newest_30d").type == pa.timestamp("us", tz="UTC")
    assert (
        table.schema.field("check__after").type == store.project.compiled.views["check"].features[0].column.type.arrow()
    )


def test_a_row_beyond_its_ttl_is_not_used(store: FeatureStore) -> None:
    vector = store.online(["holder:level"], {"card_number": OTHER})[0]
    assert vector.values == {"holder__level": None}
    assert vector.statuses["holder__level"] in ("expired", "missing")


def test_what_an_entity_has_to_bring_is_told(store: FeatureStore) -> None:
    assert {name: str(kind) for name, kind in store.online_inputs("scoring").items()} == {
        "card_number": "string",
        "price": "decimal(18,2)",
    }


def test_faults_of_all_entities_are_reported_together_without_values(store: FeatureStore) -> None:
    with pytest.raises(UsageError) as caught:
        store.online("scoring", [{"card_number": CARD}, {"card_number": 4111111111111111, "price": "much"}])
    assert [problem.code for problem in caught.value.problems] == ["FP-SDK-021"] * 3
    assert "4111" not in str(caught.value)


def test_a_view_without_online_store_can_not_be_read_online(store: FeatureStore) -> None:
    with pytest.raises(UsageError, match=r"FP-SDK-020: view 'history'"):
        store.online(["history:old_level"], {"card_number": CARD})


def test_sql_gives_tokens_and_aware_times(store: FeatureStore) -> None:
    rows = store.sql("SELECT card_number, paid_at, amount FROM payments ORDER BY payment_id").to_arrow()
    assert rows.schema.field("paid_at").type == pa.timestamp("us", tz="UTC")
    assert rows["amount"].to_pylist() == [Decimal("10.00"), Decimal("2.50"), Decimal("7.00")]
    assert rows["card_number"][0].as_py() == store.project.tokens.token("payment_card", CARD)


def test_sql_gives_structs_maps_and_lists_and_json_as_text(store: FeatureStore) -> None:
    result = store.sql(
        "SELECT {'card': card_number, 'amount': amount} AS s, MAP {'k': amount} AS m, [{'at': paid_at}] AS l, "
        "to_json({'amount': amount}) AS j FROM payments ORDER BY payment_id"
    )
    rows = result.to_arrow()
    assert rows.schema == pa.schema(
        [
            ("s", pa.struct([("card", pa.string()), ("amount", pa.decimal128(18, 2))])),
            ("m", pa.map_(pa.string(), pa.decimal128(18, 2))),
            ("l", pa.list_(pa.struct([("at", pa.timestamp("us", tz="UTC"))]))),
            ("j", pa.string()),
        ]
    )
    token = store.project.tokens.token("payment_card", CARD)
    assert rows["s"][0].as_py() == {"card": token, "amount": Decimal("10.00")}
    assert rows["j"][0].as_py() == '{"amount":10.00}'
    assert [str(column) for column in result.columns][1:] == [
        "m: map<string, decimal(18,2)> (clean)",
        "l: array<struct<at: timestamp>> (clean)",
        "j: json (clean)",
    ]
    assert len(result.to_pandas()) == 3
    assert result.to_polars().height == 3


@pytest.mark.parametrize(
    "query",
    [
        "SELECT birth_date FROM holders",
        "SELECT holders FROM holders",
        "SELECT to_json(holders) FROM holders",
        "SELECT list_transform([1], lambda x: birth_date) FROM holders",
        "SELECT * FROM read_parquet('*.parquet')",
        "SELECT 1; DROP TABLE payments",
        "COPY payments TO 'x'",
        "SELECT * FROM duckdb_secrets()",
        "SELECT fp_token('email', level) FROM holders",
        'SELECT * FROM "sources"."holders"',
    ],
)
def test_sql_reaches_nothing_that_is_closed(store: FeatureStore, query: str) -> None:
    with pytest.raises(GuardError):
        store.sql(query)


def test_a_query_over_a_view_that_was_never_published_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    with (
        feature_platform.connect(root, purpose="fraud") as fresh,
        pytest.raises(StoreError, match="fp materialize holder"),
    ):
        fresh.sql("SELECT COUNT(*) AS n FROM holder")


def test_a_value_that_does_not_fit_is_refused_without_being_quoted(store: FeatureStore) -> None:
    with pytest.raises(FeaturePlatformError) as caught:
        store.online("scoring", {"card_number": CARD, "price": Decimal("99999999999999999.99")})
    assert "9999" not in str(caught.value)
