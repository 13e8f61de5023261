"""Training sets as a whole: what they ask of a spine, snapshots, derived features, several views at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.compiler.plan import CompiledProject, CompiledQuery
from feature_platform.compiler.project import compile_project
from feature_platform.compiler.training import compile_training_set, training_columns
from feature_platform.errors import CompileError
from feature_platform.registry.cron import parse_cron
from feature_platform.registry.graph import Registry
from feature_platform.specs.durations import Duration
from tests.compiler.event_project import (
    EVENT_COLUMNS,
    VARIANTS,
    Session,
    at,
    event,
    open_sessions,
    project,
    schema_of,
    source_yaml,
)
from tests.compiler.reference_windows import feature, newest_tick

SPINE = {"fp_row": "bigint", "card": "string", "shop_id": "bigint", "at": "timestamp", "asked": "decimal(20,2)"}
VIEWS = """
kind: feature_view
name: spend
entity: card
source: corrected
aggregations:
  - {function: sum, column: amount, windows: [1h, 1d]}
  - {function: count, windows: [1h], where: "label = 'x'", name: marked}
  - {function: last, column: label, windows: [1d], default: none yet}
---
kind: feature_view
name: shop_spend
entity: card_at_shop
source: corrected
keys: {shop_id: shop}
aggregations:
  - {function: count, windows: [all]}
---
kind: feature_view
name: profile
entity: card
event_time: happened
sql: SELECT card, happened, label FROM corrected
---
kind: feature_view
name: hourly
entity: card
source: corrected
accuracy: snapshot
materialization: {schedule: "@hourly"}
aggregations:
  - {function: count, windows: [1d]}
  - {function: time_since_last, windows: [1d]}
---
kind: feature_view
name: working_days
entity: card
source: corrected
accuracy: snapshot
materialization: {schedule: "30 6 * * mon-fri"}
aggregations:
  - {function: count, windows: [1d]}
---
kind: feature_view
name: by_key
entity: card
source: corrected
aggregations:
  - {function: sum, column: amount, group: label, windows: [all], name: labels}
  - {function: last, column: label, group: shop, windows: [all], name: shops}
  - {function: count, group: flag, windows: [all], name: flags}
---
kind: feature_view
name: keys
entity: card
inputs: [by_key]
derived:
  - {name: share, expression: "labels_all['é'] / (labels_all['é'] + coalesce(labels_all['c'], 0))"}
  - {name: total, expression: "labels_all['é']"}
  - {name: newest, expression: "shops_all[1]"}
  - {name: flagged, expression: "map_contains(flags_all, true)"}
  - {name: nothing, expression: "labels_all IS NULL"}
---
kind: feature_view
name: ratio
entity: card_at_shop
inputs: [spend, shop_spend]
request: {asked: "decimal(20,2)"}
derived:
  - {name: of_day, expression: "amount_sum_1h / spend.amount_sum_1d"}
  - {name: with_asked, expression: "coalesce(amount_sum_1h, 0) + asked"}
---
kind: feature_view
name: on_top
entity: card
inputs: [hourly, profile]
derived:
  - {name: doubled, expression: "count_1d * 2"}
  - {name: known, expression: "label IS NOT NULL"}
"""


@dataclass(frozen=True)
class Compiled:
    registry: Registry
    project: CompiledProject

    def training(self, *wanted: str, spine: Mapping[str, str] | None = None) -> CompiledQuery:
        features = [(view, name) for view, name in (each.split(":") for each in wanted)]
        return compile_training_set(self.registry, self.project, features, schema_of(spine or SPINE), time="at")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    registry = project(tmp_path_factory.mktemp("training"), source_yaml("corrected", VARIANTS["corrected"]), VIEWS)
    return Compiled(registry, compile_project(registry))


@pytest.fixture(scope="module")
def sessions(postgres_url: str) -> Iterator[Sequence[Session]]:
    with open_sessions(postgres_url) as opened:
        yield opened


def paid(number: int, card: str, happened: str, amount: int, **values: Any) -> dict[str, Any]:
    """An event with its own key, known at once."""
    row = event(
        id=str(number), part=1, card=card, shop=1, happened=at(happened), told=at(happened), amount=Decimal(amount)
    )
    return row | values


def asked(card: str | None, moment: str | None, amount: int = 0) -> dict[str, Any]:
    return {"card": card, "shop_id": 1, "at": at(moment) if moment else None, "asked": Decimal(amount)}


def answers(
    sessions: Sequence[Session], query: CompiledQuery, events: Sequence[dict[str, Any]], spine: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of the training set, which both engines agree on."""
    profile = {"card": "string", "event_time": "timestamp", "available_at": "timestamp", "label": "string"}
    found = []
    for session in sessions:
        session.put("sources", "corrected", EVENT_COLUMNS, events)
        rows = [
            {"card": row["card"], "label": row["label"]}
            | dict.fromkeys(("event_time", "available_at"), row["happened"])
            for row in events
        ]
        session.put("features", "profile", profile, rows)
        session.put("inputs", "training_spine", SPINE, [{"fp_row": number, **row} for number, row in enumerate(spine)])
        sql = query.sql[session.engine].replace('"inputs"."spine"', '"inputs"."training_spine"')
        found.append(session.run(sql))
    assert found[0] == found[1]
    return found[0]


def test_every_spine_row_comes_back_once_in_its_order(compiled: Compiled, sessions: Sequence[Session]) -> None:
    events = [paid(1, "a", "2024-01-01T10:00:00", 5), paid(2, "a", "2024-01-01T10:30:00", 7)]
    spine = [asked("a", "2024-01-01T11:00:00"), asked(None, "2024-01-01T11:00:00"), asked("a", None)]
    spine += [asked("b", "2024-01-01T11:00:00"), asked("a", "2024-01-01T11:00:00"), asked("a", "2024-01-01T10:00:00")]
    found = answers(sessions, compiled.training("spend:amount_sum_1h", "spend:marked_1h"), events, spine)
    assert [(row["fp_row"], row["spend__amount_sum_1h"], row["spend__marked_1h"]) for row in found] == [
        (0, 12, 0),
        (1, None, 0),
        (2, None, 0),
        (3, None, 0),
        (4, 12, 0),
        (5, None, 0),
    ]


def test_columns_come_in_the_order_asked_for(compiled: Compiled, sessions: Sequence[Session]) -> None:
    wanted = ["profile:label", "ratio:with_asked", "spend:marked_1h", "hourly:count_1d", "spend:amount_sum_1h"]
    query = compiled.training(*wanted)
    names = ["fp_row", *(each.replace(":", "__") for each in wanted)]
    assert [column.name for column in query.columns] == names
    assert list(answers(sessions, query, [], [asked("a", "2024-01-01")])[0]) == names


def test_a_feature_asked_for_twice_is_given_once(compiled: Compiled) -> None:
    assert len(compiled.training("spend:marked_1h", "spend:marked_1h").columns) == 2


def test_views_of_several_entities_meet_in_one_row(compiled: Compiled, sessions: Sequence[Session]) -> None:
    events = [paid(1, "a", "2024-01-01T10:00:00", 5, label="x"), paid(2, "a", "2024-01-01T09:45:00", 6, shop=2)]
    query = compiled.training("shop_spend:count_all", "spend:amount_sum_1h", "spend:marked_1h", "profile:label")
    row = answers(sessions, query, events, [asked("a", "2024-01-01T10:30:00")])[0]
    assert [*row.values()] == [0, 1, 11, 1, "x"]


def test_derived_features_read_keys_of_maps_on_both_engines(compiled: Compiled, sessions: Sequence[Session]) -> None:
    events = [
        paid(1, "a", "2024-01-01T10:00:00", 5, label="é", flag=True),
        paid(2, "a", "2024-01-01T10:10:00", 15, label="c", flag=False),
        paid(3, "b", "2024-01-01T10:10:00", 7, label="é"),
    ]
    spine = [
        asked(card, moment) for card in ("a", "b", "c") for moment in ("2024-01-01T10:05:00", "2024-01-01T11:00:00")
    ]
    query = compiled.training("keys:share", "keys:total", "keys:newest", "keys:flagged", "keys:nothing")
    assert [str(column.type) for column in query.columns[1:]] == [
        "double",
        "decimal(38,2)",
        "string",
        "boolean",
        "boolean",
    ]
    assert [[*row.values()][1:] for row in answers(sessions, query, events, spine)] == [
        [1.0, 5, "é", True, False],
        [0.25, 5, "c", True, False],
        [None, None, None, None, True],
        [1.0, 7, "é", None, False],
        [None, None, None, None, True],
        [None, None, None, None, True],
    ]


def test_a_correction_is_unknown_before_it_is_told(compiled: Compiled, sessions: Sequence[Session]) -> None:
    first = paid(1, "a", "2024-01-01T10:00:00", 5)
    corrected = first | {"amount": Decimal(50), "told": at("2024-01-01T10:20:00")}
    moved = first | {"card": "b", "told": at("2024-01-01T10:40:00")}
    spine = [asked(card, f"2024-01-01T10:{minute}:00") for minute in (10, 20, 40) for card in ("a", "b")]
    found = answers(sessions, compiled.training("spend:amount_sum_1h"), [moved, first, corrected], spine)
    assert [row["spend__amount_sum_1h"] for row in found] == [5, None, 50, None, None, 5]


def test_a_correction_that_loses_its_event_time_takes_the_event_away(
    compiled: Compiled, sessions: Sequence[Session]
) -> None:
    first = paid(1, "a", "2024-01-01T10:00:00", 5)
    lost = first | {"happened": None, "told": at("2024-01-01T10:20:00")}
    same_time = paid(2, "b", "2024-01-01T10:00:00", 6)
    spine = [
        asked("a", "2024-01-01T10:19:59.999999"),
        asked("a", "2024-01-01T10:20:00"),
        asked("b", "2024-01-01T10:20:00"),
    ]
    # Told at the same instant, a version with a time wins over one without.
    events = [first, lost, same_time, same_time | {"happened": None}]
    found = answers(sessions, compiled.training("spend:amount_sum_1h"), events, spine)
    assert [row["spend__amount_sum_1h"] for row in found] == [5, None, 6]


def test_an_event_counts_from_just_after_it_happened_until_its_window_is_over(
    compiled: Compiled, sessions: Sequence[Session]
) -> None:
    events = [paid(1, "a", "2024-02-29T10:00:00", 5)]
    times = ["10:00:00", "10:00:00.000001", "11:00:00", "11:00:00.000001"]
    found = answers(
        sessions, compiled.training("spend:amount_sum_1h"), events, [asked("a", f"2024-02-29T{time}") for time in times]
    )
    assert [row["spend__amount_sum_1h"] for row in found] == [None, 5, 5, None]


def test_a_default_stands_in_for_no_event(compiled: Compiled, sessions: Sequence[Session]) -> None:
    row = answers(sessions, compiled.training("spend:label_last_1d"), [], [asked("a", "2024-01-01")])[0]
    assert row["spend__label_last_1d"] == "none yet"


def test_derived_features_bring_their_inputs_along(compiled: Compiled, sessions: Sequence[Session]) -> None:
    events = [paid(1, "a", "2024-01-01T09:59:59", 5), paid(2, "a", "2024-01-01T08:00:00", 15)]
    events[0]["label"] = "x"
    query = compiled.training("on_top:doubled", "ratio:of_day", "on_top:known")
    found = answers(
        sessions, query, events, [asked("a", "2024-01-01T10:30:00", 100), asked("b", "2024-01-01T10:30:00", 1)]
    )
    assert [[row[name] for name in ("on_top__doubled", "ratio__of_day", "on_top__known")] for row in found] == [
        [4, 0.25, True],
        [0, None, False],
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.lists(st.tuples(st.integers(0, 6_000), st.integers(-1, 1)), max_size=12),
    questions=st.lists(st.tuples(st.integers(0, 9_000), st.integers(-1, 1)), min_size=1, max_size=8),
)
def test_a_snapshot_is_as_of_the_newest_tick(
    compiled: Compiled, sessions: Sequence[Session], minutes: list[tuple[int, int]], questions: list[tuple[int, int]]
) -> None:
    def moment(of: tuple[int, int]) -> datetime:
        return at("2024-05-02T22:00:00") + timedelta(minutes=of[0] // 10 * 10, microseconds=of[1])

    events = [
        event(
            id=str(number),
            part=1,
            card="a",
            happened=moment(each),
            told=moment(each) + timedelta(minutes=10 * (number % 3)),
        )
        for number, each in enumerate(minutes)
    ]
    spine = [{"card": "a", "shop_id": 1, "at": moment(each), "asked": None} for each in questions]
    query = compiled.training("hourly:count_1d", "hourly:time_since_last_1d", "working_days:count_1d")
    found = answers(sessions, query, events, spine)
    source = compiled.registry.sources["corrected"].spec
    for row, question in zip(found, spine, strict=True):
        for name, value in row.items():
            if name == "fp_row":
                continue
            view, _, feature_name = name.partition("__")
            spec = compiled.registry.views[view].spec
            cron = parse_cron(str(spec.storage.schedule))
            tick = newest_tick(
                lambda t, c=cron: c.ticks_on(t.date()) and t.hour in c.hours and t.minute in c.minutes, question["at"]
            )  # type: ignore[misc]
            line = next(each for each in spec.aggregations if feature_name.startswith(each.base_name))
            wanted = feature(events, source, line, Duration.parse("1d"), tick, entity={"card": "a"}, conditions={})
            assert value == (float(wanted) if isinstance(value, float) else wanted)


def test_everything_that_a_spine_lacks_is_told_at_once(compiled: Compiled) -> None:
    with pytest.raises(CompileError) as error:
        compiled.training(
            "ratio:with_asked", "shop_spend:count_all", spine={"fp_row": "bigint", "crd": "string", "at": "bigint"}
        )
    assert [problem.code for problem in error.value.problems] == ["FP-AGG-011"] * 3 + ["FP-AGG-012"]
    assert "Did you mean 'crd'?" in str(error.value)


def test_a_key_of_another_type_is_refused(compiled: Compiled) -> None:
    with pytest.raises(CompileError, match="'card' is bigint, not string"):
        compiled.training("spend:marked_1h", spine=SPINE | {"card": "bigint"})


def test_unknown_features_are_told_with_what_is_near(compiled: Compiled) -> None:
    with pytest.raises(CompileError) as error:
        training_columns(compiled.project, [("spend", "amount_sum_2h"), ("spent", "x")])
    assert "'amount_sum_1h'" in str(error.value)
    assert "'spend'" in str(error.value)


def test_only_the_tables_that_are_needed_are_read(compiled: Compiled) -> None:
    assert [str(ref) for ref in compiled.training("on_top:doubled").reads] == ["sources.corrected"]
    assert [str(ref) for ref in compiled.training("on_top:known").reads] == ["features.profile"]


def test_one_engine_is_enough_where_one_is_asked_for(compiled: Compiled) -> None:
    query = compile_training_set(
        compiled.registry, compiled.project, [("spend", "marked_1h")], schema_of(SPINE), time="at", engines=["postgres"]
    )
    assert list(query.sql) == ["postgres"]


def test_a_name_with_a_quote_in_it_stays_a_name(compiled: Compiled, tmp_path: Path) -> None:
    spine = SPINE | {'a"t': "timestamp"}
    query = compile_training_set(
        compiled.registry, compiled.project, [("spend", "marked_1h")], schema_of(spine), time='a"t'
    )
    assert all('s."a""t"' in sql for sql in query.sql.values())
