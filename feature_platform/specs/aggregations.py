"""One aggregation line of a feature view: a function over the events of windows."""

from __future__ import annotations

from typing import Final

from pydantic import Field, model_validator

from feature_platform.specs.durations import Duration, is_all
from feature_platform.specs.fields import AggregationFunction, ColumnName, Name, Spec, Window, contradiction

WITHOUT_COLUMN: Final = frozenset({"count", "rate", "ratio", "time_since_first", "time_since_last"})
"""Functions that may be about the events themselves."""
LISTS: Final = frozenset({"first_k", "last_k", "last_distinct_k", "top_k"})
"""Functions that give an array of at most ``k`` values."""
PERCENTILES: Final = frozenset({"percentile", "approx_percentile"})
_LARGEST_K: Final = 1_000
_LARGEST_OFFSET_DAYS: Final = 36_600
_PARAMETERS: Final = {
    "k": LISTS,
    "percentile": PERCENTILES,
    "to": frozenset({"ratio"}),
}
"""Field → the functions that need it, and that alone may have it."""


class Aggregation(Spec):
    """One aggregation line; gives one feature per window, named `<name>_<window>`, with an offset
    `<name>_<window>_offset_<offset>`."""

    function: AggregationFunction = Field(description="What is computed over the events of a window.")
    column: ColumnName | None = Field(
        default=None,
        description="May be left out for `count`, `rate`, `ratio`, `time_since_first` and `time_since_last`.",
    )
    windows: tuple[Window, ...] = Field(min_length=1, description="`1h`, `30d`, … or `all`.")
    offset: Duration | None = Field(
        default=None, description="The windows end this long before the query time: `7d` is the week before this one."
    )
    hop: Duration | None = Field(
        default=None,
        description="With `accuracy: tiled`, the length of a tile. Default: 5m for windows below 12h, 1h below 12d, "
        "else 1d.",
    )
    k: int | None = Field(
        default=None, ge=1, le=_LARGEST_K, description="Of a list: the most values that it has, 1 to 1000."
    )
    percentile: float | None = Field(default=None, ge=0, le=1, description="Of `percentile`: which, 0 to 1.")
    to: Window | None = Field(default=None, description="Of `ratio`: the longer window that each window is a share of.")
    name: Name | None = Field(default=None, description="Default: `<column>_<function>`, or the function alone.")
    where: str | None = Field(
        default=None, description="A condition on the source's columns; rows that fail it do not count."
    )
    default: int | float | str | bool | None = Field(
        default=None, description="Replaces NULL, or the 0 of an empty count."
    )
    description: str = Field(default="", description="What the feature means.")

    @model_validator(mode="after")
    def _column_fits(self) -> Aggregation:
        if self.column is None and self.function not in WITHOUT_COLUMN:
            raise contradiction(f"`{self.function}` needs a `column`", "Add `column:`.", "function")
        if self.column is not None and self.function == "rate":
            raise contradiction("`rate` counts events and has no `column`", "Remove it, or use `where`.", "column")
        if len({window.text for window in self.windows}) != len(self.windows):
            raise contradiction("a window is listed twice", "Remove one of the two.", "windows")
        return self

    @model_validator(mode="after")
    def _parameters_fit(self) -> Aggregation:
        for field, functions in _PARAMETERS.items():
            given = getattr(self, field) is not None
            if self.function in functions and not given:
                raise contradiction(f"`{self.function}` needs `{field}`", f"Add `{field}:`.", "function")
            if given and self.function not in functions:
                raise contradiction(
                    f"`{field}` means nothing to `{self.function}`",
                    f"Remove it, or use {' or '.join(f'`{each}`' for each in sorted(functions))}.",
                    field,
                )
        return self

    @model_validator(mode="after")
    def _windows_fit(self) -> Aggregation:
        endless = any(is_all(window) for window in self.windows)
        if self.function == "rate" and endless:
            raise contradiction("a rate is per hour of a window, and `all` has no length", "Use a length.", "windows")
        if self.function == "ratio" and self.to is not None and not is_all(self.to):
            longest = max(window.microseconds for window in self.windows)
            if endless or self.to.microseconds <= longest:
                raise contradiction("`to` is the longer window of a ratio", "Make it longer than every window.", "to")
        if self.function == "ratio" and endless:
            raise contradiction("`all` is a share of nothing longer", "Use `to: all` with shorter windows.", "windows")
        if self.offset is not None and self.offset.microseconds > _LARGEST_OFFSET_DAYS * 86_400_000_000:
            raise contradiction("the offset is longer than a century", "Use a shorter one.", "offset")
        return self

    @property
    def base_name(self) -> str:
        """The feature's name before its window."""
        if self.name:
            return self.name
        function = self.function if self.percentile is None else f"p{_digits(self.percentile)}"
        return f"{self.column}_{function}" if self.column else function

    def feature_name(self, window: Duration) -> str:
        """``amount_sum_30d``, ``amount_p95_30d``, ``amount_sum_7d_offset_7d``."""
        offset = f"_offset_{self.offset.text}" if self.offset else ""
        return f"{self.base_name}_{window.text}{offset}"


def _digits(share: float) -> str:
    """0.95 → ``95``, 0.999 → ``99_9``."""
    return f"{share * 100:.10g}".replace(".", "_")
