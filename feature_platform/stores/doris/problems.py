"""What Doris says when it refuses, as kinds. Nearly everything is error 1105, so the text decides.

Doris puts rows and pieces of statements into its messages. So a message is never passed on: only its kind is, and the
names of tables and columns where a pattern picks them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final

import pymysql

from feature_platform.errors import Problem, StoreError
from feature_platform.stores.codes import (
    NOT_PUBLISHED,
    OUT_OF_MEMORY,
    QUERY_FAILED,
    QUERY_NOT_ALLOWED,
    STORE_UNREACHABLE,
    TABLE_BUSY,
)


class Kind(Enum):
    """What to do about it follows from this."""

    UNREACHABLE = auto()
    """No answer. What was asked for may have been done."""
    DENIED = auto()
    MISSING = auto()
    """A table, database or partition is not there."""
    EXISTS = auto()
    COLUMN = auto()
    BUSY = auto()
    """Locks, schema changes, leader elections: later it may work."""
    PRESSURE = auto()
    """More versions than compaction keeps up with (-235)."""
    TIMEOUT = auto()
    MEMORY = auto()
    LABEL_USED = auto()
    ROWS = auto()
    """Rows do not fit the table."""
    SYNTAX = auto()
    OTHER = auto()


_BY_NUMBER: Final = {1044: Kind.DENIED, 1045: Kind.DENIED, 1142: Kind.DENIED, 1227: Kind.DENIED, 1049: Kind.MISSING,
                     1146: Kind.MISSING, 1051: Kind.MISSING, 1050: Kind.EXISTS, 1054: Kind.COLUMN}  # fmt: skip
_BY_TEXT: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"label \[?.{0,200}\]? has already been used", Kind.LABEL_USED),
        (r"-235\b|too many versions|exceed(s|ed)? max version|TOO_MANY_VERSION", Kind.PRESSURE),
        (r"filtered rows|insert has filtered|strict mode|no partition for this tuple|too many filtered", Kind.ROWS),
        (r"access denied|privilege|permission", Kind.DENIED),
        (r"unknown column|unbound slot", Kind.COLUMN),
        (r"already exist", Kind.EXISTS),
        (r"does not exist|unknown (table|database)|not found|not exist", Kind.MISSING),
        (r"memory|MEM_LIMIT|MEM_ALLOC|disk.{0,20}(full|exceed)", Kind.MEMORY),
        ((r"lock timeout|table.{0,40}(state|status) is not normal|schema.?change|under (schema )?change|not master"
         r"|no (available|alive) (be|backend)|no queryable replica|temp(orary)? partition.{0,60}(exist|first)"
         r"|intersect|overlap"), Kind.BUSY),
        (r"time ?out|timed out|killed|cancelled", Kind.TIMEOUT),
        ((r"syntax|mismatched input|no viable alternative|extraneous input|ParseException|not supported"
         r"|can not (cast|found function)|analysis"), Kind.SYNTAX),
    )
)  # fmt: skip
_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
"""How the TLS library names it."""
_COLUMN: Final = re.compile(r"unknown column '([A-Za-z_][A-Za-z0-9_]*)'", re.IGNORECASE)


def kind_of(message: str, number: int = 1105) -> Kind:
    """The kind of a refusal by Doris.

    >>> kind_of("errCode = 2, detailMessage = tablet writer write failed, err=-235")
    <Kind.PRESSURE: 7>
    """
    if number in _BY_NUMBER:
        return _BY_NUMBER[number]
    return next((kind for pattern, kind in _BY_TEXT if pattern.search(message)), Kind.OTHER)


class DorisError(StoreError):
    """A statement failed; ``kind`` tells what may be done about it."""

    def __init__(self, problem: Problem, kind: Kind) -> None:
        super().__init__(problem)
        self.kind = kind

    def __reduce__(self) -> tuple[type[DorisError], tuple[Problem, Kind]]:  # type: ignore[override]
        return (type(self), (self.problems[0], self.kind))


@contextmanager
def reported() -> Iterator[None]:
    """Turns the driver's errors into :class:`DorisError`."""
    try:
        yield
    except (pymysql.Error, OSError) as error:
        raise _error(error) from None


def _error(error: Exception) -> DorisError:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    message = str(error.args[1]) if len(error.args) > 1 else ""
    gone = isinstance(error, pymysql.InterfaceError | OSError) or 2000 <= number < 2100
    kind = Kind.UNREACHABLE if gone else kind_of(message, number)
    return DorisError(problem_of(kind, message), kind)


def problem_of(kind: Kind, message: str = "") -> Problem:
    """What to tell. ``message`` is looked at for names, never repeated."""
    column = _COLUMN.search(message)
    match kind:
        case Kind.UNREACHABLE if _UNTRUSTED in message:
            return STORE_UNREACHABLE.problem(
                "the Doris cluster's certificate is not of an authority that is trusted, or is of another host",
                mend="name its authority in `ca_file` of the store, and hosts as the certificate does",
            )
        case Kind.UNREACHABLE:
            return STORE_UNREACHABLE.problem(
                "no frontend of the Doris cluster answers, or the connection broke",
                mend="check the cluster, and the URL in the environment variable that the profile names",
            )
        case Kind.DENIED:
            return QUERY_NOT_ALLOWED.problem(
                "Doris refuses the login, or its user may not do that",
                mend="check the URL; grant SELECT on sources, and all but ADMIN on the platform's databases",
            )
        case Kind.BUSY | Kind.PRESSURE:
            return TABLE_BUSY.problem(
                "the table is being changed or compacted", mend="run again; see the running jobs with SHOW ALTER TABLE"
            )
        case Kind.MEMORY:
            return OUT_OF_MEMORY.problem("Doris ran out of memory or disk", mend="read less at once, or free space")
        case Kind.MISSING:
            return NOT_PUBLISHED.problem("a table or partition is not there", mend="materialize it again")
        case Kind.TIMEOUT:
            return QUERY_FAILED.problem("the statement took longer than it may", mend="read less, or raise the timeout")
        case Kind.COLUMN:
            name = f" '{column[1]}'" if column else ""
            return QUERY_FAILED.problem(f"there is no column{name}", mend="correct the query")
        case Kind.ROWS:
            return QUERY_FAILED.problem("rows do not fit the table", mend="use wider types, or mend the source's rows")
    reasons = {Kind.SYNTAX: "Doris does not understand the statement", Kind.EXISTS: "something is there already",
               Kind.LABEL_USED: "its label was used before"}  # fmt: skip
    return QUERY_FAILED.problem(
        reasons.get(kind, "Doris gave up"), mend="see fe.audit.log or fe.log for the statement's own message"
    )
