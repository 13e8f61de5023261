"""What becomes of an error in an op: another attempt, or a failure that says what to do.

Assets have no ``RetryPolicy``, because Dagster takes that to mean that an interrupt (Ctrl-C, *Terminate* in the UI) is
a reason to try again, too.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg

from feature_platform.errors import FeaturePlatformError, StoreError
from feature_platform.stores import codes

MAX_RETRIES: Final = 2

TRANSIENT: Final = frozenset(
    code.id
    for code in (
        codes.STAGED_ROWS_GONE,
        codes.TABLE_BUSY,
        codes.QUERY_FAILED,
        codes.OUT_OF_MEMORY,
        codes.STORE_UNREACHABLE,
        codes.SERVER_FAILED,
        codes.ONLINE_REFUSED,
        codes.ONLINE_CHANGED,
    )
)
"""Problems that another attempt may not meet. Anything else is the same the next time, so it is not tried again."""

_BACKOFF: Final = dg.RetryPolicy(MAX_RETRIES, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


@contextmanager
def explained(attempts_before: int) -> Iterator[None]:
    """Asks Dagster for another attempt at what may pass, a little later each time. The rest fails at once: a problem of
    this platform with the author's text and without a traceback, anything else as the bug that it is.

    Raises:
        dagster.RetryRequested, dagster.Failure: in place of every exception.
    """
    try:
        yield
    except StoreError as error:
        if error.code not in TRANSIENT or attempts_before >= MAX_RETRIES:
            raise _failure(error) from None
        wait = _BACKOFF.calculate_delay(attempts_before + 1)
        raise dg.RetryRequested(MAX_RETRIES, seconds_to_wait=wait) from error
    except FeaturePlatformError as error:
        raise _failure(error) from None
    except Exception as error:
        # The text of an error that nobody expected may quote a value; where it happened does not.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {place.name} ({Path(place.filename).name}:{place.lineno})"
        raise dg.Failure(f"a bug: {where}; the run's log has the traceback", allow_retries=False) from error


def _failure(error: FeaturePlatformError) -> dg.Failure:
    return dg.Failure(str(error), allow_retries=False)
