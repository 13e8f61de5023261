"""Least-privilege users of a Redis store, as ``ACL SETUSER`` commands.

Each may do what its part needs, on the store's keys alone. None may run what Redis calls dangerous, but for three looks
that leases and reports need: ``INFO``, ``CLIENT LIST`` and, for the operator, ``SLOWLOG GET``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_CONNECT: Final = ("ping", "select", "cluster|slots", "command", "asking", "readonly")
_LOOK: Final = ("hget", "hmget", "hgetall")

COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "writer": (
        *_CONNECT,
        *_LOOK,
        *("hset", "hsetnx", "hdel", "hlen", "hexists", "expire", "pexpireat", "persist", "unlink", "eval"),
        *("memory|usage", "wait", "time", "info", "client|id", "client|list", "scan"),
    ),
    "reader": (*_CONNECT, *_LOOK),
    "operator": (
        *_CONNECT,
        *_LOOK,
        *("hlen", "memory|usage", "time", "info", "scan", "type", "hscan", "get", "lrange", "llen"),
        *("sscan", "zscan", "xrange", "dump", "slowlog|get"),
    ),
}
"""What each role may run: the writer ``fp materialize`` and ``fp store repair``, the reader services and notebooks, the
operator ``fp store status`` and ``fp canary scan``, which reads every key, whoever wrote it."""


def roles(prefix: str) -> str:
    """The commands that make the users ``<prefix>_writer``, ``_reader`` and ``_operator``, or bring them up to date;
    passwords stay as they are and are given apart from this."""
    lines = []
    for role, commands in COMMANDS.items():
        keys = "~*" if role == "operator" else f"~{prefix}:*"
        allowed = " ".join(f"+{command}" for command in commands)
        lines.append(f"ACL SETUSER {prefix}_{role} on resetkeys resetchannels -@all {keys} {allowed}")
    return "\n".join(lines)
