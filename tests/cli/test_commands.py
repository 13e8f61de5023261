"""Every command, on a project made by ``fp init``: what people see, what machines get, and the exit code."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from feature_platform.cli.main import app
from feature_platform.project.state import STATE_VARIABLE

FP = Path(sys.executable).with_name("fp")
AS_OF = "2026-03-28"
SPINE = "customer_id,event_time,note\n3,2026-03-01,before\n3,2026-03-10T06:00:00Z,after\n999,2026-03-10,nobody\n"


def fp(*arguments: str | Path) -> Result:
    """Runs a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answer(*arguments: str | Path) -> Any:
    """What a machine gets from a command that goes well."""
    result = fp(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(code: int, *arguments: str | Path) -> str:
    """What people see of a command that ends with ``code``."""
    result = fp(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project made by ``fp init``, materialized; commands find it because it is the current folder."""
    folder = tmp_path_factory.mktemp("cli") / "shop"
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv(STATE_VARIABLE, raising=False)
        assert fp("init", folder).exit_code == 0
        patched.chdir(folder)
        report = answer("materialize", "--as-of", AS_OF)
        assert report["ok"], report
        yield folder


@pytest.fixture
def broken(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project to be broken."""
    folder = tmp_path / "broken"
    shutil.copytree(shop, folder, ignore=shutil.ignore_patterns(".fp"))
    monkeypatch.chdir(folder)
    return folder


def test_a_new_project_has_no_problems(shop: Path) -> None:
    assert answer("validate")["problems"] == []
    assert "No problems" in fp("validate").stdout


def test_init_never_writes_into_a_folder_that_is_not_empty(shop: Path) -> None:
    assert "FP-CLI-002" in refused(2, "init", shop)


def test_problems_show_the_line_with_a_caret(broken: Path) -> None:
    views = broken / "shop" / "views.yaml"
    views.write_text(
        views.read_text(encoding="utf-8").replace("entity: customer\n", "entity: custmer\n", 1), encoding="utf-8"
    )
    text = refused(1, "validate")
    assert re.search(r"shop/views\.yaml:5:9: FP-REG-\d{3}: .*custmer", text)
    assert "    5 │ entity: custmer\n" + " " * 16 + "^\n" in text
    assert "mend: " in text


def test_a_machine_gets_every_problem_with_its_place(broken: Path) -> None:
    (broken / "bad.yaml").write_text("kind: entity\nname: BAD\n", encoding="utf-8")
    result = fp("validate", "--json")
    assert result.exit_code == 1
    problems = json.loads(result.stdout)["problems"]
    assert len(problems) == 2
    assert {problem["file"] for problem in problems} == {"bad.yaml"}


def test_outside_of_a_project_there_is_nothing_to_validate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "FP-CLI-001" in refused(2, "validate")


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "doris"])
def test_compile_shows_guarded_sql_and_labels(shop: Path, engine: str) -> None:
    text = fp("compile", "customer_profile", "--engine", engine).stdout
    assert '"sources"."customers"' in text.replace("`", '"')
    assert "partial(birth_date, age_years)" in text
    assert "email" not in text


def test_compile_tells_a_machine_both_engines(shop: Path) -> None:
    compiled = answer("compile", "customer_orders")
    assert set(compiled["sql"]) == {"duckdb", "postgres"}
    assert compiled["parameters"] == ["as_of"]


def test_policies_are_exported_for_databases_that_hold_sources(shop: Path) -> None:
    purpose = answer("policy", "explain", "email")["for"][0]["purpose"]
    for engine in ("postgres", "doris"):
        assert "no source of this profile is a table" in refused(
            2, "policy", "export", "--engine", engine, "--purpose", purpose
        )


def test_an_unknown_view_is_refused_with_the_nearest(shop: Path) -> None:
    assert "Did you mean 'customer_profile'?" in refused(2, "compile", "customer_profil")


def test_an_unknown_engine_is_a_usage_error(shop: Path) -> None:
    assert "oracle" in refused(2, "compile", "customer_profile", "--engine", "oracle")


def test_lineage_goes_up_to_columns_and_down_to_services(shop: Path) -> None:
    tree = answer("lineage", "customer_orders:amount_sum_7d")
    up = {(node["name"], node["edge"]) for node in tree["upstream"][0]["children"]}
    assert ("orders.amount", "DIRECT") in up
    assert ("orders.status", "INDIRECT") in up
    (service,) = tree["downstream"][0]["children"]
    assert (service["name"], service["kind"], service["purpose"]) == (
        "service next_product",
        "service",
        "recommendations",
    )
    assert isinstance(service["labels"], list)


def test_lineage_names_what_is_personal_and_the_transform(shop: Path) -> None:
    text = fp("lineage", "customer_profile:age", "--direction", "up").stdout
    assert "customers.birth_date  transformation  date, pii: birth_date" in text
    assert "by age_years" in text
    assert "for " in text.splitlines()[1], "the purposes of the view"


def test_lineage_takes_names_as_it_writes_them(shop: Path) -> None:
    assert answer("lineage", "customer_profile.age") == answer("lineage", "customer_profile:age")
    assert "Did you mean 'age'?" in refused(2, "lineage", "customer_profile.agee")


def test_lineage_of_a_personal_column_goes_down_to_what_is_made_of_it(shop: Path) -> None:
    (email,) = answer("lineage", "customers:birth_date", "-d", "down")["downstream"]
    assert email["classification"] == "birth_date"
    age = next(node for node in email["children"] if node["name"] == "customer_profile.age")
    assert age["labels"] == ["partial(birth_date, age_years)"]
    assert (age["edge"], age["masking"]) == ("DIRECT", True)


def test_lineage_of_everything_is_written_for_a_catalogue(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    assert fp("lineage", "--openlineage", "--out", file).exit_code == 0
    events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert {event["schemaURL"].rpartition("/")[2] for event in events} == {"DatasetEvent", "JobEvent"}


def test_lineage_is_not_sent_without_a_transport(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert "FP-CLI-021" in refused(2, "lineage", "--openlineage", "--send")
    assert "FP-CLI-003" in refused(2, "lineage")


def test_lineage_of_an_unknown_feature_is_refused(shop: Path) -> None:
    assert "Did you mean 'age'?" in refused(2, "lineage", "customer_profile:agee")


def test_schema_is_a_json_schema(shop: Path, tmp_path: Path) -> None:
    printed = json.loads(fp("schema").stdout)
    assert "$schema" in printed
    assert fp("schema", "--out", tmp_path / "schema.json").exit_code == 0
    assert json.loads((tmp_path / "schema.json").read_text(encoding="utf-8")) == printed


def test_features_are_found_by_words(shop: Path) -> None:
    assert [feature["name"] for feature in answer("features", "sum", "30d")["features"]] == [
        "customer_orders:amount_sum_30d"
    ]


def test_features_of_a_purpose_leave_out_what_it_may_not_have(shop: Path) -> None:
    assert len(answer("features", "--purpose", "recommendations")["features"]) == 7
    assert "FP-SDK-001" in refused(2, "features", "--purpose", "curiosity")


def test_a_second_materialization_finds_its_work_done(shop: Path) -> None:
    report = answer("materialize", "--as-of", AS_OF)
    assert {asset["status"] for asset in report["assets"]} == {"up_to_date"}


def test_materialize_refuses_what_nobody_is_called(shop: Path) -> None:
    assert "customer_order" in refused(2, "materialize", "customer_order")
    assert "FP-CLI-004" in refused(2, "materialize", "--as-of", "yesterday")


def test_a_training_set_sees_what_was_known_at_each_time(shop: Path, tmp_path: Path) -> None:
    spine = tmp_path / "spine.csv"
    spine.write_text(SPINE, encoding="utf-8")
    rows = answer("training-set", spine, "-f", "customer_profile:country", "-f", "next_product")["rows"]
    assert [(row["note"], row["customer_profile__country"]) for row in rows] == [
        ("before", "FR"),
        ("after", "IE"),
        ("nobody", None),
    ]
    assert rows[2]["customer_orders__orders_30d"] == 0


def test_a_training_set_can_be_written_to_a_file(shop: Path, tmp_path: Path) -> None:
    spine, out = tmp_path / "spine.csv", tmp_path / "rows.parquet"
    spine.write_text(SPINE, encoding="utf-8")
    assert answer("training-set", spine, "-f", "next_product", "--out", out) == {"file": str(out), "rows": 3}
    assert pq.read_table(out).column_names[:3] == ["customer_id", "event_time", "note"]


def test_the_spine_of_a_training_set_can_be_a_query(shop: Path, tmp_path: Path) -> None:
    query = "SELECT customer_id, ordered_at AS event_time FROM orders\nORDER BY order_id LIMIT 3"
    given = answer("sql", query, "--purpose", "recommendations")["rows"]
    asked = ("-f", "next_product", "--spine-sql")
    rows = answer("training-set", *asked, query)["rows"]
    assert [(row["customer_id"], row["event_time"]) for row in rows] == [tuple(row.values()) for row in given]
    file = tmp_path / "my spine.sql"
    file.write_text(query, encoding="utf-8")
    assert answer("training-set", *asked, file)["rows"] == rows
    plan = answer("training-set", *asked, file, "--explain")["plan"]
    assert (plan["store"], plan["spine"]) == ("warehouse", "the query is part of the statement")
    assert "computed in 'warehouse' (duckdb)" in fp("training-set", *asked, file, "--explain").stdout
    assert answer("dataset", "create", "from_query", *asked, file)["dataset"]["rows"] == 3
    assert answer("dataset", "verify", "from_query")["reproduced"]
    file.write_text(query.replace("event_time", "event_time, customer"), encoding="utf-8")
    told = refused(1, "training-set", *asked, file)
    assert f"{file}:1:47: FP-" in told
    assert "│ SELECT customer_id" in told
    lacking = refused(2, "training-set", *asked, "SELECT customer_id FROM orders")
    assert "<query>:1:1: FP-SDK-011" in lacking
    assert "│ SELECT customer_id FROM orders" in lacking
    assert "no spine" in refused(2, "training-set", "-f", "next_product")
    assert "as a file and as a query" in refused(2, "training-set", "spine.csv", *asked, query)
    assert "there is no file" in refused(2, "training-set", *asked, "none.sql")


def test_a_file_is_never_written_through_a_link(shop: Path, tmp_path: Path) -> None:
    precious, link = tmp_path / "precious.csv", tmp_path / "rows.csv"
    precious.write_text("precious", encoding="utf-8")
    link.symlink_to(precious)
    query = ("sql", "SELECT country FROM customers", "--purpose", "recommendations", "--out", link)
    assert answer(*query)["rows"] == len(link.read_text(encoding="utf-8").splitlines()) - 1
    assert (precious.read_text(encoding="utf-8"), link.is_symlink()) == ("precious", False)
    assert "FP-CLI-007" in refused(1, *query[:-1], tmp_path / "none" / "rows.csv")
    assert "FP-CLI-004" in refused(2, *query[:-1], tmp_path / "rows.xlsx")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["precious.csv", "rows.csv"]


def test_a_file_that_can_not_be_written_is_a_problem_and_no_traceback(shop: Path, tmp_path: Path) -> None:
    spine = tmp_path / "spine.csv"
    spine.write_text(SPINE, encoding="utf-8")
    assert "FP-CLI-007" in refused(
        1, "training-set", spine, "-f", "next_product", "--out", tmp_path / "no" / "x.parquet"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no file"),
        (b"", "is empty"),
        (b"customer_id,event_time\nsecret,2026-03-01\n", "column 'customer_id'"),
        (b"customer_id,event_time\n1,secret\n", "has a value that is no time"),
        (b"customer_id,event_time\n1,2026-03-01,secret\n", "as many values as the header"),
        ("customer_id,event_time\n".encode("utf-16"), "UTF-8"),
    ],
)
def test_a_spine_that_can_not_be_read_says_why_and_repeats_no_value(
    shop: Path, tmp_path: Path, content: bytes | None, told: str
) -> None:
    spine = tmp_path / "spine.csv"
    if content is not None:
        spine.write_bytes(content)
    message = " ".join(refused(2, "training-set", spine, "-f", "next_product").split())
    assert told in message
    assert "secret" not in message


def test_get_gives_the_newest_vector(shop: Path) -> None:
    vector = answer("get", "next_product", "customer_id=3")
    assert vector["entity"] == {"customer_id": 3}
    assert vector["features"]["customer_profile__country"]["value"] == "IE"
    assert vector["features"]["customer_profile__country"]["status"] == "present"
    assert vector["latency_ms"] > 0


def test_a_value_without_its_name_is_not_repeated(shop: Path) -> None:
    assert "4111111111111111" not in refused(2, "get", "next_product", "4111111111111111")


def test_get_refuses_values_that_make_no_sense(shop: Path) -> None:
    assert "Did you mean 'customer_id'?" in refused(2, "get", "next_product", "customer=3")
    assert "this is no bigint" in refused(2, "get", "next_product", "customer_id=x")
    assert "has no 'customer_id'" in refused(2, "get", "next_product")
    assert "Did you mean 'next_product'?" in refused(2, "get", "next_produkt", "customer_id=3")


def test_sql_gives_rows(shop: Path) -> None:
    rows = answer(
        "sql", "SELECT country, COUNT(*) AS n FROM customers GROUP BY country", "--purpose", "recommendations"
    )
    assert sum(row["n"] for row in rows["rows"]) == 13


def test_sql_that_reaches_for_personal_data_is_refused_at_the_column(shop: Path) -> None:
    text = refused(1, "sql", "SELECT customer_id, birth_date FROM customers", "--purpose", "recommendations")
    assert "birth_date" in text
    assert "policies/privacy.yaml" in text
    assert "    1 │ SELECT customer_id, birth_date FROM customers\n" + " " * 28 + "^" in text


def test_a_purpose_is_needed(shop: Path) -> None:
    assert "--purpose" in refused(2, "sql", "SELECT 1")


def test_help_is_there_at_once() -> None:
    result = subprocess.run([FP, "--help"], capture_output=True, text=True, timeout=20, check=True)
    assert "materialize" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    heavy = {"duckdb", "pyarrow", "dagster", "sqlglot", "pandas", "polars", "psycopg", "redis", "pydantic"}
    script = f"import sys, feature_platform.cli.main; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert result.stdout.strip() == "[]"


def test_a_reader_that_has_seen_enough_is_no_error(shop: Path) -> None:
    command = f"{FP} schema | head -c 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20, check=False)  # noqa: S602 - a pipe
    assert (result.stdout, result.stderr) == ("{", "")


def test_the_ui_answers_and_ctrl_c_stops_everything(shop: Path) -> None:
    with subprocess.Popen([FP, "ui", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as ui:
        assert ui.stdout is not None
        first = next(line for line in ui.stdout if '"url"' in line)
        url = json.loads("{" + first.strip().rstrip(",") + "}")["url"]
        query = urllib.request.Request(  # noqa: S310 - http, on this machine
            f"{url}/graphql",
            data=json.dumps({"query": "{assetsOrError {... on AssetConnection {nodes {key {path}}}}}"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(query, timeout=30) as response:  # noqa: S310 - http, on this machine
            nodes = json.load(response)["data"]["assetsOrError"]["nodes"]
        ui.send_signal(signal.SIGINT)
        assert ui.wait(timeout=40) == 0
    assert ["redis", "shop", "customer_profile"] in [node["key"]["path"] for node in nodes]
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)  # noqa: S310 - http, on this machine
