"""Windowed aggregates at the times of a spine, beside hand-written DuckDB plans. JSON.

    python benchmarks/windows.py                                   # all parts at the sizes that the docs quote
    python benchmarks/windows.py --parts one_key curve             # some
    python benchmarks/windows.py --parts large --spine 100000 --events 1000000 --entities 10000

* ``large``: 1M spine rows × 10M events of 100,000 keys × {1h, 1d, 7d, 30d, 90d} × {sum of decimals, count, max,
  distinct count}, each function alone and all together.
* ``one_key``: 100,000 spine rows × 10,000 events of one key, the same windows and functions.
* ``curve``: the same events, one window from an hour to all of time.
* ``sources``: what late events and corrections add.
* ``memory``: the large case with 4 GB and less.

Both sides read the same Parquet file of events and the same Parquet spine, and give all spine rows in order as Arrow
batches. The platform's side is ``FeatureStore.training_set``. Every measurement is a fresh process that has opened its
project or database before the clock starts; sides run in turn, each figure is the least of the rounds, and the answers
of all sides are compared.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hand_written.windows import PLANS, SPINE_KEY, WINDOWS, covers

DAYS = 120
FUNCTIONS = ("sum", "count", "max", "count_distinct")
CURVE = ("1h", "1d", "7d", "30d", "90d", "365d", "all")
SOURCES = {
    "plain": "",
    "late": "available_at: told",
    "corrected": "available_at: told\nkey: [id]",
}
"""What a source declares. The same file: an event in fifty is corrected an hour later, if the key is declared."""
LINES = {
    "sum": "{{function: sum, column: amount, windows: {windows}}}",
    "count": "{{function: count, windows: {windows}}}",
    "max": "{{function: max, column: amount, windows: {windows}}}",
    "count_distinct": "{{function: count_distinct, column: shop, windows: {windows}}}",
}
PROJECT = """
kind: platform
name: bench
purposes: {{analysis: Measuring.}}
profiles:
  embedded: {{stores: {{warehouse: {{type: duckdb_delta, memory_limit: {memory}, threads: {threads}}}}}}}
---
kind: domain
name: cards
owner: team:cards
---
kind: entity
name: card
keys: [{{name: card, type: bigint, pii: none}}]
---
kind: source
name: payments
domain: cards
path: payments.parquet
event_time: happened
{time}
columns:
  id: {{type: bigint, pii: none}}
  card: {{type: bigint, pii: none}}
  happened: {{type: timestamp, pii: none}}
  told: {{type: timestamp, pii: none}}
  amount: {{type: "decimal(18,2)", pii: none}}
  shop: {{type: bigint, pii: none}}
---
kind: feature_view
name: spend
domain: cards
entity: card
source: payments
aggregations:
{lines}
"""


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--spine", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--functions", nargs="*", default=[*FUNCTIONS, "all"])
    parser.add_argument("--sides", nargs="*", default=["platform", *PLANS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memory", default="8GB", help="limit of the engine, on all sides")
    parser.add_argument("--folder", type=Path, help="where data is kept between calls; default: a temporary folder")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(measure(json.loads(options.step))))
        return
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as temporary:
        root = options.folder or Path(temporary)
        print(json.dumps({part: PARTS[part](root, options) for part in options.parts}, indent=2))


def large(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    folder = prepared(root, options.spine, options.events, options.entities)
    return {function: compared(folder, function, options) for function in options.functions}


def one_key(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    # A billion pairs: a join is no candidate here.
    sides = [side for side in options.sides if not side.startswith("joined")]
    able = argparse.Namespace(**{**vars(options), "sides": sides})
    return {each: compared(prepared(root, 100_000, 10_000, 1), each, able) for each in options.functions}


def curve(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The platform's side, window by window."""
    cases = {"100k x 10k, one key": (100_000, 10_000, 1), "100k x 1M, 10k keys": (100_000, 1_000_000, 10_000)}
    return {
        case: {
            window: least([("platform", {"windows": [window]})], prepared(root, *sizes), "all", options)["platform"]
            for window in CURVE
        }
        for case, sizes in cases.items()
    }


def sources(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    folder = prepared(root, options.spine, options.events, options.entities)
    found = least([(each, {"side": "platform", "source": each}) for each in SOURCES], folder, "all", options)
    base = found["plain"]["cpu_s"]
    return {**found, "cpu over plain": {each: round(found[each]["cpu_s"] / base, 2) for each in SOURCES}}


def memory(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    folder = prepared(root, options.spine, options.events, options.entities)
    once = argparse.Namespace(**{**vars(options), "rounds": 1})
    return {
        f"{source} at {limit}": least([("platform", {"source": source, "memory": limit})], folder, "all", once)
        for source in ("plain", "corrected")
        for limit in ("4GB", "1GB")
    }


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "large": large,
    "one_key": one_key,
    "curve": curve,
    "sources": sources,
    "memory": memory,
}


def compared(folder: Path, function: str, options: argparse.Namespace) -> dict[str, Any]:
    """All sides that have the functions, and the platform's ratio to the best."""
    able = [side for side in options.sides if side == "platform" or covers(side, functions_of(function))]
    found = least([(side, {}) for side in able], folder, function, options)
    plans = [found[side] for side in able if side != "platform"]
    ratios = {}
    if plans and "platform" in found:
        for figure in ("wall_s", "cpu_s"):
            best = min(plan[figure] for plan in plans)
            ratios[f"{figure} over best plan"] = round(found["platform"][figure] / best, 2)
    return {**found, **ratios}


def least(
    sides: Sequence[tuple[str, dict[str, Any]]], folder: Path, function: str, options: argparse.Namespace
) -> dict[str, Any]:
    """The sides in turn, several rounds, the least of each figure. Sides with the same data must agree."""
    found: dict[str, dict[str, Any]] = {}
    answers: dict[str, str] = {}
    for _ in range(options.rounds):
        for name, special in sides:
            step = {
                "side": name,
                "folder": str(folder),
                "functions": functions_of(function),
                "windows": list(WINDOWS),
                "source": "plain",
                "threads": options.threads,
                "memory": options.memory,
                **special,
            }
            one = run(step)
            seen = answers.setdefault(step["source"], one.pop("answer"))
            if "error" not in one and seen != (given := one.pop("given", seen)):
                raise SystemExit(f"{name} gives {given}, not {seen}")
            found[name] = {key: min(value, found.get(name, one)[key]) for key, value in one.items()}
            print(function, name, found[name], file=sys.stderr, flush=True)
    return found


def functions_of(function: str) -> list[str]:
    return list(FUNCTIONS) if function == "all" else [function]


def run(step: dict[str, Any]) -> dict[str, Any]:
    environment = {**os.environ, "FP_HOME": str(Path(step["folder"]) / "state")}
    command = [sys.executable, __file__, "--step", json.dumps(step)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{step['side']} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def prepared(root: Path, spine: int, events: int, entities: int) -> Path:
    """The folder of one size's files, made once: events a minute late at most, one in fifty told again an hour later
    (which without a key is an event of its own).
    """
    import duckdb

    folder = root / f"{spine}_{events}_{entities}"
    data = folder / "state" / "data"
    if data.exists():
        return folder
    data.mkdir(parents=True)
    key = f"(hash(i * 13) % {entities})::BIGINT"
    with closing(duckdb.connect()) as connection:
        connection.execute(
            f"""COPY (SELECT * FROM (
                  SELECT i - i % 50 // 49 AS id, (hash((i - i % 50 // 49) * 3) % {entities})::BIGINT AS card,
                    {moment("(i - i % 50 // 49) * 7")} AS happened,
                    happened + to_seconds((hash(i * 11) % 60)::INT + i % 50 // 49 * 3600) AS told,
                    ((hash(i * 5) % 1000000)::BIGINT / 100)::DECIMAL(18, 2) AS amount,
                    (hash(i * 17) % 1000)::BIGINT AS shop
                  FROM range({events}) AS r(i))) TO '{data}/payments.parquet' (FORMAT parquet)"""
        ).fetchall()
        connection.execute(
            f"""COPY (SELECT {key} AS {SPINE_KEY}, {moment("i * 19")} AS asked_at FROM range({spine}) AS r(i))
                TO '{folder}/spine.parquet' (FORMAT parquet)"""
        ).fetchall()
    return folder


def moment(seed: str) -> str:
    """SQL for a time of the benchmark's period, the same in every run."""
    return f"TIMESTAMP '2026-01-01' + to_microseconds((hash({seed}) % {DAYS * 86_400_000_000})::BIGINT)"


def measure(step: dict[str, Any]) -> dict[str, Any]:
    """Seconds and memory of one side in this process, and a digest of its answer."""
    open_side = platform if step["side"] == "platform" else by_hand
    names = [f"{function}_{window}" for function in step["functions"] for window in step["windows"]]
    for library in ("pyarrow.compute", "pyarrow.parquet", "pyarrow.dataset", "numpy", "duckdb"):
        importlib.import_module(library)
    batches, close = open_side(step)
    wall, cpu = time.perf_counter(), time.process_time()
    answer = digest(batches(), names)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_mb": peak, "answer": answer}


def digest(batches: Iterator[Any], names: Sequence[str]) -> str:
    """Rows, and per column the sum of its values weighted by their place, to tell rows in another order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = 0
    totals = [0.0] * len(names)
    for batch in batches:
        for place, column in enumerate(batch.columns[-len(names) :]):
            values = pc.cast(column, pa.float64())
            totals[place] += (pc.sum(values).as_py() or 0.0) * (1 + rows % 97)
        rows += batch.num_rows
    return json.dumps([rows, *(f"{total:.9g}" for total in totals)])


def platform(step: dict[str, Any]) -> tuple[Callable[[], Iterator[Any]], Callable[[], None]]:
    """What a notebook does."""
    import feature_platform

    folder = Path(step["folder"])
    root = folder / "project"
    root.mkdir(exist_ok=True)
    windows = "[" + ", ".join(step["windows"]) + "]"
    lines = "\n".join(f"  - {LINES[function].format(windows=windows)}" for function in step["functions"])
    text = PROJECT.format(memory=step["memory"], threads=step["threads"], time=SOURCES[step["source"]], lines=lines)
    (root / "all.yaml").write_text(text, encoding="utf-8")
    store = feature_platform.connect(root, purpose="analysis")
    columns = {"sum": "amount_sum", "count": "count", "max": "amount_max", "count_distinct": "shop_count_distinct"}
    wanted = [f"spend:{columns[function]}_{window}" for function in step["functions"] for window in step["windows"]]

    def batches() -> Iterator[Any]:
        with store.training_set(folder / "spine.parquet", wanted, time="asked_at").reader() as reader:
            yield from reader

    return batches, store.close


def by_hand(step: dict[str, Any]) -> tuple[Callable[[], Iterator[Any]], Callable[[], None]]:
    """One of the plans, over the same files, with the platform's batches."""
    import duckdb

    folder = Path(step["folder"])
    connection = duckdb.connect(config={"threads": step["threads"], "memory_limit": step["memory"]})
    connection.execute(f"SET temp_directory = '{folder}/spill'; SET asof_loop_join_threshold = 0").fetchall()
    connection.execute("SET enable_progress_bar = false").fetchall()
    connection.execute(
        f"""CREATE VIEW events AS SELECT card AS k, happened AS t, amount AS v, shop
            FROM read_parquet('{folder}/state/data/payments.parquet')"""
    ).fetchall()

    def batches() -> Iterator[Any]:
        connection.execute(
            f"""CREATE TEMP TABLE spine AS SELECT row_number() OVER () AS r, {SPINE_KEY} AS k, asked_at AS q
                FROM read_parquet('{folder}/spine.parquet')"""
        ).fetchall()
        yield from connection.sql(PLANS[step["side"]](step["functions"])).to_arrow_reader(65_536)

    return batches, connection.close


if __name__ == "__main__":
    main()
