"""Views in SQL, services and whole projects: what they compile to, and every problem with its place."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from feature_platform.compiler import cache
from feature_platform.compiler.codec import decode, encode
from feature_platform.compiler.plan import CompiledProject
from feature_platform.compiler.project import cache_keys, compile_project, compile_query
from feature_platform.errors import CompileError
from feature_platform.governance.access import author_of
from feature_platform.governance.labels import describe
from feature_platform.registry.graph import Registry
from feature_platform.registry.load import load_registry
from tests.compiler.sql_projects import CARD_DAY, project, service, view

AGGREGATIONS = """
kind: feature_view
name: card_spend
entity: card
source: transactions
aggregations: [{function: sum, column: amount, windows: [1d]}]
"""
SEGMENTS = view("segments", "SELECT customer_id, updated_at, segment, email_domain(email) AS domain FROM customers",
                entity="customer", event_time="updated_at")  # fmt: skip


def problems(folder: Path, *documents: str) -> list[str]:
    """``code file:line:column`` of every problem."""
    with pytest.raises(CompileError) as caught:
        compile_project(project(folder, *documents))
    return [f"{problem.code} {problem.where}" for problem in caught.value.problems]


def test_a_view_publishes_keys_times_and_features_in_that_order(tmp_path: Path) -> None:
    document = view("card_day", CARD_DAY, more="available_at: ingested_at")
    compiled = compile_project(project(tmp_path, document)).views["card_day"]
    assert [(column.name, str(column.type)) for column in compiled.schema.columns] == [
        ("card_number", "string"),
        ("event_time", "timestamp"),
        ("available_at", "timestamp"),
        ("amount", "decimal(18,2)"),
        ("last4", "string"),
    ]
    assert [feature.name for feature in compiled.features] == ["amount", "last4"]
    assert compiled.materialize is not None
    assert [describe(column.labels) for column in compiled.materialize.columns][::4] == [
        "token(payment_card, v1)",
        "partial(payment_card, last4)",
    ]


def test_without_available_at_a_row_is_available_when_it_happened(tmp_path: Path) -> None:
    compiled = compile_project(project(tmp_path, view("card_day", CARD_DAY))).views["card_day"]
    assert compiled.materialize is not None
    assert compiled.materialize.sql["duckdb"].count('"rows"."event_time" AS') == 2
    assert [feature.name for feature in compiled.features] == ["ingested_at", "amount", "last4"]


def test_a_date_as_event_time_is_midnight(tmp_path: Path) -> None:
    sql = "SELECT card_number, day, amount FROM transactions"
    compiled = compile_project(project(tmp_path, view("card_day", sql, event_time="day"))).views["card_day"]
    assert compiled.materialize is not None
    assert 'CAST("rows"."day" AS TIMESTAMP) AS "event_time"' in compiled.materialize.sql["postgres"]


def test_a_partitioned_view_asks_for_the_bounds_of_its_partition(tmp_path: Path) -> None:
    more = "materialization: {partition: day, start: 2026-01-01}"
    compiled = compile_project(project(tmp_path, view("card_day", CARD_DAY, more=more))).views["card_day"]
    assert compiled.partitioned == "day"
    assert compiled.materialize is not None
    assert compiled.materialize.parameters == ("partition_end", "partition_start")
    for sql in compiled.materialize.sql.values():
        assert sql.endswith(
            'WHERE "rows"."event_time" >= CAST($partition_start AS TIMESTAMP) '
            'AND "rows"."event_time" < CAST($partition_end AS TIMESTAMP)'
        )


def test_a_view_on_a_view_carries_its_labels_and_changes_with_it(tmp_path: Path) -> None:
    upper = view("upper", "SELECT customer_id, event_time, upper(domain) AS domain FROM segments", entity="customer")
    compiled = compile_project(project(tmp_path / "a", SEGMENTS, upper)).views["upper"]
    assert describe(compiled.features[0].column.labels) == "partial(email, email_domain)"
    assert [str(ref) for ref in compiled.features[0].column.direct] == ["segments.domain"]
    changed = SEGMENTS.replace("segment, email", "lower(segment) AS segment, email")
    again = compile_project(project(tmp_path / "b", changed, upper)).views["upper"]
    assert again.fingerprint != compiled.fingerprint


def test_another_ttl_is_another_fingerprint(tmp_path: Path) -> None:
    plain = compile_project(project(tmp_path / "a", view("card_day", CARD_DAY))).views["card_day"]
    limited = compile_project(project(tmp_path / "b", view("card_day", CARD_DAY, more="ttl: 30d"))).views["card_day"]
    longer = compile_project(project(tmp_path / "c", view("card_day", CARD_DAY, more="ttl: 31d"))).views["card_day"]
    assert len({plain.fingerprint, limited.fingerprint, longer.fingerprint}) == 3


def test_a_description_changes_no_fingerprint(tmp_path: Path) -> None:
    plain = compile_project(project(tmp_path / "a", view("card_day", CARD_DAY))).views["card_day"]
    more = "description: Of a card.\nfeatures: {amount: {description: What was paid.}}"
    described = compile_project(project(tmp_path / "b", view("card_day", CARD_DAY, more=more))).views["card_day"]
    assert described.fingerprint == plain.fingerprint
    assert described.feature("amount").column.description == "What was paid."  # type: ignore[union-attr]


def test_a_view_without_its_key_does_not_compile(tmp_path: Path) -> None:
    document = view("card_day", "SELECT event_time, amount FROM transactions")
    assert problems(tmp_path, document) == ["FP-SQL-030 payments/part_0.yaml:6:3"]


def test_a_personal_key_must_be_the_token_of_its_class(tmp_path: Path) -> None:
    document = view("card_day", "SELECT last4(card_number) AS card_number, event_time, amount FROM transactions")
    assert problems(tmp_path, document) == ["FP-SQL-030 payments/part_0.yaml:6:3"]


def test_a_key_of_another_type_does_not_compile(tmp_path: Path) -> None:
    sql = "SELECT segment AS customer_id, updated_at, email FROM customers"
    document = view("segments", sql, entity="customer", event_time="updated_at")
    assert problems(tmp_path, document) == ["FP-SQL-030 payments/part_0.yaml:6:3"]


def test_a_time_column_that_is_not_selected_or_no_time_does_not_compile(tmp_path: Path) -> None:
    missing = view("missing", "SELECT card_number, amount FROM transactions")
    wrong = view("wrong", "SELECT card_number, amount, day FROM transactions", event_time="amount")
    assert problems(tmp_path, missing, wrong) == [
        "FP-SQL-031 payments/part_0.yaml:4:13",
        "FP-SQL-031 payments/part_1.yaml:4:13",
    ]


def test_a_contract_holds_the_query_to_its_names_and_types(tmp_path: Path) -> None:
    more = "features:\n  amount: {type: double}\n  amuont: {not_null: true}\n"
    assert problems(tmp_path, view("card_day", CARD_DAY, more=more)) == [
        "FP-SQL-032 payments/part_0.yaml:9:18",
        "FP-SQL-032 payments/part_0.yaml:10:11",
    ]


def test_names_of_the_platform_are_no_feature_names(tmp_path: Path) -> None:
    sql = 'SELECT card_number, day, event_time, amount AS fp_amount, amount AS "a b" FROM transactions'
    assert problems(tmp_path, view("card_day", sql, event_time="day")) == ["FP-SQL-033 payments/part_0.yaml:6:3"] * 3


def test_a_view_without_features_does_not_compile(tmp_path: Path) -> None:
    assert problems(tmp_path, view("card_day", "SELECT card_number, event_time FROM transactions")) == [
        "FP-SQL-033 payments/part_0.yaml:6:3"
    ]


def test_all_problems_come_together_but_not_those_that_only_follow(tmp_path: Path) -> None:
    broken = view(
        "broken",
        "SELECT customer_id, updated_at,\n  sgement FROM customers",
        entity="customer",
        event_time="updated_at",
    )
    follower = view("follower", "SELECT customer_id, event_time, sgement FROM broken", entity="customer")
    other = view("other", "SELECT card_number, event_time, random() AS r FROM transactions")
    asking = service("asking", "['follower:*']")
    assert problems(tmp_path, broken, follower, other, asking) == [
        "FP-SQL-006 payments/part_0.yaml:7:5",
        "FP-SQL-012 payments/part_2.yaml:6:35",
    ]


def test_a_service_gets_the_features_of_a_star(tmp_path: Path) -> None:
    registry = project(
        tmp_path,
        view("card_day", CARD_DAY),
        AGGREGATIONS,
        service("model", "['card_day:*', 'card_spend:amount_sum_1d']"),
    )
    compiled = compile_project(registry)
    assert compiled.services["model"].features == (
        ("card_day", "ingested_at"),
        ("card_day", "amount"),
        ("card_day", "last4"),
        ("card_spend", "amount_sum_1d"),
    )


def test_a_service_is_refused_a_label_that_its_purpose_may_not_have_at_any_distance(tmp_path: Path) -> None:
    far = view("far", "SELECT customer_id, event_time, lower(domain) AS domain FROM segments", entity="customer")
    asking = service("offers", "['far:domain']", purpose="marketing")
    with pytest.raises(CompileError) as caught:
        compile_project(project(tmp_path, SEGMENTS, far, asking))
    assert caught.value.code == "FP-SQL-041"
    assert "'far:domain' carries partial(email, email_domain) (from customers.email)" in str(caught.value)


def test_a_service_is_refused_a_feature_that_an_sql_view_does_not_have(tmp_path: Path) -> None:
    asking = service("model", "['card_day:amuont']")
    assert problems(tmp_path, view("card_day", CARD_DAY), asking) == ["FP-SQL-040 payments/part_1.yaml:4:13"]


def test_ad_hoc_sql_is_guarded_for_the_asker(tmp_path: Path) -> None:
    registry = project(tmp_path, SEGMENTS)
    compiled = compile_project(registry)
    marketing = compiled.author.with_purposes(["marketing"])
    query = compile_query(
        "SELECT segment, count(*) AS n FROM segments GROUP BY ALL",
        registry,
        compiled,
        compiled.author.with_purposes(["marketing"]),
    )
    assert [str(column.type) for column in query.columns] == ["string", "bigint"]
    with pytest.raises(CompileError, match="FP-SQL-028"):
        compile_query("SELECT domain FROM segments", registry, compiled, marketing)


def compiled_twice(folder: Path, *documents: str) -> tuple[CompiledProject, CompiledProject]:
    registry = project(folder / "defs", *documents)
    return compile_project(registry, cache=folder / "cache"), compile_project(registry, cache=folder / "cache")


def keys_of(registry: Registry) -> dict[str, str]:
    return cache_keys(registry, author_of(registry))


def test_what_comes_from_the_cache_is_what_was_compiled(tmp_path: Path) -> None:
    first, second = compiled_twice(tmp_path, SEGMENTS, AGGREGATIONS, view("card_day", CARD_DAY))
    assert first == second
    assert set(cache.load(tmp_path / "cache", keys_of(project(tmp_path / "defs")).values())) == set(
        keys_of(project(tmp_path / "defs")).values()
    )


def test_every_part_that_matters_changes_the_key(tmp_path: Path) -> None:
    registry = project(tmp_path, SEGMENTS)
    before = keys_of(registry)["segments"]
    platform = tmp_path / "platform.yaml"
    text = platform.read_text()
    for old, new in (
        ("segment: {type: string}", "segment: {type: string, description: A group.}"),
        ("transforms: [email_domain]", "transforms: []"),
        ("customer_id, type: bigint", "customer_id, type: int"),
    ):
        platform.write_text(text.replace(old, new))
        assert keys_of(project_again(tmp_path))["segments"] != before
    platform.write_text(text)
    assert keys_of(project_again(tmp_path))["segments"] == before


def project_again(folder: Path) -> Registry:
    return load_registry(folder)


def test_a_damaged_cache_is_a_miss_and_is_mended(tmp_path: Path) -> None:
    registry = project(tmp_path / "defs", SEGMENTS)
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / cache.FILE).write_bytes(b"this is no database" * 100)
    first = compile_project(registry, cache=folder)
    keys = list(keys_of(registry).values())
    assert list(cache.load(folder, keys)) == keys
    with sqlite3.connect(folder / cache.FILE) as connection:
        connection.execute("UPDATE compiled SET view = substr(view, 2)")
    assert cache.load(folder, keys) == {}
    assert compile_project(registry, cache=folder) == first


def test_a_cache_that_can_not_be_written_stops_nothing(tmp_path: Path) -> None:
    registry = project(tmp_path / "defs", SEGMENTS)
    file = tmp_path / "file"
    file.write_text("in the way")
    assert compile_project(registry, cache=file / "cache").views["segments"].name == "segments"


def _fill(folder: Path, start: int, compiled: CompiledProject) -> None:
    for number in range(start, start + 20):
        cache.save(folder, {f"key{number}": compiled.views["segments"]})


def test_processes_share_one_cache(tmp_path: Path) -> None:
    compiled = compile_project(project(tmp_path / "defs", SEGMENTS))
    folder = tmp_path / "cache"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_fill, args=(folder, start, compiled)) for start in (0, 20, 40)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(cache.load(folder, [f"key{number}" for number in range(60)])) == 60


def test_a_view_survives_the_way_through_text(tmp_path: Path) -> None:
    compiled = compile_project(project(tmp_path, SEGMENTS, AGGREGATIONS))
    for each in compiled.views.values():
        assert decode(encode(each)) == each


PRODUCTION_ONLY = """
kind: policy
name: places
owner: privacy@example.com
rules:
  - {classification: email, action: deny, environments: [production]}
"""
EMAILS = view(
    "emails", "SELECT customer_id, updated_at, email FROM customers", entity="customer", event_time="updated_at"
)


def test_a_rule_of_one_environment_decides_there_only(tmp_path: Path) -> None:
    registry = project(tmp_path / "defs", PRODUCTION_ONLY, EMAILS)
    assert compile_project(registry, environment="laptop").views["emails"].feature("email") is not None
    with pytest.raises(CompileError, match=r"email.* is denied"):
        compile_project(registry, environment="production")


def test_what_is_cached_in_one_environment_is_not_used_in_another_that_decides_otherwise(tmp_path: Path) -> None:
    registry = project(tmp_path / "defs", PRODUCTION_ONLY, EMAILS)
    compile_project(registry, environment="laptop", cache=tmp_path)
    with pytest.raises(CompileError, match=r"email.* is denied"):
        compile_project(registry, environment="production", cache=tmp_path)
    keys = [cache_keys(registry, author_of(registry, place)) for place in ("laptop", "desk", "production")]
    assert keys[0] == keys[1] != keys[2]


def test_a_profile_has_an_environment_of_its_own_or_is_one(tmp_path: Path) -> None:
    registry = project(tmp_path)
    assert registry.platform.environment_of() == "embedded"
    profile = registry.platform.profiles["embedded"].model_copy(update={"environment": "test"})
    platform = registry.platform.model_copy(update={"profiles": {"embedded": profile}})
    assert platform.environment_of("embedded") == "test"
