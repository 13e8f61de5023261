"""How long it takes to load, link and compile a project of 1,000 and of 10,000 views: cold, and from the caches.
Prints JSON.

The project is the one of ``load.py``: half of the views in SQL, half aggregations, ten features each. Every
measurement is a process of its own, as a command line or a code location would have it; ``process_seconds`` counts its
start too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from load import generate


def measure(views: int) -> dict[str, object]:
    """Seconds with empty caches, from full ones, and after one file changed."""
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "feature_defs", Path(folder) / "cache"
        generate(root, views)
        cold = _run(root, cache)
        warm = min((_run(root, cache) for _ in range(3)), key=lambda run: run["load_seconds"] + run["compile_seconds"])
        changed = root / "domain_0" / "views_0.yaml"
        changed.write_text(changed.read_text().replace("amount + fee AS total", "amount + fee + 1 AS total"))
        size = sum(file.stat().st_size for file in cache.rglob("*"))
        return {
            "views": views,
            "cold": cold,
            "cached": warm,
            "one_file_changed": _run(root, cache),
            "cache_bytes": size,
        }


def _run(root: Path, cache: Path) -> dict[str, float]:
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--once", str(root), str(cache)], stdout=subprocess.PIPE, text=True, check=True
    )
    inside: dict[str, float] = json.loads(done.stdout)
    return {**inside, "process_seconds": round(time.perf_counter() - begin, 3)}


def _once(root: Path, cache: Path) -> None:
    from feature_platform.compiler.project import compile_project
    from feature_platform.registry.load import load_registry

    begin, begin_cpu = time.perf_counter(), time.process_time()
    registry = load_registry(root, cache=cache)
    loaded = time.perf_counter()
    compile_project(registry, cache=cache)
    compiled, cpu = time.perf_counter(), time.process_time() - begin_cpu
    seconds = {"load_seconds": loaded - begin, "compile_seconds": compiled - loaded, "cpu_seconds": cpu}
    print(json.dumps({name: round(value, 3) for name, value in seconds.items()}))


def main() -> None:
    """``python benchmarks/compile.py [--views 1000 10000]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--once", type=Path, nargs=2, metavar=("ROOT", "CACHE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        _once(*options.once)
        return
    json.dump({"compile": [measure(views) for views in options.views]}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
