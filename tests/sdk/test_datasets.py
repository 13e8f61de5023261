"""Datasets: kept once, made again value by value, and honest about what changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.errors import UsageError
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from feature_platform.sdk.datasets import datasets
from feature_platform.sdk.digests import ColumnDigests, rechunked

CARD = "4111111111111111"
START = datetime.fromisoformat("2026-03-01T00:00:00")
DAY = timedelta(days=1)
FEATURES = ["spend:*"]
PROJECT = """
kind: platform
name: cards
purposes: {fraud: Stopping fraud., offers: Making offers.}
profiles: {embedded: {stores: {warehouse: {type: duckdb_delta}}}}
---
kind: policy
name: privacy
owner: team:privacy
rules: [{classification: payment_card, purposes: [fraud], action: token}]
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
path: payments/*.parquet
event_time: paid_at
available_at: told_at
key: [payment_id]
columns:
  payment_id: {type: bigint, pii: none}
  paid_at: {type: timestamp, pii: none}
  told_at: {type: timestamp, pii: none}
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
  level: {type: string, pii: none}
---
kind: feature_view
name: spend
domain: cards
entity: card
source: payments
aggregations:
  - {function: sum, column: amount, windows: [30d]}
  - {function: last_k, column: amount, k: 2, windows: [30d], name: newest}
---
kind: feature_view
name: holder
domain: cards
entity: card
event_time: updated_at
sql: SELECT card_number, updated_at, level FROM holders
"""


def payments(folder: Path, name: str, rows: list[tuple[int, datetime, datetime, str]]) -> None:
    """Writes (payment, paid, told, amount)."""
    columns = {
        "payment_id": [row[0] for row in rows],
        "paid_at": [row[1] for row in rows],
        "told_at": [row[2] for row in rows],
        "card_number": [CARD] * len(rows),
        "amount": pa.array([Decimal(row[3]) for row in rows], pa.decimal128(18, 2)),
    }
    pq.write_table(pa.table(columns), folder / ".fp" / "data" / "payments" / f"{name}.parquet")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    folder = tmp_path / "cards"
    (folder / ".fp" / "data" / "payments").mkdir(parents=True)
    (folder / "platform.yaml").write_text(PROJECT, encoding="utf-8")
    payments(folder, "first", [(1, START + DAY, START + DAY, "10.00"), (2, START + 2 * DAY, START + 2 * DAY, "2.50")])
    return folder


@pytest.fixture
def published(root: Path) -> Path:
    """The project with a published view."""
    publish_holders(root, "gold")
    return root


def publish_holders(root: Path, level: str) -> None:
    columns = {"card_number": [CARD], "updated_at": [START], "level": [level]}
    pq.write_table(pa.table(columns), root / ".fp" / "data" / "holders.parquet")
    with Project.open(root) as project:
        assert materialize(project, as_of=START + 5 * DAY).ok


@pytest.fixture
def session(root: Path) -> Iterator[Callable[[str], FeatureStore]]:
    opened: list[FeatureStore] = []

    def open_session(purpose: str = "fraud") -> FeatureStore:
        opened.append(FeatureStore(Project.open(root), purpose=purpose))
        return opened[-1]

    yield open_session
    for each in opened:
        each.close()


def spine() -> pa.Table:
    return pa.table(
        {"card_number": [CARD, CARD], "event_time": [START + 3 * DAY, START + 1.5 * DAY], "label": [True, False]}
    )


def test_a_dataset_is_made_again_value_by_value(session: Callable[..., FeatureStore]) -> None:
    made = session().create_dataset("training", spine(), FEATURES)
    rows = made.to_arrow().to_pylist()
    assert [row["spend__amount_sum_30d"] for row in rows] == [Decimal("12.50"), Decimal("10.00")]
    assert [row["spend__newest_30d"] for row in rows] == [[Decimal("2.50"), Decimal("10.00")], [Decimal("10.00")]]
    assert [row["label"] for row in rows] == [True, False]
    verified = session().verify_dataset("training")
    assert verified.reproduced
    assert (verified.definitions, verified.tables) == ((), ())
    assert session().dataset("training@1").to_arrow().equals(made.to_arrow())


def test_what_came_late_stays_out_when_a_dataset_is_made_again(
    session: Callable[..., FeatureStore], root: Path
) -> None:
    session().create_dataset("training", spine(), FEATURES)
    # Back-dated: it happened before the rows' times, and was told after them.
    payments(root, "late", [(2, START + 2 * DAY, START + 4 * DAY, "99.00"), (3, START, START + 4 * DAY, "5.00")])
    verified = session().verify_dataset("training")
    assert verified.reproduced
    assert verified.tables == ("sources.payments",)
    later = pa.table({"card_number": [CARD], "event_time": [START + 5 * DAY]})
    row = session().training_set(later, ["spend:amount_sum_30d"]).to_arrow().to_pylist()[0]
    assert row["spend__amount_sum_30d"] == Decimal("114.00")


def test_what_was_rewritten_is_found_and_named(session: Callable[..., FeatureStore], published: Path) -> None:
    session().create_dataset("training", spine(), ["spend:*", "holder:level"])
    assert session().verify_dataset("training").reproduced
    payments(
        published, "first", [(1, START + DAY, START + DAY, "11.00"), (2, START + 2 * DAY, START + 2 * DAY, "2.50")]
    )
    publish_holders(published, "silver")
    verified = session().verify_dataset("training")
    assert verified.differing == {"spend__amount_sum_30d": 2, "spend__newest_30d": 2, "holder__level": 2}
    assert verified.tables == ("sources.payments", "features.holder")


def test_another_definition_is_named(session: Callable[..., FeatureStore], root: Path) -> None:
    session().create_dataset("training", spine(), ["spend:*"])
    changed = PROJECT.replace("{function: sum, column: amount", '{function: sum, where: "amount > 5", column: amount')
    (root / "platform.yaml").write_text(changed, encoding="utf-8")
    verified = session().verify_dataset("training")
    assert verified.definitions == ("spend",)
    assert verified.differing == {"spend__amount_sum_30d": 1}


def test_versions_are_numbered_and_never_change(session: Callable[..., FeatureStore]) -> None:
    store = session()
    first = store.create_dataset("training", spine(), FEATURES)
    second = store.create_dataset("training", spine().slice(1), FEATURES)
    assert [manifest.title for manifest in datasets(store.project)] == ["training@1", "training@2"]
    assert store.dataset("training").manifest == second.manifest
    assert first.manifest.spine_digest != second.manifest.spine_digest
    assert not list(store.project.state.glob("datasets/training/.draft*"))


def test_personal_keys_are_kept_as_tokens_only(session: Callable[..., FeatureStore]) -> None:
    made = session().create_dataset("training", spine(), FEATURES)
    assert made.to_arrow()["card_number"].to_pylist()[0].startswith("tok_payment_card_")
    held = b"".join(path.read_bytes() for path in made.folder.iterdir())
    assert CARD.encode() not in held
    assert made.manifest.labels["spend__amount_sum_30d"] == "clean"


def test_a_dataset_needs_a_purpose_that_may_have_its_features(session: Callable[..., FeatureStore], root: Path) -> None:
    changed = PROJECT.replace("name: spend\n", "name: spend\npurposes: [fraud]\n")
    (root / "platform.yaml").write_text(changed, encoding="utf-8")
    session().create_dataset("training", spine(), FEATURES)
    with pytest.raises(UsageError, match="FP-SDK-003"):
        session("offers").dataset("training")


def test_a_damaged_file_is_refused(session: Callable[..., FeatureStore]) -> None:
    made = session().create_dataset("training", spine(), FEATURES)
    held = bytearray((made.folder / "data.parquet").read_bytes())
    held[len(held) // 2] ^= 1
    (made.folder / "data.parquet").write_bytes(held)
    with pytest.raises(UsageError, match="FP-SDK-031"):
        session().dataset("training")


@pytest.mark.parametrize(("name", "code"), [("Train ing", "FP-SDK-032"), ("../up", "FP-SDK-032")])
def test_names_that_could_lead_elsewhere_are_refused(
    session: Callable[..., FeatureStore], name: str, code: str
) -> None:
    with pytest.raises(UsageError, match=code):
        session().create_dataset(name, spine(), FEATURES)


def test_the_command_line_creates_lists_shows_and_verifies(root: Path, tmp_path: Path) -> None:
    pq.write_table(spine(), tmp_path / "spine.parquet")

    def fp(*arguments: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["dataset", *map(str, arguments), "--project", str(root)])
        return result.exit_code, result.stdout, result.stderr

    code, out, _ = fp("create", "training", tmp_path / "spine.parquet", "-f", "spend:*", "--purpose", "fraud")
    assert code == 0
    assert "training@1" in out
    assert "training@1" in fp("list")[1]
    shown = json.loads(fp("show", "training", "--json")[1])["dataset"]
    assert shown["tables"].keys() == {"sources.payments"}
    assert fp("verify", "training")[0] == 0
    payments(root, "first", [(1, START + DAY, START + DAY, "11.00")])
    code, out, _ = fp("verify", "training@1")
    assert code == 1
    assert "spend__amount_sum_30d: 2 of 2 rows differ" in out
    assert fp("verify", "training@7")[0] == 2


some_values = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))).map(lambda values: pa.array(values, pa.int64())),
    st.lists(st.one_of(st.none(), st.text())).map(lambda values: pa.array(values, pa.string())),
    st.lists(st.one_of(st.none(), st.booleans())).map(lambda values: pa.array(values, pa.bool_())),
    st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), st.text())))).map(
        lambda values: pa.array(values, pa.list_(pa.string()))
    ),
    st.lists(st.one_of(st.none(), st.dictionaries(st.text(), st.one_of(st.none(), st.integers(0, 9))))).map(
        lambda values: pa.array([value and list(value.items()) for value in values], pa.map_(pa.string(), pa.int64()))
    ),
    st.lists(st.one_of(st.none(), st.decimals(-1000, 1000, places=2))).map(
        lambda values: pa.array(values, pa.decimal128(18, 2))
    ),
)


def digest(array: pa.Array, cuts: list[int]) -> str:
    digests = ColumnDigests(["a"])
    edges = [0, *sorted(cut % (len(array) + 1) for cut in cuts), len(array)]
    pieces = [pa.record_batch([array.slice(start, end - start)], ["a"]) for start, end in pairwise(edges)]
    for batch in rechunked(pieces):
        digests.add(batch)
    return digests.together()


@given(array=some_values, other=some_values, cuts=st.lists(st.integers(0, 100), max_size=4))
def test_a_digest_is_of_the_values_and_of_nothing_else(array: pa.Array, other: pa.Array, cuts: list[int]) -> None:
    assert digest(array, cuts) == digest(array, [])
    if len(array) and len(other) and array.type == other.type and not array.equals(other):
        assert digest(array, cuts) != digest(other, cuts)
