"""One aggregation line of a feature view: a function over the events of windows."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from pydantic import Field, model_validator

from feature_platform.specs.durations import Duration, is_all
from feature_platform.specs.fields import AggregationFunction, ColumnName, Name, Spec, Window, contradiction

WITHOUT_COLUMN: Final = frozenset({"count", "rate", "ratio", "time_since_first", "time_since_last"})
"""Functions that may be about the events themselves."""
LISTS: Final = frozenset({"first_k", "last_k", "last_distinct_k", "top_k"})
"""Functions that give an array of at most ``k`` values."""
PERCENTILES: Final = frozenset({"percentile", "approx_percentile"})
UNGROUPED: Final = LISTS | {"histogram", "ratio"}
"""Functions that can't be computed per value of a `group`: they give no single value, or need two windows for it."""
DEFAULT_KEYS: Final = 100
"""The most keys that a map has where a line does not say."""
_LARGEST_K: Final = 1_000
_LARGEST_OFFSET_DAYS: Final = 36_600
_PARAMETERS: Final = {
    "k": LISTS,
    "percentile": PERCENTILES,
    "to": frozenset({"ratio"}),
}
"""Field → the functions that need it, and that alone may have it."""
_LARGEST_MAP: Final = 1_000


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
    group: ColumnName | None = Field(
        default=None,
        description="Computes the function for each value of this column: a map from values to results.",
    )
    bins: tuple[int | float, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=_LARGEST_MAP,
        description="Of `histogram`: lower edges, ascending. A value counts for the greatest edge it is not below.",
    )
    max_keys: int | None = Field(
        default=None,
        ge=1,
        le=_LARGEST_MAP,
        description="Of `group` and `histogram`: the most keys of a map, those with the most events. Default 100.",
    )
    name: Name | None = Field(
        default=None, description="Default: `<column>_<function>_by_<group>`, without what there is not."
    )
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
    def _map_fits(self) -> Aggregation:
        if self.group is not None and self.function in UNGROUPED:
            what = f"`{self.function}` gives no single value of one window, which `group` needs"
            raise contradiction(
                what, "Remove `group`, or use another function, such as `count`, `sum` or `mode`.", "group"
            )
        if self.bins is not None and self.function != "histogram":
            raise contradiction(f"`bins` means nothing to `{self.function}`", "Remove it, or use `histogram`.", "bins")
        if self.bins is not None and any(after <= before for before, after in pairwise(self.bins)):
            raise contradiction("the edges do not ascend", "Sort them, and name each once.", "bins")
        if self.max_keys is not None and (self.bins is not None or not self.is_map):
            what = "there are as many keys as bins" if self.bins else f"`{self.function}` without `group` gives no map"
            raise contradiction(what, "Remove `max_keys`.", "max_keys")
        if self.default is not None and self.is_map:
            mend = "Remove it: a key that is not there has no event, and a map that is NULL has none at all."
            raise contradiction("a map has no default", mend, "default")
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
    def is_map(self) -> bool:
        """Whether its features are maps."""
        return self.group is not None or self.function == "histogram"

    @property
    def largest_map(self) -> int:
        """The most keys that a map has."""
        return len(self.bins) if self.bins is not None else self.max_keys or DEFAULT_KEYS

    @property
    def base_name(self) -> str:
        """The feature's name before its window."""
        if self.name:
            return self.name
        function = self.function if self.percentile is None else f"p{_digits(self.percentile)}"
        measured = f"{self.column}_{function}" if self.column else function
        return f"{measured}_by_{self.group}" if self.group else measured

    def feature_name(self, window: Duration) -> str:
        """``amount_sum_30d``, ``amount_p95_30d``, ``amount_sum_7d_offset_7d``, ``amount_sum_by_category_30d``."""
        offset = f"_offset_{self.offset.text}" if self.offset else ""
        return f"{self.base_name}_{window.text}{offset}"


def _digits(share: float) -> str:
    """0.95 → ``95``, 0.999 → ``99_9``."""
    return f"{share * 100:.10g}".replace(".", "_")
