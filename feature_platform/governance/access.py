"""Who asks, and why: the context in which a query is guarded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """Purposes and role of the asker.

    A view is compiled for all of its purposes at once: a column or transform is open if *some* purpose opens it, and
    what is used is recorded as labels. A service, an SDK session or a token has exactly one purpose, and every label of
    every feature that it gets must be allowed for that one.
    """

    purposes: tuple[str, ...]
    role: str = "author"
