"""Sessions with a cluster: set up alike, kept, failing over; what an error says, and what nothing ever says."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from feature_platform.errors import StoreError
from feature_platform.stores.doris.capabilities import capabilities
from feature_platform.stores.doris.problems import DorisError, Kind, kind_of
from feature_platform.stores.doris.sessions import Sessions
from feature_platform.stores.doris.settings import Address, DorisSettings, parse_url
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.mysql_server import MySQLDouble


@pytest.fixture
def sessions(settings: DorisSettings) -> Iterator[Sessions]:
    made = Sessions(settings)
    yield made
    made.close()


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_a_session_is_pinned_whatever_the_defaults_are(sessions: Sessions, cluster: Cluster) -> None:
    assert sessions.rows("SELECT 1 AS one") == [("1",)]
    pinned = cluster.settings[-1]
    for setting in ("time_zone = '+00:00'", "enable_insert_strict = true", "query_timeout = 3600", "sql_mode ="):
        assert setting in pinned


def test_sessions_are_kept_and_used_again(sessions: Sessions, mysql: MySQLDouble) -> None:
    for _ in range(5):
        sessions.rows("SELECT 1 AS one")
    assert mysql.connections == 1
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: sessions.rows(f"SELECT {n} AS n"), range(20))) == [
            [(str(n),)] for n in range(20)
        ]
    assert mysql.connections <= 5


def test_another_frontend_takes_over(settings: DorisSettings, mysql: MySQLDouble) -> None:
    dead = Address("127.0.0.1", closed_port())
    sessions = Sessions(replace(settings, frontends=(dead, *settings.frontends, dead)))
    assert sessions.rows("SELECT 1 AS one") == [("1",)]
    sessions.close()


def test_without_any_frontend_it_says_so(settings: DorisSettings) -> None:
    sessions = Sessions(replace(settings, frontends=(Address("127.0.0.1", closed_port()),) * 2))
    with pytest.raises(StoreError) as raised:
        sessions.rows("SELECT 1 AS one")
    assert raised.value.code == "FP-STORE-030"


def test_a_question_is_asked_again_when_the_connection_breaks(sessions: Sessions, cluster: Cluster) -> None:
    sessions.rows("SELECT 1 AS one")
    cluster.faults.plan("mysql.select", "drop")
    assert sessions.rows("SELECT 2 AS two") == [("2",)]


def test_a_statement_is_sent_once(sessions: Sessions, cluster: Cluster) -> None:
    cluster.faults.plan("mysql.create", "lost")
    with pytest.raises(DorisError) as raised:
        sessions.run("CREATE DATABASE IF NOT EXISTS `fp_features`")
    assert raised.value.kind is Kind.UNREACHABLE
    assert len([each for each in cluster.statements if each.startswith("CREATE")]) == 1


def test_rows_stream_and_a_half_read_result_ends_its_session(sessions: Sessions, mysql: MySQLDouble) -> None:
    sql = "SELECT range AS n FROM (SELECT UNNEST([1, 2, 3]) AS range) AS t"
    with sessions.streamed(sql) as pieces:
        assert [row for piece in pieces for row in piece] == [("1",), ("2",), ("3",)]
    with sessions.streamed(sql):
        pass
    before = mysql.connections
    assert sessions.rows("SELECT 1 AS one") == [("1",)]
    assert mysql.connections == before + 1


def test_a_result_that_breaks_off_is_an_error(sessions: Sessions, cluster: Cluster) -> None:
    cluster.faults.plan("mysql.select", "fine", "cut")  # the first one asks for the version
    with pytest.raises(DorisError) as raised, sessions.streamed("SELECT 1 AS a UNION ALL SELECT 2 AS a") as pieces:
        list(pieces)
    assert raised.value.kind is Kind.UNREACHABLE


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("Doris version doris-4.0.5-rc01-a1b2c3", False),
        ("Doris version doris-4.1.3 (Cloud Mode)", False),
        ("Doris version doris-3.1.0-rc02", True),
        ("Doris version doris-2.1.11", True),
        ("MySQL Community Server 8.0.36", True),
        ("", True),
    ],
)
def test_old_versions_are_refused(said: str, refused: bool) -> None:
    if not refused:
        assert capabilities(said).version >= (4, 0, 0)
        return
    with pytest.raises(StoreError) as raised:
        capabilities(said)
    assert raised.value.code == "FP-STORE-052"


def test_capabilities_follow_the_version_unless_they_are_known_better() -> None:
    assert not capabilities("doris-4.0.0").arrow_flight
    assert capabilities("doris-4.0.1").arrow_flight
    assert not capabilities("doris-4.1.0", {"arrow_flight": False}).arrow_flight


def test_an_old_cluster_is_refused_before_anything_else(settings: DorisSettings, cluster: Cluster) -> None:
    cluster.version = "Doris version doris-3.0.8"
    with pytest.raises(StoreError) as raised:
        Sessions(settings).run("CREATE DATABASE IF NOT EXISTS `x`")
    assert raised.value.code == "FP-STORE-052"
    assert cluster.databases == {}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("errCode = 2, detailMessage = Label [fp_1] has already been used, relate to txn [9], status [VISIBLE]",
         Kind.LABEL_USED),
        ("[INTERNAL_ERROR]tablet error: [E-235]failed to init rowset builder. version count: 2001", Kind.PRESSURE),
        ("errCode = 2, detailMessage = get table write lock timeout, database=1", Kind.BUSY),
        ("errCode = 2, detailMessage = Unknown column 'amuont' in 'table list'", Kind.COLUMN),
        ("errCode = 2, detailMessage = Insert has filtered data in strict mode, tracking url=http://x", Kind.ROWS),
        ("errCode = 2, detailMessage = mismatched input 'x'", Kind.SYNTAX),
        ("errCode = 2, detailMessage = (be)[MEM_LIMIT_EXCEEDED]", Kind.MEMORY),
        ("errCode = 2, detailMessage = something new", Kind.OTHER),
    ],
)  # fmt: skip
def test_messages_have_kinds(message: str, kind: Kind) -> None:
    assert kind_of(message) is kind


def test_an_error_repeats_nothing_that_doris_said(sessions: Sessions, cluster: Cluster) -> None:
    cluster.faults.plan("mysql.select", "fine", "refuse:cannot cast 'jane@example.com' near SELECT 4111111111111111")
    with pytest.raises(StoreError) as raised:
        sessions.rows("SELECT 1 AS one")
    assert "jane" not in str(raised.value)
    assert "4111" not in str(raised.value)


def test_the_password_is_nowhere(
    sessions: Sessions, settings: DorisSettings, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "wr0ng-pässword"
    sessions.rows("SELECT 1 AS one")
    with pytest.raises(StoreError) as raised:
        Sessions(replace(settings, password=wrong)).rows("SELECT 1 AS one")
    shown = "\n".join([repr(settings), str(settings), repr(vars(raised.value)), str(raised.value), caplog.text])
    for secret in (cluster.password, wrong):
        assert secret not in shown
    assert raised.value.code == "FP-STORE-020"


def test_an_address_is_read_from_one_url() -> None:
    frontends, user, password = parse_url("doris://fp:s3cret%3A%2F%40@fe1,fe2:9031,[::1]:9032/")
    assert frontends == (Address("fe1", 9030), Address("fe2", 9031), Address("::1", 9032))
    assert (user, password) == ("fp", "s3cret:/@")


@pytest.mark.parametrize(
    "url", ["", "mysql://a:hunter2@h", "doris://hunter2@fe", "doris://a:hunter2@", "doris://a:hunter2@h:x"]
)
def test_a_wrong_address_is_not_repeated(url: str) -> None:
    with pytest.raises(StoreError) as raised:
        parse_url(url)
    assert "hunter2" not in str(raised.value)


def test_loads_go_to_allowed_hosts_only(settings: DorisSettings) -> None:
    allowed = replace(
        settings,
        backends=("*.doris.internal", "172.30.80.0/24"),
        backend_addresses={"10.0.0.9:8040": "localhost:18040"},
    )
    for host in ("be1.doris.internal", "172.30.80.3", "127.0.0.1", "10.0.0.9"):
        assert allowed.may_send_to(host)
    for host in ("doris.internal.evil.example", "172.30.81.3", "169.254.169.254", ""):
        assert not allowed.may_send_to(host)
    assert allowed.reached_at(Address("10.0.0.9", 8040)) == Address("localhost", 18040)
    assert allowed.reached_at(Address("10.0.0.8", 8040)) == Address("10.0.0.8", 8040)
