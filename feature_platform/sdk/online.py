"""Online reads: the newest features of entities, for a model that waits for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, overload

from feature_platform.compiler.derived import input_name
from feature_platform.compiler.plan import CompiledView, Feature
from feature_platform.errors import Problem, UsageError, did_you_mean
from feature_platform.project.online import online_table
from feature_platform.sdk.codes import NOT_ONLINE, REQUEST_VALUE
from feature_platform.sdk.derived import Deriver
from feature_platform.sdk.needs import Needs, needs_of
from feature_platform.sdk.online_keys import KeyForms, LiveVersions, newest
from feature_platform.sdk.results import in_utc
from feature_platform.sdk.selection import Selected
from feature_platform.sdk.spine import NeededColumn
from feature_platform.sdk.tokens import key_token
from feature_platform.sdk.values import as_type
from feature_platform.stores.online_protocol import AT_ANY_TIME
from feature_platform.stores.online_reads import is_expired, time_of_read
from feature_platform.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.project.project import Project
    from feature_platform.stores.online_protocol import OnlineRow, OnlineTable

Status = Literal["present", "missing", "expired"]
"""``missing``: the entity has no row; ``expired``: its row is older than the view's ttl. Both give the feature's empty
value.
"""


@dataclass(frozen=True, slots=True)
class FeatureVector:
    """One entity's features. All mappings are by ``<view>__<feature>``, in the order that was asked for."""

    entity: Mapping[str, Any]
    """What the caller gave; keys that are personal as tokens."""
    values: Mapping[str, Any]
    """Times are aware (UTC), decimals ``Decimal``."""
    statuses: Mapping[str, Status]
    event_times: Mapping[str, datetime | None]
    """When the value was true; of a derived feature, the oldest time among its inputs."""

    def to_dict(self) -> dict[str, Any]:
        """Entity and features as one flat dict."""
        return {**self.entity, **self.values}


class FeatureVectors(Sequence[FeatureVector]):
    """The answer to an online read: one vector per entity, in the caller's order."""

    def __init__(self, vectors: Sequence[FeatureVector], types: Mapping[str, DataType], latency: timedelta) -> None:
        self._vectors = tuple(vectors)
        self._types = types
        self.latency = latency
        """From the call until every value was there, derived features included."""

    @overload
    def __getitem__(self, index: int) -> FeatureVector: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[FeatureVector]: ...
    def __getitem__(self, index: int | slice) -> FeatureVector | Sequence[FeatureVector]:
        return self._vectors[index]

    def __len__(self) -> int:
        return len(self._vectors)

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns: each name with one value per entity."""
        names = dict.fromkeys(name for vector in self._vectors for name in (*vector.entity, *self._types))
        return {name: [vector.to_dict().get(name) for vector in self._vectors] for name in names}

    def to_arrow(self) -> pa.Table:
        """One row per entity. Times are ``timestamp[us, tz=UTC]``."""
        import pyarrow as pa

        columns = self.to_dict()
        arrays = {
            name: _given_out(values, self._types[name]) if name in self._types else pa.array(values)
            for name, values in columns.items()
        }
        return pa.table(arrays)


@dataclass(frozen=True)
class _BaseView:
    """A view whose rows lie in an online store."""

    view: CompiledView
    table: OnlineTable
    store: str
    ttl: timedelta | None
    forms: KeyForms


@dataclass(frozen=True)
class OnlineReader:
    """Reads one selection of features. Made once, used for every request."""

    project: Project
    deriver: Deriver
    selected: tuple[Selected, ...]
    record: Callable[[int], None]
    """Records a read of so many entities, or raises: then nothing is handed over."""

    def read(self, entities: Sequence[Mapping[str, Any]], *, at: datetime | None = None) -> FeatureVectors:
        """The vectors of ``entities``; rows past their view's ttl at ``at`` (naive UTC; None: now) are expired.

        Raises:
            UsageError: a key or request value is missing or of another type; every fault of every entity.
            StoreError: a store can't be reached, or holds rows of another shape than the definitions.
            AuditError: the read can't be recorded.
        """
        began = perf_counter()
        given = self._checked(entities)
        found = self._base_rows(given, entities, time_of_read(at))
        self._derive(given, found)
        vectors = [self._vector(entity, found, index) for index, entity in enumerate(given)]
        self.record(len(given))
        return FeatureVectors(vectors, self._types, timedelta(seconds=perf_counter() - began))

    @cached_property
    def needs(self) -> Needs:
        """Views to read, and what each entity has to bring."""
        return needs_of(self.project, self.selected, whole_views=True)

    @cached_property
    def base(self) -> tuple[_BaseView, ...]:
        """Every view that is read from a store, inputs of derived ones included.

        Raises:
            UsageError: some are not kept online.
        """
        views = self.project.registry.views
        offline = [name for name in self.needs.stored if not views[name].spec.storage.online_stores]
        if offline:
            raise UsageError(
                NOT_ONLINE.problem(
                    f"view '{name}' has no online store",
                    mend="add `online:` to its materialization, or leave it out of what is read online",
                    where=views[name].origin.where("materialization"),
                )
                for name in offline
            )
        return tuple(self._base_view(name) for name in self.needs.stored)

    @cached_property
    def _live_versions(self) -> LiveVersions:
        return LiveVersions(self.project.tokens)

    @cached_property
    def _types(self) -> Mapping[str, DataType]:
        return {selected.column: selected.feature.column.type for selected in self.selected}

    def _base_view(self, name: str) -> _BaseView:
        view = self.project.compiled.views[name]
        spec = self.project.registry.views[name].spec
        ttl = timedelta(microseconds=spec.ttl.microseconds) if spec.ttl else None
        table = online_table(view)
        personal = {each.name: each for each in self.needs.columns if each.classification and each.name in table.keys}
        forms = KeyForms(table.keys, personal, self.project.tokens)
        return _BaseView(view, table, spec.storage.online_stores[0], ttl, forms)

    def _checked(self, entities: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        problems: list[Problem] = []
        checked = []
        for index, entity in enumerate(entities):
            row = dict(entity)
            for column in self.needs.columns:
                if column.name not in entity:
                    problems.append(_lacks(index, column, entity))
                    continue
                try:
                    row[column.name] = self._value(entity[column.name], column)
                except ValueError as error:
                    what = f"entity {index}: '{column.name}', needed by {column.needed_by}: {error}"
                    problems.append(REQUEST_VALUE.problem(what, mend=f"give a {column.type}"))
            checked.append(row)
        if problems:
            raise UsageError(problems)
        return checked

    def _value(self, value: Any, column: NeededColumn) -> Any:
        if column.classification is None:
            return as_type(value, column.type)
        return key_token(self.project.tokens, column.classification, value, column.type)

    def _base_rows(
        self, given: Sequence[Mapping[str, Any]], raw: Sequence[Mapping[str, Any]], at: datetime
    ) -> dict[str, list[_Cell]]:
        """Column → one cell per entity, for every feature of every base view."""
        found: dict[str, list[_Cell]] = {}
        by_store: dict[str, list[_BaseView]] = {}
        for base in self.base:
            by_store.setdefault(base.store, []).append(base)
        for store, views in by_store.items():
            keys = [[base.forms.of(*entity) for entity in zip(given, raw, strict=True)] for base in views]
            # a NULL in a key matches nothing, so it is never asked for
            asked = [
                list(dict.fromkeys(key for forms in of_view for key in forms if None not in key)) for of_view in keys
            ]
            online = self.project.online_store(store)
            requests = [(base.table, wanted) for base, wanted in zip(views, asked, strict=True)]
            answers = online.read_many(
                requests, at=AT_ANY_TIME
            )  # who asks is told that a row is expired, and since when
            for base, of_view, wanted, rows in zip(views, keys, asked, answers, strict=True):
                by_key = dict(zip(wanted, rows, strict=True))
                held = [newest([by_key.get(key) for key in forms]) for forms in of_view]
                if base.forms.personal and None in held:
                    missed = [entity for entity, row in zip(raw, held, strict=True) if row is None]
                    self._live_versions.check_missing(base.view.name, online, base.forms, missed)
                cells = [_status(base, row, at) for row in held]
                for feature in base.view.features:
                    found[f"{base.view.name}__{feature.name}"] = [_cell(feature, status, row) for status, row in cells]
        return found

    def _derive(self, given: Sequence[Mapping[str, Any]], found: dict[str, list[_Cell]]) -> None:
        for name, plan in self.needs.derived.items():
            inputs = {input_name(*each): self._input_type(*each) for each in plan.inputs}
            columns = {column: [entity[column] for entity in given] for column in plan.request}
            columns |= {column: [cell.value for cell in found[column]] for column in inputs}
            derived = self.deriver.features(self.project.compiled.views[name], {**plan.request, **inputs}, columns)
            origins = [_oldest([found[column][index] for column in inputs]) for index in range(len(given))]
            for feature, values in derived.items():
                found[input_name(name, feature)] = [
                    _Cell(value, status, time) for value, (status, time) in zip(values, origins, strict=True)
                ]

    def _input_type(self, view: str, feature: str) -> DataType:
        found = self.project.compiled.views[view].feature(feature)
        assert found is not None
        return found.column.type

    def _vector(self, entity: Mapping[str, Any], found: Mapping[str, list[_Cell]], index: int) -> FeatureVector:
        cells = {name: found[name][index] for name in self._types}
        return FeatureVector(
            entity,
            {name: _aware(cell.value) for name, cell in cells.items()},
            {name: cell.status for name, cell in cells.items()},
            {name: _aware(cell.event_time) for name, cell in cells.items()},
        )


@dataclass(frozen=True, slots=True)
class _Cell:
    """One feature of one entity."""

    value: Any
    status: Status
    event_time: datetime | None


def _status(base: _BaseView, row: OnlineRow | None, at: datetime) -> tuple[Status, OnlineRow | None]:
    if row is None:
        return "missing", None
    if is_expired(row.event_time, base.ttl, at):
        return "expired", row
    return "present", row


def _cell(feature: Feature, status: Status, row: OnlineRow | None) -> _Cell:
    if row is None or status != "present":
        return _Cell(feature.empty, status, row.event_time if row else None)
    return _Cell(row.values[feature.name], status, row.event_time)


def _oldest(cells: Sequence[_Cell]) -> tuple[Status, datetime | None]:
    """Status and time of what is derived from ``cells``: as good as the worst of them."""
    for status in ("missing", "expired"):
        if any(cell.status == status for cell in cells):
            return status, None
    return "present", min((cell.event_time for cell in cells if cell.event_time), default=None)


def _lacks(index: int, column: NeededColumn, entity: Mapping[str, Any]) -> Problem:
    return REQUEST_VALUE.problem(
        f"entity {index} has no '{column.name}', needed by {column.needed_by}.{did_you_mean(column.name, entity)}",
        mend=f"give '{column.name}' with every entity",
    )


def _aware(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if isinstance(value, list):
        return [_aware(each) for each in value]
    if isinstance(value, dict):
        return {_aware(key): _aware(each) for key, each in value.items()}
    return value


def _given_out(values: Sequence[Any], kind: DataType) -> pa.Array:
    import pyarrow as pa

    if kind.kind == "map":
        values = [None if value is None else list(value.items()) for value in values]
    return pa.array(values, in_utc(pa.schema([("value", kind.arrow())])).field(0).type)
