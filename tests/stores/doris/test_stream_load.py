"""Loads over HTTP: each row once, whatever breaks; what is asked of whom; what nobody is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from feature_platform.errors import StoreError
from feature_platform.stores.doris import ddl
from feature_platform.stores.doris.chunks import Chunk, parquet_chunks
from feature_platform.stores.doris.loads import Loads
from feature_platform.stores.doris.outcomes import Next, Reply, after_reply, after_state
from feature_platform.stores.doris.settings import Address, DorisSettings
from feature_platform.stores.doris.stream_load import StreamLoadClient, Target
from feature_platform.stores.doris.tables import Buckets, DorisColumn, DorisTable, Duplicate
from feature_platform.stores.protocols import TableName
from tests.stores.doris.cases import MemoryLedger, StandingClock, settings_of
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.http_server import HTTPDouble
from tests.stores.warehouse_cases import schema

SPEND = schema(id="bigint", amount="decimal(18,2)", at="timestamp", note="string")
COLUMNS = SPEND.names
TARGET = Target("fp_features", "spend")
AT = datetime.fromisoformat("2026-06-30T12:00:00.000001")


def make_table(cluster: Cluster) -> None:
    columns = tuple(DorisColumn(column.name, column.type) for column in SPEND.columns)
    cluster.execute(ddl.create_database("fp_features"))
    cluster.execute(
        ddl.create_table(DorisTable(TableName("fp_features", "spend"), columns, Duplicate(), Buckets(1), replicas=1))
    )


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"id": n, "amount": None, "at": AT, "note": f"'{n}'\n\\N"} for n in range(first, first + count)]


def chunks(count: int, of: int = 3) -> list[Chunk]:
    """``count`` files of some rows each."""
    made = []
    for number in range(count):
        table = pa.Table.from_pylist(rows(of, number * of), schema=SPEND.arrow())
        (chunk,) = parquet_chunks(table.to_reader(), SPEND, chunk_bytes=1 << 30)
        made.append(replace(chunk, number=number))
    return made


def there(cluster: Cluster) -> list[int]:
    result = cluster.execute("SELECT id FROM `fp_features`.`spend` ORDER BY id")
    return [int(row[0] or -1) for row in result.rows]


class Bench:
    """A cluster's double with everything that loads into it."""

    def __init__(self, settings: DorisSettings, cluster: Cluster, http: HTTPDouble) -> None:
        self.cluster, self.http = cluster, http
        self.clock, self.ledger = StandingClock(), MemoryLedger()
        self.loads = Loads(settings, StreamLoadClient(settings), self.ledger, self.clock)

    def load(self, parts: list[Chunk], *, together: bool = False, attempt: int = 1) -> int:
        return self.loads.load(TARGET, f"t{attempt}", COLUMNS, parts, together=together)

    def sent(self) -> int:
        return sum(who == "be" and path.endswith("_stream_load") for who, path in self.http.requests)


@contextmanager
def opened() -> Iterator[Bench]:
    cluster = Cluster()
    make_table(cluster)
    with HTTPDouble(cluster) as http:
        yield Bench(settings_of(cluster, 1, http.frontend_port), cluster, http)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with opened() as made:
        yield made


def test_rows_arrive_as_they_are(bench: Bench) -> None:
    assert bench.load(chunks(4)) == 12
    assert there(bench.cluster) == list(range(12))
    (first, *_) = bench.cluster.execute("SELECT * FROM `fp_features`.`spend` ORDER BY id").rows
    assert first == ("0", None, "2026-06-30 12:00:00.000001", "'0'\n\\N")


def test_a_load_is_written_down_before_it_is_sent(bench: Bench) -> None:
    bench.load(chunks(1))
    (planned,) = bench.ledger.planned
    assert (planned.rows, planned.token, planned.chunk) == (3, "t1", 0)
    assert bench.cluster.look("fp_features", planned.label) == "VISIBLE"
    assert bench.ledger.states == {planned.label: "loaded"}


def test_the_same_rows_of_an_attempt_count_once(bench: Bench) -> None:
    bench.load(chunks(2))
    bench.load(chunks(2))
    assert there(bench.cluster) == list(range(6))
    assert bench.sent() == 2


def test_a_ledger_that_was_lost_still_doubles_nothing(bench: Bench) -> None:
    bench.load(chunks(2))
    bench.ledger.states.clear()
    bench.load(chunks(2))
    assert there(bench.cluster) == list(range(6))


def test_the_frontend_gets_no_rows_and_the_backend_gets_them_once(bench: Bench) -> None:
    bench.load(chunks(1))
    assert [who for who, _ in bench.http.requests] == ["fe", "be"]


SAFE_FAULTS = {
    "fe.load": ("reset", "failed:no available backend", "failed:current FE is not master"),
    "fe.state": ("reset",),
    "be.receive": ("reset",),
    "be.load": ("fail:[E-235]too many versions", "fail:get table write lock timeout", "publish_timeout", "late",
                "abort_late", "fail:MEM_LIMIT_EXCEEDED"),
    "be.reply": ("lost", "cut", "500"),
}  # fmt: skip


@pytest.mark.parametrize(("point", "kind"), [(point, kind) for point, kinds in SAFE_FAULTS.items() for kind in kinds])
def test_a_fault_loses_and_doubles_nothing(bench: Bench, point: str, kind: str) -> None:
    if point == "fe.state":
        bench.cluster.faults.plan("be.reply", "lost")
    bench.cluster.faults.plan(point, kind)
    assert bench.load(chunks(3)) == 9
    assert there(bench.cluster) == list(range(9))
    assert len({load.label for load in bench.ledger.planned}) == 3
    assert (point, kind) in bench.cluster.faults.struck


FAULTS = st.lists(
    st.sampled_from([(point, kind) for point, kinds in SAFE_FAULTS.items() for kind in (*kinds, "fine")])
    | st.just(("be.load", "fail:too many filtered rows")),
    max_size=12,
)


@given(faults=FAULTS, count=st.integers(1, 5), together=st.booleans())
@rules(max_examples=30)
def test_after_any_faults_and_retries_the_rows_are_there_once(
    faults: list[tuple[str, str]], count: int, together: bool
) -> None:
    with opened() as bench:
        for point, kind in faults:
            bench.cluster.faults.plan(point, kind)
        for number in range(20):
            try:
                bench.load(chunks(count), together=together, attempt=number if together else 0)
            except StoreError:
                assert not together or there(bench.cluster) == []
            else:
                break
        assert there(bench.cluster) == list(range(3 * count))


def test_missing_rows_are_noticed(bench: Bench) -> None:
    bench.cluster.faults.plan("be.load", "short")
    with pytest.raises(StoreError) as raised:
        bench.load(chunks(1))
    assert raised.value.code == "FP-STORE-055"


def test_rows_that_do_not_fit_are_sent_once_and_not_repeated(bench: Bench) -> None:
    reason = "Reason: column(note) jane@example.com, 4111111111111111 too long. src line []; "
    bench.cluster.faults.plan("be.load", f"fail:[DATA_QUALITY_ERROR]too many filtered rows. {reason}")
    with pytest.raises(StoreError) as raised:
        bench.load(chunks(1))
    assert raised.value.code == "FP-STORE-053"
    assert bench.sent() == 1
    assert "jane" not in str(raised.value)
    assert "_load_error_log" not in str(raised.value)


def test_a_cluster_that_never_settles_is_given_up_in_time(bench: Bench) -> None:
    bench.cluster.faults.plan("be.reply", "lost")
    bench.cluster.faults.plan("fe.state", *["reset"] * 500)
    with pytest.raises(StoreError) as raised:
        bench.load(chunks(1))
    assert raised.value.code == "FP-STORE-054"
    assert bench.sent() == 1


def test_everybody_waits_while_a_table_has_too_many_versions(bench: Bench) -> None:
    bench.cluster.faults.plan("be.load", *["fail:tablet error -235"] * 3)
    bench.load(chunks(3))
    assert there(bench.cluster) == list(range(9))
    assert max(bench.clock.pauses) >= 4  # 0.2, 0.4 ... are those of other faults


@pytest.mark.parametrize(
    "location",
    [
        "http://platform:pw@169.254.169.254:80/api/fp_features/spend/_stream_load?",
        "http://platform:pw@evil.example:8040/api/fp_features/spend/_stream_load?",
        "http://127.0.0.1@evil.example/api/fp_features/spend/_stream_load",
        "http://127.0.0.1:8040/api/fp_features/other/_stream_load?",
        "http://127.0.0.1:99999/api/fp_features/spend/_stream_load?",
        "/api/fp_features/spend/_stream_load",
        "file:///etc/passwd",
        "",
    ],
)
def test_rows_and_login_go_to_no_stranger(bench: Bench, location: str) -> None:
    bench.cluster.faults.plan("fe.load", f"to:{location}")
    with pytest.raises(StoreError) as raised:
        bench.load(chunks(1))
    assert raised.value.code == "FP-STORE-056"
    assert "pw" not in str(raised.value)
    assert [who for who, _ in bench.http.requests] == ["fe"]


def test_a_backend_is_reached_at_its_address_from_here(bench: Bench, http: HTTPDouble) -> None:
    bench.http.backend_host = "172.30.80.3"
    cluster = bench.cluster
    mapped = replace(settings_of(cluster, 1, bench.http.frontend_port), backend_addresses={"172.30.80.3": "127.0.0.1"})
    loads = Loads(mapped, StreamLoadClient(mapped), bench.ledger, bench.clock)
    assert loads.load(TARGET, "t1", COLUMNS, chunks(1)) == 3


def test_another_frontend_answers_for_loads_too(bench: Bench) -> None:
    two = settings_of(bench.cluster, 1, bench.http.frontend_port)
    two = replace(two, frontends=(Address("127.0.0.9", 1), *two.frontends))
    loads = Loads(two, StreamLoadClient(two), bench.ledger, bench.clock)
    assert loads.load(TARGET, "t1", COLUMNS, chunks(1)) == 3


def test_a_wrong_password_is_told_at_once_and_never_shown(
    bench: Bench, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    bench.cluster.faults.plan("be.reply", "lost")
    bench.load(chunks(2))
    wrong = "wr0ng"
    other = replace(settings_of(bench.cluster, 1, bench.http.frontend_port), password=wrong)
    client = StreamLoadClient(other)
    with pytest.raises(StoreError) as raised:
        Loads(other, client, bench.ledger, bench.clock).load(TARGET, "t2", COLUMNS, chunks(1))
    shown = "\n".join([caplog.text, str(raised.value), repr(raised.value), repr(client), *capsys.readouterr()])
    assert "load fp_spend" in shown
    for secret in (bench.cluster.password, wrong, "Basic ", "%C3%A4", "Location"):
        assert secret not in shown


def test_rows_of_several_loads_show_together(bench: Bench) -> None:
    assert bench.load(chunks(3), together=True) == 9
    assert there(bench.cluster) == list(range(9))
    assert set(bench.ledger.states.values()) == {"loaded"}


def test_rows_that_belong_together_show_only_if_all_are_there(bench: Bench) -> None:
    bench.cluster.faults.plan("be.load", "fine", "fine", "fail:too many filtered rows")
    with pytest.raises(StoreError):
        bench.load(chunks(4), together=True)
    assert there(bench.cluster) == []
    assert {each.state for each in bench.cluster.labels.values()} == {"ABORTED"}


def test_a_lost_commit_is_looked_up(bench: Bench) -> None:
    bench.cluster.faults.plan("be.reply", "fine", "fine", "lost", "lost")
    assert bench.load(chunks(2), together=True) == 6
    assert there(bench.cluster) == list(range(6))


def test_files_are_the_same_for_the_same_rows_and_times_have_no_zone() -> None:
    first, again = chunks(1)[0], chunks(1)[0]
    assert first.digest == again.digest
    import pyarrow.parquet as pq

    kind = pq.read_metadata(pa.BufferReader(first.body)).schema.column(2).logical_type.to_json()
    assert '"isAdjustedToUTC":false' in kind
    assert '"timeUnit":"microseconds"' in kind


def test_files_end_where_they_should() -> None:
    table = pa.Table.from_pylist(rows(1000), schema=SPEND.arrow())
    made = list(parquet_chunks(table.to_reader(max_chunksize=10), SPEND, chunk_bytes=1))
    assert sum(chunk.rows for chunk in made) == 1000
    assert [chunk.number for chunk in made] == list(range(len(made)))
    assert list(parquet_chunks(table.slice(0, 0).to_reader(), SPEND, chunk_bytes=1)) == []


@pytest.mark.parametrize(
    ("status", "loaded", "following"),
    [("Success", 3, Next.DONE), ("Publish Timeout", 3, Next.LOOK), ("Label Already Exists", 0, Next.LOOK)],
)
def test_what_follows_from_a_reply(status: str, loaded: int, following: Next) -> None:
    body = f'{{"Status": "{status}", "NumberLoadedRows": {loaded}, "ExistingJobStatus": ""}}'.encode()
    reply = Reply.parse(body)
    assert reply is not None
    assert after_reply(reply, 3, label="l") is following


@pytest.mark.parametrize(
    ("state", "two_phase", "following"),
    [
        ("VISIBLE", False, Next.DONE),
        ("COMMITTED", False, Next.LOOK),
        ("PREPARE", False, Next.LOOK),
        ("PRECOMMITTED", False, Next.LOOK),
        ("PRECOMMITTED", True, Next.DONE),
        ("ABORTED", False, Next.SEND),
        ("UNKNOWN", False, Next.SEND),
        ("SOMETHING NEW", False, Next.LOOK),
    ],
)
def test_what_follows_from_a_state(state: str, two_phase: bool, following: Next) -> None:
    assert after_state(state, two_phase=two_phase) is following


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | st.just(b'{"Status": 3}') | st.just(b"[]"))
def test_what_is_no_reply_is_none(body: bytes) -> None:
    assert Reply.parse(body) is None
