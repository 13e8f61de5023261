"""DuckDB plans by hand for windowed aggregates at the times of a spine; the benchmark of the same name measures them.

Each gives SQL over ``spine(r, k, q)`` and ``events(k, t, v, shop)``: the columns of the functions in the windows, for
every spine row, in the order of ``r``. They hold for events that are known when they happen and never corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

SPINE_KEY = "card"
WINDOWS = {"1h": "1 HOUR", "1d": "1 DAY", "7d": "7 DAY", "30d": "30 DAY", "90d": "90 DAY"}
_LENGTHS = list(WINDOWS.values())
_LONGEST = _LENGTHS[-1]
_LAST = len(_LENGTHS) - 1


def joined(functions: Sequence[str]) -> str:
    """Spine and events joined, one aggregate with a filter per window."""
    templates = {
        "sum": "sum(v) FILTER (t >= s{})",
        "count": "count(*) FILTER (t >= s{})",
        "max": "max(v) FILTER (t >= s{})",
        "count_distinct": "count(*) FILTER (t >= s{0} AND (before IS NULL OR before < s{0}))",
    }
    found = [f"{templates[each].format(n)} AS {each}{n}" for each in functions for n in range(len(_LENGTHS))]
    return _beside_spine(functions, f"SELECT r, {', '.join(found)} FROM ({_pairs(functions)}) GROUP BY r")


def joined_by_shortest(functions: Sequence[str]) -> str:
    """The same, but aggregated once per spine row and shortest window, then over the windows."""
    parts = {
        "sum": ["sum(v) AS p_sum"],
        "count": ["count(*) AS p_count"],
        "max": ["max(v) AS p_max"],
        "count_distinct": [
            f"count(*) FILTER (before IS NULL OR before < s{n}) AS p_distinct{n}" for n in range(len(_LENGTHS))
        ],
    }
    wholes = {
        "sum": "sum(p_sum)",
        "count": "sum(p_count)",
        "max": "max(p_max)",
        "count_distinct": "sum(p_distinct{})",
    }
    shortest = "CASE " + " ".join(f"WHEN t >= s{n} THEN {n}" for n in range(_LAST)) + f" ELSE {_LAST} END"
    inner = f"""SELECT r, {shortest} AS shortest, {", ".join(part for each in functions for part in parts[each])}
                FROM ({_pairs(functions)}) GROUP BY ALL"""
    found = [
        f"{wholes[each].format(n)} FILTER (shortest <= {n}) AS {each}{n}"
        for each in functions
        for n in range(len(_LENGTHS))
    ]
    return _beside_spine(functions, f"SELECT r, {', '.join(found)} FROM ({inner}) GROUP BY r")


def frames(functions: Sequence[str]) -> str:
    """Window frames over the union of events and spine."""
    templates = {"sum": "sum(v)", "count": "count(t)", "max": "max(v)", "count_distinct": "count(DISTINCT shop)"}
    found = [
        f"""{templates[each]} OVER (PARTITION BY k ORDER BY u
              RANGE BETWEEN INTERVAL {length} PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING) AS {each}{n}"""
        for each in functions
        for n, length in enumerate(_LENGTHS)
    ]
    return _beside_spine(
        functions,
        f"""SELECT * FROM (SELECT r, {", ".join(found)} FROM (
              SELECT k, t AS u, t, v, shop, NULL AS r FROM events UNION ALL
              SELECT k, q, NULL, NULL, NULL, r FROM spine)) WHERE r IS NOT NULL""",
    )


def asof_edges(functions: Sequence[str]) -> str:
    """Running totals over the events, looked up at each edge of each window by ASOF joins, and subtracted."""
    names = _totals(functions)
    running = ", ".join(
        f"sum({of}) OVER (PARTITION BY k ORDER BY t RANGE UNBOUNDED PRECEDING) AS {name}" for name, of in names.items()
    )
    edges = [("s.q", "e")] + [(f"s.q - INTERVAL {length}", f"w{n}") for n, length in enumerate(_LENGTHS)]
    joins = " ".join(
        f"ASOF LEFT JOIN totals AS {alias} ON {alias}.k = s.k AND {alias}.t < {time}" for time, alias in edges
    )
    found = [_difference(each, n, "e.{}", f"w{n}.{{}}") for each in functions for n in range(len(_LENGTHS))]
    return f"""WITH totals AS MATERIALIZED (SELECT k, t, {running} FROM ({_marked(functions)}))
               SELECT {", ".join(found)} FROM spine AS s {joins} ORDER BY s.r"""


def union_edges(functions: Sequence[str]) -> str:
    """Running totals over events, spine and shifted spine together, so that all edges come from one sort."""
    names = _totals(functions)
    running = ", ".join(
        f"sum({of}) OVER (PARTITION BY k ORDER BY u, edge NULLS LAST ROWS UNBOUNDED PRECEDING) AS {name}"
        for name, of in names.items()
    )
    shifts = ", ".join(f"(INTERVAL {length}, {n})" for n, length in enumerate(_LENGTHS))
    columns = sorted({*names.values()})
    nothing = ", ".join("NULL" for _ in columns)
    at = [f"max({name}) FILTER (edge = {edge}) AS {name}_{edge + 1}" for name in names for edge in range(-1, _LAST + 1)]
    found = [
        _difference(each, n, "{}_0", f"{{}}_{n + 1}") + f" AS {each}{n}" for each in functions for n in range(_LAST + 1)
    ]
    return _beside_spine(
        functions,
        f"""SELECT r, {", ".join(found)} FROM (SELECT r, {", ".join(at)} FROM (
              SELECT r, edge, {running} FROM (
                SELECT k, t AS u, NULL AS edge, NULL AS r, {", ".join(columns)} FROM ({_marked(functions)}) UNION ALL
                SELECT k, q, -1, r, {nothing} FROM spine UNION ALL
                SELECT k, q - length, edge, r, {nothing} FROM spine, (VALUES {shifts}) AS shifts(length, edge)))
            WHERE r IS NOT NULL GROUP BY r)""",
    )


def _pairs(functions: Sequence[str]) -> str:
    starts = ", ".join(f"q - INTERVAL {length} AS s{n}" for n, length in enumerate(_LENGTHS))
    before = ", lag(t) OVER (PARTITION BY k, shop ORDER BY t) AS before" if "count_distinct" in functions else ""
    return f"""SELECT * FROM (SELECT r, k, q, {starts} FROM spine) AS s
               JOIN (SELECT k, t, v{before} FROM events) AS e ON e.k = s.k AND e.t < s.q AND e.t >= s.s{_LAST}"""


def _totals(functions: Sequence[str]) -> dict[str, str]:
    """Running totals and what they sum. Of equal shops no farther apart than the window only the first enters and only
    the last leaves, so distinct counts are differences too.
    """
    found = {"n": "one"}
    if "sum" in functions:
        found["total"] = "v"
    if "count_distinct" in functions:
        found |= {f"{kind}{n}": f"{kind}{n}" for kind in ("enter", "leave") for n in range(len(_LENGTHS))}
    return found


def _marked(functions: Sequence[str]) -> str:
    if "count_distinct" not in functions:
        return "SELECT k, t, v, 1 AS one FROM events"
    marks = ", ".join(
        f"""CASE WHEN before IS NULL OR t - before > INTERVAL {length} THEN 1 ELSE 0 END AS enter{n},
            CASE WHEN after IS NULL OR after - t > INTERVAL {length} THEN 1 ELSE 0 END AS leave{n}"""
        for n, length in enumerate(_LENGTHS)
    )
    return f"""SELECT k, t, v, 1 AS one, {marks} FROM (
                 SELECT *, lag(t) OVER own AS before, lead(t) OVER own AS after FROM events
                 WINDOW own AS (PARTITION BY k, shop ORDER BY t))"""


def _difference(function: str, window: int, end: str, start: str) -> str:
    def between(name: str, other: str) -> str:
        return f"coalesce({end.format(name)}, 0) - coalesce({start.format(other)}, 0)"

    count = between("n", "n")
    if function == "count":
        return count
    if function == "sum":
        return f"CASE WHEN {count} > 0 THEN {between('total', 'total')} END"
    return between(f"enter{window}", f"leave{window}")


def _beside_spine(functions: Sequence[str], answers: str) -> str:
    found = [
        f"coalesce({each}{n}, 0) AS {each}{n}" if each.startswith("count") else f"{each}{n}"
        for each in functions
        for n in range(len(_LENGTHS))
    ]
    return f"SELECT {', '.join(found)} FROM spine LEFT JOIN ({answers}) USING (r) ORDER BY r"


PLANS: Mapping[str, Callable[[Sequence[str]], str]] = {
    "joined": joined,
    "joined_by_shortest": joined_by_shortest,
    "frames": frames,
    "asof_edges": asof_edges,
    "union_edges": union_edges,
}


def covers(plan: str, functions: Sequence[str]) -> bool:
    """Whether a plan has all the functions: what is subtracted can't be a maximum."""
    return "max" not in functions or plan not in ("asof_edges", "union_edges")
