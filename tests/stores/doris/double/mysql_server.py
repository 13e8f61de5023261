"""MySQL's protocol, as much of it as a frontend speaks with a driver: handshake, login, one statement after another.

Layouts are those of MySQL's "Client/Server Protocol" manual; Doris answers in the text protocol, every value a text.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import socketserver
import ssl
import struct
import threading
from types import TracebackType

from tests.stores.doris.double.cluster import Cluster
from tests.stores.doris.double.tables import RefusedError, Result
from tests.stores.doris.double.values import shown

_CAPABILITIES = 0x000FA20F | 0x00080000  # protocol 4.1, secure login, transactions, plugin names, connect attributes
_TLS = 0x800
_UTF8MB4 = 45
_VAR_STRING = 253


class MySQLDouble:
    """A frontend's query port on 127.0.0.1. ``with MySQLDouble(cluster) as server: server.port``."""

    def __init__(self, cluster: Cluster, tls: ssl.SSLContext | None = None) -> None:
        self.cluster = cluster
        self.connections = 0
        self.logins: list[bytes] = []
        """What was sent to log in."""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                with contextlib.suppress(ConnectionError, EOFError, OSError):
                    _Session(self.request, cluster, tls, outer.logins).serve()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> MySQLDouble:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Session:
    def __init__(
        self, connection: socket.socket, cluster: Cluster, tls: ssl.SSLContext | None, logins: list[bytes]
    ) -> None:
        self._socket = connection
        self._cluster = cluster
        self._tls = tls
        self._logins = logins
        self._sequence = 0
        self._unsent = bytearray()

    def serve(self) -> None:
        if self._cluster.faults.take("mysql.connect") == "drop":
            return
        if not self._login():
            return
        while True:
            self._sequence = 0
            packet = self._read()
            command, body = packet[0], packet[1:]
            if command == 0x01:  # COM_QUIT
                return
            if command in (0x0E, 0x02):  # COM_PING, COM_INIT_DB
                self._ok(0)
            elif command == 0x03:
                self._statement(body.decode())
            else:
                self._refuse(RefusedError("unknown command", 1047))

    def _login(self) -> bool:
        salt = os.urandom(20).replace(b"\0", b"x")
        capabilities = _CAPABILITIES | (_TLS if self._tls else 0)
        low, high = capabilities & 0xFFFF, capabilities >> 16
        self._write(
            b"\x0a5.7.99\0" + struct.pack("<I", 7) + salt[:8] + b"\0"
            + struct.pack("<HBHHB", low, _UTF8MB4, 2, high, 21) + bytes(10) + salt[8:] + b"\0mysql_native_password\0"
        )  # fmt: skip
        reply = self._read()
        if self._tls and len(reply) == 32:  # asks for TLS, and logs in over it
            self._socket = self._tls.wrap_socket(self._socket, server_side=True)
            reply = self._read()
        self._logins.append(reply)
        user, _, rest = reply[32:].partition(b"\0")
        given = rest[1 : 1 + rest[0]]
        once = _sha1(self._cluster.password.encode())
        mask = _sha1(salt + _sha1(once))
        if user.decode() != self._cluster.user or given != bytes(a ^ b for a, b in zip(once, mask, strict=True)):
            self._refuse(RefusedError(f"Access denied for user '{user.decode()}' (using password: YES)", 1045))
            self._flush()
            return False
        self._ok(0)
        return True

    def _statement(self, text: str) -> None:
        kind = text.split(None, 1)[0].upper() if text.split() else ""
        fault = self._cluster.faults.take(f"mysql.{kind.lower()}") or self._cluster.faults.take("mysql.any")
        if fault == "drop":
            raise ConnectionResetError
        if fault is not None and fault.startswith("refuse:"):
            self._refuse(RefusedError(fault.removeprefix("refuse:")))
            return
        try:
            result = self._cluster.execute(text)
        except RefusedError as refusal:
            self._refuse(refusal)
            return
        if fault == "lost":  # done, and nobody is told
            raise ConnectionResetError
        if not result.names:
            self._ok(result.affected)
            return
        self._rows(result, cut=fault == "cut")

    def _rows(self, result: Result, *, cut: bool) -> None:
        self._write(_length(len(result.names)))
        for name in result.names:
            texts = b"".join(_string(part) for part in ("def", "", "", "", name, name))
            self._write(texts + b"\x0c" + struct.pack("<HIBHBH", _UTF8MB4, 1 << 20, _VAR_STRING, 0, 0, 0))
        self._write(b"\xfe\0\0\x02\0")
        for number, row in enumerate(result.values):
            if cut and number >= len(result.values) // 2:
                self._flush()
                raise ConnectionResetError
            self._write(b"".join(b"\xfb" if value is None else _string(value) for value in shown(row)))
        self._write(b"\xfe\0\0\x02\0")

    def _ok(self, affected: int) -> None:
        self._write(b"\0" + _length(affected) + b"\0\x02\0\0\0")

    def _refuse(self, refusal: RefusedError) -> None:
        self._write(b"\xff" + struct.pack("<H", refusal.number) + b"#HY000" + refusal.message.encode())

    def _write(self, body: bytes) -> None:
        while True:
            piece, body = body[:0xFFFFFF], body[0xFFFFFF:]
            header = struct.pack("<I", len(piece))[:3] + bytes([self._sequence])
            self._sequence = (self._sequence + 1) % 256
            self._unsent += header + piece
            if len(self._unsent) > 1 << 16:
                self._flush()
            if len(piece) < 0xFFFFFF:
                return

    def _flush(self) -> None:
        if self._unsent:
            self._socket.sendall(self._unsent)
            self._unsent.clear()

    def _read(self) -> bytes:
        self._flush()
        body = b""
        while True:
            header = self._exactly(4)
            size = int.from_bytes(header[:3], "little")
            self._sequence = (header[3] + 1) % 256
            body += self._exactly(size)
            if size < 0xFFFFFF:
                return body

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)


def _length(number: int) -> bytes:
    if number < 0xFB:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + struct.pack("<H", number)
    return b"\xfd" + struct.pack("<I", number)[:3] if number < 1 << 24 else b"\xfe" + struct.pack("<Q", number)


def _string(text: str) -> bytes:
    raw = text.encode()
    return _length(len(raw)) + raw


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
