"""Both engines notice and classify the same values as the patterns do in Python."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.governance.detection.patterns import ENCODED, LONG_NUMBER, PATTERNS, SUSPICIOUS
from feature_platform.monitoring.pii_statements import ALL_HITS, SAMPLE, ScannedColumn, class_hits, noticed, samples
from feature_platform.monitoring.staged_table import StagedTable
from feature_platform.stores.protocols import Warehouse
from feature_platform.types import STRING
from tests.governance.samples import card
from tests.monitoring.staging import case

COLUMN = ScannedColumn("v", STRING)

noise = st.text(st.sampled_from("@%40\uff20+-./: abAB0123456789ž\n"), max_size=24)
likely = st.one_of([st.from_regex(pattern) for pattern in (*PATTERNS.values(), SUSPICIOUS, LONG_NUMBER)]).filter(
    lambda text: "\0" not in text and text.isprintable()
)


def staged(warehouse: Warehouse, values: list[str | None]) -> StagedTable:
    made = case(warehouse, {"v": values})
    return StagedTable(made.warehouse, made.staged)


def test_engines_see_what_the_patterns_see(every_warehouse: Warehouse) -> None:
    examples = 3 if every_warehouse.engine == "doris" else 8  # a double is slow

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.none() | noise | likely, min_size=1, max_size=60))
    def check(values: list[str | None]) -> None:
        table = staged(every_warehouse, values)
        present = [value for value in values if value is not None]
        suspicious = [value for value in present if re.search(SUSPICIOUS, value)]
        long = [value for value in present if re.search(LONG_NUMBER, value)]
        (counts,) = table.rows(noticed(table, [COLUMN]))
        assert counts == {"rows_counted": len(values), "suspicious_0": len(suspicious), "long_0": len(long)}
        rows = table.rows(class_hits(table, COLUMN, (*PATTERNS, *ENCODED)))
        (everything,) = (row for row in rows if row["classification"] == ALL_HITS)
        coarse = Counter(value for value in present if value in suspicious or value in long)
        for name, pattern in {**PATTERNS, **ENCODED}.items():
            found = {value: count for value, count in coarse.items() if re.search(pattern, value)}
            (total,) = (row for row in rows if row["classification"] == name and row["value"] is None)
            sampled = {
                row["value"]: row["rows_found"] for row in rows if row["classification"] == name and row["value"]
            }
            assert (total["distinct_values"], total["rows_found"]) == (len(found), sum(found.values())), name
            assert sampled == found, name
        assert (everything["distinct_values"], everything["rows_found"]) == (len(coarse), sum(coarse.values()))

    check()


def test_the_sample_is_bounded_and_the_count_is_not(every_warehouse: Warehouse) -> None:
    cards = sorted({card() for _ in range(300)})
    rows = staged_rows(every_warehouse, [*cards, "4" + "0" * 15])
    total = next(row for row in rows if row["value"] is None)
    assert (total["distinct_values"], total["passing_luhn"]) == (len(cards) + 1, len(cards))
    assert len(rows) == 2 + SAMPLE  # the class, all hits


def staged_rows(warehouse: Warehouse, values: list[str | None]) -> list[dict[str, object]]:
    table = staged(warehouse, values)
    return table.rows(class_hits(table, COLUMN, ("payment_card",)))


def test_values_are_sampled_from_each_column_once(every_warehouse: Warehouse) -> None:
    made = case(every_warehouse, {"a": ["same words"] * 50 + [None], "b": [f"text {n}" for n in range(51)]})
    table = StagedTable(made.warehouse, made.staged)
    rows = table.rows(samples(table, [ScannedColumn("a", STRING), ScannedColumn("b", STRING)]))
    first = [(row["value"], row["distinct_values"], row["rows_found"]) for row in rows if row["place"] == 0]
    assert first == [("same words", 1, 50)]
    assert {(row["distinct_values"], row["rows_found"]) for row in rows if row["place"] == 1} == {(51, 51)}
    assert len(rows) == 52
