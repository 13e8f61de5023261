"""What the models promise on their own."""

from __future__ import annotations

from datetime import datetime

import pytest
from pydantic import BaseModel

from feature_platform.specs import fields, messages, models
from feature_platform.specs.loader import parse
from feature_platform.specs.models import Aggregation, FeatureView


def _view(text: str) -> FeatureView:
    report = parse(f"kind: feature_view\nname: v\nentity: e\n{text}".encode(), "a.yaml")
    assert not report.problems
    spec = report.documents[0].spec
    assert isinstance(spec, FeatureView)
    return spec


def _line(text: str) -> Aggregation:
    return _view(f"source: s\naggregations: [{{{text}}}]\n").aggregations[0]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("function: sum, column: amount, windows: [1h, 30d]", ["amount_sum_1h", "amount_sum_30d"]),
        ("function: count, windows: [all]", ["count_all"]),
        ("function: count, column: fee, windows: [1d]", ["fee_count_1d"]),
        ("function: count_distinct, column: m, windows: [7d], name: merchants", ["merchants_7d"]),
        ("function: time_since_last, windows: [4w]", ["time_since_last_4w"]),
    ],
)
def test_a_feature_is_named_after_column_function_and_window(line: str, names: list[str]) -> None:
    aggregation = _line(line)
    assert [aggregation.feature_name(window) for window in aggregation.windows] == names


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 31)),
        ("2026-01-31T06:00:00", datetime(2026, 1, 31, 6)),
        ("2026-01-31T06:00:00+02:00", datetime(2026, 1, 31, 4)),
        ("2026-01-31 06:00:00.000001Z", datetime(2026, 1, 31, 6, 0, 0, 1)),
    ],
)
def test_a_time_is_in_utc(written: str, meant: datetime) -> None:
    view = _view(f"sql: SELECT 1\nmaterialization: {{partition: day, start: {written}}}\n")
    assert view.storage.start == meant


def test_a_view_goes_to_the_warehouse_unless_it_says_otherwise() -> None:
    assert _view("sql: SELECT 1\n").storage.offline == "warehouse"
    assert _view("sql: SELECT 1\nmaterialization: {offline: null}\n").storage.offline is None


def test_a_derived_view_is_stored_nowhere() -> None:
    view = _view("request: {a: int}\nderived: [{name: b, expression: a + 1}]\n")
    assert view.storage.offline is None
    assert view.storage.online_stores == ()


def _models() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = []
    for name in models.__all__:
        value = getattr(models, name)
        if isinstance(value, type) and issubclass(value, BaseModel):
            found.append(value)
    return found


@pytest.mark.parametrize("model", _models(), ids=lambda model: model.__name__)
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    silent = [
        name for name, field in model.model_fields.items() if not field.description and name not in ("kind", "type")
    ]
    assert silent == []


def test_every_pattern_has_words_for_authors() -> None:
    patterns = {value for name, value in vars(fields).items() if name.endswith("_PATTERN")}
    assert patterns == set(messages.PATTERN_WORDS)
