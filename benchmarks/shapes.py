"""Shapes of data and spines for ``point_in_time.py --shape``: other keys, many files, late and tied rows, skew.

Platform and plans by hand read the files that the platform published, take the spine as an Arrow table and give one.
Each measurement is a fresh process; figures are CPU seconds, the least of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

DAYS: Final = 365
TTL_DAYS: Final = 180
BEGIN: Final = datetime(2025, 1, 1)
ENTITIES: Final = 100_000
VIEWS: Final = 3
FEATURES: Final = [f"feature{number}" for number in range(5)]
SETTINGS: Final = "SET asof_loop_join_threshold = 0; SET enable_progress_bar = false; SET TimeZone = 'UTC'"


@dataclass(frozen=True)
class Shape:
    """How data and spine differ from the plain case."""

    text_key: bool = False
    """Keys are texts as long as a UUID."""
    daily: bool = False
    """A file for each day."""
    late: bool = False
    """Rows become known up to two hours after their time."""
    ties: bool = False
    """Rows of an entity may have one time, which values decide."""
    skewed: bool = False
    """Entities by Zipf's law: the first has a twelfth of everything."""
    spine: Literal["year", "week", "scoring"] = "year"
    """Times of the whole year, of its last week, or one time for each entity once."""

    @property
    def folder(self) -> str:
        """The data, whatever the spine."""
        flags = (self.text_key, self.daily, self.late, self.ties, self.skewed)
        return "shape_" + "".join(str(int(each)) for each in flags)

    def key(self, entity: str) -> str:
        return f"md5(({entity})::VARCHAR)::UUID::VARCHAR" if self.text_key else f"({entity})::BIGINT"

    def entity(self, seed: str) -> str:
        if self.skewed:
            return f"(exp((hash({seed}) % 1000000007) / 1000000007.0 * ln({ENTITIES}))::BIGINT - 1)"
        return f"(hash({seed}) % {ENTITIES})::BIGINT"


SHAPES: Final = {
    "plain": Shape(),
    "text_key": Shape(text_key=True),
    "late": Shape(late=True),
    "ties": Shape(ties=True),
    "skewed": Shape(skewed=True),
    "daily_files": Shape(daily=True),
    "daily_files_last_week": Shape(daily=True, spine="week"),
    "daily_files_scoring": Shape(daily=True, spine="scoring"),
}

PROJECT: Final = """
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
keys: [{{name: customer_id, type: {key}, pii: none}}]
"""
VIEW: Final = """
---
kind: source
name: source{view}
domain: bench
path: source{view}.parquet
event_time: event_time
columns:
  customer_id: {{type: {key}, pii: none}}
  event_time: {{type: timestamp, pii: none}}
  told: {{type: timestamp, pii: none}}
{columns}
---
kind: feature_view
name: view{view}
domain: bench
entity: customer
event_time: event_time
ttl: {ttl}d
{special}
sql: SELECT customer_id, event_time, {told}{features} FROM source{view}
materialization: {{offline: warehouse{partition}}}
"""


def measured(root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Each shape at each size: CPU seconds of all sides, the ratio to the best plan, and whether the answers agree."""
    return {f"{name} {size}": compared(root, name, size, options) for name in options.shape for size in options.sizes}


def compared(root: Path, name: str, size: str, options: argparse.Namespace) -> dict[str, Any]:
    """The sides in turn."""
    spine, rows = (int(each) for each in size.split("x"))
    folder = root / f"{rows}_{SHAPES[name].folder}"
    given = {"folder": str(folder), "shape": name, "spine": spine, "rows": rows}
    given |= {"threads": options.threads, "memory": options.memory}
    if not folder.exists():
        run("prepare", given)
    run("spine", given)
    seconds: dict[str, float] = {}
    answers = set()
    for _ in range(options.rounds):
        for side in ("platform", *plans_for(SHAPES[name], spine)):
            one = run(side, given)
            seconds[side] = min(one["cpu_s"], seconds.get(side, one["cpu_s"]))
            answers.add(one["answer"])
    best = min(cpu for side, cpu in seconds.items() if side != "platform")
    return {**seconds, "over best plan": round(seconds["platform"] / best, 2), "all sides agree": len(answers) == 1}


def plans_for(shape: Shape, spine: int) -> list[str]:
    """Pairs of a skewed or a dense spine are too many."""
    plans = ["asof"] if shape.skewed or spine > 3 * ENTITIES else ["asof", "pairs"]
    return [*plans, "newest"] if shape.spine == "scoring" else plans


def run(step: str, given: dict[str, Any]) -> Any:
    environment = {**os.environ, "FP_HOME": str(Path(given["folder"]) / "state")}
    command = [sys.executable, __file__, json.dumps({"step": step, **given})]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def moment(seed: str, days: int, first: int) -> str:
    micros = f"(hash({seed}) % {days * 86_400_000_000})::BIGINT"
    return f"TIMESTAMP '{BEGIN}' + INTERVAL {first} DAYS + to_microseconds({micros})"


def prepare(given: dict[str, Any], shape: Shape, folder: Path) -> None:
    """Sources, and the views published by days or as a whole, as runs would do it."""
    import duckdb

    from feature_platform.orchestration import materialization
    from feature_platform.stores.protocols import Partition

    (folder / "state" / "data").mkdir(parents=True)
    for view in range(VIEWS):
        values = ", ".join(f"(hash(i * 13 + {view * 77 + n}) % 1000000) / 100.0 AS {f}" for n, f in enumerate(FEATURES))
        at = moment(f"i * 31 + {view}", DAYS, 0)
        at = f"date_trunc('hour', {at})" if shape.ties else at
        select = f"""SELECT {shape.key(shape.entity(f"i * 7 + {view}"))} AS customer_id, {at} AS event_time,
            event_time + to_seconds((hash(i * 3) % 7200)::INT) AS told, {values} FROM range({given["rows"]}) AS r(i)"""
        with closing(duckdb.connect(config={"preserve_insertion_order": "false"})) as connection:
            path = folder / "state" / "data" / f"source{view}.parquet"
            connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)").fetchall()
    days = [BEGIN + timedelta(days=number) for number in range(DAYS)]
    daily = [Partition(f"{day:%Y-%m-%d}", day, day + timedelta(days=1)) for day in days]
    with project(given, shape, folder) as store:
        for view in range(VIEWS):
            for partition in daily if shape.daily else [None]:
                wanted = materialization.request(f"view{view}", partition, BEGIN + timedelta(days=DAYS))
                staged = materialization.stage(store.project, wanted, run_id="benchmark")
                materialization.publish(store.project, materialization.audit(store.project, staged))


def make_spine(given: dict[str, Any], shape: Shape, folder: Path) -> None:
    import duckdb

    entity, at = shape.entity("i * 17 + 5"), moment("i * 19 + 3", DAYS, 0)
    if shape.spine == "week":
        at = moment("i * 19 + 3", 7, DAYS - 7)
    elif shape.spine == "scoring":
        entity, at = f"(i % {ENTITIES})", f"TIMESTAMP '{BEGIN + timedelta(days=DAYS - 1)}'"
    select = f"SELECT {shape.key(entity)} AS customer_id, {at} AS event_time FROM range({given['spine']}) AS r(i)"
    with closing(duckdb.connect()) as connection:
        connection.execute(f"COPY ({select}) TO '{folder}/spine.parquet' (FORMAT parquet)").fetchall()


def project(given: dict[str, Any], shape: Shape, folder: Path) -> Any:
    import feature_platform

    root = folder / "project"
    root.mkdir(exist_ok=True)
    key = "string" if shape.text_key else "bigint"
    special = ["available_at: told"] if shape.late else []
    special += ["contract: {unique: false}"] if shape.ties else []
    text = PROJECT.format(memory=given["memory"], threads=given["threads"], key=key)
    for view in range(VIEWS):
        text += VIEW.format(
            view=view,
            key=key,
            ttl=TTL_DAYS,
            columns="\n".join(f"  {name}: {{type: double, pii: none}}" for name in FEATURES),
            special="\n".join(special),
            told="told, " if shape.late else "",
            features=", ".join(FEATURES),
            partition=f", partition: day, schedule: '@daily', start: {BEGIN:%Y-%m-%d}" if shape.daily else "",
        )
    (root / "all.yaml").write_text(text, encoding="utf-8")
    return feature_platform.connect(root, purpose="analysis")


def by_platform(given: dict[str, Any], shape: Shape, folder: Path, spine: Any) -> tuple[Any, float]:
    import deltalake  # noqa: F401 - as DuckDB is for the plans by hand, before the clock starts
    import duckdb  # noqa: F401 - as above

    import feature_platform.sdk.training
    import feature_platform.stores.duckdb_delta  # noqa: F401 - as above

    wanted = [f"view{view}:{feature}" for view in range(VIEWS) for feature in FEATURES]
    with project(given, shape, folder) as store:
        started = time.process_time()
        answer = store.training_set(spine, wanted).to_arrow()
        return answer, time.process_time() - started


def by_hand(given: dict[str, Any], shape: Shape, folder: Path, spine: Any) -> tuple[Any, float]:
    import duckdb

    settings = {"threads": given["threads"], "memory_limit": given["memory"], "temp_directory": str(folder / "spill")}
    with closing(duckdb.connect(config=settings)) as connection:
        connection.execute(SETTINGS).fetchall()
        started = time.process_time()
        connection.register("given", spine)
        connection.execute("CREATE TEMP TABLE spine AS SELECT row_number() OVER () AS fp_row, * FROM given").fetchall()
        ((first, last),) = connection.execute("SELECT min(event_time), max(event_time) FROM spine").fetchall()
        since = first - timedelta(days=TTL_DAYS)
        # What somebody who knows the spine would write: DuckDB skips row groups by it.
        times = f"event_time BETWEEN TIMESTAMP '{since}' AND TIMESTAMP '{last}'"
        answer = connection.sql(PLANS[given["step"]](ByHand(shape, folder, times))).to_arrow_table()
        return answer, time.process_time() - started


@dataclass(frozen=True)
class ByHand:
    """The parts that plans are made of."""

    shape: Shape
    folder: Path
    times: str

    def files(self, view: int) -> str:
        data = self.folder / "state" / "warehouse" / "features" / f"view{view}" / "data"
        return "[" + ", ".join(f"'{each}'" for each in sorted(data.glob("*/*.parquet"))) + "]"

    def rows(self, view: int) -> str:
        """With ``place``."""
        place = "file_index::BIGINT * 1099511627776 + file_row_number" if self.shape.daily else "file_row_number"
        return f"(SELECT *, {place} AS place FROM read_parquet({self.files(view)}) WHERE {self.times})"

    def records(self, view: int) -> str:
        """Rows that replace each other, each from ``since`` on."""
        features = ", ".join(FEATURES)
        if self.shape.ties:
            fields = ", ".join(f"'{name}': {name}" for name in FEATURES)
            grouped = f"SELECT customer_id, event_time, max({{{fields}}}) AS w FROM {self.rows(view)} GROUP BY ALL"
            return f"(SELECT customer_id, event_time, event_time AS since, unnest(w) FROM ({grouped}))"
        if not self.shape.late:
            return f"(SELECT customer_id, event_time, event_time AS since, {features} FROM {self.rows(view)})"
        newest = "max(event_time) OVER (PARTITION BY customer_id ORDER BY greatest(event_time, available_at)) AS newest"
        known = f"SELECT *, greatest(event_time, available_at) AS since, {newest} FROM {self.rows(view)}"
        return f"(SELECT customer_id, event_time, since, {features} FROM ({known}) WHERE event_time = newest)"

    @property
    def order(self) -> str:
        return (
            f"row(v.event_time, {', '.join(f'v.{name}' for name in FEATURES)})" if self.shape.ties else "v.event_time"
        )


def asof(parts: ByHand) -> str:
    """An ASOF join per view with all features in it."""
    found, joins = ["s.*"], ""
    for view in range(VIEWS):
        fresh = f"v{view}.event_time >= s.event_time - INTERVAL {TTL_DAYS} DAYS"
        found += [f"CASE WHEN {fresh} THEN v{view}.{name} END AS view{view}__{name}" for name in FEATURES]
        joins += f""" ASOF LEFT JOIN {parts.records(view)} AS v{view}
            ON s.customer_id = v{view}.customer_id AND s.event_time >= v{view}.since"""
    return f"SELECT {', '.join(found)} FROM spine AS s{joins} ORDER BY s.fp_row"


def pairs(parts: ByHand) -> str:
    """A hash join by entity, the newest row's place by ``arg_max``, features fetched last."""
    relations, found, joins = [], ["s.*"], ""
    known = " AND v.available_at <= s.event_time" if parts.shape.late else ""
    for view in range(VIEWS):
        newest = f"""SELECT s.fp_row, arg_max(v.place, {parts.order}) AS place
            FROM spine AS s JOIN {parts.rows(view)} AS v ON s.customer_id = v.customer_id
            AND s.event_time >= v.event_time{known}
            AND v.event_time >= s.event_time - INTERVAL {TTL_DAYS} DAYS GROUP BY s.fp_row"""
        values = ", ".join(f"v.{name}" for name in FEATURES)
        fetched = f"SELECT n.fp_row, {values} FROM {parts.rows(view)} AS v JOIN n{view} AS n ON n.place = v.place"
        relations += [f"n{view} AS MATERIALIZED ({newest})", f"v{view} AS MATERIALIZED ({fetched})"]
        found += [f"v{view}.{name} AS view{view}__{name}" for name in FEATURES]
        joins += f" LEFT JOIN v{view} ON v{view}.fp_row = s.fp_row"
    return f"WITH {', '.join(relations)} SELECT {', '.join(found)} FROM spine AS s{joins} ORDER BY s.fp_row"


def newest(parts: ByHand) -> str:
    """For a spine of one time: the newest row of each entity."""
    found, joins = ["s.*"], ""
    for view in range(VIEWS):
        fields = ", ".join(f"'{name}': {name}" for name in FEATURES)
        grouped = (
            f"SELECT customer_id, arg_max({{{fields}}}, {parts.order}) AS w FROM {parts.rows(view)} AS v GROUP BY ALL"
        )
        joins += f" LEFT JOIN ({grouped}) AS v{view} USING (customer_id)"
        found += [f"v{view}.w.{name} AS view{view}__{name}" for name in FEATURES]
    return f"SELECT {', '.join(found)} FROM spine AS s{joins} ORDER BY s.fp_row"


def digest(answer: Any) -> str:
    import duckdb

    features = [f"view{view}__{feature}" for view in range(VIEWS) for feature in FEATURES]
    place = "event_time::TIMESTAMP, customer_id"
    sums = ", ".join(f"sum(hash({name}, {place}) % 1000003)" for name in features)
    with closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        connection.register("answer", answer)
        return str(connection.execute(f"SELECT count(*), {sums} FROM answer").fetchall())


def main() -> None:
    """One step in this process."""
    given = json.loads(sys.argv[1])
    shape, folder = SHAPES[given["shape"]], Path(given["folder"])
    if given["step"] in ("prepare", "spine"):
        (prepare if given["step"] == "prepare" else make_spine)(given, shape, folder)
        print("{}")
        return
    import pyarrow.parquet as pq

    side = by_platform if given["step"] == "platform" else by_hand
    answer, seconds = side(given, shape, folder, pq.read_table(folder / "spine.parquet"))
    print(json.dumps({"cpu_s": round(seconds, 2), "answer": digest(answer)}))


PLANS: Final = {"asof": asof, "pairs": pairs, "newest": newest}

if __name__ == "__main__":
    main()
