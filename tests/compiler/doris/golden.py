"""The texts for Doris that are kept for review. ``python -m tests.compiler.doris.golden`` renews them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlglot import exp

from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.doris.render import render
from feature_platform.compiler.doris.tokens import laid_out
from feature_platform.compiler.doris.views import doris_query
from feature_platform.compiler.event_digests import event_digests
from feature_platform.compiler.platform_sql import platform_sql
from feature_platform.compiler.project import compile_project
from feature_platform.compiler.training import compile_training_set
from feature_platform.errors import CompileError
from feature_platform.governance.tokens import token_pattern
from feature_platform.monitoring.pii_statements import ScannedColumn, class_hits, noticed, samples
from feature_platform.registry.load import load_registry
from feature_platform.specs.models import Materialization
from feature_platform.types import DataType, Engine
from tests.compiler.event_project import SPINE_COLUMNS, VARIANTS, project, schema_of, source_yaml
from tests.compiler.function_examples import (
    AGGREGATES,
    EDGES,
    FRAMES,
    OPERATORS,
    SCALARS,
    TRY_CASTS,
    WINDOWS,
)
from tests.compiler.sql_catalogs import catalog, guarded

FOLDER = Path(__file__).parents[1] / "fixtures" / "doris"
EXAMPLE = Path(__file__).parents[3] / "feature_defs"

WITH_MAPS = ("card_spend", "payment_check")
"""Views of the example that make maps or read them, which Doris' text has no form of."""

LINES = """
  - {function: count, windows: [1d]}
  - {function: count, column: label, windows: [1d], where: "amount > 0", default: -1}
  - {function: count_distinct, column: label, windows: [1d]}
  - {function: approx_count_distinct, column: units, windows: [1d]}
  - {function: sum, column: amount, windows: [1d, all]}
  - {function: sum, column: score, windows: [1d]}
  - {function: avg, column: units, windows: [1d]}
  - {function: min, column: label, windows: [1d]}
  - {function: max, column: amount, windows: [1d], offset: 7d}
  - {function: stddev, column: amount, windows: [1d]}
  - {function: variance_pop, column: score, windows: [1d]}
  - {function: any, column: flag, windows: [1d]}
  - {function: all, column: flag, windows: [1d]}
  - {function: first, column: label, windows: [1d]}
  - {function: last, column: flag, windows: [1d]}
  - {function: first_k, column: amount, k: 3, windows: [1d]}
  - {function: last_k, column: label, k: 2, windows: [1d]}
  - {function: last_distinct_k, column: label, k: 2, windows: [1d]}
  - {function: top_k, column: label, k: 2, windows: [1d]}
  - {function: mode, column: label, windows: [1d]}
  - {function: median, column: score, windows: [1d]}
  - {function: percentile, column: amount, percentile: 0.95, windows: [1d]}
  - {function: approx_percentile, column: amount, percentile: 0.5, windows: [1d]}
  - {function: entropy, column: label, windows: [1d]}
  - {function: rate, windows: [1d]}
  - {function: ratio, column: amount, windows: [1d], to: 30d}
  - {function: time_since_first, windows: [1d]}
  - {function: time_since_last, windows: [1d]}
"""
ACCURACIES = {
    "exact": "accuracy: exact",
    "tiled": "accuracy: tiled",
    "snapshot": 'accuracy: snapshot\nmaterialization: {schedule: "0 6 * * mon-fri"}',
}


def texts() -> Mapping[str, str]:
    """File name → what it has."""
    found = dict(_example())
    found |= _windows()
    found["functions.sql"] = _functions()
    found |= _gate()
    return found


def _example() -> Iterator[tuple[str, str]]:
    registry = load_registry(EXAMPLE)
    compiled = compile_project(registry)
    for view in compiled.views:
        if view not in WITH_MAPS:
            yield f"example_{view}.sql", laid_out(doris_query(view, registry, compiled).sql["doris"])


def _windows() -> Iterator[tuple[str, str]]:
    views = [
        f"kind: feature_view\nname: {name}\nentity: card\nsource: corrected\n{rest}\naggregations:{LINES}"
        for name, rest in ACCURACIES.items()
    ]
    views.append(
        "kind: feature_view\nname: rows\nentity: card\nevent_time: happened\navailable_at: told\nttl: 30d\n"
        "sql: SELECT card, happened, told, label FROM corrected"
    )
    with tempfile.TemporaryDirectory() as folder:
        registry = project(Path(folder), source_yaml("corrected", VARIANTS["corrected"]), *views)
        compiled = compile_project(registry)
        spine = schema_of(SPINE_COLUMNS)
        for view in compiled.views.values():
            wanted = [(view.name, each.name) for each in view.features]
            query = compile_training_set(registry, compiled, wanted, spine, time="at", engines=("doris",))
            yield f"{view.name}_training.sql", laid_out(query.sql["doris"])
            if view.form == "aggregations":
                yield f"{view.name}_as_of.sql", laid_out(doris_query(view.name, registry, compiled).sql["doris"])

        linked = registry.views["tiled"]
        daily = linked.spec.model_copy(update={"materialization": Materialization(partition="day")})
        query = event_digests(
            replace(linked, spec=daily), registry, catalog_of(registry, {}), compiled.author, ("doris",)
        )
        yield "tiled_digests.sql", laid_out(query.sql["doris"])


def _functions() -> str:
    told = []
    over = catalog(EDGES)
    examples = [*SCALARS.items(), *AGGREGATES.items(), *WINDOWS.items()]
    examples += [("operators and casts", [*OPERATORS, *TRY_CASTS]), ("frames", FRAMES)]
    for name, expressions in examples:
        told.append(f"-- {name}")
        for expression in expressions:
            grouped = " GROUP BY grp" if name in AGGREGATES else ""
            tree = guarded(f"SELECT {expression} AS x FROM edges{grouped}", over=over).tree
            try:
                text = render(tree).removeprefix("SELECT ").rpartition(" AS `x` FROM ")[0]
            except CompileError as error:
                text = f"-- {error.problems[0].what}"
            told.append(f"{expression}\n    {text}")
        told.append("")
    return "\n".join(told)


@dataclass(frozen=True)
class _Table:
    """Rows that nobody reads: only the statements over them matter."""

    engine: Engine = "doris"

    @property
    def source(self) -> exp.Table:
        return exp.table_("t", db="staged", quoted=True)

    def rows(self, statement: exp.Query, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        raise NotImplementedError


def _gate() -> Iterator[tuple[str, str]]:
    """The search for personal data: what is noticed of each kind of column, then hits of two classes, then samples."""
    kinds = ("string", "bigint", "array<string>", "map<bigint, string>", "array<array<string>>", "json")
    columns = [ScannedColumn(f"c{place}", DataType.parse(kind)) for place, kind in enumerate(kinds)]
    columns.append(ScannedColumn("token", DataType("string"), token_pattern("email")))
    statements = {
        "noticed": noticed(_Table(), columns),
        "hits": class_hits(_Table(), columns[0], ("email", "payment_card")),
        "samples": samples(_Table(), columns[:4]),
    }
    for what, statement in statements.items():
        yield f"gate_{what}.sql", laid_out(platform_sql(statement, "doris"))


def main() -> None:
    """Writes the files anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for file, text in texts().items():
        (FOLDER / file).write_bytes(text.encode())


if __name__ == "__main__":
    main()
