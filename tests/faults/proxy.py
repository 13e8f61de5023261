"""A TCP proxy in front of a real server that does to one request, or to the whole network, what networks do.

It forwards bytes and keeps a trace: what each request from the client was for. A fault is armed for the n-th request of
a phase of such a trace, so it meets any step of an operation that ran unharmed before. Threads, and no more than a
screen of state: what is odd about a run must not be the proxy.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

Manner = Literal["reset", "half", "lost reply", "delay", "cut", "silence", "before", "after"]
"""What happens to the request that a fault is armed for:

* ``reset``: the server never sees it, the client's connection is reset (RST).
* ``half``: half of its bytes reach the server, then both sides are reset.
* ``lost reply``: the server does it; the answer is dropped and the client's connection reset.
* ``delay``: it waits, then goes on.
* ``cut``: as ``reset``, and every connection with it; none is taken until the network is back.
* ``silence``: from here on, no packet of the client is answered, not even acknowledged, until the network is back.
* ``before``, ``after``: ``action`` is done before the server sees it, or when its answer is there and not passed on.
"""

Classify = Callable[[bytes], str | None]
"""What a request is for; None: whatever the connection's last one was for."""

CONNECTING: Final = "connecting"
_CHUNK: Final = 8_192
_DROP_ALL: Final = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A packet filter of one instruction: keep nothing."""
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27


@dataclass
class Fault:
    """What to do, and to which request."""

    phase: str
    nth: int
    """From 0, among the requests of ``phase``."""
    manner: Manner
    seconds: float = 0.0
    """Of ``delay``."""
    action: Callable[[], None] | None = None
    hit: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Listens on a port of this machine's own. Close it in the end."""

    def __init__(self, connect: Callable[[], socket.socket], classify: Classify) -> None:
        """``connect`` opens a connection to the real server."""
        self._connect = connect
        self._classify = classify
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._fault: Fault | None = None
        self._seen: dict[str, int] = {}
        self._is_down = False
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def arm(self, fault: Fault | None) -> None:
        """Counts requests anew and waits for the fault's."""
        with self._lock:
            self._fault = fault
            self._seen = {}

    def trace(self) -> dict[str, int]:
        """How many requests of each phase there were since the last :meth:`arm`."""
        with self._lock:
            return dict(self._seen)

    def restore(self) -> None:
        """The network is back; no fault is armed."""
        with self._lock:
            self._fault = None
            self._is_down = False
            links = list(self._links)
        for link in links:
            link.hear_again()

    def close(self) -> None:
        """Resets what is open, and listens no more."""
        self._closed = True
        self._listener.close()
        self._reset_all()

    def cut(self) -> None:
        """Resets every connection, and takes none until :meth:`restore`."""
        with self._lock:
            self._is_down = True
        self._reset_all()

    def meets(self, phase: str) -> Fault | None:
        """Counts a request; gives the fault that is armed for it."""
        with self._lock:
            number = self._seen.get(phase, 0)
            self._seen[phase] = number + 1
            fault = self._fault
            if fault is None or fault.phase != phase or fault.nth != number:
                return None
            self._fault = None
        return fault

    def forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)

    def _reset_all(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            link.reset()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            fault = self.meets(CONNECTING)
            if fault is not None:
                self._meet_connecting(fault)
            try:
                server = None if self._is_down or self._closed else self._connect()
            except OSError:
                server = None
            if server is None or (fault is not None and fault.manner in ("reset", "half", "lost reply", "after")):
                _reset(client)
                if server is not None:
                    server.close()
                continue
            link = _Link(self, client, server, self._classify)
            with self._lock:
                self._links.add(link)
            if fault is not None and fault.manner == "silence":
                link.go_silent()
            link.start(fault.seconds if fault is not None and fault.manner == "delay" else 0.0)

    def _meet_connecting(self, fault: Fault) -> None:
        if fault.action is not None:
            fault.action()
        if fault.manner == "cut":
            self.cut()
        fault.hit.set()


class _Link:
    """One client's connection, and the one behind it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket, classify: Classify) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._classify = classify
        self._phase = CONNECTING
        self._keeps_reply: Fault | None = None
        self._heard = threading.Event()
        self._heard.set()

    def start(self, wait_seconds: float) -> None:
        def requests() -> None:
            threading.Event().wait(wait_seconds)
            self._forward_requests()

        for body in (requests, self._forward_replies):
            threading.Thread(target=body, name="proxy-link", daemon=True).start()

    def reset(self) -> None:
        """An RST to the client, an end to the server."""
        self._proxy.forget(self)
        self._heard.set()
        _reset(self._client)
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)

    def go_silent(self) -> None:
        """The kernel drops what the client sends before anybody acknowledges it, and nothing is passed on to him."""
        code = ctypes.create_string_buffer(_DROP_ALL)
        program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(code))
        self._heard.clear()
        with contextlib.suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def hear_again(self) -> None:
        if not self._heard.is_set():
            with contextlib.suppress(OSError):
                self._client.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            self._heard.set()

    def _forward_requests(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(_CHUNK):
                self._phase = self._classify(data) or self._phase
                fault = self._proxy.meets(self._phase)
                if fault is None:
                    self._server.sendall(data)
                elif not self._meet(fault, data):
                    return
        self._end()

    def _forward_replies(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(_CHUNK):
                if (fault := self._keeps_reply) is not None:
                    if fault.action is not None:
                        fault.action()
                    self.reset()
                    fault.hit.set()
                    return
                self._heard.wait()
                self._client.sendall(data)
        self._end()

    def _meet(self, fault: Fault, data: bytes) -> bool:
        """Whether the connection goes on."""
        match fault.manner:
            case "delay":
                fault.hit.set()
                threading.Event().wait(fault.seconds)
                self._server.sendall(data)
                return True
            case "silence":
                self.go_silent()
                fault.hit.set()
                self._heard.wait()
                self._server.sendall(data)
                return True
            case "lost reply" | "after":
                self._keeps_reply = fault
                self._server.sendall(data)
                return True
            case "half":
                self._server.sendall(data[: len(data) // 2])
                self.reset()
            case "cut":
                self._proxy.cut()
            case "before":
                assert fault.action is not None
                fault.action()
                fault.hit.set()
                self._server.sendall(data)
                return True
            case _:
                self.reset()
        fault.hit.set()
        return False

    def _end(self) -> None:
        self._proxy.forget(self)
        for each in (self._client, self._server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _reset(client: socket.socket) -> None:
    """Closes with an RST. ``shutdown`` wakes a thread that reads from it; it would send a FIN first, so it comes
    second: ``close`` alone leaves the connection open as long as that thread waits."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RD)
    client.close()
