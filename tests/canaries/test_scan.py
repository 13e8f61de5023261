"""Scanning a real project: nothing after a materialization, and every plant in every kind of place."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from typer.testing import CliRunner, Result

from feature_platform.canaries.files import Unsearched
from feature_platform.canaries.listing import FILE_NAME, Canary, read_canaries, write_canaries
from feature_platform.canaries.needles import Needles
from feature_platform.canaries.scan import Finding, scan
from feature_platform.canaries.servers import Postgres, Redis
from feature_platform.cli.main import app
from feature_platform.errors import UsageError
from feature_platform.orchestration.instance import instance
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.stores.online_encoding import row_decoder
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.stores.redis_online import RedisOnlineStore
from feature_platform.types import BIGINT, DATE, TIMESTAMP, Column, TableSchema
from tests.databases import own_database
from tests.orchestration.builders import LAST_PAYMENT, Payment, Workplace, environment, utc, workplace

MAIL = "zebedee.quillfeather.canary@example.org"
NOON = utc(2026, 1, 4, 12)

BY_MAIL = """
    kind: entity
    name: payer
    keys: [{name: email, type: string, pii: email}]
    ---
    kind: feature_view
    name: payer_amount
    entity: payer
    sql: SELECT email, event_time, amount FROM transactions
    event_time: event_time
    materialization: {offline: warehouse, online: [redis, postgres]}
"""


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str
) -> Iterator[tuple[Workplace, str, str]]:
    """A project whose source has a canary among its payers; materialized to every store."""
    database = own_database(postgres_url, "canaries")
    made = workplace(tmp_path_factory.mktemp("canaries"), LAST_PAYMENT, BY_MAIL)
    made.pay([Payment(7, utc(2026, 1, 3, 11), email=MAIL)], file="2.csv")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment(database, redis_url).items():
            patched.setenv(name, value)
        patched.delenv("FP_HOME", raising=False)
        with made.open() as project:
            write_canaries(project.data / FILE_NAME, [("transactions", "email", MAIL)])
            report = materialize(project, as_of=NOON)
            assert report.ok, report
        yield made, database, redis_url


@pytest.fixture
def found(place: tuple[Workplace, str, str]) -> Iterator[Callable[[], set[tuple[str, str]]]]:
    """Scans, and gives (store, place) of what it found; everything has to be searchable."""
    with place[0].open() as project:

        def run() -> set[tuple[str, str]]:
            return {(each.store, each.place) for each in findings(project)}

        yield run


def findings(project: Project) -> tuple[Finding, ...]:
    listed = project.data / FILE_NAME
    report = scan(project, read_canaries(listed, project.registry), listed)
    assert (report.unsearched, report.missing) == ((), ())
    return report.findings


def fp(place: tuple[Workplace, str, str], *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["canary", "scan", "-p", str(place[0].root), *map(str, arguments)])


Found = Callable[[], set[tuple[str, str]]]


def test_a_materialized_project_has_its_canaries_in_raw_sources_alone(place: tuple[Workplace, str, str]) -> None:
    result = fp(place)
    assert result.exit_code == 0, result.output
    assert "1 values" in result.stdout
    assert "none found" in result.stdout


def test_a_raw_file_beside_the_declared_ones_is_found(place: tuple[Workplace, str, str]) -> None:
    copy = place[0].state / "data" / "copy.csv"
    copy.write_text(f"1,{MAIL}\n")
    result = fp(place)
    copy.unlink()
    assert result.exit_code == 1
    assert "data folder" in result.stdout
    assert "transactions.email" in result.stdout
    assert MAIL not in result.output
    assert "quill" not in result.output


@pytest.mark.parametrize(
    ("where", "name"),
    [("features/last_payment/data/old", "rows, compressed"), ("features/last_payment/_delta_log", "a log")],
)
def test_old_and_staged_files_of_the_warehouse_are_searched(
    place: tuple[Workplace, str, str], found: Found, where: str, name: str
) -> None:
    folder = place[0].state / "warehouse" / where
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ("0.json" if name == "a log" else "x.parquet")
    assert not file.exists()
    if name == "a log":
        file.write_text(json.dumps({"add": {"stats": json.dumps({"maxValues": {"note": MAIL}})}}))
    else:
        pq.write_table(
            pa.table({"note": [*map(str, range(3_000)), MAIL]}), file, compression="zstd", write_statistics=False
        )
    shown = str(file.relative_to(place[0].state / "warehouse"))
    places = found()
    file.unlink()
    assert ("warehouse", f"{shown}, column note" if name != "a log" else shown) in places


@pytest.mark.parametrize(
    ("plant", "remove", "where"),
    [
        ("CREATE TABLE public.leak AS SELECT %s::text AS note", "DROP TABLE public.leak", "public.leak"),
        ("CREATE TABLE public.leak AS SELECT convert_to(%s, 'UTF8') AS note", "DROP TABLE public.leak", "public.leak"),
        (
            "CREATE TABLE public.leak AS SELECT encode(convert_to(%s, 'UTF8'), 'base64') AS x",
            "DROP TABLE public.leak",
            "public.leak",
        ),
        (
            "CREATE TABLE audit_events AS SELECT jsonb_build_object('subject', %s::text) AS event",
            "DROP TABLE audit_events",
            "public.audit_events",
        ),
        (
            "CREATE MATERIALIZED VIEW public.kept AS SELECT %s::text AS note",
            "DROP MATERIALIZED VIEW public.kept",
            "public.kept",
        ),
        ("COMMENT ON SCHEMA public IS '{}'", "COMMENT ON SCHEMA public IS NULL", "comments"),
        ('CREATE TABLE "{}" (x int)', 'DROP TABLE "{}"', "names of tables and columns"),
    ],
)
def test_every_table_of_a_database_is_searched_and_what_it_remembers(
    place: tuple[Workplace, str, str], found: Found, plant: str, remove: str, where: str
) -> None:
    with psycopg.connect(place[1], autocommit=True) as database:
        cursor = psycopg.ClientCursor(database)
        cursor.execute(plant.format(MAIL), [MAIL] if "%s" in plant else None)
        try:
            places = found()
        finally:
            database.execute(remove.format(MAIL))
    assert ("postgres", where) in places
    assert not any(MAIL in shown for _, shown in places)


def test_statistics_that_outlive_their_rows_are_searched(place: tuple[Workplace, str, str], found: Found) -> None:
    with psycopg.connect(place[1], autocommit=True) as database:
        database.execute("CREATE TABLE public.sampled (note text)")
        database.execute("INSERT INTO public.sampled SELECT %s FROM generate_series(1, 100)", (MAIL,))
        database.execute("ANALYZE public.sampled")
        database.execute("UPDATE public.sampled SET note = 'gone'")
        places = found()
        database.execute("DROP TABLE public.sampled")
    assert ("postgres", "statistics of columns") in places


@pytest.mark.parametrize("kind", ["string", "hash", "list", "set", "zset", "stream", "name"])
def test_every_key_of_redis_is_searched(place: tuple[Workplace, str, str], found: Found, kind: str) -> None:
    server = redis.Redis.from_url(place[2])
    key = f"leak:{MAIL}" if kind == "name" else "leak"
    plant = {
        "string": lambda: server.set(key, f"x{MAIL}y"),
        "hash": lambda: server.hset(key, "row", MAIL.encode().hex()),
        "list": lambda: server.rpush(key, "a", MAIL),
        "set": lambda: server.sadd(key, MAIL),
        "zset": lambda: server.zadd(key, {MAIL: 1}),
        "stream": lambda: server.xadd(key, {"note": MAIL}),
        "name": lambda: server.set(key, "1"),
    }
    plant[kind]()
    try:
        places = found()
    finally:
        server.delete(key)
        server.close()
    assert ("redis", "keys of others, the name of a key" if kind == "name" else "keys of others") in places


def test_the_history_of_dagster_is_searched(place: tuple[Workplace, str, str]) -> None:
    with place[0].open() as project, instance(project) as opened:
        run = opened.get_runs(limit=1)[0]
        opened.report_engine_event(f"a bug quotes {MAIL}", run)
        listed = project.data / FILE_NAME
        report = scan(project, read_canaries(listed, project.registry), listed)
        opened.delete_run(run.run_id)
    tables = {finding.place.rpartition(", ")[2] for finding in report.findings if finding.store == "dagster"}
    assert "table event_logs" in tables


def test_logs_of_steps_caches_and_other_folders_are_searched(place: tuple[Workplace, str, str], tmp_path: Path) -> None:
    state = place[0].state
    log = state / "dagster" / "storage" / "x" / "compute_logs" / "step.err"
    log.parent.mkdir(parents=True)
    log.write_text(f"Traceback: {MAIL}")
    cache = state / "cache" / "planted.sqlite"
    with closing(sqlite3.connect(cache)) as database, database:
        database.execute("CREATE TABLE profiles (text)")
        database.execute("INSERT INTO profiles VALUES (?)", ("." * 6_000 + MAIL,))
    (tmp_path / "server.log").write_text(MAIL)
    result = fp(place, "--also", tmp_path, "--json")
    log.unlink()
    cache.unlink()
    assert result.exit_code == 1
    where = {(each["store"], each["place"]) for each in json.loads(result.stdout)["findings"]}
    assert ("dagster", "storage/x/compute_logs/step.err") in where
    assert ("state folder", "cache/planted.sqlite, table profiles") in where
    assert ("other files", str(tmp_path / "server.log")) in where


def test_a_canary_that_its_source_lacks_proves_nothing(place: tuple[Workplace, str, str], tmp_path: Path) -> None:
    listed = tmp_path / "list.json"
    write_canaries(listed, [("transactions", "email", "nobody.at.all@example.org")])
    result = fp(place, "--canaries", listed)
    assert result.exit_code == 1
    assert "transactions.email lacks one" in result.stdout


def test_a_list_that_can_not_be_used_is_a_usage_error(place: tuple[Workplace, str, str], tmp_path: Path) -> None:
    result = fp(place, "--canaries", tmp_path / "none.json")
    assert (result.exit_code, "FP-CANARY-001" in result.stderr) == (2, True)
    listed = tmp_path / "list.json"
    with place[0].open() as project:
        for entry in (("transactions", "amount", "1234567.89"), ("transactions", "email", "a@b.cd")):
            write_canaries(listed, [entry])
            with pytest.raises(UsageError) as raised:
                read_canaries(listed, project.registry)
            assert entry[2] not in str(raised.value)
    assert "quill" not in repr(Canary("transactions", "email", "email", MAIL))


def test_a_table_that_is_a_source_is_left_out_and_no_other(place: tuple[Workplace, str, str]) -> None:
    needles = Needles.of([Canary("payers", "email", "email", MAIL)])
    with psycopg.connect(place[1], autocommit=True) as database:
        database.execute("CREATE TABLE public.payers AS SELECT %s::text AS email", (MAIL,))
        everything = {str(each[0]) for each in Postgres(needles, place[1]).search() if isinstance(each, tuple)}
        without = Postgres(needles, place[1], frozenset({("public", "payers")}))
        rest = list(without.search())
        database.execute("DROP TABLE public.payers")
    assert "public.payers" in everything
    assert rest == []


def test_rows_that_may_not_be_read_are_said_to_be_unsearched(place: tuple[Workplace, str, str]) -> None:
    needles = Needles.of([Canary("payers", "email", "email", MAIL)])
    with psycopg.connect(place[1], autocommit=True) as database:
        database.execute("CREATE ROLE onlooker LOGIN")
        database.execute("CREATE TABLE public.closed AS SELECT 1 AS x")
        database.execute("CREATE TABLE public.filtered AS SELECT %s::text AS note", (MAIL,))
        database.execute("ALTER TABLE public.filtered ENABLE ROW LEVEL SECURITY")
        database.execute("GRANT SELECT ON public.filtered TO onlooker")
        url = urlsplit(place[1])
        theirs = urlunsplit(url._replace(netloc=url.netloc.replace("postgres@", "onlooker@")))
        found = [each for each in Postgres(needles, theirs).search() if isinstance(each, Unsearched)]
        database.execute("DROP TABLE public.closed, public.filtered")
        database.execute("DROP ROLE onlooker")
    assert {"public.closed", "public.filtered"} <= {str(each.place) for each in found}
    assert {each.why for each in found} == {"SQLSTATE 42501"}


def test_large_objects_are_searched(place: tuple[Workplace, str, str], found: Found) -> None:
    with psycopg.connect(place[1], autocommit=True) as database:
        (number,) = database.execute("SELECT lo_from_bytea(0, %s)", (MAIL.encode(),)).fetchone() or (0,)
        places = found()
        database.execute("SELECT lo_unlink(%s)", (number,))
    assert ("postgres", "large objects") in places


def test_a_publication_that_the_gate_stopped_leaves_nothing_behind(
    place: tuple[Workplace, str, str], found: Found
) -> None:
    made = place[0]
    made.pay([Payment(8, utc(2026, 1, 3, 12), note=f"call {MAIL}")], file="3.csv")
    with made.open() as project:
        report = materialize(project, as_of=NOON)
    (made.state / "data" / "transactions" / "3.csv").unlink()
    assert [asset.view for asset in report.of("failed")] == ["last_payment"]
    assert found() == set()


def test_dates_in_packed_rows_of_redis_are_read(place: tuple[Workplace, str, str]) -> None:
    table = OnlineTable(
        "holder",
        "card",
        ("card",),
        TableSchema((Column("card", BIGINT), Column("event_time", TIMESTAMP), Column("born", DATE))),
        "f",
    )
    needles = Needles.of([Canary("holders", "birth_date", "birth_date", "1921-03-17")])
    store = RedisOnlineStore("redis", place[2], key_prefix="dated")
    rows = pa.table({"card": [1], "event_time": [utc(2026, 1, 1)], "born": [date(1921, 3, 17)]}).cast(
        table.schema.arrow()
    )
    store.publish(store.stage(table, rows.to_reader))
    search = Redis(needles, place[2], "dated", {"holder": row_decoder(table).decode})
    found = {str(each[0]) for each in search.search() if isinstance(each, tuple)}
    server = redis.Redis.from_url(place[2])
    server.delete(*server.keys("dated:*"))
    store.close()
    assert found == {"view holder"}
