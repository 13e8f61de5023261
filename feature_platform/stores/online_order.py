"""Which of two publications of a view is the later one: online an older run never overwrites newer values.

A publication is *as of* a moment, and rows of an aggregation view stand for a moment of their own, the tick. Both are
data time that the run was given, so it does not matter which run started or finished first, or what its machine's clock
shows. The rule is held in the same step as the publication (``docs/adr/0030-online-publication.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import ONLINE_FUTURE, ONLINE_LATER
from feature_platform.stores.online_protocol import MOMENT, StagedOnline
from feature_platform.stores.protocols import AS_OF, Publication

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How far two clocks may be apart before a moment counts as still to come."""


def check_order(staged: StagedOnline, live: Publication | None, now: datetime, *, backwards: bool) -> None:
    """Whether ``staged`` may become live in place of ``live``; ``now`` is the server's clock, naive UTC.

    Raises:
        StoreError: ``live`` is later and ``backwards`` was not asked for, or ``staged`` is as of a time to come.
    """
    view, as_of = staged.table.view, _moment(staged.properties, AS_OF)
    if as_of is not None and as_of > now + CLOCKS_DIFFER:
        raise StoreError(
            ONLINE_FUTURE.problem(
                f"'{view}': the run stands for {as_of:%Y-%m-%d %H:%M:%S} UTC, in '{staged.store}' it is "
                f"{now:%Y-%m-%d %H:%M:%S}",
                mend="Set the clock of the machine that runs, or of the server; or give another moment (--as-of).",
            )
        )
    if live is not None and not backwards and is_earlier(staged.properties, live.properties):
        raise superseded(view, staged.store, staged.properties, live)


def is_earlier(properties: Mapping[str, str], live: Mapping[str, str]) -> bool:
    """Whether rows with ``properties`` are of an earlier tick than those that are live, or of the same and as of an
    earlier moment.

    What does not say its moment is earlier than everything that does. Equal moments replace each other: a run that is
    repeated must be able to correct what it wrote.
    """
    name = _deciding(properties, live)
    ours, theirs = _moment(properties, name), _moment(live, name)
    return theirs is not None and (ours is None or ours < theirs)


def superseded(view: str, store: str, properties: Mapping[str, str], live: Publication) -> StoreError:
    """The error of rows that come too late."""
    name = _deciding(properties, live.properties)
    theirs, ours = _moment(live.properties, name), _moment(properties, name)
    mine = f"{ours:%Y-%m-%d %H:%M:%S}" if ours else "a moment that it does not say"
    return StoreError(
        ONLINE_LATER.problem(
            f"'{view}' is live in '{store}' as of {theirs:%Y-%m-%d %H:%M:%S} UTC, this run stands for {mine}",
            mend=f"Nothing has to be done. To go back on purpose: fp materialize {view} --as-of … --force",
        )
    )


def _deciding(properties: Mapping[str, str], live: Mapping[str, str]) -> str:
    """The property that decides: ticks where both have one and they differ."""
    ours, theirs = _moment(properties, MOMENT), _moment(live, MOMENT)
    return MOMENT if ours is not None and theirs is not None and ours != theirs else AS_OF


def _moment(properties: Mapping[str, str], name: str) -> datetime | None:
    text = properties.get(name)
    return datetime.fromisoformat(text) if text else None
