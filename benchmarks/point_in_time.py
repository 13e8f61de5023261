"""Training sets from published rows of views in SQL, beside hand-written DuckDB plans and Feast. JSON.

    python benchmarks/point_in_time.py --feast-python /tmp/feast/bin/python   # pip install 'feast[duckdb]' there
    python benchmarks/point_in_time.py --sizes 1000000x10000000
    python benchmarks/point_in_time.py --sizes 100000x1000000 --shape ties late   # other data and spines
    python benchmarks/point_in_time.py --bounded --huge                       # memory: 4 GB and less, 100M spine rows

A spine of ``customer_id``, ``event_time`` and a label as a pandas data frame goes in, the spine with three views × five
doubles comes out as a pandas data frame. All sides read the same Parquet files: those that the platform published.
Entities, times and values are random; views have a ttl. Every measurement is a fresh process that has imported its
libraries and opened its project before the clock starts; sides run in turn, and each figure is the least of the rounds.
Results of all sides are compared by a digest.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import shapes

VIEWS = 3
FEATURES = 5
TTL_DAYS = 180
DAYS = 365
SIZES = ("100000x1000000", "1000000x1000000", "1000000x10000000")
HUGE_ROWS = 100_000_000
HUGE = f"{HUGE_ROWS}x1000000"
FEATURE_NAMES = [f"feature{n}" for n in range(FEATURES)]
NAMES = [(f"view{view}", f"feature{feature}") for view in range(VIEWS) for feature in range(FEATURES)]

PROJECT = """
kind: platform
name: bench
purposes: {{analysis: Measuring.}}
profiles:
  embedded: {{stores: {{warehouse: {{type: duckdb_delta, memory_limit: {memory}, threads: {threads}}}}}}}
---
kind: domain
name: bench
owner: team:bench
---
kind: entity
name: customer
keys: [{{name: customer_id, type: bigint, pii: none}}]
"""
VIEW = """
---
kind: source
name: source{view}
domain: bench
path: source{view}.parquet
event_time: event_time
columns:
  customer_id: {{type: bigint, pii: none}}
  event_time: {{type: timestamp, pii: none}}
{columns}
---
kind: feature_view
name: view{view}
domain: bench
entity: customer
event_time: event_time
ttl: {ttl}d
sql: SELECT customer_id, event_time, {features} FROM source{view}
materialization: {{offline: warehouse}}
"""


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", default=SIZES, metavar="SPINExROWS")
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memory", default="4GB", help="limit of the engine in all plans and the platform")
    parser.add_argument("--sides", nargs="*", default=["platform", *PLANS, "feast"])
    parser.add_argument("--feast-python", type=Path, help="a Python with feast[duckdb]; without it Feast is left out")
    parser.add_argument("--bounded", action="store_true", help="also with little memory, and with 10M spine rows")
    parser.add_argument("--huge", action="store_true", help="also 100M spine rows, streamed to Parquet")
    parser.add_argument("--folder", type=Path, help="where data is kept between calls; default: a temporary folder")
    parser.add_argument("--shape", nargs="*", choices=list(shapes.SHAPES), help="only these; see shapes.py")
    parser.add_argument("--step", nargs=3, metavar=("NAME", "SPINE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, spine, folder = options.step
        print(json.dumps(STEPS[name](Path(folder), int(spine), options)))
        return
    with tempfile.TemporaryDirectory(prefix="fp-bench-") as temporary:
        root = options.folder or Path(temporary)
        print(json.dumps((shapes.measured if options.shape else measured)(root, options), indent=2))


def measured(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {"cpus": os.cpu_count(), "threads": options.threads, "entities": options.entities}
    for size in options.sizes:
        results[size] = compared(root, size, options)
    if options.bounded:
        for size, memory in (("1000000x10000000", "4GB"), ("1000000x10000000", "500MB"), ("10000000x1000000", "1GB")):
            results[f"bounded {size} at {memory}"] = alone("platform_parquet", root, size, options, memory)
    if options.huge:
        results[f"streamed {HUGE}"] = alone("platform_parquet", root, HUGE, options, "2GB")
    return results


def compared(root: Path, size: str, options: argparse.Namespace) -> dict[str, Any]:
    """Every side in turn, the least of each figure, and the two ratios that matter."""
    folder, spine = prepared(root, size, options)
    found: dict[str, dict[str, Any]] = {}
    skipped = {}
    for _ in range(options.rounds):
        for side in options.sides:
            if side == "feast" and options.feast_python is None:
                skipped["feast"] = "no --feast-python was given"
                continue
            one = run(side, folder, spine, options)
            if side in found:
                assert one["digest"] == found[side]["digest"]
                one = {key: min(value, found[side][key]) for key, value in one.items()}
            found[side] = one
    digests = {one.pop("digest") for one in found.values()}
    ratios = {}
    plans = [found[side] for side in PLANS if side in found]
    if plans and "platform" in found:
        for figure in ("wall_s", "cpu_s"):
            ratios[f"{figure} over best plan"] = round(found["platform"][figure] / min(p[figure] for p in plans), 2)
    if "feast" in found and "platform" in found:
        ratios["cpu_s of feast over platform"] = round(found["feast"]["cpu_s"] / found["platform"]["cpu_s"], 2)
    return {**found, **ratios, "all sides agree": len(digests) == 1, **({"skipped": skipped} if skipped else {})}


def alone(step: str, root: Path, size: str, options: argparse.Namespace, memory: str) -> dict[str, Any]:
    folder, spine = prepared(root, size, options)
    found: dict[str, Any] = run(step, folder, spine, argparse.Namespace(**{**vars(options), "memory": memory}))
    return found


def prepared(root: Path, size: str, options: argparse.Namespace) -> tuple[Path, int]:
    """The data of a size, made once. Views with equally many rows share a folder."""
    spine, rows = (int(each) for each in size.split("x"))
    folder = root / f"{rows}_{options.entities}"
    if not folder.exists():
        folder.mkdir(parents=True)
        run("generate", folder, rows, options)
        run("publish", folder, rows, options)
    if not (folder / f"spine{spine}.parquet").exists():
        run("spine", folder, spine, options)
    return folder, spine


def run(step: str, folder: Path, spine: int, options: argparse.Namespace) -> Any:
    python = options.feast_python if step == "feast" else sys.executable
    command = [python, __file__, "--step", step, spine, folder, "--threads", options.threads]
    command += ["--entities", options.entities, "--memory", options.memory]
    environment = {**os.environ, "FP_HOME": str(folder / "state"), "FEAST_USAGE": "False"}
    done = subprocess.run(
        [str(each) for each in command], check=False, stdout=subprocess.PIPE, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{step} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def moment(seed: str) -> str:
    return f"TIMESTAMP '2025-01-01' + to_microseconds((hash({seed}) % {DAYS * 86_400_000_000})::BIGINT)"


def generate(folder: Path, rows: int, options: argparse.Namespace) -> None:
    import duckdb

    data = folder / "state" / "data"
    data.mkdir(parents=True)
    for view in range(VIEWS):
        values = ", ".join(f"(hash(i * 13 + {view * 77 + n}) % 1000000) / 100.0 AS feature{n}" for n in range(FEATURES))
        select = f"""SELECT (hash(i * 7 + {view}) % {options.entities})::BIGINT AS customer_id,
            {moment(f"i * 31 + {view}")} AS event_time, {values} FROM range({rows}) AS r(i)"""
        with closing(duckdb.connect(config={"preserve_insertion_order": "false"})) as connection:
            connection.execute(f"COPY ({select}) TO '{data}/source{view}.parquet' (FORMAT parquet)").fetchall()


def make_spine(folder: Path, rows: int, options: argparse.Namespace) -> None:
    import duckdb

    select = f"""SELECT (hash(i * 17 + 5) % {options.entities})::BIGINT AS customer_id,
        {moment("i * 19 + 3")} AS event_time, i % 7 = 0 AS label FROM range({rows}) AS r(i)"""
    with closing(duckdb.connect()) as connection:
        connection.execute(f"COPY ({select}) TO '{folder}/spine{rows}.parquet' (FORMAT parquet)").fetchall()


def project(folder: Path, options: argparse.Namespace) -> Any:
    """The project over ``folder``, opened."""
    import feature_platform

    root = folder / "project"
    root.mkdir(exist_ok=True)
    columns = "\n".join(f"  feature{n}: {{type: double, pii: none}}" for n in range(FEATURES))
    features = ", ".join(f"feature{n}" for n in range(FEATURES))
    views = "".join(VIEW.format(view=n, columns=columns, features=features, ttl=TTL_DAYS) for n in range(VIEWS))
    text = PROJECT.format(memory=options.memory, threads=options.threads) + views
    (root / "all.yaml").write_text(text, encoding="utf-8")
    return feature_platform.connect(root, purpose="analysis")


def publish(folder: Path, _rows: int, options: argparse.Namespace) -> None:
    """Rows of the views are computed, checked and published as a run would do it."""
    from feature_platform.orchestration import materialization

    with project(folder, options) as store:
        for number in range(VIEWS):
            wanted = materialization.request(f"view{number}", None, datetime(2026, 1, 1))
            staged = materialization.stage(store.project, wanted, run_id="benchmark")
            materialization.publish(store.project, materialization.audit(store.project, staged))


def files(folder: Path, view: int) -> str:
    """SQL's list of the published files of a view."""
    found = sorted((folder / "state" / "warehouse" / "features" / f"view{view}" / "data").glob("*/*.parquet"))
    return "[" + ", ".join(f"'{each}'" for each in found) + "]"


def platform(folder: Path, spine: int, options: argparse.Namespace) -> dict[str, Any]:
    """What a notebook does."""
    import deltalake  # noqa: F401 - as DuckDB is for the plans by hand, before the clock starts
    import duckdb  # noqa: F401 - as above

    import feature_platform.sdk.training
    import feature_platform.stores.duckdb_delta  # noqa: F401 - as above

    rows = spine_frame(folder, spine)
    with project(folder, options) as store:
        wanted = [f"{view}:{feature}" for view, feature in NAMES]
        return clocked(lambda: store.training_set(rows, wanted).to_pandas())


def platform_parquet(folder: Path, spine: int, options: argparse.Namespace) -> dict[str, Any]:
    """From Parquet to Parquet, batch by batch, two features of one view where the spine is huge."""
    import pyarrow.parquet as pq

    wanted = [f"{view}:{feature}" for view, feature in (NAMES if spine < HUGE_ROWS else NAMES[:2])]
    path = folder / f"spine{spine}.parquet"
    written = folder / "answer.parquet"

    def stream() -> int:
        with store.training_set(path, wanted).reader() as reader, pq.ParquetWriter(written, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        return pq.read_metadata(written).num_rows

    with project(folder, options) as store, watched(folder / "state" / "warehouse" / "_spill") as spilled:
        measured_ = clocked(stream, digest=str)
    written.unlink()
    left = sum(1 for each in (folder / "state" / "warehouse" / "_spill").rglob("*") if each.is_file())
    return {**measured_, "memory_limit": options.memory, "spilled_mb": spilled[0] >> 20, "spill_files_left": left}


def duckdb_plan(plan: Callable[[Path], str]) -> Callable[[Path, int, argparse.Namespace], dict[str, Any]]:
    """The same by hand: ``plan`` gives SQL over ``spine`` and the files."""

    def run_plan(folder: Path, spine: int, options: argparse.Namespace) -> dict[str, Any]:
        import duckdb

        rows = spine_frame(folder, spine)
        with (
            tempfile.TemporaryDirectory() as spill,
            closing(duckdb.connect(config={"threads": options.threads, "memory_limit": options.memory})) as connection,
        ):
            connection.execute(f"SET temp_directory = '{spill}'; SET asof_loop_join_threshold = 0").fetchall()
            connection.execute("SET enable_progress_bar = false").fetchall()

            def by_hand() -> Any:
                connection.register("frame", rows)
                numbered = "SELECT row_number() OVER () AS fp_row, * FROM frame"
                connection.execute(f"CREATE TEMP TABLE spine AS {numbered}").fetchall()
                return connection.sql(plan(folder)).df().drop(columns="fp_row")

            return clocked(by_hand)

    return run_plan


def asof_wide(folder: Path) -> str:
    """One ASOF join per view with all features in it, ttl afterwards."""
    found = ["s.*"]
    joins = ""
    for view in range(VIEWS):
        fresh = f"v{view}.event_time >= s.event_time - INTERVAL {TTL_DAYS} DAYS"
        found += [f"CASE WHEN {fresh} THEN v{view}.{f} END AS view{view}__{f}" for f in FEATURE_NAMES]
        joins += f""" ASOF LEFT JOIN read_parquet({files(folder, view)}) AS v{view}
            ON s.customer_id = v{view}.customer_id AND s.event_time >= v{view}.event_time"""
    return f"SELECT {', '.join(found)} FROM spine AS s{joins} ORDER BY s.fp_row"


def asof_narrow(folder: Path) -> str:
    """An ASOF join of keys, times and row numbers per view; features are fetched by row number afterwards."""
    return fetched_last(
        folder,
        """SELECT s.fp_row, v.file_row_number AS r FROM spine AS s ASOF JOIN {rows} AS v
           ON s.customer_id = v.customer_id AND s.event_time >= v.event_time WHERE {fresh}""",
    )


def hash_join(folder: Path) -> str:
    """All pairs of a spine row and an older row of its entity; the newest row's number by ``arg_max``."""
    return fetched_last(
        folder,
        """SELECT s.fp_row, arg_max(v.file_row_number, v.event_time) AS r FROM spine AS s JOIN {rows} AS v
           ON s.customer_id = v.customer_id AND s.event_time >= v.event_time AND {fresh} GROUP BY s.fp_row""",
    )


def merge(folder: Path) -> str:
    """Spine and rows sorted together, the newest row's number carried along."""
    return fetched_last(
        folder,
        """SELECT u.fp_row, u.r FROM (
             SELECT fp_row, event_time,
               last_value(n IGNORE NULLS) OVER own AS r, last_value(t IGNORE NULLS) OVER own AS t
             FROM (SELECT customer_id, event_time, fp_row, NULL AS n, NULL AS t FROM spine UNION ALL
                   SELECT v.customer_id, v.event_time, NULL, v.file_row_number, v.event_time FROM {rows} AS v)
             WINDOW own AS (PARTITION BY customer_id ORDER BY event_time, fp_row NULLS FIRST ROWS UNBOUNDED PRECEDING)
           ) AS u WHERE u.fp_row IS NOT NULL AND u.t >= u.event_time - INTERVAL {days} DAYS""",
    )


def fetched_last(folder: Path, numbers: str) -> str:
    """``numbers`` gives ``fp_row`` and the file's row ``r`` for a view."""
    relations = []
    found = ["s.*"]
    joins = ""
    for view in range(VIEWS):
        rows = f"read_parquet({files(folder, view)}, file_row_number = true)"
        fresh = f"v.event_time >= s.event_time - INTERVAL {TTL_DAYS} DAYS"
        own = numbers.format(rows=rows, fresh=fresh, days=TTL_DAYS)
        relations.append(f"n{view} AS MATERIALIZED ({own})")
        features = ", ".join(f"v.{f}" for f in FEATURE_NAMES)
        fetched = f"SELECT n.fp_row, {features} FROM {rows} AS v JOIN n{view} AS n ON n.r = v.file_row_number"
        relations.append(f"v{view} AS MATERIALIZED ({fetched})")
        found += [f"v{view}.{f} AS view{view}__{f}" for f in FEATURE_NAMES]
        joins += f" LEFT JOIN v{view} ON v{view}.fp_row = s.fp_row"
    return f"WITH {', '.join(relations)} SELECT {', '.join(found)} FROM spine AS s{joins} ORDER BY s.fp_row"


def feast(folder: Path, spine: int, options: argparse.Namespace) -> dict[str, Any]:
    """Feast's DuckDB offline store over the same files. Runs in Feast's own environment."""
    from datetime import timedelta

    import duckdb
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64
    from feast.value_type import ValueType

    duckdb.execute(f"SET threads = {options.threads}; SET memory_limit = '{options.memory}'").fetchall()
    rows = spine_frame(folder, spine)
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
    views = []
    for number in range(VIEWS):
        (file,) = (folder / "state" / "warehouse" / "features" / f"view{number}" / "data").glob("*/*.parquet")
        views.append(
            FeatureView(
                name=f"view{number}",
                entities=[customer],
                ttl=timedelta(days=TTL_DAYS),
                schema=[Field(name=each, dtype=Float64) for each in FEATURE_NAMES],
                source=FileSource(name=f"source{number}", path=str(file), timestamp_field="event_time"),
            )
        )
    with tempfile.TemporaryDirectory() as home:
        config = RepoConfig(
            project="bench",
            provider="local",
            registry=f"{home}/registry.db",
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": f"{home}/online.db"},
            entity_key_serialization_version=3,
        )
        store = FeatureStore(config=config)
        store.apply([customer, *views])
        wanted = [f"{view}:{feature}" for view, feature in NAMES]
        return clocked(
            lambda: store.get_historical_features(entity_df=rows, features=wanted, full_feature_names=True).to_df()
        )


def spine_frame(folder: Path, spine: int) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(folder / f"spine{spine}.parquet").to_pandas()


def clocked(work: Callable[[], Any], *, digest: Callable[[Any], str] | None = None) -> dict[str, Any]:
    """Wall and CPU seconds of ``work``, the process's greatest memory, and a digest of what came out."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    answer = work()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mb": after.ru_maxrss >> 10,
        "before_mb": before.ru_maxrss >> 10,
        "digest": (digest or frame_digest)(answer),
    }


def frame_digest(frame: Any) -> str:
    """The same for equal rows in whatever order: Feast does not keep the spine's."""
    columns = {f"{view}__{feature}": frame[f"{view}__{feature}"] for view, feature in NAMES}
    weight = frame["event_time"].dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype("int64") % 1009 + 1
    sums = [float((column.fillna(-1.0).to_numpy() * weight).sum()) for column in columns.values()]
    return " ".join([str(len(frame)), *(f"{each:.8e}" for each in sums)])


@contextmanager
def watched(folder: Path) -> Iterator[list[int]]:
    """The most bytes of files below ``folder`` while the block runs, looked at ten times a second."""
    most = [0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            most[0] = max(most[0], sum(size(file) for file in folder.rglob("*")))

    def size(file: Path) -> int:
        try:
            return file.stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


PLANS = {"asof_wide": asof_wide, "asof_narrow": asof_narrow, "hash_join": hash_join, "merge": merge}
STEPS: dict[str, Callable[[Path, int, argparse.Namespace], Any]] = {
    "generate": generate,
    "publish": publish,
    "spine": make_spine,
    "platform": platform,
    "platform_parquet": platform_parquet,
    "feast": feast,
    **{name: duckdb_plan(plan) for name, plan in PLANS.items()},
}

if __name__ == "__main__":
    main()
