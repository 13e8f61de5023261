"""Runs the benchmarks, one process each, and prints one JSON object: ``{"machine": …, "results": {name: …}}``.

    python benchmarks/run.py                 # all of them, at the sizes that the docs quote
    python benchmarks/run.py load compile    # some

Each benchmark is a script beside this one that prints JSON; ratios are taken within one run of it, on the same data.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def main() -> int:
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.name != Path(__file__).name)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(names)}")
    wanted = parser.parse_args().names or names
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"no benchmark called {', '.join(unknown)}; there are {', '.join(names)}")
    results: dict[str, Any] = {}
    failed = False
    for name in wanted:
        print(f"{name} ...", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, FOLDER / f"{name}.py"], stdout=subprocess.PIPE, text=True, check=False)
        failed |= done.returncode != 0
        results[name] = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.returncode}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    print(json.dumps({"machine": machine, "results": results}, indent=2))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
