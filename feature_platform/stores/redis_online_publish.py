"""Makes staged rows live, group by group, so that whatever dies on the way somebody else can carry it through.

1. *Seal*: every group's staged rows are counted, and kept for another day. What is missing is found here, while nothing
   has changed.
2. *Decide*: the view's record says what is going live. From here on only forward.
3. *Flip*, per group one script: readers of the group are directed to its new rows, the old ones go.
4. *Finish*: the record says that it is live.

With one group, as on a single server, step 3 is one step for the whole view. With many, each entity has old rows or new
ones, never a mixture, and a publisher that died in step 3 is followed by the next sweep, publication or look for
something to change. Numbers keep a straggler from taking a group back: a pointer moves to higher ones only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

from redis.exceptions import NoPermissionError

from feature_platform.stores.redis_online_layout import LIVE_FIELDS, GroupKeys, StagedEntry, ViewKeys, group_keys
from feature_platform.stores.redis_online_record import Intention, Record, pending, record_of
from feature_platform.stores.redis_online_scripts import CHANGE, DECIDE, FINISH, FLIP
from feature_platform.stores.redis_server_memory import server_memory
from feature_platform.stores.redis_servers import Command, Part, Servers, words

STAGING_TTL_SECONDS: Final = 24 * 3600
"""After so long unpublished rows vanish by themselves, should nobody ever sweep."""
_ACKNOWLEDGE_MILLISECONDS: Final = 2_000
_ATTEMPTS: Final = 20
"""How often somebody else's publication is carried through before one's own, or a group that moved is looked at."""


class Publisher:
    """Publishes on ``servers``; holds nothing but its settings."""

    def __init__(self, store: str, servers: Servers, prefix: str, acknowledging_replicas: int) -> None:
        self.store = store
        self.prefix = prefix
        self._servers = servers
        self._replicas = acknowledging_replicas

    def record(self, keys: ViewKeys) -> Record:
        """What the view's record says."""
        return record_of(self._one(keys.meta, b"HGETALL", keys.meta))

    def eviction(self, keys: ViewKeys) -> str | None:
        """How the server makes room; empty where it never has to, None where it does not tell."""
        try:
            return server_memory(self._one(keys.meta, b"INFO", b"memory")).policy
        except NoPermissionError:
            return None

    def groups(self, entity: str, view: str, groups: int) -> list[GroupKeys]:
        """The keys of all groups of a view."""
        return [group_keys(self.prefix, entity, view, group) for group in range(groups)]

    def seal(self, keys: ViewKeys, token: str, entry: StagedEntry) -> str:
        """Counts what was staged: ``whole``, ``gone``, or ``alone`` where replicas did not say that they have it."""
        parts: list[Part] = []
        waiting: dict[str, int] = {}
        for group in self.groups(entry.entity, keys.view, entry.groups):
            buckets = group.buckets(token, entry.buckets)
            commands: list[Command] = [(b"HLEN", bucket) for bucket in buckets]
            commands += [(b"EXPIRE", bucket, b"%d" % STAGING_TTL_SECONDS) for bucket in buckets]
            if self._replicas and (node := self._servers.node(group.live)) not in waiting:
                # One wait per node: what a replica has of this write, it has of all that the node wrote before.
                waiting[node] = len(parts)
                commands.append(words("WAIT", self._replicas, _ACKNOWLEDGE_MILLISECONDS))
            parts.append(Part(group.live, commands))
        answers = self._servers.exchange(parts)
        if tuple(sum(answer[: entry.buckets]) for answer in answers) != entry.rows:
            return "gone"
        if any(answers[place][-1] < self._replicas for place in waiting.values()):
            return "alone"
        return "whole"

    def publish(self, keys: ViewKeys, wanted: Intention, may: Callable[[Record], None]) -> tuple[str, frozenset[int]]:
        """Decides and carries through: ``live``, or, with everything as it was, ``gone`` or ``moved``. Behind it the
        groups whose rows were lost between sealing and flipping. ``may`` is asked about the record that is replaced,
        and raises to refuse."""
        for _ in range(_ATTEMPTS):
            record = self.record(keys)
            if pending(record) is not None:  # its number is that of what is going live, the rest is what was
                self.forward(keys)
                continue
            may(record)
            numbers = self._highest(wanted, keys.view)
            base = [wanted.base_version, wanted.base_revision]
            arguments = words(wanted.token, *base, numbers, wanted.text(), record.get(b"number", b""))
            answer, number = self._script(keys.meta, DECIDE, [keys.meta, keys.staged], arguments)
            if answer == b"decided":
                return "live", self._carry_through(keys, wanted, number)
            if answer == b"busy":
                self.forward(keys)
            elif answer != b"again":
                return answer.decode(), frozenset()
        return "moved", frozenset()

    def forward(self, keys: ViewKeys) -> bool:
        """Carries a publication through that was decided and not finished; whether there was one."""
        record = self.record(keys)
        wanted = pending(record)
        if wanted is None:
            return False
        self._carry_through(keys, wanted, int(record[b"number"]))
        return True

    def _carry_through(self, keys: ViewKeys, wanted: Intention, number: int) -> frozenset[int]:
        groups = self.groups(wanted.entity, keys.view, wanted.groups)
        rows: dict[int, int] = {}
        waiting, lost = groups, []
        for _ in range(_ATTEMPTS):
            pointers = self._pointers(waiting)
            flip = self._flip if wanted.kind == "snapshot" else self._change
            parts = [
                Part(group.live, [flip(group, wanted, number, pointer)])
                for group, pointer in zip(waiting, pointers, strict=True)
            ]
            answers = [answer for (answer,) in self._servers.exchange(parts)]
            rows |= {group.group: found for group, (_, found) in zip(waiting, answers, strict=True)}
            lost += [group for group, (answer, _) in zip(waiting, answers, strict=True) if answer == b"gone"]
            waiting = [group for group, (answer, _) in zip(waiting, answers, strict=True) if answer == b"moved"]
            if not waiting:
                break
        lost += waiting
        self._unlink((group.live, group.buckets(wanted.token, wanted.buckets)) for group in lost)
        if wanted.kind == "snapshot":
            self._retire(keys, wanted)
        self._finish(keys, wanted, rows, lost)
        return frozenset(group.group for group in lost)

    def _finish(self, keys: ViewKeys, wanted: Intention, rows: dict[int, int], lost: Sequence[GroupKeys]) -> None:
        fields = {**wanted.record, "rows": str(sum(rows.values()))}
        if lost:
            fields["lost"] = json.dumps([group.group for group in lost])
            if wanted.kind == "snapshot":
                fields["rows"] = str(sum(wanted.rows))
        arguments = words(wanted.token, *chain.from_iterable(fields.items()))
        self._script(keys.meta, FINISH, [keys.meta, keys.staged], arguments)

    def _flip(self, group: GroupKeys, wanted: Intention, number: int, live: Sequence[bytes | None]) -> Command:
        version, buckets = live[0] or b"", int(live[2] or 0)
        new, old = group.buckets(wanted.token, wanted.buckets), group.buckets(version, buckets)
        if version == wanted.token.encode():
            old = []
        fields = chain.from_iterable(wanted.pointer.items())
        arguments = words(number, wanted.token, wanted.rows[group.group], len(new), version, wanted.expires_at, *fields)
        return script(FLIP, [group.live, *new, *old], arguments)

    def _change(self, group: GroupKeys, wanted: Intention, number: int, _live: Sequence[bytes | None]) -> Command:
        staged, to = (group.buckets(version, wanted.buckets) for version in (wanted.token, wanted.base_version))
        fields = chain.from_iterable(wanted.pointer.items())
        base = [wanted.base_version, wanted.base_revision, wanted.expires_at]
        return script(CHANGE, [group.live, *staged, *to], words(number, wanted.rows[group.group], *base, *fields))

    def _retire(self, keys: ViewKeys, wanted: Intention) -> None:
        """Removes the rows that a view had under another entity, or in the layout before this one."""
        record = self.record(keys)
        version, buckets = record.get(b"version", b""), int(record.get(b"buckets", b"0"))
        if record.get(b"format") == b"1":
            base = f"{self.prefix}:{{{keys.view}}}:".encode()
            self._unlink([(keys.meta, [b"%b%b:%d" % (base, version, number) for number in range(buckets)])])
        elif (entity := record.get(b"entity", b"").decode()) not in ("", wanted.entity):
            groups = self.groups(entity, keys.view, int(record[b"groups"]))
            self._unlink((group.live, [group.live, *group.buckets(version, buckets)]) for group in groups)

    def _unlink(self, named: Any) -> None:
        parts = [Part(key, [(b"UNLINK", *gone)]) for key, gone in named if gone]
        if parts:
            self._servers.exchange(parts)

    def _highest(self, wanted: Intention, view: str) -> int:
        pointers = self._pointers(self.groups(wanted.entity, view, wanted.groups))
        return max(int(pointer[5] or 0) for pointer in pointers)

    def _pointers(self, groups: Sequence[GroupKeys]) -> list[Sequence[bytes | None]]:
        return pointers_of(self._servers, groups)

    def _script(self, key: bytes, text: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        return self._one(key, *script(text, keys, arguments))

    def _one(self, key: bytes, *command: bytes) -> Any:
        return self._servers.exchange([Part(key, [command])])[0][0]


def script(text: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Command:
    """The command that runs a script on its keys."""
    return [b"EVAL", text.encode(), b"%d" % len(keys), *keys, *arguments]


def pointers_of(servers: Servers, groups: Sequence[GroupKeys]) -> list[Sequence[bytes | None]]:
    """Each group's pointer, as :data:`LIVE_FIELDS`."""
    parts = [Part(group.live, [(b"HMGET", group.live, *LIVE_FIELDS)]) for group in groups]
    return [answer[0] for answer in servers.exchange(parts)]
