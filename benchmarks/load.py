"""How long it takes to load and link a project of 1,000 and of 10,000 views: cold, and from the cache. Prints JSON.

``generate`` writes the project; other benchmarks build on it. Half of the views are SQL over a source with ten computed
columns, half are aggregations with ten features. Every twentieth SQL view reads another view.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from feature_platform.registry.load import load_registry

VIEWS_PER_SOURCE = 50
VIEWS_PER_FILE = 5
DOMAINS = 10

_PLATFORM = """\
kind: platform
name: synthetic
purposes: {fraud_detection: To find fraud.}
profiles:
  embedded:
    stores:
      warehouse: {type: duckdb_delta}
      redis: {type: redis}
---
kind: entity
name: card
keys: [{name: card_id, type: bigint}]
"""

_SOURCE = """\
kind: source
name: events_{source}
description: Card authorisations of region {source}.
table: events_{source}
event_time: event_time
available_at: ingested_at
key: [event_id]
columns:
  event_id: {{type: bigint}}
  card_id: {{type: bigint}}
  event_time: {{type: timestamp}}
  ingested_at: {{type: timestamp}}
  merchant_id: {{type: bigint}}
  amount: {{type: "decimal(18,2)", unit: USD}}
  fee: {{type: "decimal(18,2)", unit: USD}}
  country: {{type: string}}
  status: {{type: string}}
"""

_AGGREGATIONS = """\
kind: feature_view
name: {name}
description: Spending of a card in region {source}.
entity: card
source: events_{source}
where: status = 'approved'
aggregations:
  - {{function: sum, column: amount, windows: [1h, 1d, 30d]}}
  - {{function: count, windows: [1h, 1d, 30d]}}
  - {{function: max, column: fee, windows: [7d, 30d], description: Highest fee.}}
  - {{function: count_distinct, column: merchant_id, windows: [7d, 30d], name: merchants}}
features:
  amount_sum_30d: {{min: 0, description: All that was approved.}}
materialization: {{online: redis, schedule: "@daily", partition: day, start: 2026-01-01}}
"""

_SQL = """\
kind: feature_view
name: {name}
description: The last authorisation of a card in region {source}.
entity: card
sql: |
  SELECT
    card_id,
    event_time,
{columns}
  FROM {table}
  WHERE {condition}
event_time: event_time
ttl: 30d
materialization: {{online: redis, schedule: "@daily"}}
"""

_COLUMNS = (
    "amount",
    "fee",
    "amount + fee AS total",
    "amount * {number} AS scaled",
    "CASE WHEN amount > {number} THEN 1 ELSE 0 END AS is_large",
    "coalesce(fee, 0) AS fee_or_zero",
    "lower(country) AS country",
    "status = 'approved' AS is_approved",
    "amount - {number} AS over_limit",
    "amount / nullif(fee, 0) AS amount_per_fee",
)


def generate(root: Path, views: int) -> None:
    """Writes a project with ``views`` feature views of ten columns each into ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "platform.yaml").write_text(_PLATFORM)
    for number in range(min(DOMAINS, views)):
        folder = root / f"domain_{number}"
        folder.mkdir(exist_ok=True)
        (folder / "domain.yaml").write_text(f"kind: domain\nname: domain_{number}\nowner: team:region-{number}\n")
    for start in range(0, views, VIEWS_PER_FILE):
        folder = root / f"domain_{start // VIEWS_PER_SOURCE % DOMAINS}"
        documents = [_view(number) for number in range(start, min(start + VIEWS_PER_FILE, views))]
        if start % VIEWS_PER_SOURCE == 0:
            documents.insert(0, _SOURCE.format(source=start // VIEWS_PER_SOURCE))
        (folder / f"views_{start}.yaml").write_text("---\n".join(documents))


def _view(number: int) -> str:
    source = number // VIEWS_PER_SOURCE
    name = f"view_{number}"
    if number % 2:
        return _AGGREGATIONS.format(name=name, source=source)
    columns = ",\n".join(f"    {column.format(number=number)}" for column in _COLUMNS)
    if number % 20 == 18:
        columns = ",\n".join(f"    over_limit + {step} AS level_{step}" for step in range(10))
        return _SQL.format(name=name, source=source, columns=columns, table=f"view_{number - 2}", condition="total > 0")
    return _SQL.format(
        name=name, source=source, columns=columns, table=f"events_{source}", condition=f"merchant_id <> {number}"
    )


def measure(views: int) -> dict[str, float]:
    """Seconds to load and link ``views`` views: with an empty cache, without any, and from a full one."""
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "feature_defs", Path(folder) / "cache"
        generate(root, views)
        seconds = {
            "cold_seconds": _seconds(root, cache),
            "cached_seconds": min(_seconds(root, cache) for _ in range(3)),
        }
        changed = root / "domain_0" / "views_0.yaml"
        changed.write_text(changed.read_text().replace("region 0", "region zero"))
        seconds["one_file_changed_seconds"] = _seconds(root, cache)
        files = list(root.rglob("*.yaml"))
        size = sum(file.stat().st_size for file in files)
    return {"views": views, "files": len(files), "bytes": size, **seconds}


def _seconds(root: Path, cache: Path) -> float:
    begin = time.perf_counter()
    load_registry(root, cache=cache)
    return round(time.perf_counter() - begin, 3)


def main() -> None:
    """``python benchmarks/load.py [--views 1000 10000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, nargs="+", default=[1_000, 10_000])
    results = [measure(views) for views in parser.parse_args().views]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    json.dump({"load": results, "peak_megabytes": round(peak)}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
