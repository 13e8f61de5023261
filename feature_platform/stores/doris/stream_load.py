"""Stream Load over HTTP, in two steps that stay in our hands.

A frontend answers a load with 307 and the backend to go to, user and password in that address. Libraries that follow
it by themselves lose rows (the body is spent on the frontend; the backend then reports a success with none), drop the
login, or log the address. So the frontend is asked with an empty body, the address is checked and stripped, and the
rows go to the backend in a request of their own.

A request that broke off says so in one of two ways: :class:`NotSentError` (no backend got rows) and
:class:`NoReplyError` (a backend may have committed them).
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit

from feature_platform.errors import StoreError
from feature_platform.stores.codes import LOAD_REDIRECT
from feature_platform.stores.doris.outcomes import Reply
from feature_platform.stores.doris.problems import DorisError, Kind, problem_of
from feature_platform.stores.doris.settings import Address, DorisSettings

_LOG: Final = logging.getLogger(__name__)
_PIECE_BYTES: Final = 1 << 20
_REPLY_BYTES: Final = 1 << 20
_SMALL_TIMEOUT_SECONDS: Final = 30.0

Body = bytes | memoryview
T = TypeVar("T")


class NotSentError(Exception):
    """No backend got anything. Asking again is safe."""


class NoReplyError(Exception):
    """A backend got the request, or a part of it, and did not answer: what became of it is not known."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows of a load go."""

    database: str
    table: str
    temporary_partition: str | None = None


class StreamLoadClient:
    """One request per call, each over a connection of its own. Safe for several threads."""

    def __init__(self, settings: DorisSettings) -> None:
        self._settings = settings
        login = base64.b64encode(f"{settings.user}:{settings.password}".encode()).decode()
        self._authorization = f"Basic {login}"
        self._tls = settings.ssl_context()
        self._one_attempt_seconds = max(60, settings.load_timeout_seconds // 3)

    def __repr__(self) -> str:
        return f"StreamLoadClient({self._settings!r})"

    def send(self, target: Target, label: str, columns: tuple[str, ...], body: Body, *, two_phase: bool) -> Reply:
        """Sends one Parquet file as one load.

        Raises:
            NotSentError, NoReplyError: it broke off, see there.
            StoreError: the cluster names a host that is not allowed, or refuses the login.
        """
        headers = {
            "label": label,
            "format": "parquet",
            "columns": ",".join(f"`{name}`" for name in columns),
            "timezone": "UTC",
            "strict_mode": "true",
            "max_filter_ratio": "0",
            "timeout": str(self._one_attempt_seconds),
            **({"temporary_partitions": target.temporary_partition} if target.temporary_partition else {}),
            **({"two_phase_commit": "true"} if two_phase else {}),
        }
        path = f"/api/{quote(target.database)}/{quote(target.table)}/_stream_load"
        reply = self._through_frontend(path, headers, body)
        _LOG.debug("load %s to %s.%s: %s, %d rows", label, target.database, target.table, reply.status, reply.loaded)
        return reply

    def settle(self, database: str, label: str, operation: str) -> Reply:
        """Commits or aborts a pre-committed load (``operation``); its label is known even if its reply was lost.

        Raises:
            NotSentError, NoReplyError: it broke off, see there.
        """
        headers = {"label": label, "txn_operation": operation}
        return self._through_frontend(f"/api/{quote(database)}/_stream_load_2pc", headers, b"")

    def state(self, database: str, label: str) -> str:
        """What became of a label: UNKNOWN, PREPARE, PRECOMMITTED, COMMITTED, VISIBLE or ABORTED.

        Raises:
            NotSentError: no frontend answers.
        """
        path = f"/api/{quote(database)}/get_load_state?label={quote(label)}"

        def ask(frontend: Address) -> str:
            status, _, body = self._answer(frontend, _Request("GET", path))
            _check_login(status)
            try:
                state = json.loads(body)["data"]
            except (ValueError, KeyError, TypeError):
                raise NotSentError from None
            _LOG.debug("label %s: %s", label, state)
            return str(state).upper()

        return self._any_frontend(ask)

    def _through_frontend(self, path: str, headers: Mapping[str, str], body: Body) -> Reply:
        def ask(frontend: Address) -> Reply | Address:
            # Doris refuses a load without an Expect header; whether it is waited for makes no difference.
            asked = {**headers, "Expect": "100-continue"}
            status, location, said = self._answer(frontend, _Request("PUT", path, asked))
            _check_login(status)
            if status in (307, 302):
                return self._checked(location, path)
            reply = Reply.parse(said)
            if reply is None:
                raise NotSentError
            return reply

        found = self._any_frontend(ask)
        if isinstance(found, Reply):
            return found
        try:
            timeout = self._one_attempt_seconds + _SMALL_TIMEOUT_SECONDS
            status, _, said = self._answer(found, _Request("PUT", path, headers, body, timeout))
        except _BrokenOffError as broken:
            raise (NoReplyError if broken.connected else NotSentError) from None
        _check_login(status)
        reply = Reply.parse(said) if status == 200 else None
        if reply is None:
            raise NoReplyError
        return reply

    def _checked(self, location: str, path: str) -> Address:
        """The backend that a redirect names. Its user and password are left where they are."""
        try:
            parts = urlsplit(location)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            host, port, parts = "", 0, urlsplit("")
        secure = parts.scheme == "https" or not self._settings.tls
        if not (secure and parts.path == path and self._settings.may_send_to(host)):
            where = f"'{host}'" if host and host.replace(".", "").replace("-", "").isalnum() else "no host of ours"
            raise StoreError(
                LOAD_REDIRECT.problem(
                    f"a frontend sends a load to {where}, which is not allowed",
                    mend="add the backend to `backends` or `backend_addresses` of the store, if it is one of yours",
                )
            )
        return self._settings.reached_at(Address(host, port))

    def _any_frontend(self, ask: Callable[[Address], T]) -> T:
        """The first frontend that answers. What it is asked changes nothing, so each may be asked."""
        for frontend in self._settings.frontends:
            try:
                return ask(Address(frontend.host, self._settings.http_port))
            except (_BrokenOffError, NotSentError):
                continue
        raise NotSentError

    def _answer(self, to: Address, request: _Request) -> tuple[int, str, bytes]:
        """Status, ``Location`` and body of one answer."""
        connected = False
        with closing(self._connection(to)) as connection:
            try:
                connection.connect()
                connected = True
                assert connection.sock is not None  # connected
                connection.sock.settimeout(request.timeout)
                connection.putrequest(request.method, request.path, skip_accept_encoding=True)
                for name, value in request.headers.items():
                    connection.putheader(name, value)
                connection.putheader("Authorization", self._authorization)
                connection.putheader("Content-Length", str(len(request.body)))
                connection.endheaders()
                try:
                    for start in range(0, len(request.body), _PIECE_BYTES):
                        connection.send(memoryview(request.body)[start : start + _PIECE_BYTES])
                except (BrokenPipeError, ConnectionResetError):
                    pass  # whoever stops listening may have answered already
                answer = connection.getresponse()
                return answer.status, answer.getheader("Location", ""), answer.read(_REPLY_BYTES)
            except ssl.SSLCertVerificationError as error:
                raise DorisError(problem_of(Kind.UNREACHABLE, str(error)), Kind.UNREACHABLE) from None
            except (OSError, http.client.HTTPException) as error:
                _LOG.debug("%s %s at %s broke off: %s", request.method, request.path, to, type(error).__name__)
                raise _BrokenOffError(connected=connected) from None

    def _connection(self, to: Address) -> http.client.HTTPConnection:
        seconds = self._settings.connect_timeout_seconds
        connection = (
            http.client.HTTPSConnection(to.host, to.port, timeout=seconds, context=self._tls)
            if self._tls is not None
            else http.client.HTTPConnection(to.host, to.port, timeout=seconds)
        )
        connection.set_debuglevel(0)  # it would print the login, and passwords in addresses, whoever asked for it
        return connection


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = b""
    timeout: float = _SMALL_TIMEOUT_SECONDS


class _BrokenOffError(Exception):
    def __init__(self, *, connected: bool) -> None:
        super().__init__()
        self.connected = connected


def _check_login(status: int) -> None:
    if status in (401, 403):
        raise DorisError(problem_of(Kind.DENIED), Kind.DENIED)
