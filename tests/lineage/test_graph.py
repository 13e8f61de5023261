"""Lineage of the example project: edges, masks, labels of services, origins."""

from __future__ import annotations

from dataclasses import replace

from feature_platform.governance.labels import Label
from feature_platform.lineage.graph import Edge, Lineage, view_column
from feature_platform.registry.graph import ColumnRef, TableRef


def source(table: str, column: str) -> ColumnRef:
    return ColumnRef(TableRef("source", table), column)


def test_the_walk_agrees_with_the_compiler_about_every_edge(lineage: Lineage) -> None:
    silent = [
        (str(ref), str(edge.origin)) for ref in lineage.columns for edge in lineage.edges(ref) if not edge.subtypes
    ]
    assert silent == []


def test_a_sum_over_a_window_says_what_flows_and_what_decides(lineage: Lineage) -> None:
    edges = {
        edge.origin: (edge.kind, edge.subtypes) for edge in lineage.edges(view_column("card_habits", "refunded_30d"))
    }
    assert edges[source("transactions", "amount")] == ("DIRECT", ("AGGREGATION",))
    assert edges[source("transactions", "card_number")] == ("INDIRECT", ("GROUP_BY", "FILTER"))
    assert edges[source("transactions", "status")] == ("INDIRECT", ("FILTER",))


def test_a_map_flows_from_its_keys_and_its_values(lineage: Lineage) -> None:
    edges = {
        edge.origin: (edge.kind, edge.subtypes) for edge in lineage.edges(view_column("card_spend", "by_category_30d"))
    }
    assert edges[source("transactions", "amount")][0] == "DIRECT"
    assert edges[source("transactions", "merchant_category")][0] == "DIRECT"
    assert edges[source("transactions", "is_refund")][0] == "INDIRECT"


def test_a_column_as_it_is_keeps_its_identity_and_a_classified_one_never_does(lineage: Lineage) -> None:
    (product,) = lineage.edges(view_column("card_profile", "product"))
    assert product == Edge(source("cards", "product"), "DIRECT", ("IDENTITY",), masking=False)
    (key,) = lineage.edges(view_column("card_profile", "card_number"))
    assert key == Edge(source("cards", "card_number"), "DIRECT", ("TRANSFORMATION",), masking=True)


def test_every_edge_from_a_classified_column_is_masked_and_no_other(lineage: Lineage) -> None:
    for ref in lineage.columns:
        for edge in lineage.edges(ref):
            assert edge.masking == (lineage.classification(edge.origin) is not None)


def test_a_value_that_was_handed_out_raw_is_not_said_to_be_masked(lineage: Lineage) -> None:
    view = lineage.compiled.views["card_profile"]
    assert view.materialize is not None
    key, *others = view.materialize.columns
    raw = replace(key, labels=frozenset({Label("raw", "payment_card")}))
    changed = replace(view, materialize=replace(view.materialize, columns=(raw, *others)))
    exposed = Lineage(lineage.registry, replace(lineage.compiled, views={**lineage.compiled.views, view.name: changed}))
    (edge,) = exposed.edges(view_column("card_profile", "card_number"))
    assert not edge.masking


def test_a_service_carries_what_its_features_carry(lineage: Lineage) -> None:
    carried = {str(label) for label in lineage.service_labels("fraud_model")}
    one_by_one = {
        str(label)
        for view, feature in lineage.compiled.services["fraud_model"].features
        for label in lineage.columns[view_column(view, feature)].labels
    }
    assert carried == one_by_one
    assert "partial(payment_card, bin6)" in carried


def test_personal_columns_behind_a_feature_are_found_at_any_distance(lineage: Lineage) -> None:
    origins = lineage.origins(view_column("payment_check", "times_average"))
    assert source("transactions", "card_number") in origins
    assert all(lineage.classification(origin) for origin in origins)
