"""What a request to PostgreSQL or Redis is for, as its bytes show."""

from __future__ import annotations

import inspect
from hashlib import sha1

from feature_platform.stores import redis_online_scripts

STAGE, PUBLISH, SWEEP, READ, LOOK = "staging", "publishing", "sweeping", "reading", "looking"

_POSTGRES: tuple[tuple[bytes, str], ...] = (
    (b"SET state = 'live'", PUBLISH),
    (b"SET state = 'superseded'", PUBLISH),
    (b"pg_advisory_xact_lock(hashtextextended", PUBLISH),
    (b"DO UPDATE SET version = excluded.version", PUBLISH),
    (b"RETURNING state, event_time", PUBLISH),
    (b"xmax = 0 AS is_new", PUBLISH),
    (b" USING ", PUBLISH),
    (b"'staged', NULL, NULL", STAGE),
    (b"FROM STDIN", STAGE),
    (b"CREATE TABLE", STAGE),
    (b"PRIMARY KEY", STAGE),
    (b"pg_advisory_lock(", STAGE),
    (b"pg_try_advisory_lock", SWEEP),
    (b"DROP TABLE", SWEEP),
    (b"state <> 'live'", SWEEP),
    (b"TO STDOUT", READ),
    (b"WITH ORDINALITY", READ),
    (b"state = 'live' AND (table_schema", LOOK),
    (b"properties, event_time FROM", LOOK),
)


def of_postgres(data: bytes) -> str | None:
    """A commit and the like are for what the statements before them were for."""
    if data[:1] == b"d":  # CopyData
        return STAGE
    return next((phase for text, phase in _POSTGRES if text in data), None)


def _scripts() -> dict[bytes, str]:
    """By digest. Whatever else a script does, one that removes is not one that publishes."""
    found = {}
    for name, text in inspect.getmembers(redis_online_scripts, lambda value: isinstance(value, str)):
        if "redis.call" in text:
            phase = SWEEP if "REMOVE" in name else PUBLISH
            found[sha1(text.encode()).hexdigest().encode()] = phase  # noqa: S324 - Redis' own naming
    return found


_SCRIPTS = _scripts()


def of_redis(data: bytes) -> str | None:
    for digest, phase in _SCRIPTS.items():
        if digest in data:
            return phase
    for command, phase in (
        (b"SCRIPT", PUBLISH),
        (b"EXPIRE", STAGE),
        (b"HSET", STAGE),
        (b"HMGET", READ),
        (b"CLIENT", SWEEP),
        (b"HGETALL", LOOK),
        (b"HLEN", LOOK),
    ):
        if command in data[:64] or (command == b"EXPIRE" and command in data):
            return phase
    return None
