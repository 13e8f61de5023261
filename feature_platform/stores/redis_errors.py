"""Turns errors of the Redis driver and of the codecs into ours, without what a server's texts may quote."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import redis

from feature_platform.errors import StoreError
from feature_platform.stores.codes import (
    ONLINE_KEY_TYPE,
    ONLINE_LAYOUT,
    ONLINE_PARTS_GONE,
    ONLINE_REFUSED,
    ONLINE_ROW_UNREADABLE,
    STAGED_ROWS_GONE,
    STORE_UNREACHABLE,
)
from feature_platform.stores.online_encoding import CorruptRowError
from feature_platform.stores.online_encoding_keys import KeyTypeError

_MOVED = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")


@contextlib.contextmanager
def store_errors(store: str, action: str) -> Iterator[None]:
    """Raises:
    StoreError: in place of what driver or codecs raise inside.
    """
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.RedisClusterException) as error:
        problem = STORE_UNREACHABLE.problem(
            f"online store '{store}' could not {action}: {type(error).__name__}",
            mend="Check that the server runs and that the profile's address, certificates and credentials are right.",
        )
        raise StoreError(problem) from error
    except redis.RedisError as error:
        reason = _reason(error)
        mend = "Look at the server's memory limit, role and permissions."
        if reason in _MOVED:
            mend = "The cluster is moving keys or has lost a node. Nothing live was changed by a load: run again."
        problem = ONLINE_REFUSED.problem(f"online store '{store}' could not {action}: {reason}", mend=mend)
        raise StoreError(problem) from error
    except KeyTypeError as error:
        raise StoreError(ONLINE_KEY_TYPE.problem(str(error), mend="Pass keys of the entity's types.")) from None
    except CorruptRowError as error:
        problem = ONLINE_ROW_UNREADABLE.problem(f"online store '{store}': {error}", mend="Materialize the view again.")
        raise StoreError(problem) from None


def staged_rows_gone(view: str, store: str) -> StoreError:
    """What should be published is not there, or not whole."""
    return StoreError(
        STAGED_ROWS_GONE.problem(
            f"the snapshot of '{view}' that was staged in '{store}' is not there any more",
            mend="Materialize the view again.",
        )
    )


def replicas_lag(view: str, store: str, replicas: int) -> StoreError:
    """Too few replicas said that they have the staged rows."""
    return StoreError(
        ONLINE_REFUSED.problem(
            f"fewer than {replicas} replicas of '{store}' have the staged rows of '{view}'; what is live is untouched",
            mend="Look at the replicas, or lower `acknowledging_replicas` in the profile.",
        )
    )


def parts_gone(view: str, store: str, lost: int, groups: int) -> StoreError:
    """Rows of some groups vanished between counting and publication."""
    return StoreError(
        ONLINE_PARTS_GONE.problem(
            f"{lost} of {groups} groups of '{view}' in '{store}' lost rows while they were published, and have those "
            "that were live before",
            mend="Materialize the view again: all rows are written.",
        )
    )


def no_pointer(view: str, store: str) -> StoreError:
    """A view is published, and a part of it has no pointer: whether an entity has a row is not known."""
    return StoreError(
        ONLINE_PARTS_GONE.problem(
            f"a part of '{view}' in '{store}' is gone",
            mend="Materialize the view again. Keys may go by eviction (`maxmemory-policy` must be `noeviction`) or "
            "with a master whose replica had less.",
        )
    )


def older_layout(view: str, store: str) -> StoreError:
    """A view was published by an older release."""
    return StoreError(
        ONLINE_LAYOUT.problem(
            f"rows of '{view}' in '{store}' are in a layout of an older release",
            mend="Materialize the view again: the rows before go then.",
        )
    )


def other_groups(store: str, found: int, wanted: int) -> StoreError:
    """The profile wants another number of groups than the keys have."""
    return StoreError(
        ONLINE_LAYOUT.problem(
            f"keys in '{store}' are in {found} groups, the profile says {wanted}",
            mend=f"Set `groups: {found}`, or another `key_prefix`: then everything is published anew beside the old.",
        )
    )


def newer_layout(store: str, found: str) -> StoreError:
    """Keys were written by a newer release."""
    return StoreError(
        ONLINE_LAYOUT.problem(
            f"keys in '{store}' are in layout {found[:8]!r}, which this release does not know",
            mend="Use the release that wrote them, or a newer one.",
        )
    )


def _reason(error: redis.RedisError) -> str:
    """The error's code, e.g. ``READONLY``, without its text."""
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "it is out of memory (maxmemory)"
    for kind, code in (
        (redis.exceptions.MovedError, "MOVED"),
        (redis.exceptions.AskError, "ASK"),
        (redis.exceptions.TryAgainError, "TRYAGAIN"),
        (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    ):
        if isinstance(error, kind):
            return code
    code_found = re.match(r"[A-Z]{3,}\b", str(error))
    return code_found[0] if code_found else type(error).__name__
