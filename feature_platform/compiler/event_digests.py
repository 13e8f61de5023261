"""Which ticks an event touches, and a digest of all events that each tick counts: so that a late event, a correction or
a deletion is found out from numbers, and rebuilds the partitions whose windows it touches and no others.

Of an aggregation view the digest of a tick is over the versions of events that hold at the tick and lie in some frame
of the view: what the rows of that tick are computed from. An event counts for the ticks of one interval, from the first
after its time (and not before it was known) to the last before it leaves the longest frame or is replaced. Events with
the same interval are added up in the engine; the sums of ticks follow from those of intervals.

Of a partitioned view in SQL the digest is over its rows. Both are sums, so neither order nor files matter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from feature_platform.compiler.aggregation_lines import plan_aggregations
from feature_platform.compiler.aggregation_plan import AggregationPlan
from feature_platform.compiler.aggregations import partition_of
from feature_platform.compiler.catalog import Catalog
from feature_platform.compiler.event_versions import event_relation, known_since, reach_of, version_relations
from feature_platform.compiler.fragments import (
    Relation,
    Sql,
    all_of,
    column,
    columns,
    duration,
    listed,
    name,
    quoted,
    sql,
    with_relations,
)
from feature_platform.compiler.frames import farthest_reach, floored, leaves
from feature_platform.compiler.plan import CompiledQuery, CompiledView
from feature_platform.governance.access import Access
from feature_platform.registry.graph import LinkedView, Registry, TableRef
from feature_platform.types import ENGINES, Engine

FIRST: Final = "first_tick"
LAST: Final = "last_tick"
"""Parameters: the first and the last tick (naive UTC, multiples of the length) that are asked about."""

_HASHES: Final[Mapping[Engine, str]] = {"duckdb": "HASH(:values)", "postgres": "HASH_RECORD_EXTENDED(ROW(:values), 0)"}
"""64 bits of all values of a row, a NULL among them. Neither is promised to outlive a new release of the engine: a
digest that another release made says "changed", which costs a rebuild and is never wrong the other way."""
_WITHIN: Final[Mapping[str, int]] = {"hour": 3_600_000_000, "day": 86_400_000_000}


def event_digests(
    view: LinkedView, registry: Registry, catalog: Catalog, author: Access, engines: Collection[Engine] = ENGINES
) -> CompiledQuery:
    """Of a partitioned aggregation view: rows (``enters``, ``leaves``, ``events``, ``checksum``), one per interval of
    ticks, ``leaves`` not included. The intervals are cut to the ticks that are asked about.

    Reads no event that lies before the reach of the first tick or that the last tick can't know.

    Raises:
        CompileError: as compiling the view.
    """
    plan = plan_aggregations(view, registry, catalog, author)
    unit = partition_of(view.spec)
    assert unit is not None, f"'{view.spec.name}' has no partitions"
    return CompiledQuery(
        sql={engine: str(_of_events(plan, _WITHIN[unit], engine)) for engine in engines},
        columns=(),
        reads=(TableRef("source", plan.source),),
        parameters=(FIRST, LAST),
        rules=plan.events.rules,
        reach=reach_of(plan, FIRST, LAST),
    )


def row_digests(view: CompiledView, given: CompiledQuery) -> CompiledQuery:
    """Of a partitioned view in SQL, which ``given`` materializes: rows (``enters``, ``events``, ``checksum``), one per
    partition between ``$partition_start`` and ``$partition_end`` that has rows; ``enters`` is the partition's end,
    ``events`` the number of its rows.
    """
    return CompiledQuery(
        sql={engine: str(_of_rows(view, Sql(given.sql[engine]), engine)) for engine in given.sql},
        columns=(),
        reads=given.reads,
        parameters=given.parameters,
        rules=given.rules,
    )


def published_digests(view: CompiledView, engine: Engine) -> CompiledQuery:
    """:func:`row_digests` of the rows that are published."""
    return CompiledQuery(
        sql={engine: str(_of_rows(view, _published_rows(view, engine), engine))},
        columns=(),
        reads=(TableRef("view", view.name),),
        parameters=("partition_end", "partition_start"),
    )


def _published_rows(view: CompiledView, engine: Engine) -> Sql:
    if engine == "doris":
        from feature_platform.compiler.doris.digests import published_rows

        return published_rows(view)
    return sql(
        """SELECT :names FROM :schema.:table WHERE :time >= CAST($partition_start AS TIMESTAMP)
           AND :time < CAST($partition_end AS TIMESTAMP)""",
        names=listed(*(quoted(each) for each in view.schema.names)),
        schema=quoted("features"),
        table=quoted(view.name),
        time=quoted("event_time"),
    )


def _of_rows(view: CompiledView, rows: Sql, engine: Engine) -> Sql:
    assert view.partitioned is not None, f"'{view.name}' has no partitions"
    length = _WITHIN[view.partitioned]
    if engine == "doris":
        from feature_platform.compiler.doris.digests import of_rows

        return of_rows(view, rows, length)
    tick = sql(":start + :length", start=floored(quoted("event_time"), length, engine), length=duration(length))
    return sql(
        "SELECT :tick AS enters, COUNT(*) AS events, :checksum AS checksum FROM (:rows) AS fp_rows GROUP BY 1",
        tick=tick,
        checksum=_sum(_hash([quoted(each) for each in view.schema.names], engine)),
        rows=rows,
    )


def _of_events(plan: AggregationPlan, length: int, engine: Engine) -> Sql:
    if engine == "doris":
        from feature_platform.compiler.doris.digests import of_events

        return of_events(plan, length, FIRST, LAST)
    first, last = (sql("CAST($:parameter AS TIMESTAMP)", parameter=name(each)) for each in (FIRST, LAST))
    relations = [event_relation(plan, "fp", engine), _candidates(plan, first, last)]
    relations += version_relations(plan, "fp", plan.entity, last, known_since(plan, first))
    hashed = columns([*plan.entity, "fp_t", "fp_a", *plan.source_key, *plan.payload])
    intervals = sql(
        """SELECT GREATEST(:after, :known, :first) AS enters, :gone AS leaves, :hash AS fp_hash FROM :versions""",
        after=sql(":tile + :length", tile=floored(column("fp_t"), length, engine), length=duration(length)),
        known=_tick_at(column("fp_a"), length, engine),
        first=first,
        gone=_gone(plan, last, length, engine),
        hash=_hash(hashed, engine),
        versions=name(relations[-1].name),
    )
    return with_relations(
        [*relations, Relation("fp_intervals", intervals)],
        sql(
            """SELECT enters, leaves, COUNT(*) AS events, :checksum AS checksum FROM fp_intervals
               WHERE enters < leaves GROUP BY enters, leaves""",
            checksum=_sum(column("fp_hash")),
        ),
    )


def _candidates(plan: AggregationPlan, first: Sql, last: Sql) -> Relation:
    """As those of the view's own query, of all ticks together."""
    reach = farthest_reach(plan.frames)
    body = sql(
        "SELECT :kept FROM fp_events AS e WHERE e.fp_t < :last AND e.fp_a <= :last AND :conditions",
        kept=listed(*columns([*plan.entity, "fp_t", "fp_a", *plan.source_key, *plan.payload], "e")),
        last=last,
        conditions=all_of(
            None if reach is None else sql("e.fp_t >= :first - :reach", first=first, reach=duration(reach)),
            *(sql(":key IS NOT NULL", key=key) for key in columns(plan.entity, "e")),
            column("fp_w", "e") if plan.filtered else None,
        ),
    )
    return Relation("fp_candidates", body, stored=True if plan.source_keys else None)


def _gone(plan: AggregationPlan, last: Sql, length: int, engine: Engine) -> Sql:
    """The first tick that does not count an event: no frame reaches it, or another version holds. At most the one after
    the last tick that is asked about."""
    after_all = sql(":last + :length", last=last, length=duration(length))
    replaced = _tick_at(column("fp_until"), length, engine)
    out = [leaves(frame, column("fp_t"), engine) for frame in plan.frames]
    ends = [after_all, sql("COALESCE(:replaced, :after_all)", replaced=replaced, after_all=after_all)]
    if None not in out:
        ends.append(_tick_at(sql("GREATEST(:out)", out=listed(*(each for each in out if each))), length, engine))
    return sql("LEAST(:ends)", ends=listed(*ends))


def _tick_at(moment: Sql, length: int, engine: Engine) -> Sql:
    """The first tick at or after a moment; NULL of NULL."""
    before = sql("(:moment - :instant)", moment=moment, instant=duration(1))
    return sql(":tile + :length", tile=floored(before, length, engine), length=duration(length))


def _sum(hashes: Sql) -> Sql:
    return sql("CAST(SUM(:hashes) AS DECIMAL(38, 0))", hashes=hashes)


def _hash(values: list[Sql], engine: Engine) -> Sql:
    return sql(_HASHES[engine], values=listed(*values))
