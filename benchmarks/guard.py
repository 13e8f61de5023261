"""How long guard() takes: on one query of 200 lines, and on 500, 1,000 and 2,000 queries of feature views. Prints JSON.

Seconds are CPU time of this process, so that other load on the machine does not count. Each query of a view has a dozen
lines over a source of its own region, with tokens, transforms, a join and a window; every tenth goes back to a view
that was compiled before it. ``per_view_growth`` is the time per view among 2,000 against among 500: 1.0 is linear.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from feature_platform.compiler.catalog import Catalog, CatalogColumn, CatalogTable
from feature_platform.compiler.guard import guard
from feature_platform.errors import Location
from feature_platform.governance.access import Access
from feature_platform.governance.labels import Label
from feature_platform.governance.policies import BookRule, PolicyBook
from feature_platform.registry.graph import TableRef
from feature_platform.specs.policy import PolicyRule
from feature_platform.types import DataType

REPEATS: Final = 15
VIEWS_PER_SOURCE: Final = 50
_COLUMNS: Final = {
    "event_id": "bigint",
    "card_number": "string payment_card",
    "email": "string email",
    "birth_date": "date birth_date",
    "phone": "string phone",
    "customer_id": "bigint",
    "merchant_id": "bigint",
    "amount": "decimal(18,2)",
    "fee": "decimal(18,2)",
    "country": "string",
    "status": "string",
    "event_time": "timestamp",
    "ingested_at": "timestamp",
}

_PART: Final = """\
part_{n} AS (
  SELECT
    e.card_number,
    e.event_time,
    e.merchant_id,
    email_domain(e.email) AS provider_{n},
    age_years(e.birth_date, e.event_time) AS age_{n},
    CASE
      WHEN e.status = 'approved' AND e.amount > {n} THEN e.amount - e.fee
      WHEN e.status IN ('declined', 'reversed') THEN 0
      ELSE coalesce(e.fee, 0)
    END AS net_{n},
    sum(e.amount) OVER (
      PARTITION BY e.card_number
      ORDER BY e.event_time, e.event_id
      ROWS BETWEEN {n} PRECEDING AND CURRENT ROW
    ) AS spent_{n}
  FROM events_0 AS e
  WHERE e.country <> 'XX'
    AND e.event_time >= TIMESTAMP '2026-01-0{n} 00:00:00'
    AND e.card_number IN (SELECT f.card_number FROM events_0 AS f WHERE f.status = 'approved')
)"""

_VIEW: Final = """\
SELECT
  e.card_number,
  e.event_time,
  e.ingested_at,
  e.amount + e.fee AS total,
  e.email IS NULL AS unknown,
  email_domain(e.email) AS provider,
  age_years(e.birth_date, e.event_time) AS age,
  CASE WHEN e.status = 'approved' THEN 1 ELSE 0 END AS approved_{n},
  row_number() OVER (PARTITION BY e.card_number ORDER BY e.event_time, e.event_id) AS nth
FROM events_{source} AS e
JOIN {other} AS o ON e.card_number = o.card_number
WHERE e.status <> 'test' AND e.amount > {n}"""


def main() -> None:
    """``python benchmarks/guard.py [--views 500 1000 2000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, nargs="+", default=[500, 1_000, 2_000])
    print(json.dumps(measure(parser.parse_args().views), indent=2))


def measure(counts: list[int]) -> dict[str, Any]:
    """Figures of the long query and of every count of views."""
    catalog, access = catalog_of(max(counts) // VIEWS_PER_SOURCE + 1), Access(("fraud",), policies=policies())
    text = long_query()
    long = median(seconds(lambda: guard(text, catalog, access)) for _ in range(REPEATS))
    sizes = []
    for count in counts:
        queries = [view_query(number) for number in range(count)]
        taken = seconds(partial(_guard_all, queries, catalog, access))
        sizes.append({"views": count, "cpu_seconds": round(taken, 2), "ms_per_view": round(taken / count * 1000, 2)})
    return {
        "long_query_lines": text.count("\n") + 1,
        "long_query_ms": round(long * 1000, 1),
        "views": sizes,
        "per_view_growth": round(sizes[-1]["ms_per_view"] / sizes[0]["ms_per_view"], 2),
    }


def _guard_all(queries: list[str], catalog: Catalog, access: Access) -> None:
    for query in queries:
        guard(query, catalog, access)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of ``work``."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def long_query() -> str:
    """A query of 200 lines: eight CTEs, joined and grouped."""
    parts = ",\n".join(_PART.format(n=number) for number in range(1, 9))
    columns = ",\n".join(f"  max(p{number}.net_{number}) AS net_{number}" for number in range(1, 9))
    joins = "\n".join(
        f"LEFT JOIN part_{number} AS p{number} ON p1.card_number = p{number}.card_number" for number in range(2, 9)
    )
    return f"WITH {parts}\nSELECT\n  p1.card_number,\n{columns}\nFROM part_1 AS p1\n{joins}\nGROUP BY ALL"


def view_query(number: int) -> str:
    """The query of one feature view."""
    source = number // VIEWS_PER_SOURCE
    other = "card_spend" if number % 10 == 0 else f"events_{source}"
    return _VIEW.format(n=number % 7, source=source, other=other)


def catalog_of(sources: int) -> Catalog:
    """So many sources, and one view."""
    tables = []
    for number in range(sources):
        columns = []
        for name, text in _COLUMNS.items():
            kind, _, classification = text.partition(" ")
            columns.append(CatalogColumn(name, DataType.parse(kind), classification or None))
        tables.append(CatalogTable(TableRef("source", f"events_{number}"), tuple(columns)))
    token = frozenset({Label("token", "payment_card")})
    view = (CatalogColumn("card_number", DataType.parse("string"), labels=token),)
    tables.append(CatalogTable(TableRef("view", "card_spend"), view, purposes=("fraud",)))
    return Catalog({table.ref.name: table for table in tables})


def policies() -> PolicyBook:
    """Cards and addresses are tokens, birth dates ages, telephones denied."""
    rules: list[dict[str, Any]] = [
        {"classification": "payment_card", "action": "token", "transforms": ("last4",)},
        {"classification": "email", "action": "token", "transforms": ("email_domain",)},
        {"classification": "birth_date", "action": "deny", "transforms": ("age_years",)},
    ]
    place = Location("policy.yaml", 1, 1)
    return PolicyBook(tuple(BookRule("privacy", PolicyRule.model_validate(rule), place) for rule in rules))


if __name__ == "__main__":
    main()
