"""TLS on every port: an authority that is trusted, others, servers without it; and what nobody is told meanwhile."""

from __future__ import annotations

import base64
import http.client
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pymysql
import pytest

from feature_platform.errors import StoreError
from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.doris.loads import Loads
from feature_platform.stores.doris.sessions import Sessions
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.stream_load import NotSentError, StreamLoadClient
from feature_platform.stores.doris.warehouse import DorisWarehouse
from tests.stores.doris.cases import MemoryLedger, StandingClock, settings_of
from tests.stores.doris.certificates import Authority, authority
from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.http_server import HTTPDouble
from tests.stores.doris.double.mysql_server import MySQLDouble
from tests.stores.doris.test_stream_load import COLUMNS, TARGET, chunks, make_table
from tests.stores.warehouse_cases import publish, rows_of, schema

AMOUNTS = schema(customer_id="bigint", amount="bigint")
WRONG = "wr0ng:pässword"


@dataclass(frozen=True)
class Served:
    cluster: Cluster
    mysql: MySQLDouble
    http: HTTPDouble
    settings: DorisSettings
    """That ask for TLS, and trust :func:`trusted`."""


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("trusted"), "ours")


@contextmanager
def served(trusted: Authority, by: Authority | None, host: str = "127.0.0.1") -> Iterator[Served]:
    """A cluster with certificates of ``by``, for ``host``; None: without TLS."""
    cluster, tls = Cluster(), by.server(host) if by else None
    with MySQLDouble(cluster, tls) as mysql, HTTPDouble(cluster, tls) as web:
        settings = settings_of(cluster, mysql.port, web.frontend_port)
        yield Served(cluster, mysql, web, replace(settings, tls=True, ca_file=str(trusted.file)))


def loads(settings: DorisSettings) -> Loads:
    return Loads(settings, StreamLoadClient(settings), MemoryLedger(), StandingClock())


def test_statements_and_loads_go_over_tls_to_who_is_trusted(trusted: Authority, postgres_url: str) -> None:
    with served(trusted, trusted) as found:
        settings = replace(found.settings, database_prefix="tls")
        warehouse = DorisWarehouse("doris", settings, DorisLedger(postgres_url, "tls"), clock=StandingClock())
        publish(warehouse, [{"customer_id": 1, "amount": 2}], AMOUNTS)
        assert rows_of(warehouse) == [{"customer_id": 1, "amount": 2}]
        assert {who for who, _ in found.http.requests} == {"fe", "be"}
        warehouse.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_others_get_neither_login_nor_rows(trusted: Authority, tmp_path: Path, host: str) -> None:
    """Of another authority, and of ours for another host."""
    by = authority(tmp_path, "theirs") if host == "127.0.0.1" else trusted
    with served(trusted, by, host) as found:
        with pytest.raises(StoreError, match="certificate") as raised:
            Sessions(found.settings).rows("SELECT 1 AS one")
        assert raised.value.code == "FP-STORE-030"
        with pytest.raises(StoreError, match="certificate"):
            loads(found.settings).load(TARGET, "t1", COLUMNS, chunks(1))
        assert (found.mysql.logins, found.http.requests) == ([], [])


def test_who_asks_for_tls_goes_nowhere_without_it(trusted: Authority) -> None:
    with served(trusted, None) as found:
        with pytest.raises(StoreError):
            Sessions(found.settings).rows("SELECT 1 AS one")
        with pytest.raises(NotSentError):
            StreamLoadClient(found.settings).state("fp_features", "label")
        with pytest.raises(StoreError):
            loads(found.settings).load(TARGET, "t1", COLUMNS, chunks(1))
        assert (found.mysql.logins, found.http.requests) == ([], [])


def test_a_load_is_not_sent_on_without_tls(trusted: Authority) -> None:
    with served(trusted, trusted) as found:
        found.cluster.faults.plan(
            "fe.load", f"to:http://127.0.0.1:{found.http.backend_port}/api/fp_features/spend/_stream_load"
        )
        with pytest.raises(StoreError) as raised:
            loads(found.settings).load(TARGET, "t1", COLUMNS, chunks(1))
        assert raised.value.code == "FP-STORE-056"
        assert {who for who, _ in found.http.requests} == {"fe"}


@pytest.mark.parametrize("name", ["ours", "theirs"])
def test_flight_is_read_over_tls_from_who_is_trusted(
    trusted: Authority, tmp_path: Path, postgres_url: str, name: str
) -> None:
    """Of whoever is not, the rows come over MySQL's protocol."""
    pytest.importorskip("adbc_driver_flightsql", reason="the extra doris-flight is not installed")
    from tests.stores.doris.double.flight_server import FlightDouble

    by = trusted if name == "ours" else authority(tmp_path, name)
    with served(trusted, trusted) as found, FlightDouble(found.cluster, by.pair("127.0.0.1")) as flight:
        prefix = f"fl_{name}"
        settings = replace(found.settings, database_prefix=prefix, flight=True, flight_port=flight.port)
        warehouse = DorisWarehouse("doris", settings, DorisLedger(postgres_url, prefix), clock=StandingClock())
        publish(warehouse, [{"customer_id": 1, "amount": 2}], AMOUNTS)
        assert rows_of(warehouse) == [{"customer_id": 1, "amount": 2}]
        assert bool(flight.queries) == (name == "ours")
        warehouse.close()


def test_no_credentials_are_shown_whatever_is_switched_on(
    trusted: Authority,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every logger at DEBUG, and what the libraries print when they are told to."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 9)
    for module in (pymysql.connections, pymysql.protocol, pymysql._auth):
        monkeypatch.setattr(module, "DEBUG", True)
    with served(trusted, trusted) as found:
        make_table(found.cluster)
        password, user = found.cluster.password, found.cluster.user
        sessions = Sessions(found.settings)
        assert sessions.rows("SELECT 1 AS one") == [("1",)]
        hostile = f"to:https://{user}:{quote(password, safe='')}@collector.example/api/fp_features/spend/_stream_load"
        found.cluster.faults.plan("fe.load", "fine", hostile)
        sender = loads(found.settings)
        sender.load(TARGET, "t1", COLUMNS, chunks(1))
        with pytest.raises(StoreError) as hijacked:
            sender.load(TARGET, "t2", COLUMNS, chunks(1))
        with pytest.raises(StoreError) as denied:
            Sessions(replace(found.settings, password=WRONG)).rows("SELECT 1 AS one")
        sessions.close()
    shown = "\n".join(
        [caplog.text, *map(str, capfd.readouterr()), repr(hijacked.value), str(denied.value), repr(sessions)]
    )
    assert "load fp_spend" in shown
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    for secret in (password, quote(password, safe=""), quote(password), login, "wr0ng", "Authorization", "Location:"):
        assert secret not in shown
