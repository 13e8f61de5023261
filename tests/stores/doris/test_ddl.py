"""What is sent to make and change tables: golden texts, and the server's rules held before it is asked.

``FP_RENEW=1 pytest tests/stores/doris/test_ddl.py`` writes the golden files again; read the difference.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.errors import StoreError
from feature_platform.stores.doris import ddl
from feature_platform.stores.doris.evolution import evolve
from feature_platform.stores.doris.names import LABEL, TABLE_NAME, label, physical, quoted, text
from feature_platform.stores.doris.tables import (
    Buckets,
    DorisColumn,
    DorisTable,
    Duplicate,
    RangePartition,
    RangePartitioning,
    Unique,
)
from feature_platform.stores.protocols import TableName
from feature_platform.types import DataType

GOLDEN = Path(__file__).with_name("golden")
NAME = TableName("fp_features", "card_spend")
JUNE_30 = datetime.fromisoformat("2026-06-30T00:00:00")
DAY = timedelta(days=1)


def column(name: str, kind: str, **options: object) -> DorisColumn:
    return DorisColumn(name, DataType.parse(kind), **options)  # type: ignore[arg-type]


CARD = column("card", "string", nullable=False, text_bytes=128, comment="Token of the card [pii: token(payment_card)]")
EVENT_TIME = column("event_time", "timestamp", nullable=False)
SPEND = column("spend_30d", "decimal(18,2)", comment="What the card's holder said: \\ 'it's 5'\nand more")
AVAILABLE = column("available_at", "timestamp")
DAYS = tuple(RangePartition(f"p{20260629 + n}", JUNE_30 + (n - 1) * DAY, JUNE_30 + n * DAY) for n in range(2))

FEATURES = DorisTable(
    NAME,
    (CARD, EVENT_TIME, AVAILABLE, SPEND),
    Unique(("card", "event_time"), sequence="available_at"),
    Buckets(16, ("card",)),
    RangePartitioning("event_time", "day", DAYS),
    comment="Spend per card",
    properties={"compression": "zstd"},
)
EVERYTHING = DorisTable(
    TableName("fp_features", "everything"),
    (
        column("key", "bigint"),
        column("read", "boolean"),
        column("rows", "int"),
        column("range", "double"),
        column("money", "decimal(38,9)"),
        column("match", "string"),
        column("born", "date"),
        column("at", "timestamp"),
        column("tags", "array<string>"),
        column("moments", "array<timestamp>"),
        column("buckets", "map<string, decimal(18,2)>"),
        column("nested", "struct<a: int, b: array<date>>"),
        column("raw", "json"),
    ),
    Duplicate(),
    Buckets(4),
    replicas=1,
)
SORTED = DorisTable(
    TableName("fp_features", "by_hour"),
    (column("account_id", "bigint"), EVENT_TIME, column("amount", "decimal(18,2)")),
    Duplicate(("account_id", "event_time")),
    Buckets(8, ("account_id",)),
    RangePartitioning("event_time", "hour", (RangePartition("p2026063000", JUNE_30, JUNE_30 + timedelta(hours=1)),)),
)
STATEMENTS = {
    "create_unique": ddl.create_table(FEATURES),
    "create_every_type": ddl.create_table(EVERYTHING, if_not_exists=True),
    "create_sorted_by_hour": ddl.create_table(SORTED),
    "changes": ";\n".join(
        (
            ddl.create_database("fp_features"),
            ddl.add_partition(NAME, DAYS[0]),
            ddl.add_temporary_partition(NAME, replace(DAYS[0], name="t1")),
            ddl.replace_partition(NAME, "p20260629", "t1"),
            ddl.drop_temporary_partition(NAME, "t1"),
            ddl.drop_partition(NAME, "p20260629"),
            ddl.replace_table(NAME, TableName("fp_features", "card_spend__17")),
            ddl.rename_table(TableName("fp_features", "card_spend__17"), "card_spend"),
            ddl.drop_table(TableName("fp_features", "card_spend__17")),
            *evolve(
                FEATURES,
                replace(FEATURES, columns=(*FEATURES.columns, column("country", "string", comment="ISO 3166"))),
            ).statements,
        )
    ),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_reads_as_its_golden_file(name: str) -> None:
    file = GOLDEN / f"{name}.sql"
    if os.environ.get("FP_RENEW"):
        file.write_text(f"{STATEMENTS[name]};\n")
    assert f"{STATEMENTS[name]};\n" == file.read_text()


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (replace(FEATURES, model=Unique(("event_time", "card"))), "first columns"),
        (replace(FEATURES, model=Unique(())), "has no key"),
        (replace(FEATURES, model=Unique(("card", "event_time"), sequence="spend_30d")), "sequence"),
        (replace(FEATURES, model=Unique(("card", "event_time"), sequence="missing")), "sequence"),
        (replace(FEATURES, buckets=Buckets(16)), "at random"),
        (replace(FEATURES, buckets=Buckets(16, ("spend_30d",))), "cannot be spread by"),
        (replace(FEATURES, buckets=Buckets(0, ("card",))), "at least one bucket"),
        (replace(FEATURES, columns=(replace(CARD, text_bytes=None), *FEATURES.columns[1:])), "cannot be a key"),
        (replace(FEATURES, columns=(replace(CARD, text_bytes=70_000), *FEATURES.columns[1:])), "VARCHAR"),
        (replace(FEATURES, columns=(CARD, replace(EVENT_TIME, nullable=True), AVAILABLE, SPEND)), "never|part"),
        (replace(FEATURES, model=Unique(("card",))), "cannot be parted"),
        (replace(FEATURES, columns=(*FEATURES.columns, replace(SPEND, name="SPEND_30D"))), "capitals"),
        (replace(FEATURES, columns=(*FEATURES.columns, replace(SPEND, name="__DORIS_x"))), "no name of a column"),
        (replace(FEATURES, name=TableName("fp_features", "a-b`")), "no name of a table"),
        (replace(SORTED, model=Duplicate(("account_id", "event_time", "amount"))), "every column is a key"),
        (replace(SORTED, columns=(column("account_id", "double"), *SORTED.columns[1:])), "cannot be a key"),
        (
            replace(FEATURES, partitioning=RangePartitioning("event_time", "hour", DAYS)),
            "not one whole hour",
        ),
        (
            replace(FEATURES, partitioning=RangePartitioning("event_time", "day", (*DAYS, replace(DAYS[0], name="x")))),
            "overlap",
        ),
    ],
)
def test_what_doris_would_refuse_is_refused_before_it_is_asked(table: DorisTable, what: str) -> None:
    with pytest.raises(StoreError, match=what) as raised:
        ddl.create_table(table)
    assert raised.value.code == "FP-STORE-050"


@pytest.mark.parametrize(
    ("wanted", "statement"),
    [
        (FEATURES, None),
        (replace(FEATURES, columns=(*FEATURES.columns, column("n", "int"))), "ADD COLUMN (`n` INT NULL)"),
        (
            replace(FEATURES, columns=(CARD, EVENT_TIME, AVAILABLE, replace(SPEND, comment="shorter"))),
            "MODIFY COLUMN `spend_30d` COMMENT 'shorter'",
        ),
        (replace(FEATURES, replicas=1, buckets=Buckets(32, ("card",))), None),
    ],
    ids=["nothing", "added", "comment", "numbers"],
)
def test_what_changes_metadata_only_is_done_online(wanted: DorisTable, statement: str | None) -> None:
    evolution = evolve(FEATURES, wanted)
    assert evolution.is_online
    assert [each.partition("`card_spend` ")[2] for each in evolution.statements] == ([statement] if statement else [])


def test_a_longer_text_is_online_unless_it_is_a_key() -> None:
    short = replace(SORTED, columns=(*SORTED.columns, column("note", "string", text_bytes=10)))
    long = replace(SORTED, columns=(*SORTED.columns, column("note", "string", text_bytes=20)))
    assert [each.partition("` ")[2] for each in evolve(short, long).statements] == [
        "MODIFY COLUMN `note` VARCHAR(20) NULL"
    ]
    assert not evolve(long, short).is_online
    assert not evolve(
        FEATURES, replace(FEATURES, columns=(replace(CARD, text_bytes=256), *FEATURES.columns[1:]))
    ).is_online


@pytest.mark.parametrize(
    "wanted",
    [
        replace(FEATURES, columns=(CARD, EVENT_TIME, AVAILABLE)),
        replace(FEATURES, columns=(CARD, EVENT_TIME, AVAILABLE, column("spend_30d", "decimal(19,2)"))),
        replace(FEATURES, columns=(CARD, EVENT_TIME, AVAILABLE, replace(SPEND, nullable=False))),
        replace(FEATURES, columns=(*FEATURES.columns, column("n", "int", nullable=False))),
        replace(FEATURES, model=Duplicate(("card", "event_time"))),
        replace(FEATURES, buckets=Buckets(16, ("card", "event_time"))),
        replace(FEATURES, partitioning=RangePartitioning("event_time", "hour")),
        replace(FEATURES, partitioning=None),
    ],
)
def test_everything_else_needs_the_table_made_anew(wanted: DorisTable) -> None:
    evolution = evolve(FEATURES, wanted)
    assert evolution.statements == ()
    assert {problem.code for problem in evolution.obstacles} == {"FP-STORE-051"}


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=80), st.booleans())
def test_any_name_has_one_in_doris_and_keeps_it(name: str, staged: bool) -> None:
    ending = "__0123456789abcdef" if staged else ""
    assert TABLE_NAME.fullmatch(physical(name, ending))
    assert physical(name, ending) == physical(name, ending)


@given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=2, unique=True))
def test_two_names_do_not_meet(names: list[str]) -> None:
    assert physical(names[0]) != physical(names[1])


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4), st.text(max_size=64))
def test_a_label_is_one_and_says_the_same_load_again(parts: list[str], content: str) -> None:
    made = label(*parts, content=content)
    assert LABEL.fullmatch(made)
    assert made == label(*parts, content=content)
    assert made != label(*parts, content=f"{content}x")
    assert made != label(*parts, "", content=content)


@given(st.text(st.characters(exclude_characters="\0"), max_size=40))
def test_a_text_ends_where_it_should(value: str) -> None:
    inside = text(value)[1:-1]
    assert re.fullmatch(r"(?:\\.|''|[^'\\])*", inside, re.DOTALL)
    assert re.sub(r"\\(.)|''", lambda found: found[1] or "'", inside, flags=re.DOTALL) == value
    assert re.fullmatch(r"`(?:``|[^`])*`", quoted(value), re.DOTALL)
