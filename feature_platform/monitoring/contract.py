"""What the contract promises, held against what was measured. Pure functions: profile in, outcome out."""

from __future__ import annotations

from datetime import datetime

from feature_platform.compiler.plan import CompiledView
from feature_platform.monitoring.outcome import (
    FRESHNESS,
    KEYS_NOT_NULL,
    KEYS_UNIQUE,
    NULL_RATES,
    ROW_COUNT,
    VALUE_RANGES,
    CheckOutcome,
    Metadata,
)
from feature_platform.monitoring.profile import Profile, unique_columns
from feature_platform.specs.models import FeatureView, RowContract


def keys_not_null(profile: Profile) -> CheckOutcome:
    """Every row names its entity and its time; a row that does not could never be read."""
    wrong = [
        f"{count:,} rows without {what}"
        for count, what in ((profile.null_keys, "entity key"), (profile.null_times, "event time"))
        if count
    ]
    metadata: Metadata = {"null_keys": profile.null_keys, "null_event_times": profile.null_times}
    return CheckOutcome(KEYS_NOT_NULL, not wrong, metadata=metadata, description="; ".join(wrong))


def keys_unique(profile: Profile, view: CompiledView) -> CheckOutcome:
    """Keys and times occur once."""
    assert profile.repeated_keys is not None
    columns = ", ".join(unique_columns(view))
    wrong = f"{profile.repeated_keys:,} combinations of {columns} occur more than once" if profile.repeated_keys else ""
    return CheckOutcome(
        KEYS_UNIQUE, not wrong, metadata={"columns": columns, "repeated": profile.repeated_keys}, description=wrong
    )


def row_count(profile: Profile, staged_rows: int, promised: RowContract) -> CheckOutcome:
    """As many rows as the store says it wrote, and as many as were promised."""
    wrong = []
    if staged_rows not in (profile.rows, -1):
        wrong.append(f"the store staged {staged_rows:,} rows, {profile.rows:,} can be read")
    if promised.rows_min is not None and profile.rows < promised.rows_min:
        wrong.append(f"{profile.rows:,} rows, at least {promised.rows_min:,} were promised")
    if promised.rows_max is not None and profile.rows > promised.rows_max:
        wrong.append(f"{profile.rows:,} rows, at most {promised.rows_max:,} were promised")
    return CheckOutcome(ROW_COUNT, not wrong, metadata={"rows": profile.rows}, description="; ".join(wrong))


def value_ranges(profile: Profile) -> CheckOutcome:
    """No value below ``min`` or above ``max``; NULL is not a value."""
    wrong = [f"{count:,} values of '{name}' out of range" for name, count in profile.outside.items() if count]
    metadata: Metadata = {f"{name}.out_of_range": count for name, count in profile.outside.items()}
    return CheckOutcome(VALUE_RANGES, not wrong, metadata=metadata, description="; ".join(wrong))


def null_rates(profile: Profile, spec: FeatureView) -> CheckOutcome:
    """Not more NULLs than allowed. Without rows there are none."""
    wrong = []
    rates = {name: count / profile.rows if profile.rows else 0.0 for name, count in profile.nulls.items()}
    for name, rate in rates.items():
        promise = spec.features[name]
        allowed = 0.0 if promise.not_null else promise.null_rate_max or 0.0
        if rate > allowed:
            wrong.append(f"{rate:.4%} of '{name}' is NULL, {allowed:.4%} is allowed")
    metadata: Metadata = {f"{name}.null_rate": rate for name, rate in rates.items()}
    return CheckOutcome(NULL_RATES, not wrong, metadata=metadata, description="; ".join(wrong))


def freshness(newest: datetime | None, promised: RowContract, as_of: datetime) -> CheckOutcome:
    """The ``newest`` event is not older than promised, at the moment that the run stands for. No event is not fresh."""
    assert promised.freshness is not None
    if newest is None:
        return CheckOutcome(FRESHNESS, False, description="there is no event up to the moment that the run stands for")
    age = (as_of - newest).total_seconds()
    wrong = ""
    if age * 1_000_000 > promised.freshness.microseconds:
        allowed = promised.freshness.microseconds / 1_000_000
        wrong = f"the newest event is {age:,.0f} s old, {allowed:,.0f} s are allowed"
    metadata: Metadata = {"age_seconds": age, "newest_event_time": newest.isoformat()}
    return CheckOutcome(FRESHNESS, not wrong, metadata=metadata, description=wrong)
