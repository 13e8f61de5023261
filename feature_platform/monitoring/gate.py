"""The gate between staged rows and their readers: every check of a feature view, evaluated before publication.

Fails closed: a check that errs has failed, and so has one whose statement gives no answer. The contract's checks
share one statement, the search for personal data has one over all text columns and one more for each column with
something to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from feature_platform.compiler.plan import CompiledView
from feature_platform.errors import FeaturePlatformError
from feature_platform.monitoring import contract
from feature_platform.monitoring.codes import CHECK_NOT_EVALUATED
from feature_platform.monitoring.outcome import (
    FRESHNESS,
    KEYS_NOT_NULL,
    KEYS_UNIQUE,
    NULL_RATES,
    PII,
    ROW_COUNT,
    SCHEMA,
    VALUE_RANGES,
    CheckOutcome,
)
from feature_platform.monitoring.pii import check_pii
from feature_platform.monitoring.profile import Profile, check_schema, measure
from feature_platform.monitoring.staged_table import STATEMENT_SECONDS, StagedTable
from feature_platform.specs.models import FeatureView

if TYPE_CHECKING:
    from feature_platform.stores.protocols import StagedWrite, Warehouse

__all__ = ["CheckOutcome", "NewestEvent", "audit", "check_names"]

NewestEvent = Callable[[], datetime | None]
"""Looks up the newest event (naive UTC) that a view's rows could count; None: there is none."""


def check_names(view: CompiledView, spec: FeatureView) -> tuple[str, ...]:
    """The checks that :func:`audit` will evaluate for a view, in order; empty for a view without rows of its own."""
    if view.materialize is None:
        return ()
    promises = spec.features.values()
    optional = {
        KEYS_UNIQUE: spec.contract.unique,
        VALUE_RANGES: any(promise.min is not None or promise.max is not None for promise in promises),
        NULL_RATES: any(promise.not_null or promise.null_rate_max is not None for promise in promises),
        FRESHNESS: spec.contract.freshness is not None,
    }
    every = (SCHEMA, KEYS_NOT_NULL, KEYS_UNIQUE, ROW_COUNT, VALUE_RANGES, NULL_RATES, FRESHNESS, PII)
    return tuple(name for name in every if optional.get(name, True))


def audit(  # noqa: PLR0913 - independent options, by keyword
    warehouse: Warehouse,
    staged: StagedWrite,
    view: CompiledView,
    spec: FeatureView,
    *,
    as_of: datetime,
    newest_event: NewestEvent | None = None,
    statement_seconds: float = STATEMENT_SECONDS,
) -> tuple[CheckOutcome, ...]:
    """Evaluates every check of the view on rows that ``warehouse`` staged; never raises for what it finds.

    ``as_of`` is the moment (naive UTC) that the run stands for; freshness is measured from it. Rows of an aggregation
    view carry that very moment, whatever lies behind them: give ``newest_event``, which looks at the source. Without
    it their freshness can't be evaluated, and has failed. A statement that takes longer than ``statement_seconds`` is
    ended, and its check has failed.
    """
    table = StagedTable(warehouse, staged, statement_seconds)
    profile: Profile | None = None
    failure = ""
    try:
        profile = measure(table, view, spec)
    except Exception as error:  # noqa: BLE001 - whatever keeps us from measuring keeps the rows from being published
        failure = _reason(error)

    def from_profile(check: Callable[[Profile], CheckOutcome]) -> Callable[[], CheckOutcome]:
        return lambda: check(profile) if profile is not None else _failed(failure)

    def newest() -> datetime | None:
        if view.form == "aggregations":
            assert newest_event is not None, "rows of an aggregation view carry the tick as their time"
            return newest_event()
        assert profile is not None, failure
        return profile.newest

    checks: dict[str, Callable[[], CheckOutcome]] = {
        SCHEMA: lambda: check_schema(table, view),
        KEYS_NOT_NULL: from_profile(contract.keys_not_null),
        KEYS_UNIQUE: from_profile(lambda found: contract.keys_unique(found, view)),
        ROW_COUNT: from_profile(lambda found: contract.row_count(found, staged.rows, spec.contract)),
        VALUE_RANGES: from_profile(contract.value_ranges),
        NULL_RATES: from_profile(lambda found: contract.null_rates(found, spec)),
        FRESHNESS: lambda: contract.freshness(newest(), spec.contract, as_of),
        PII: lambda: check_pii(table, view, spec),
    }
    return tuple(_evaluated(name, checks[name]) for name in check_names(view, spec))


def _evaluated(name: str, check: Callable[[], CheckOutcome]) -> CheckOutcome:
    try:
        outcome = check()
    except Exception as error:  # noqa: BLE001 - a check that errs has failed
        outcome = _failed(_reason(error))
    return CheckOutcome(name, outcome.passed, outcome.blocking, outcome.metadata, outcome.description)


def _failed(reason: str) -> CheckOutcome:
    return CheckOutcome(
        "", False, metadata={"error": reason}, description=f"{CHECK_NOT_EVALUATED.id}: not evaluated: {reason}"
    )


def _reason(error: Exception) -> str:
    """The kind of the error. Its text may quote a value, so it is left out."""
    kind = type(error).__name__
    return f"{kind} {error.code}" if isinstance(error, FeaturePlatformError) else kind
