"""An aggregation view, understood: its events as one guarded query, and each feature with type, lineage and what it
has to measure.

The guarded query over the source has columns of the platform's own naming, which everything behind it relies on:

* ``fp_k0 …`` the entity's keys (tokens where they are personal), ``fp_t`` event time, ``fp_a`` time of availability,
* ``fp_s0 …`` the source's key, ``fp_v0 …`` aggregated columns,
* ``fp_w`` the view's condition, ``fp_c0 …`` the lines' conditions, as booleans.

It has no WHERE of its own: versions of an event are told apart over the whole source, before any condition applies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from feature_platform.compiler.frames import Entry, Frame
from feature_platform.compiler.groupings import Grouping
from feature_platform.compiler.guard import GuardedQuery
from feature_platform.compiler.measures import ORDERED, Numbered
from feature_platform.compiler.plan import Feature, OutputColumn
from feature_platform.registry.cron import Cron
from feature_platform.registry.graph import LinkedView
from feature_platform.specs.aggregations import Aggregation
from feature_platform.specs.durations import Duration
from feature_platform.types import Column, DataType


@dataclass(frozen=True)
class PlannedFeature:
    """One line in one window."""

    line: Aggregation
    window: Duration
    feature: Feature
    value: int | None
    value_type: DataType | None
    measures: tuple[Numbered, ...]
    grouping: Grouping | None = None
    """Of a map: what its keys are. The measures are those of each key then."""


@dataclass(frozen=True)
class AggregationPlan:
    """What :func:`plan_aggregations` found out."""

    view: LinkedView
    source: str
    events: GuardedQuery
    keys: tuple[Column, ...]
    key_columns: tuple[OutputColumn, ...]
    source_keys: tuple[DataType, ...]
    values: tuple[DataType, ...]
    conditions: int
    filtered: bool
    """Whether the view has a condition of its own, ``fp_w``."""
    features: tuple[PlannedFeature, ...]
    late: bool
    """Whether events have a time of availability of their own."""
    snapshot: Cron | None
    """The schedule that query times fall back to; None when the view is exact."""

    @property
    def measures(self) -> tuple[Numbered, ...]:
        """Every measure of an entity once, in the order of their names; not those of the keys of maps."""
        return _in_order(feature for feature in self.features if feature.grouping is None)

    @property
    def maps(self) -> tuple[PlannedFeature, ...]:
        """The features that are maps."""
        return tuple(feature for feature in self.features if feature.grouping is not None)

    def maps_in(self, frame: Frame) -> list[PlannedFeature]:
        """The maps of one frame."""
        return [each for each in self.maps if each.measures[0].measure.frame == frame]

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames in use, each once."""
        return tuple(dict.fromkeys(each.measure.frame for each in _in_order(self.features)))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """When events enter the frames, each once."""
        return tuple(dict.fromkeys(frame.entry for frame in self.frames))

    @property
    def ordered(self) -> tuple[int, ...]:
        """Positions of the values that some feature wants the first or last of."""
        return tuple(
            sorted(
                {
                    each.measure.value
                    for each in _in_order(self.features)
                    if each.measure.kind in ORDERED and each.measure.value is not None
                }
            )
        )

    @property
    def entity(self) -> tuple[str, ...]:
        """Names of the entity's key columns."""
        return tuple(f"fp_k{index}" for index in range(len(self.keys)))

    @property
    def source_key(self) -> tuple[str, ...]:
        """Names of the source's key columns."""
        return tuple(f"fp_s{index}" for index in range(len(self.source_keys)))

    @property
    def payload(self) -> tuple[str, ...]:
        """Names of the columns that features are computed from."""
        values = [f"fp_v{index}" for index in range(len(self.values))]
        return (*values, *(f"fp_c{index}" for index in range(self.conditions)))


def _in_order(features: Iterable[PlannedFeature]) -> tuple[Numbered, ...]:
    return tuple(
        sorted({each for feature in features for each in feature.measures}, key=lambda each: int(each.name[4:]))
    )
