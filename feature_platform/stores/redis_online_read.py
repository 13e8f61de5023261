"""Point reads from Redis in one round trip, however many views and entities, and never a mixture of two publications.

A reader remembers which version and revision of a group's rows is live. It asks for the rows of that version and,
behind them in the same pipeline, which is live *now*. Redis answers in order, and rows go or change only when the
pointer does, in the same step: if the pointer still stands where the reader thought, every row was there and none had
changed; if not, the reader asks again.

Groups on several nodes of a cluster are asked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

from feature_platform.stores.online_reads import ATTEMPTS, never_settled, refuse_other_schemas
from feature_platform.stores.redis_errors import no_pointer
from feature_platform.stores.redis_online_layout import LIVE_FIELDS, GroupKeys, LivePointer, live_pointer
from feature_platform.stores.redis_servers import Command, Part, Servers


@dataclass(frozen=True, slots=True)
class Lookup:
    """The rows that are wanted of one view, by field name; None where no row can match."""

    view: str
    fingerprint: str
    fields: Sequence[bytes | None]
    group: Callable[[int], GroupKeys]
    """The keys of a group, by its number."""
    groups: int


@dataclass(frozen=True, slots=True)
class Found:
    """Encoded rows of one lookup, each of one publication whole."""

    rows: list[bytes | None]
    moments: list[datetime | None]
    """The event time of the row whatever the row itself says; None: its own."""
    ttls: list[timedelta | None]
    """Of the publication that the row is of."""


@dataclass(slots=True)
class _Piece:
    """The part of a lookup that falls into one group."""

    lookup: int
    keys: GroupKeys
    view: str
    fingerprint: str
    fields: list[tuple[int, int, bytes]]
    """(Position in the lookup, what the number of groups leaves of the CRC, field name)."""
    live: LivePointer | None = None
    by_bucket: Sequence[Sequence[int]] = ()
    """Positions in the lookup, per ``HMGET``."""

    def commands(self) -> list[Command]:
        """Rows first, the pointer last."""
        live = self.live
        assert live is not None, "it was looked up"
        wanted: dict[int, tuple[list[int], list[bytes]]] = {}
        for position, rest, name in self.fields:
            positions, names = wanted.setdefault(rest % live.buckets, ([], []))
            positions.append(position)
            names.append(name)
        self.by_bucket = [positions for positions, _ in wanted.values()]
        commands: list[Command] = [
            (b"HMGET", self.keys.bucket(live.version, bucket), *names) for bucket, (_, names) in wanted.items()
        ]
        commands.append((b"HMGET", self.keys.live, b"version", b"revision"))
        return commands

    def stands(self, version: bytes | None, revision: bytes | None) -> bool:
        """Whether the pointer still names the rows that were asked for: what was read before it is whole then."""
        return self.live is not None and (version, revision) == (self.live.version, self.live.revision)


class SnapshotReader:
    """Reads encoded rows. Remembers the pointers of groups; safe to use from several threads.

    ``published`` says whether something is live of a view of which a group has no pointer.
    """

    def __init__(self, servers: Servers, store: str, published: Callable[[str], bool]) -> None:
        self._servers = servers
        self._store = store
        self._published = published
        self._live: dict[bytes, LivePointer] = {}

    def read(self, lookups: Sequence[Lookup]) -> list[Found]:
        """The rows of each lookup, in the order of its fields; all None where nothing was published.

        Raises:
            StoreError: what is live has another fingerprint, it changed during every attempt, or a part of it is gone.
        """
        found = [_nothing(lookup) for lookup in lookups]
        pending = list(_pieces(lookups))
        for _ in range(ATTEMPTS):
            pending = self._locate(pending)
            asked = [piece for piece in pending if piece.live is not None]
            replies = self._servers.exchange([Part(piece.keys.live, piece.commands()) for piece in asked])
            pending = [piece for piece in pending if piece.live is None]
            for piece, reply in zip(asked, replies, strict=True):
                if piece.stands(*reply[-1]):
                    _scatter(piece, reply, found[piece.lookup])
                else:
                    self._remember(piece.keys, None)
                    pending.append(piece)
            if not pending:
                return found
        lost = next((piece.view for piece in pending if piece.live is None), None)
        raise never_settled() if lost is None else no_pointer(lost, self._store)

    def _locate(self, pieces: Sequence[_Piece]) -> list[_Piece]:
        """The pieces with their pointers, without those of views of which nothing is live. A piece without a pointer
        has been overtaken by a publication."""
        unknown = {
            piece.keys.live: piece.keys
            for piece in pieces
            if (known := self._live.get(piece.keys.live)) is None or known.fingerprint != piece.fingerprint
        }
        if unknown:
            asked = [Part(keys.live, [(b"HMGET", keys.live, *LIVE_FIELDS)]) for keys in unknown.values()]
            for keys, reply in zip(unknown.values(), self._servers.exchange(asked), strict=True):
                self._remember(keys, live_pointer(reply[0]))
        for piece in pieces:
            piece.live = self._live.get(piece.keys.live)
        refuse_other_schemas(
            (piece.view, piece.fingerprint, piece.live.fingerprint if piece.live else None) for piece in pieces
        )
        absent = dict.fromkeys(piece.view for piece in pieces if piece.live is None)
        nothing = {view for view in absent if not self._published(view)}
        return [piece for piece in pieces if piece.live is not None or piece.view not in nothing]

    def _remember(self, keys: GroupKeys, live: LivePointer | None) -> None:
        if live is None:
            self._live.pop(keys.live, None)
        else:
            self._live[keys.live] = live


def _nothing(lookup: Lookup) -> Found:
    size = len(lookup.fields)
    return Found([None] * size, [None] * size, [None] * size)


def _pieces(lookups: Sequence[Lookup]) -> Iterable[_Piece]:
    for number, lookup in enumerate(lookups):
        pieces: dict[int, _Piece] = {}
        for position, name in enumerate(lookup.fields):
            if name is None:
                continue
            rest, group = divmod(crc32(name), lookup.groups)
            piece = pieces.get(group)
            if piece is None:
                piece = pieces[group] = _Piece(number, lookup.group(group), lookup.view, lookup.fingerprint, [])
            piece.fields.append((position, rest, name))
        yield from pieces.values()


def _scatter(piece: _Piece, replies: Sequence[Sequence[bytes | None]], found: Found) -> None:
    assert piece.live is not None, "it was asked with one"
    moment, ttl = piece.live.moment, piece.live.ttl
    for positions, values in zip(piece.by_bucket, replies, strict=False):  # behind them the pointer
        for position, value in zip(positions, values, strict=True):
            found.rows[position] = value
            if moment is not None:
                found.moments[position] = moment
            if ttl is not None:
                found.ttls[position] = ttl
