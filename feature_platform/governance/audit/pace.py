"""Long work in a thread beside requests: it steps aside every fraction of a millisecond.

A thread of Python keeps the interpreter for up to 5 ms when it computes, and an online read that wants it waits that
long. A thread that sleeps every few items lets it in.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")
_ITEMS: Final = 16
_SECONDS: Final = 5e-5


def paced(items: Iterable[T], politely: bool) -> Iterator[T]:
    """The same items; with ``politely`` the caller's thread steps aside after every few of them."""
    if not politely:
        yield from items
        return
    for number, item in enumerate(items, start=1):
        yield item
        if number % _ITEMS == 0:
            time.sleep(_SECONDS)
