"""Many needles in a stream of bytes: exact, ignoring ASCII case, in bounded memory.

A hash table over all four-byte sequences says where a needle may begin, one array operation for every fourth place of a
chunk; the two bytes behind leave few places, and those are compared. About 100 MB a second and core, however many
needles there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from feature_platform.canaries.forms import forms

if TYPE_CHECKING:
    from feature_platform.canaries.listing import Canary

_KEY: Final = 6
"""Bytes of a needle that are looked up: four, then two."""
_STEP: Final = 1 << 20
"""Bytes that are searched at once: they and the arrays over them stay in the processor's cache."""
_PIECE: Final = 4 << 20
_TABLE_BITS: Final = 20


class Hit(NamedTuple):
    """A canary in one of its forms."""

    canary: Canary
    form: str


@dataclass(frozen=True)
class Needles:
    """Everything to look for."""

    canaries: tuple[Canary, ...]
    longest: int
    _by_key: dict[bytes, list[tuple[bytes, int, Hit]]]
    """Six bytes of a needle → (needle, where in it they stand, what it means)."""
    _first: npt.NDArray[np.bool_]
    _second: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, canaries: Sequence[Canary]) -> Needles:
        """Every form of every canary."""
        by_key: dict[bytes, list[tuple[bytes, int, Hit]]] = {}
        first, second = np.zeros(1 << _TABLE_BITS, np.bool_), np.zeros(1 << 16, np.bool_)
        longest = _KEY
        for canary in canaries:
            for form, needle in forms(canary):
                offset = _rarest(needle)
                key = needle[offset : offset + _KEY]
                by_key.setdefault(key, []).append((needle, offset, Hit(canary, form)))
                first[_hashed(np.frombuffer(key, np.uint32, count=1))] = True
                second[np.frombuffer(key, "<u2", count=1, offset=4)] = True
                longest = max(longest, len(needle))
        return cls(tuple(canaries), longest, by_key, first, second)

    def find(self, data: Any) -> set[Hit]:
        """What is in a buffer of bytes. Memory is bounded however long it is."""
        view = memoryview(data).cast("B")
        hits: set[Hit] = set()
        for start in range(0, len(view), _STEP):
            hits |= self._find(bytes(view[max(0, start - self.longest + 1) : start + _STEP]))
        return hits

    def find_text(self, text: str) -> set[Hit]:
        """What is in a text."""
        return self.find(text.encode(errors="surrogateescape"))

    def find_all(self, chunks: Iterable[bytes]) -> set[Hit]:
        """What is in a stream of bytes, also across the borders of its chunks."""
        hits: set[Hit] = set()
        for piece in _pieces(chunks, self.longest - 1):
            hits |= self.find(piece)
        return hits

    def _find(self, chunk: bytes) -> set[Hit]:
        hits: set[Hit] = set()
        if len(chunk) < _KEY:
            return hits
        lowered = chunk.lower()
        for place in self._places(lowered):
            for needle, offset, hit in self._by_key.get(lowered[place : place + _KEY], ()):
                start = place - offset
                if start >= 0 and hit not in hits and lowered.startswith(needle, start):
                    hits.add(hit)
        return hits

    def _places(self, lowered: bytes) -> Iterator[int]:
        """Where the six bytes of a needle may stand."""
        raw = np.frombuffer(lowered, np.uint8)
        last = len(lowered) - _KEY
        for begin in range(4):
            count = (len(lowered) - begin) // 4
            if count == 0:
                continue
            groups = np.frombuffer(lowered, np.uint32, count=count, offset=begin)
            places = np.flatnonzero(self._first[_hashed(groups)]) * 4 + begin
            places = places[places <= last]
            behind = raw[places + 4].astype(np.uint16) | (raw[places + 5].astype(np.uint16) << np.uint16(8))
            yield from places[self._second[behind]].tolist()


def _hashed(groups: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Multiplicative hashing (Knuth): places in the table."""
    hashed: npt.NDArray[np.uint32] = (groups * np.uint32(2_654_435_761)) >> np.uint32(32 - _TABLE_BITS)
    return hashed


def _pieces(chunks: Iterable[bytes], overlap: int) -> Iterator[bytes]:
    """The stream in pieces of a few megabytes, each with the end of the one before."""
    waiting: list[bytes] = []
    size = 0
    tail = b""
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= _PIECE:
            piece = tail + b"".join(waiting)
            yield piece
            tail, waiting, size = piece[-overlap:], [], 0
    if waiting:
        yield tail + b"".join(waiting)


def _rarest(needle: bytes) -> int:
    """Where in a needle the six bytes stand that others are least likely to have: many kinds, few of them common."""
    starts = range(len(needle) - _KEY + 1)
    return max(starts, key=lambda start: (_rarity(needle[start : start + _KEY]), start))


def _rarity(key: bytes) -> int:
    return len(set(key)) * 2 - sum(byte in b"0123456789abcdef eaionst\0" for byte in key)
