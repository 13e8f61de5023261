"""The ledger in PostgreSQL: one transaction per segment, numbered and chained under an advisory lock.

The tables come from ``schema.sql``, which the first use runs where they are missing, if its role may do that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import RLock
from typing import Any, Final

from feature_platform.errors import AuditError, Problem, StoreError
from feature_platform.governance.audit.chain import GENESIS, Checkpoint, Head, Record, seal
from feature_platform.governance.audit.codes import LEDGER_UNUSABLE
from feature_platform.governance.audit.event import moment
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.ledger import Appended, recording_time
from feature_platform.governance.audit.pace import paced
from feature_platform.governance.audit.spool import Segment
from feature_platform.layouts.codes import LAYOUT_REFUSED
from feature_platform.layouts.migrate import Line, bring_up_to_date

SCHEMA_FILE: Final = Path(__file__).with_name("schema.sql")
ROLES_FILE: Final = Path(__file__).with_name("roles.sql")

_LOCK: Final = 0x6670_6175_6469_7421  # "fpaudit!": no other part of the platform locks this number
_CONNECT_SECONDS: Final = 5
_AT_ONCE: Final = 2_000
_COLUMNS: Final = "seq, recorded_at, segment, position, record, hash"
LAYOUT: Final = Line(Path(__file__).with_name("layouts"), ("audit_1",))
SCHEMA: Final = "fp_audit"


class PostgresLedger:
    """See :class:`feature_platform.governance.audit.ledger.Ledger`. Connects on first use; safe for several threads.

    Nothing outlives a transaction in its session, so a pooler in transaction mode may stand between.
    """

    name = "PostgreSQL, schema fp_audit"

    def __init__(self, url: str, owner_url: str | None = None) -> None:
        """``owner_url``: of the server itself where ``url`` is a pooler's; makes the tables."""
        self._url = url
        self._owner_url = owner_url or url
        self._connection: Any = None
        self._lock = RLock()
        self._months: set[tuple[int, int]] = set()

    def append(self, keys: AuditKeys, segment: Segment, *, politely: bool = False) -> Appended:
        with self._session() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            before = _head(connection)
            if _has_segment(connection, segment.name):
                return Appended(before, before)  # whoever drained it died before the file was removed
            at = recording_time(before)
            self._prepare(connection, at)
            records = seal(keys, before, segment.name, enumerate(paced(segment.events, politely)), at)
            with connection.cursor().copy(f"COPY fp_audit.ledger ({_COLUMNS}) FROM STDIN") as copy:
                for record in paced(records, politely):
                    copy.write_row(
                        (record.seq, record.recorded_at, record.segment, record.position, record.text, record.hash)
                    )
        last = records[-1] if records else None
        after = Head(last.seq, last.hash, at, last.segment, last.position) if last else before
        return Appended(before, after)

    def head(self) -> Head:
        with self._session() as connection:
            return _head(connection)

    def records(self, after: int = 0) -> Iterator[Record]:
        query = f"SELECT {_COLUMNS} FROM fp_audit.ledger WHERE seq > %s ORDER BY seq"  # noqa: S608 - names of ours
        with self._session() as connection, connection.transaction():
            # One snapshot: what is appended meanwhile does not show.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with connection.cursor(name="fp_audit_records") as cursor:
                cursor.itersize = _AT_ONCE
                cursor.execute(query, [after])
                for seq, recorded_at, segment, position, text, digest in cursor:
                    yield Record(seq, moment(recorded_at), segment, position, text, bytes(digest))

    def count(self) -> int:
        with self._session() as connection:
            return int(connection.execute("SELECT count(*) FROM fp_audit.ledger").fetchone()[0])

    def hash_of(self, seq: int) -> bytes | None:
        if seq == 0:
            return GENESIS
        with self._session() as connection:
            row = connection.execute("SELECT hash FROM fp_audit.ledger WHERE seq = %s", [seq]).fetchone()
            return None if row is None else bytes(row[0])

    def has_segment(self, name: str) -> bool:
        with self._session() as connection:
            return _has_segment(connection, name)

    def checkpoints(self) -> Sequence[Checkpoint]:
        with self._session() as connection:
            rows = connection.execute("SELECT checkpoint FROM fp_audit.checkpoints ORDER BY seq").fetchall()
        return tuple(Checkpoint(**json.loads(text)) for (text,) in rows)

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        text = json.dumps(checkpoint.as_dict(), sort_keys=True)
        with self._session() as connection:
            connection.execute(
                "INSERT INTO fp_audit.checkpoints VALUES (%s, %s) ON CONFLICT DO NOTHING", [checkpoint.seq, text]
            )

    def interrupted_segment(self) -> str:
        return ""  # a segment is in the ledger as a whole or not at all

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _session(self) -> Iterator[Any]:
        import psycopg

        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = _connected(self._url, self._owner_url)
                yield self._connection
            except psycopg.Error as error:
                self.close()
                raise AuditError(_problem(error)) from None
            except StoreError as error:
                self.close()
                raise AuditError(_layout_problem(error)) from None
            except BaseException:
                self.close()  # a session in the middle of something is not used again
                raise

    def _prepare(self, connection: Any, at: datetime) -> None:
        month = (at.year, at.month)
        if month not in self._months:
            connection.execute("SELECT fp_audit.prepare_month(%s)", [at])
            self._months.add(month)


def _connected(url: str, owner_url: str) -> Any:
    import psycopg

    connection = psycopg.connect(
        url,
        autocommit=True,
        application_name="feature_platform audit",
        connect_timeout=_CONNECT_SECONDS,
        client_encoding="UTF8",
        prepare_threshold=None,  # a statement's name would stay with one process of the server
    )
    try:
        bring_up_to_date(connection, owner_url, LAYOUT, SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_segment(connection: Any, name: str) -> bool:
    found = connection.execute("SELECT 1 FROM fp_audit.ledger WHERE segment = %s LIMIT 1", [name])
    return found.fetchone() is not None


def _head(connection: Any) -> Head:
    row = connection.execute(
        "SELECT seq, hash, recorded_at, segment, position FROM fp_audit.ledger ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return Head() if row is None else Head(row[0], bytes(row[1]), row[2], row[3], row[4])


def _layout_problem(error: StoreError) -> Problem:
    if error.code != LAYOUT_REFUSED.id:
        return error.problems[0]
    return LEDGER_UNUSABLE.problem(
        error.problems[0].what, mend="let the owner of the database set it up: `fp audit setup` prints the statements"
    )


def _problem(error: Any) -> Problem:
    state = error.sqlstate
    if state is None or state.startswith(("08", "57P", "28", "53")):
        return LEDGER_UNUSABLE.problem(
            "the PostgreSQL server of the audit ledger does not answer, or refuses the login",
            mend="check the server, and the URL in the environment variable that the profile names",
        )
    return LEDGER_UNUSABLE.problem(
        f"PostgreSQL refused to use the audit ledger (SQLSTATE {state})",
        mend="let the owner of the database set it up: `fp audit setup` prints the statements",
    )
