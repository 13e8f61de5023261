"""What the factory adds to Dagster's own cost of definitions, for a generated project. Prints JSON.

Both sides have the same assets: one op each with the same checks and dependencies, and the same external sources. The
bare side has nothing else; ours also has columns, lineage, owners, tags, links, partitions and schedules. Both are
measured to the point where a code location is ready: definitions built, repository resolved, every definition loaded.
Importing and opening the project (load, link, compile) are figures of their own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

REPEATS = 3
Result = TypeVar("Result")


def main() -> None:
    """``python benchmarks/definitions.py [--views 1000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, default=1_000)
    print(json.dumps(measure(parser.parse_args().views), indent=2))


def measure(views: int) -> dict[str, float]:
    """CPU seconds, medians of three; wall time says more about what else the machine does."""
    begin = time.process_time()
    import dagster as dg

    importing = time.process_time() - begin

    from load import generate

    from feature_platform.orchestration.factory import definitions_of
    from feature_platform.project.project import Project

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "feature_defs"
        generate(root, views)
        cold, project = _timed(lambda: Project.open(root))
        cached = min(_timed(lambda: Project.open(root))[0] for _ in range(2))
        model = definitions_of(project)
        bare = [_location(lambda: dg.Definitions(assets=list(_bare(model)))) for _ in range(REPEATS)]
        ours = [_location(lambda: definitions_of(project)) for _ in range(REPEATS)]
    specs = model.resolve_all_asset_specs()
    return {
        "views": views,
        "assets": len(specs),
        "checks": len(model.resolve_asset_graph().asset_check_keys),
        "import_dagster_seconds": round(importing, 2),
        "open_project_cold_seconds": round(cold, 2),
        "open_project_cached_seconds": round(cached, 2),
        "bare_seconds": round(statistics.median(bare), 2),
        "factory_seconds": round(statistics.median(ours), 2),
        "ratio": round(statistics.median(ours) / statistics.median(bare), 2),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _bare(model: object) -> Iterator[object]:
    """The same graph with nothing but keys, dependencies and checks."""
    import dagster as dg

    assert isinstance(model, dg.Definitions)
    for asset in model.assets or ():
        if isinstance(asset, dg.AssetSpec):
            yield dg.AssetSpec(asset.key)
        elif isinstance(asset, dg.AssetsDefinition):
            spec = next(iter(asset.specs))
            checks = [dg.AssetCheckSpec(check.name, asset=spec.key, blocking=True) for check in asset.check_specs]

            def op(_context) -> Iterator[object]:  # type: ignore[no-untyped-def]
                yield dg.MaterializeResult()

            bare = dg.AssetSpec(spec.key, deps=[dep.asset_key for dep in spec.deps], skippable=True)
            yield dg.multi_asset(name=asset.op.name, specs=[bare], check_specs=checks)(op)


def _location(build: Callable[[], object]) -> float:
    import dagster as dg

    def load() -> None:
        definitions = build()
        assert isinstance(definitions, dg.Definitions)
        definitions.get_repository_def().load_all_definitions()

    return _timed(load)[0]


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


if __name__ == "__main__":
    main()
