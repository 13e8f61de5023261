"""Understands an aggregation view: its lines become one guarded query over the source, and features with type, lineage
and what they have to measure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from sqlglot import exp

from feature_platform.compiler.aggregation_plan import AggregationPlan, PlannedFeature
from feature_platform.compiler.catalog import Catalog
from feature_platform.compiler.codes import CONDITION, DEFAULT_TYPE, INPUT_TYPE
from feature_platform.compiler.contracts import broken_promise, described
from feature_platform.compiler.frames import frame_of
from feature_platform.compiler.groupings import TIMES, Grouping, grouped_measures_of
from feature_platform.compiler.guard import GuardedQuery, guard
from feature_platform.compiler.measures import (
    COUNTS,
    Input,
    Measure,
    Numbered,
    accepts,
    measures_of,
    result_type,
)
from feature_platform.compiler.parse import parse_expression
from feature_platform.compiler.plan import Feature, OutputColumn
from feature_platform.errors import CompileError, Location, Problem
from feature_platform.governance.access import Access
from feature_platform.governance.labels import CLEAN, Label, LabelKind, Labels
from feature_platform.registry.cron import Cron, parse_cron
from feature_platform.registry.graph import LinkedView, Registry
from feature_platform.specs.aggregations import Aggregation
from feature_platform.specs.durations import Duration
from feature_platform.specs.models import Source
from feature_platform.types import ENGINES, Column, DataType, map_of

_VALUES: Final = frozenset(
    {"min", "max", "first", "last", "first_k", "last_k", "last_distinct_k", "top_k", "mode", "histogram"}
)
"""Functions that hand out values of their column as they are."""


def plan_aggregations(
    view: LinkedView, registry: Registry, catalog: Catalog, author: Access, only: Collection[str] | None = None
) -> AggregationPlan:
    """Understands an aggregation view; with ``only``, just those of its features.

    Raises:
        CompileError: everything that is wrong with the view's lines, together, each at its place in the YAML.
    """
    return _Planning(view, registry, catalog, author, only).plan()


@dataclass
class _Part:
    """A column of the query over the source, and where its text stands."""

    alias: str
    tree: exp.Expr
    where: Location


@dataclass
class _Planning:
    """The state of one run of :func:`plan_aggregations`."""

    view: LinkedView
    registry: Registry
    catalog: Catalog
    author: Access
    only: Collection[str] | None
    problems: list[Problem] = field(default_factory=list)
    parts: dict[str, _Part] = field(default_factory=dict)

    def plan(self) -> AggregationPlan:
        spec = self.view.spec
        assert spec.source is not None
        source = self.registry.sources[spec.source].spec
        lines = [(index, line) for index, line in enumerate(spec.aggregations) if self._wanted(line)]
        keys = self._add_time_and_keys(source)
        values = self._distinct_values(lines)
        conditions = self._distinct_conditions(lines)
        if spec.where is not None:
            self._add_condition("fp_w", spec.where, self.view.origin.where("where"))
        self._raise_if_wrong()
        events = self._guarded(source)
        types = {each.name: each for each in events.columns}
        self._check_conditions(events)
        features = self._features(lines, values, conditions, types)
        self._raise_if_wrong()
        return AggregationPlan(
            view=self.view,
            source=source.name,
            events=events,
            keys=tuple(Column(key, types[f"fp_k{index}"].type) for index, key in enumerate(keys)),
            key_columns=tuple(types[f"fp_k{index}"] for index in range(len(keys))),
            source_keys=tuple(types[f"fp_s{index}"].type for index in range(len(source.key))),
            values=tuple(types[f"fp_v{index}"].type for index in range(len(values))),
            conditions=len(conditions),
            filtered=spec.where is not None,
            features=features,
            late=source.available_at not in (None, source.event_time),
            snapshot=self._snapshot(),
        )

    def _wanted(self, line: Aggregation) -> bool:
        return self.only is None or any(line.feature_name(window) in self.only for window in line.windows)

    def _raise_if_wrong(self) -> None:
        if self.problems:
            raise CompileError(self.problems)

    def _add_time_and_keys(self, source: Source) -> list[str]:
        where = self.view.origin.where
        assert source.event_time is not None
        keys = [key.name for key in self.registry.entity_of(self.view.spec.name).keys]
        for index, key in enumerate(keys):
            self._add(f"fp_k{index}", exp.column(self.view.spec.keys.get(key, key), quoted=True), where("keys", key))
        self._add("fp_t", exp.column(source.event_time, quoted=True), where("source"))
        self._add("fp_a", exp.column(source.available_at or source.event_time, quoted=True), where("source"))
        for index, name in enumerate(source.key):
            self._add(f"fp_s{index}", exp.column(name, quoted=True), where("source"))
        return keys

    def _add(self, alias: str, tree: exp.Expr, where: Location) -> None:
        self.parts[alias] = _Part(alias, tree, where)

    def _distinct_values(self, lines: Sequence[tuple[int, Aggregation]]) -> list[str]:
        values: list[str] = []
        for index, line in lines:
            for part, name in (("column", line.column), ("group", line.group)):
                if name is not None and name not in values:
                    self._add(f"fp_v{len(values)}", exp.column(name, quoted=True), self._where(index, part))
                    values.append(name)
        return values

    def _distinct_conditions(self, lines: Sequence[tuple[int, Aggregation]]) -> list[str]:
        conditions: list[str] = []
        for index, line in lines:
            if line.where is not None and line.where not in conditions:
                self._add_condition(f"fp_c{len(conditions)}", line.where, self._where(index, "where"))
                conditions.append(line.where)
        return conditions

    def _add_condition(self, alias: str, text: str, where: Location) -> None:
        try:
            tree = parse_expression(text, where=where)
        except CompileError as error:
            self.problems.extend(error.problems)
            return
        if tree.find(exp.Query, exp.AggFunc, exp.Window):
            mend = "compare columns of the source; put what needs other rows into a view in SQL"
            self.problems.append(
                CONDITION.problem(f"the condition `{text}` looks at other rows", mend=mend, where=where)
            )
            return
        self._add(alias, exp.paren(tree), where)

    def _guarded(self, source: Source) -> GuardedQuery:
        access = self.author.with_purposes(self.view.purposes)
        parts = list(self.parts.values())
        try:
            where = self.view.origin.where("source")
            return guard(_selecting(parts, source.name), self.catalog, access, where=where, engines=ENGINES)
        except CompileError as error:
            # One after the other, so that each problem is told at its own line.
            found: list[Problem] = []
            for part in parts:
                try:
                    guard(_selecting([part], source.name), self.catalog, access, where=part.where, engines=ENGINES)
                except CompileError as own:
                    found.extend(problem for problem in own.problems if problem not in found)
            raise CompileError(found or error.problems) from None

    def _check_conditions(self, events: GuardedQuery) -> None:
        for each in events.columns:
            if each.name.startswith(("fp_c", "fp_w")) and each.type.kind != "boolean":
                what = f"the condition is a {each.type}, not a boolean"
                where = self.parts[each.name].where
                self.problems.append(CONDITION.problem(what, mend="write a comparison", where=where))

    def _features(
        self,
        lines: Sequence[tuple[int, Aggregation]],
        values: Sequence[str],
        conditions: Sequence[str],
        types: dict[str, OutputColumn],
    ) -> tuple[PlannedFeature, ...]:
        numbers: dict[Measure, Numbered] = {}
        features: dict[str, PlannedFeature] = {}
        for index, line in lines:
            value = values.index(line.column) if line.column is not None else None
            condition = conditions.index(line.where) if line.where is not None else None
            input_column = types[f"fp_v{value}"] if value is not None else None
            if not self._fits(index, line, input_column):
                continue
            of = input_column.type if input_column else None
            key = self._key(index, line, values, types)
            base = self._described(line, input_column, condition, types, key)
            empty = self._empty(index, line, base.type)
            for window in line.windows:
                name = line.feature_name(window)
                if self.only is not None and name not in self.only:
                    continue
                grouping = replace(key, named=f"fp_map{len(features)}") if key else None
                needed = self._measures(line, window, Input(value, of, condition))
                for measure in needed:
                    numbers.setdefault(measure, Numbered(f"fp_m{len(numbers)}", measure))
                numbered = tuple(numbers[each] for each in needed)
                column = described(replace(base, name=name), self.view)
                if (broken := broken_promise(column, self.view)) is not None:
                    self.problems.append(broken)
                feature = Feature(name, column, empty)
                features[name] = PlannedFeature(line, window, feature, value, of, numbered, grouping)
        return tuple(features.values())

    def _key(
        self, index: int, line: Aggregation, values: Sequence[str], types: dict[str, OutputColumn]
    ) -> Grouping | None:
        if not line.is_map:
            return None
        value = values.index(line.group or line.column or "")
        of = types[f"fp_v{value}"].type
        edges = tuple(_as_type(edge, of) for edge in line.bins or ())
        if None in edges:
            what = f"the edge {(line.bins or ())[edges.index(None)]} is not a {of}"
            mend = f"write edges that are values of '{line.column}'"
            self.problems.append(INPUT_TYPE.problem(what, mend=mend, where=self._where(index, "bins")))
        return Grouping(value, of, edges, line.largest_map, "")

    def _measures(self, line: Aggregation, window: Duration, given: Input) -> tuple[Measure, ...]:
        accuracy = self.view.spec.accuracy
        if line.is_map:
            return grouped_measures_of(line, frame_of(line, window, accuracy), given)
        whole = frame_of(line, line.to, accuracy) if line.to else None
        return measures_of(line, frame_of(line, window, accuracy), whole, given)

    def _fits(self, index: int, line: Aggregation, column: OutputColumn | None) -> bool:
        if column is None:
            return True
        is_token = any(label.kind == "token" for label in column.labels)
        if accepts(line.function, column.type) and not (is_token and line.function in ("min", "max")):
            return True
        shown = "a token" if is_token else f"a {column.type}"
        what = f"`{line.function}` can't take '{line.column}', which is {shown}"
        mend = "aggregate another column, or use count, count_distinct, first or last"
        self.problems.append(INPUT_TYPE.problem(what, mend=mend, where=self._where(index, "function")))
        return False

    def _described(
        self,
        line: Aggregation,
        value: OutputColumn | None,
        condition: int | None,
        types: dict[str, OutputColumn],
        grouping: Grouping | None,
    ) -> OutputColumn:
        key = types[f"fp_v{grouping.value}"] if grouping and line.group else None
        deciding = [
            each for name, each in types.items() if name.startswith(("fp_k", "fp_t", "fp_a", "fp_s")) or name == "fp_w"
        ]
        conditions = [types["fp_w"]] if "fp_w" in types else []
        if condition is not None:
            conditions.append(types[f"fp_c{condition}"])
        used = [each for each in (value, key) if each is not None]
        read = [*deciding, *conditions, *used]
        direct = value.direct if value else frozenset()
        if line.function in TIMES:
            direct = types["fp_t"].direct
        direct |= key.direct if key else frozenset()
        of = result_type(line.function, value.type if value else None)
        indirect = frozenset(ref for each in read for ref in each.indirect)
        indirect |= {ref for each in (*deciding, *conditions) for ref in each.direct}
        if value and line.function in TIMES:
            indirect |= value.direct
        return OutputColumn(
            name="",
            type=map_of(key.type, of) if key else of,
            labels=_labels(line, value)
            | (key.labels if key else CLEAN)
            | {Label("derived", label.classification) for each in conditions for label in each.labels},
            direct=direct,
            indirect=indirect - direct,
            transforms=frozenset(name for each in (*conditions, *used) for name in each.transforms),
            description=line.description,
        )

    def _empty(self, index: int, line: Aggregation, of: DataType) -> Any:
        if line.default is None:
            return 0 if line.function in COUNTS and not line.is_map else None
        fitting = _as_type(line.default, of)
        if fitting is None:
            what = f"the default {line.default!r} is not a {of}"
            mend = f"write a {of}, or leave it out"
            self.problems.append(DEFAULT_TYPE.problem(what, mend=mend, where=self._where(index, "default")))
        return fitting

    def _snapshot(self) -> Cron | None:
        spec = self.view.spec
        if spec.accuracy != "snapshot":
            return None
        assert spec.storage.schedule is not None, "linking refuses a snapshot without schedule"
        return parse_cron(spec.storage.schedule)

    def _where(self, index: int, *path: str) -> Location:
        return self.view.origin.where("aggregations", index, *path)


def _selecting(parts: Sequence[_Part], source: str) -> exp.Select:
    return exp.select(*(exp.alias_(part.tree.copy(), part.alias) for part in parts)).from_(exp.to_table(source))


def _labels(line: Aggregation, value: OutputColumn | None) -> Labels:
    if value is None:
        return CLEAN
    if line.function in _VALUES:
        return value.labels
    kind: LabelKind = "derived" if line.function in TIMES else "aggregated"
    return frozenset(Label(kind, label.classification) for label in value.labels)


def _as_type(value: int | float | str | bool, of: DataType) -> Any:
    """``value`` as a value of the type, or None when it is not one exactly."""
    if of.kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if of.kind == "string":
        return value if isinstance(value, str) else None
    if isinstance(value, str):
        return None
    if of.is_integer:
        bits = 31 if of.kind == "int" else 63
        return value if isinstance(value, int) and -(2**bits) <= value < 2**bits else None
    if of.kind == "double":
        return float(value)
    if of.kind == "decimal":
        exact = Decimal(str(value))
        scaled = exact.scaleb(of.scale)
        return exact if scaled == scaled.to_integral_value() and abs(scaled) < 10**of.precision else None
    return None
