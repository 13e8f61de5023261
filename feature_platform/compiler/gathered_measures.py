"""Measures that need every value of a window at hand: percentiles, lists, the most frequent values.

They can be neither subtracted nor merged from small partial results, so each point gets its own copy of the events
that it counts. That costs time and memory that grow with points times events per window; the engine spills what does
not fit. Everything else is cheaper (``point_measures``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    by_code_point,
    cast,
    column,
    columns,
    listed,
    literal,
    name,
    sql,
    where,
)
from feature_platform.compiler.measures import MeasureKind, Numbered, counted
from feature_platform.types import DOUBLE, Engine

_SIMPLE: Final[Mapping[MeasureKind, Mapping[Engine, str]]] = {
    "percentile": {
        "duckdb": "QUANTILE_CONT(:number, :share):only",
        "postgres": "PERCENTILE_CONT(:share) WITHIN GROUP (ORDER BY :number):only",
    },
    "first_k": dict.fromkeys(("duckdb", "postgres"), "(ARRAY_AGG(:v ORDER BY :n):only)[1::k]"),
    "last_k": dict.fromkeys(("duckdb", "postgres"), "(ARRAY_AGG(:v ORDER BY :n DESC):only)[1::k]"),
}
"""Aggregates over the events themselves."""
_BY_VALUE: Final[Mapping[MeasureKind, str]] = {
    "last_distinct_k": "(ARRAY_AGG(d.fp_v ORDER BY d.fp_newest DESC))[1::k]",
    "top_k": "(ARRAY_AGG(d.fp_v ORDER BY d.fp_times DESC, :sorted))[1::k]",
    "mode": "(ARRAY_AGG(d.fp_v ORDER BY d.fp_times DESC, :sorted))[1]",
    "entropy": "SUM(d.fp_share * LN(1 / d.fp_share)) / LN(2)",
}
"""Aggregates over the distinct values, with how often (``fp_times``) and when last each occurs."""


def gathered(
    measures: Sequence[Numbered], events: str, group: Sequence[str], prefix: str, engine: Engine
) -> list[Relation]:
    """Relations, each of which has the columns ``group`` and some of the measures. ``events`` has a row for each event
    of each group.
    """
    simple = [each for each in measures if each.measure.kind in _SIMPLE]
    relations = []
    if simple:
        found = listed(*columns(group), *(_simple(each, engine) for each in simple))
        body = sql(
            "SELECT :found FROM :events GROUP BY :by", found=found, events=name(events), by=listed(*columns(group))
        )
        relations.append(Relation(f"{prefix}_lists", body))
    relations += [
        Relation(f"{prefix}_{each.name}", _by_value(each, events, group, engine))
        for each in measures
        if each.measure.kind in _BY_VALUE
    ]
    return relations


def _simple(numbered: Numbered, engine: Engine) -> Sql:
    measure = numbered.measure
    value = column(f"fp_v{measure.value}")
    only = counted(measure)
    parts = {
        "v": value,
        "only": sql(" FILTER (WHERE :only)", only=only) if only else NOTHING,
        "n": column(f"fp_n{measure.value}"),
    }
    if measure.kind == "percentile":
        parts |= {"number": cast(value, DOUBLE, engine), "share": literal(measure.parameter, DOUBLE, engine)}
    else:
        parts["k"] = Sql(str(int(measure.parameter or 0)))
    return aliased(sql(_SIMPLE[measure.kind][engine], **parts), name(numbered.name))


def _by_value(numbered: Numbered, events: str, group: Sequence[str], engine: Engine) -> Sql:
    measure = numbered.measure
    assert measure.value_type is not None
    parts = {
        "group": listed(*columns(group, "d")),
        "v": column(f"fp_v{measure.value}", "e"),
        "newest": _newest(numbered),
        "by": listed(*columns(group, "e"), column(f"fp_v{measure.value}", "e")),
        "kept": listed(*columns(group, "e")),
        "events": name(events),
        "only": where(counted(measure, "e")),
        "double": cast(sql("COUNT(*)"), DOUBLE, engine),
        "found": sql(
            _BY_VALUE[measure.kind],
            k=Sql(str(int(measure.parameter or 0))),
            sorted=by_code_point(sql("d.fp_v"), measure.value_type, engine),
        ),
        "named": name(numbered.name),
    }
    return sql(
        """SELECT :group, :found AS :named FROM (
             SELECT :kept, :v AS fp_v, COUNT(*) AS fp_times, :newest AS fp_newest,
               :double / SUM(COUNT(*)) OVER (PARTITION BY :kept) AS fp_share
             FROM :events AS e:only GROUP BY :by) AS d
           GROUP BY :group""",
        **parts,
    )


def _newest(numbered: Numbered) -> Sql:
    if numbered.measure.kind != "last_distinct_k":
        return sql("NULL")
    return sql("MAX(:n)", n=column(f"fp_n{numbered.measure.value}", "e"))
