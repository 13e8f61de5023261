"""A frontend's Arrow Flight port: as much of Flight SQL as a driver needs for one SELECT.

Messages are those of FlightSql.proto, taken apart by hand: each is an ``Any`` around a message whose first field
matters. Rows come from the frontend itself here; Doris sends a driver to its backends.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pyarrow as pa
from pyarrow import flight

from tests.stores.doris.double.cluster import Cluster

_TYPE = b"type.googleapis.com/arrow.flight.protocol.sql."


class FlightDouble(flight.FlightServerBase):  # type: ignore[misc]
    def __init__(self, cluster: Cluster, tls: tuple[bytes, bytes] | None = None) -> None:
        """``tls``: certificate and key, as PEM."""
        super().__init__(
            "grpc+tls://127.0.0.1:0" if tls else "grpc://127.0.0.1:0",
            auth_handler=_NoHandshake(),
            middleware={"login": _Login(cluster)},
            **({"tls_certificates": [tls]} if tls else {}),
        )
        self.cluster = cluster
        self.queries: list[str] = []
        self._thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self) -> FlightDouble:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join(timeout=5)

    def do_action(self, _context: Any, action: flight.Action) -> Iterator[flight.Result]:
        if action.type == "CreatePreparedStatement":
            query = _first(_inside(action.body.to_pybytes()))
            result = _field(1, query)  # the handle is the text itself
            yield flight.Result(pa.py_buffer(_any(b"ActionCreatePreparedStatementResult", result)))

    def get_flight_info(self, _context: Any, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        if b"CommandPreparedStatementQuery" not in descriptor.command:
            raise NotImplementedError("the double runs prepared statements alone")
        query = _first(_inside(descriptor.command))
        self.queries.append(query.decode())
        table = self._rows(query)
        return flight.FlightInfo(table.schema, descriptor, [flight.FlightEndpoint(query, [])], table.num_rows, -1)

    def do_get(self, _context: Any, ticket: flight.Ticket) -> flight.RecordBatchStream:
        return flight.RecordBatchStream(self._rows(ticket.ticket))

    def _rows(self, query: bytes) -> pa.Table:
        with self.cluster.lock:
            return self.cluster.duck.sql(self.cluster.translated(query.decode())).to_arrow_table()


class _NoHandshake(flight.ServerAuthHandler):  # type: ignore[misc]
    """Login is by header."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        pass

    def is_valid(self, _token: bytes) -> bytes:
        return b""


class _Login(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    def __init__(self, cluster: Cluster) -> None:
        login = f"{cluster.user}:{cluster.password}".encode()
        self._allowed = {
            f"Basic {base64.b64encode(login).decode()}",
            f"Basic {base64.b64encode(login).decode().rstrip('=')}",
            "Bearer t",
        }

    def start_call(self, _info: Any, headers: dict[str, list[str]]) -> Any:
        given = next((values[0] for name, values in headers.items() if name.lower() == "authorization"), "")
        if given not in self._allowed:
            raise flight.FlightUnauthenticatedError("wrong password")
        return _Token()


class _Token(flight.ServerMiddleware):  # type: ignore[misc]
    def sending_headers(self) -> dict[str, str]:
        return {"authorization": "Bearer t"}


def _field(number: int, value: bytes) -> bytes:
    size, varint = len(value), b""
    while size > 0x7F:
        varint += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + varint + bytes([size]) + value


def _any(name: bytes, value: bytes) -> bytes:
    return _field(1, _TYPE + name) + _field(2, value)


def _fields(message: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(message):
        key, at = message[at], at + 1
        size, shift = 0, 0
        while True:
            byte, at = message[at], at + 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found[key >> 3] = message[at : at + size]
        at += size
    return found


def _inside(message: bytes) -> bytes:
    return _fields(message)[2]


def _first(message: bytes) -> bytes:
    return _fields(message)[1]
