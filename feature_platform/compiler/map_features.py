"""Features that are maps: per entity or query time the keys of its events, with the value of each.

Two ways lead to *cells*, which have a row per group (an entity, a point) and key with the measures of the events there:

* from the events of each group: aggregates over them. At points each has its own copy of the events that it counts.
* counts and exact sums at points: what enters and leaves adds up per entity and key, so that a value holds from one
  change to the next. Only those spans are spread over their points: the cost is the changes and the size of the
  answer, however many events lie in a window.

The cells of one group become its map: those with an event that counts, at most as many as the map may have, by key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from feature_platform.compiler.aggregation_plan import PlannedFeature
from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    any_of,
    by_code_point,
    cast,
    column,
    columns,
    equal,
    listed,
    name,
    sql,
)
from feature_platform.compiler.gathered_measures import gathered
from feature_platform.compiler.groupings import TIMES, Grouping, grouped_answer
from feature_platform.compiler.measures import GATHERED, Numbered, aggregates, change
from feature_platform.types import DataType, Engine

_ADDED: Final = frozenset({"count", "sum"})
"""Measures whose changes add up per key. (Distinct counts would need their spans cut per key as well.)"""
_KEY: Final = "fp_key"


@dataclass(frozen=True, slots=True)
class Cells:
    """``<prefix>_cells``, and when they are asked for."""

    prefix: str
    group: Sequence[str]
    moment: Sql
    """The query time, in terms of the cells ``c`` and of what ``asked`` joins to them."""
    asked: Sql = NOTHING


def grouping_of(planned: PlannedFeature) -> Grouping:
    """The grouping of a feature that is a map."""
    assert planned.grouping is not None
    return planned.grouping


def sharing_cells(features: Sequence[PlannedFeature]) -> list[list[PlannedFeature]]:
    """The features in lists that have the same key and are counted in the same way."""
    found: dict[tuple[object, ...], list[PlannedFeature]] = {}
    for each in features:
        grouping = grouping_of(each)
        found.setdefault((grouping.value, grouping.bins, is_added(each)), []).append(each)
    return list(found.values())


def is_added(planned: PlannedFeature) -> bool:
    """Whether the feature's values add up from changes."""
    return all(each.measure.kind in _ADDED for each in planned.measures)


def cells_of_events(
    features: Sequence[PlannedFeature], events: str, group: Sequence[str], prefix: str, engine: Engine
) -> list[Relation]:
    """Relations that end in ``<prefix>_cells``. ``events`` has a row for each event of each group."""
    by = [*group, _KEY]
    measures = _measures(features)
    keyed = _keyed(features, events, f"{prefix}_keyed", engine)
    found = [
        each for every in measures if every.measure.kind not in GATHERED for each in aggregates(every, None, engine)
    ]
    counted = sql(
        "SELECT :found FROM :keyed GROUP BY :by",
        found=listed(*columns(by), *found),
        keyed=name(keyed.name),
        by=listed(*columns(by)),
    )
    lists = gathered([each for each in measures if each.measure.kind in GATHERED], keyed.name, by, prefix, engine)
    if not lists:
        return [keyed, Relation(f"{prefix}_cells", counted)]
    joins = NOTHING
    for relation in lists:
        same = equal(by, relation.name, "c")
        joins = sql(":joins LEFT JOIN :relation ON :same", joins=joins, relation=name(relation.name), same=same)
    names = [each.name for each in measures if each.measure.kind in GATHERED]
    together = sql(
        "SELECT c.*, :names FROM :counted AS c:joins",
        names=listed(*columns(names)),
        counted=name(f"{prefix}_counted"),
        joins=joins,
    )
    return [keyed, Relation(f"{prefix}_counted", counted), *lists, Relation(f"{prefix}_cells", together)]


def cells_of_ranges(features: Sequence[PlannedFeature], ranges: str, prefix: str, engine: Engine) -> list[Relation]:
    """Relations that end in ``<prefix>_cells``, for features that are added; ``ranges`` as in ``point_measures``."""
    measures = _measures(features)
    names = columns(each.name for each in measures)
    added = [change(each.measure, engine) for each in measures]
    keyed = _keyed(features, ranges, f"{prefix}_keyed", engine)
    changes = sql(
        """SELECT fp_first, fp_end, fp_key, fp_point, :totals FROM (
             SELECT fp_first, fp_end, fp_key, fp_lo AS fp_point, :entering FROM :keyed
             UNION ALL
             SELECT fp_first, fp_end, fp_key, fp_hi, :leaving FROM :keyed WHERE fp_hi < fp_end) AS c
           GROUP BY fp_first, fp_end, fp_key, fp_point""",
        totals=listed(*(sql("SUM(:m) AS :m", m=each) for each in names)),
        entering=listed(*(aliased(one, each) for one, each in zip(added, names, strict=True))),
        leaving=listed(*(sql("-(:one)", one=one) for one in added)),
        keyed=name(keyed.name),
    )
    so_far = """SUM(:m) OVER (PARTITION BY fp_first, fp_key ORDER BY fp_point
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS :m"""
    spans = sql(
        """SELECT fp_key, fp_point AS fp_from, :running,
             LEAD(fp_point, 1, fp_end) OVER (PARTITION BY fp_first, fp_key ORDER BY fp_point) AS fp_to
           FROM (:changes) AS d""",
        running=listed(*(sql(so_far, m=each) for each in names)),
        changes=changes,
    )
    templates: Mapping[Engine, str] = {
        "duckdb": "SELECT UNNEST(RANGE(s.fp_from, s.fp_to)) AS fp_point, :kept FROM :spans AS s WHERE :counted",
        "postgres": """SELECT p.fp_point, :kept FROM :spans AS s
            CROSS JOIN LATERAL GENERATE_SERIES(s.fp_from, s.fp_to - 1) AS p(fp_point) WHERE :counted""",
    }
    counts = dict.fromkeys(each.measures[-1].name for each in features)
    cells = sql(
        templates[engine],
        kept=listed(*columns([_KEY, *(each.name for each in measures)], "s")),
        spans=name(f"{prefix}_spans"),
        counted=any_of(*(sql(":n > 0", n=column(each, "s")) for each in counts)),
    )
    return [keyed, Relation(f"{prefix}_spans", spans), Relation(f"{prefix}_cells", cells)]


def maps_of_cells(features: Sequence[PlannedFeature], cells: Cells, engine: Engine) -> list[Relation]:
    """Per feature a relation with the group's columns and the map."""
    relations = []
    for planned in features:
        grouping = grouping_of(planned)
        of = planned.feature.column.type
        key = by_code_point(column(_KEY, "c"), grouping.key, engine)
        counted = column(planned.measures[-1].name, "c")
        rank = sql(
            "ROW_NUMBER() OVER (PARTITION BY :by ORDER BY :counted DESC, :key)",
            by=listed(*columns(cells.group, "c")),
            counted=counted,
            key=key,
        )
        body = sql(
            """SELECT :group, :map AS :named FROM (
                 SELECT :kept, c.fp_key, :value AS fp_value, :rank AS fp_rank
                 FROM :cells AS c:joined WHERE :counted > 0) AS r
               WHERE r.fp_rank <= :largest GROUP BY :group""",
            group=listed(*columns(cells.group, "r")),
            map=_map(of, engine),
            named=name(grouping.named),
            kept=listed(*columns(cells.group, "c")),
            value=grouped_answer(planned.line, planned.measures, "c", cells.moment, engine),
            rank=Sql("1") if grouping.bins else rank,
            cells=name(f"{cells.prefix}_cells"),
            joined=cells.asked if planned.line.function in TIMES else NOTHING,
            counted=counted,
            largest=Sql(str(grouping.largest)),
        )
        relations.append(Relation(f"{cells.prefix}_{grouping.named}", body))
    return relations


def _map(of: DataType, engine: Engine) -> Sql:
    assert of.key is not None
    assert of.element is not None
    key, value = cast(Sql("r.fp_key"), of.key, engine), cast(Sql("r.fp_value"), of.element, engine)
    templates: Mapping[Engine, str] = {
        "duckdb": "MAP(LIST(:key ORDER BY r.fp_key), LIST(:value ORDER BY r.fp_key))",
        "postgres": "JSONB_OBJECT_AGG(CAST(:key AS TEXT), CAST(:value AS TEXT))",
    }
    return sql(templates[engine], key=key, value=value)


def _measures(features: Sequence[PlannedFeature]) -> list[Numbered]:
    return list(dict.fromkeys(each for planned in features for each in planned.measures))


def _keyed(features: Sequence[PlannedFeature], events: str, keyed: str, engine: Engine) -> Relation:
    key = grouping_of(features[0]).of_event("e", engine)
    body = sql("SELECT e.*, :key AS fp_key FROM :events AS e WHERE :key IS NOT NULL", key=key, events=name(events))
    return Relation(keyed, body)
