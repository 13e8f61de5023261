"""What Dagster is told about a project."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from feature_platform.orchestration.factory import build_definitions, definitions_of
from feature_platform.orchestration.schedules import RANGE_START
from tests.orchestration.builders import (
    CARD_MODEL,
    DAILY_SPEND,
    LAST_PAYMENT,
    PAYMENT_RATIO,
    PAYMENT_SIZE,
    Workplace,
    inherited,
    utc,
)

SHOPS = """
    kind: domain
    name: shops
    owner: team:shops
    ---
    kind: feature_view
    name: large_payment
    entity: card
    sql: SELECT card_id, event_time, is_large AS was_large FROM payment_size
    event_time: event_time
    materialization: {offline: warehouse}
"""


def specs_of(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def deps_of(spec: dg.AssetSpec) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in spec.deps}


@pytest.fixture
def definitions(cards: Workplace) -> dg.Definitions:
    cards.write(LAST_PAYMENT, PAYMENT_SIZE, DAILY_SPEND, PAYMENT_RATIO, CARD_MODEL)
    return build_definitions(cards.root)


def test_each_view_is_an_asset_per_store_and_the_graph_is_the_lineage(definitions: dg.Definitions) -> None:
    assert {key: deps_of(spec) for key, spec in specs_of(definitions).items()} == {
        "sources/transactions": set(),
        "warehouse/payments/last_payment": {"sources/transactions"},
        "redis/payments/last_payment": {"warehouse/payments/last_payment"},
        "warehouse/payments/payment_size": {"warehouse/payments/last_payment"},
        "warehouse/payments/daily_spend": {"sources/transactions"},
        "redis/payments/daily_spend": {"warehouse/payments/daily_spend"},
        "derived/payments/payment_ratio": {"warehouse/payments/last_payment", "redis/payments/last_payment"},
        "services/card_model": {
            "warehouse/payments/last_payment",
            "redis/payments/last_payment",
            "warehouse/payments/daily_spend",
            "redis/payments/daily_spend",
        },
    }


def test_every_dependency_is_an_asset_of_the_location(definitions: dg.Definitions) -> None:
    specs = specs_of(definitions)
    assert {dep for spec in specs.values() for dep in deps_of(spec)} <= set(specs)
    dg.Definitions.validate_loadable(definitions)


def test_columns_carry_their_labels_and_a_service_those_of_its_vector(definitions: dg.Definitions) -> None:
    specs = specs_of(definitions)
    schema = specs["warehouse/payments/last_payment"].metadata["dagster/column_schema"]
    carried = {column.name: column.tags.get("pii") for column in schema.columns}
    assert carried["shop_domain"] == "partial(email, email_domain)"
    assert specs["services/card_model"].metadata["labels"] == "partial(email, email_domain)"
    derived = specs["derived/payments/payment_ratio"].metadata
    assert [column.name for column in derived["dagster/column_schema"].columns] == ["is_larger"]
    (origin,) = derived["dagster/column_lineage"].deps_by_column["is_larger"]
    assert (origin.asset_key.to_user_string(), origin.column_name) == ("warehouse/payments/last_payment", "amount")


def test_sources_and_derived_views_have_nothing_to_run(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    external = {key.to_user_string() for key in graph.get_all_asset_keys() if not graph.get(key).is_executable}
    assert external == {"sources/transactions", "derived/payments/payment_ratio"}


def test_owner_domain_kind_tag_description_and_fingerprint_are_shown(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT)
    project = cards.open()
    spec = specs_of(definitions_of(project))["warehouse/payments/last_payment"]
    assert (spec.owners, spec.group_name, spec.kinds) == (["team:payments"], "payments", {"duckdb", "delta"})
    assert spec.tags["tier"] == "gold"
    assert spec.tags["fp/schedule"] == "daily"
    assert spec.description == "What the card paid last."
    assert project.compiled.views["last_payment"].fingerprint.startswith(spec.code_version or "none")


def test_columns_carry_type_description_and_privacy_labels(definitions: dg.Definitions) -> None:
    schema = specs_of(definitions)["warehouse/payments/last_payment"].metadata["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    assert list(columns) == ["card_id", "event_time", "available_at", "amount", "note", "shop_domain"]
    assert (columns["amount"].type, columns["amount"].description) == ("decimal(18,2)", "As authorised.")
    assert columns["shop_domain"].tags == {"pii": "partial(email, email_domain)"}
    assert columns["amount"].tags == {}


def test_an_aggregation_that_nobody_described_says_what_it_computes(cards: Workplace) -> None:
    lines = """
      - {function: count, windows: [1d], offset: 7d, where: amount > 10}
      - {function: max, column: amount, windows: [all], description: The dearest.}"""
    cards.write(DAILY_SPEND.replace("\n      - {function: count, windows: [1d]}", lines))
    schema = specs_of(definitions_of(cards.open()))["warehouse/payments/daily_spend"].metadata["dagster/column_schema"]
    assert {column.name: column.description for column in schema.columns if column.description} == {
        "amount_sum_1d": "sum of amount over 1d",
        "amount_sum_7d": "sum of amount over 7d",
        "count_1d_offset_7d": "count over 1d, ending 7d before, where amount > 10",
        "amount_max_all": "The dearest.",
    }


def test_a_source_shows_its_classifications(definitions: dg.Definitions) -> None:
    schema = specs_of(definitions)["sources/transactions"].metadata["dagster/column_schema"]
    assert {column.name: dict(column.tags) for column in schema.columns if column.tags} == {"email": {"pii": "email"}}


def test_column_lineage_leads_to_the_source_and_online_to_the_history(definitions: dg.Definitions) -> None:
    specs = specs_of(definitions)
    offline = specs["warehouse/payments/last_payment"].metadata["dagster/column_lineage"].deps_by_column
    online = specs["redis/payments/last_payment"].metadata["dagster/column_lineage"].deps_by_column
    source = dg.AssetKey(["sources", "transactions"])
    assert offline["shop_domain"] == [dg.TableColumnDep(source, "email")]
    history = dg.AssetKey(["warehouse", "payments", "last_payment"])
    assert online["shop_domain"] == [dg.TableColumnDep(history, "shop_domain")]


def test_a_view_is_linked_to_the_line_of_its_document(definitions: dg.Definitions, cards: Workplace) -> None:
    metadata = specs_of(definitions)["warehouse/payments/payment_size"].metadata
    (reference,) = metadata["dagster/code_references"].code_references
    line = reference.line_number
    assert metadata["definition"] == f"payments/views.yaml:{line}"
    written = Path(reference.file_path).read_text().splitlines()
    assert written[line : line + 2][-1] == "name: payment_size" or "kind: feature_view" in written[line - 1]


def test_every_check_is_inside_the_op_of_its_asset_and_blocks(definitions: dg.Definitions) -> None:
    asset = definitions.resolve_assets_def(["warehouse", "payments", "last_payment"])
    checks = {check.name: check.blocking for check in asset.check_specs}
    assert checks == dict.fromkeys(["schema", "keys_not_null", "keys_unique", "row_count", "value_ranges", "pii"], True)


def test_views_of_one_cron_are_scheduled_together_with_their_partitions(definitions: dg.Definitions) -> None:
    (schedule,) = definitions.get_repository_def().schedule_defs
    context = dg.build_schedule_context(scheduled_execution_time=utc(2026, 1, 4).astimezone())
    requests = schedule.evaluate_tick(context).run_requests or []
    keys = {key.to_user_string() for request in requests for key in request.asset_selection or []}
    assert keys == {
        f"{store}/payments/{view}" for store in ("warehouse", "redis") for view in ("last_payment", "daily_spend")
    }
    assert RANGE_START in requests[0].tags


def test_a_location_of_some_domains_has_the_rest_as_external_assets(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, PAYMENT_SIZE, CARD_MODEL.replace("daily_spend:amount_sum_1d", "payment_size:is_large"))
    cards.write(SHOPS, file="shops/views.yaml")
    limited = build_definitions(cards.root, domains=["shops"])
    graph = limited.resolve_asset_graph()
    executable = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).is_executable}
    assert executable == {"warehouse/shops/large_payment"}
    assert deps_of(specs_of(limited)["warehouse/shops/large_payment"]) <= set(specs_of(limited))


def test_locations_of_all_domains_have_together_what_one_of_all_has(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, PAYMENT_SIZE)
    cards.write(SHOPS, file="shops/views.yaml")
    every = set(specs_of(build_definitions(cards.root)))
    parts = [set(specs_of(build_definitions(cards.root, domains=[name]))) for name in ("payments", "shops")]
    assert set().union(*parts) == every


def test_keys_that_come_to_one_name_get_different_ops(cards: Workplace) -> None:
    there = "{offline: postgres, online: postgres}"
    both = LAST_PAYMENT.replace('{offline: warehouse, online: redis, schedule: "@daily"}', there)
    owner = "kind: domain\nname: payments__last_payment\nowner: team:a\n"
    cards.write(both)
    cards.write(owner, both.replace("name: last_payment", "name: online"), file="payments__last_payment/views.yaml")
    definitions = build_definitions(cards.root)
    dg.Definitions.validate_loadable(definitions)
    keys = (["postgres", "payments", "last_payment", "online"], ["postgres", "payments__last_payment", "online"])
    assert len({definitions.resolve_assets_def(key).op.name for key in keys}) == 2


def test_loading_what_is_compiled_imports_no_engine_and_no_detector(cards: Workplace) -> None:
    cards.write(LAST_PAYMENT, DAILY_SPEND)
    cards.open().close()  # compiling asks an engine whether it understands each query
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from feature_platform.orchestration.factory import build_definitions\n"
        f"build_definitions(Path({str(cards.root)!r}))\n"
        "heavy = {'duckdb', 'pyarrow', 'pandas', 'polars', 'presidio_analyzer', 'redis', 'psycopg'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=inherited(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_hundred_views_load_in_seconds(cards: Workplace) -> None:
    cards.write(*(LAST_PAYMENT.replace("last_payment", f"view_{number}") for number in range(100)))
    project = cards.open()
    begin = time.process_time()
    dg.Definitions.validate_loadable(definitions_of(project))
    assert time.process_time() - begin < 5
