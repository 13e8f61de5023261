"""The HTTP ports of a frontend and a backend, as far as Stream Load goes.

Which answers these are stands in Doris' source: LoadAction and RestBaseController (frontend), stream_load.cpp,
stream_load_2pc.cpp and stream_load_context.cpp (backend).
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.tables import RefusedError

_LOAD = re.compile(r"/api/([^/]+)/([^/]+)/_stream_load\??")
_SETTLE = re.compile(r"/api/([^/]+)/_stream_load_2pc\??")
_STATE = re.compile(r"/api/([^/]+)/get_load_state\?label=(.+)")


class HTTPDouble:
    """Both ports on 127.0.0.1. Faults strike at ``fe.load``, ``fe.state``, ``be.receive``, ``be.load`` and
    ``be.reply``."""

    def __init__(self, cluster: Cluster, tls: ssl.SSLContext | None = None) -> None:
        self.cluster = cluster
        self._scheme = "https" if tls else "http"
        self.requests: list[tuple[str, str]] = []
        """(who was asked, path) of every request."""
        self._frontend = _server(self, _Frontend, tls)
        self._backend = _server(self, _Backend, tls)
        self.frontend_port = self._frontend.server_address[1]
        self.backend_port = self._backend.server_address[1]
        self.backend_host = "127.0.0.1"

    def __enter__(self) -> HTTPDouble:
        for server in (self._frontend, self._backend):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (self._frontend, self._backend):
            server.shutdown()
            server.server_close()

    def location(self, path: str) -> str:
        """With the password in it, as Doris sends it."""
        login = f"{quote(self.cluster.user, safe='')}:{quote(self.cluster.password, safe='')}"
        return f"{self._scheme}://{login}@{self.backend_host}:{self.backend_port}{path}?"


def _server(double: HTTPDouble, handler: type[_Handler], tls: ssl.SSLContext | None) -> ThreadingHTTPServer:
    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def finish_request(self, request: Any, client_address: Any) -> None:
            with contextlib.suppress(ssl.SSLError, ConnectionError):  # who does not trust us goes
                secured = tls.wrap_socket(request, server_side=True) if tls else request
                super().finish_request(secured, client_address)

    class Bound(handler):  # type: ignore[valid-type, misc]
        pass

    Bound.double = double
    return Server(("127.0.0.1", 0), Bound)


class _Handler(BaseHTTPRequestHandler):
    double: HTTPDouble
    who = ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def handle_expect_100(self) -> bool:
        return True  # answered when the request is: the client does not wait

    @property
    def cluster(self) -> Cluster:
        return self.double.cluster

    def logged_in(self) -> bool:
        login = base64.b64encode(f"{self.cluster.user}:{self.cluster.password}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {login}":
            return True
        self.answer(401, b"")
        return False

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def say(self, said: dict[str, Any]) -> None:
        self.answer(200, json.dumps(said).encode())

    def reset(self) -> None:
        """Ends the connection without a word: the client finds it reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


class _Frontend(_Handler):
    def do_PUT(self) -> None:
        self.double.requests.append(("fe", self.path))
        fault = self.cluster.faults.take("fe.load")
        if fault == "reset":
            self.reset()
            return
        if not self.logged_in():
            return
        if "Expect" not in self.headers and _LOAD.fullmatch(self.path):
            self.say({"status": "FAILED", "msg": "There is no 100-continue header"})
        elif fault is not None and fault.startswith("failed:"):
            self.say({"status": "FAILED", "msg": fault.removeprefix("failed:")})
        elif fault is not None and fault.startswith("to:"):
            self.answer(307, b"", Location=fault.removeprefix("to:"))
        else:
            self.answer(307, b"", Location=self.double.location(self.path))

    def do_GET(self) -> None:
        self.double.requests.append(("fe", self.path))
        if self.cluster.faults.take("fe.state") == "reset":
            self.reset()
            return
        match = _STATE.fullmatch(self.path)
        if match and self.logged_in():
            state = self.cluster.look(unquote(match[1]), unquote(match[2]))
            self.say({"msg": "success", "code": 0, "data": state, "count": 0})


class _Backend(_Handler):
    def do_PUT(self) -> None:
        self.double.requests.append(("be", self.path))
        if not self.logged_in():
            return
        fault = self.cluster.faults.take("be.receive")
        size = int(self.headers["Content-Length"])
        if fault == "reset":
            self.rfile.read(size // 2)
            self.reset()
            return
        body = self.rfile.read(size)
        if match := _SETTLE.fullmatch(self.path):
            said = self._settle(unquote(match[1]))
        else:
            match = _LOAD.fullmatch(self.path)
            assert match is not None
            said = self._load(unquote(match[1]), unquote(match[2]), body)
        self._reply(said)

    def _reply(self, said: dict[str, Any] | None) -> None:
        fault = self.cluster.faults.take("be.reply")
        if fault == "lost" or said is None:
            self.reset()
        elif fault == "cut":
            self.answer(200, json.dumps(said).encode()[:20])
        elif fault == "500":
            self.answer(500, b"oops")
        else:
            self.say(said)

    def _settle(self, database: str) -> dict[str, Any]:
        try:
            self.cluster.settle(database, self.headers["label"], self.headers["txn_operation"])
        except RefusedError as refusal:
            return {"status": "ANALYSIS_ERROR", "msg": refusal.message}
        return {"status": "Success", "msg": "transaction commit successfully."}

    def _load(self, database: str, table: str, body: bytes) -> dict[str, Any] | None:
        """The reply; None: nobody is told."""
        label = self.headers["label"]
        said: dict[str, Any] = {"TxnId": 7, "Label": label, "Comment": "", "TwoPhaseCommit": "false"}
        fault = self.cluster.faults.take("be.load") or ""
        if fault.startswith("fail:"):
            message = fault.removeprefix("fail:")
            return {**said, "Status": "Fail", "Message": message, "ErrorURL": "http://user:pw@be/api/_load_error_log?x"}
        two_phase = self.headers.get("two_phase_commit") == "true"
        visible = "PRECOMMITTED" if two_phase else "VISIBLE"
        coming = {
            "publish_timeout": ("COMMITTED", "COMMITTED", "VISIBLE"),
            "late": ("PREPARE", "PREPARE", visible),
            "abort_late": ("PREPARE", "PREPARE", "ABORTED"),
        }.get(fault, (visible,))
        try:
            rows = self._rows(database, table, body)
            if fault == "short" and rows.num_rows:
                rows = rows.slice(1)
            temporary = [name for name in self.headers.get("temporary_partitions", "").split(",") if name]
            self.cluster.streamed.append(table)
            loaded = self.cluster.load((database, table), rows, label, temporary, coming=coming)
        except RefusedError as refusal:
            if "already been used" in refusal.message:
                existing = "FINISHED" if "VISIBLE" in refusal.message else "RUNNING"
                return {
                    **said,
                    "Status": "Label Already Exists",
                    "ExistingJobStatus": existing,
                    "Message": refusal.message,
                }
            return {**said, "Status": "Fail", "Message": refusal.message, "NumberFilteredRows": 1}
        if fault in ("late", "abort_late"):
            return None
        status = "Publish Timeout" if fault == "publish_timeout" else "Success"
        return {**said, "Status": status, "Message": "OK", "NumberTotalRows": loaded, "NumberLoadedRows": loaded,
                "NumberFilteredRows": 0, "NumberUnselectedRows": 0}  # fmt: skip

    def _rows(self, database: str, table: str, body: bytes) -> pa.Table:
        if self.headers.get("format") != "parquet" or self.headers.get("timezone") != "UTC":
            raise RefusedError("the double reads Parquet with times in UTC")
        rows = pq.read_table(io.BytesIO(body))
        if any(getattr(each.type, "tz", None) for each in rows.schema):
            raise RefusedError("a time with a zone would be shifted")
        names = re.findall(r"`([^`]+)`", self.headers["columns"])
        if rows.column_names != names:
            raise RefusedError(f"Unknown column '{names}' in file")
        known = {column.name for column in self.cluster.table(database, table).columns}
        if missing := set(names) - known:
            raise RefusedError(f"Unknown column '{missing.pop()}' in 'table list'")
        return rows
