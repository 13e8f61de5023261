"""Opening a project: its state, its profile, its stores."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from feature_platform.errors import FeaturePlatformError, GovernanceError, RegistryError, StoreError, UsageError
from feature_platform.project.online import online_table
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE, state_folder
from feature_platform.registry.graph import TableRef
from feature_platform.stores.online_protocol import OnlineStore
from feature_platform.stores.protocols import FilesTable, Query, StreamTable, TableName, Warehouse
from feature_platform.types import BIGINT, Column, TableSchema

TEMPLATE = Path(__file__).parents[2] / "feature_platform" / "templates"
ORDERS = TableRef("source", "orders")
PROFILE = TableRef("view", "customer_profile")

MORE_STORES = """
  two_warehouses:
    stores:
      warehouse: {type: duckdb_delta}
      elsewhere: {type: duckdb_delta, path: elsewhere}
      redis: {type: redis}
  servers:
    stores:
      warehouse: {type: postgres, url_env: SHOP_POSTGRES}
      redis: {type: redis, url_env: SHOP_REDIS}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template's project with data and two more profiles."""
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    folder = tmp_path / "shop"
    shutil.copytree(TEMPLATE / "project", folder)
    shutil.copytree(TEMPLATE / "data", folder / ".fp" / "data")
    with (folder / "platform.yaml").open("a", encoding="utf-8") as file:
        file.write(MORE_STORES)
    return folder


@pytest.fixture
def project(root: Path) -> Iterator[Project]:
    with Project.open(root) as opened:
        yield opened


def test_opening_starts_nothing_and_writes_only_the_cache_and_the_audit_trail(root: Path) -> None:
    with Project.open(root) as project:
        assert set(project.compiled.views) == {"customer_orders", "customer_profile"}
    assert {path.name for path in (root / ".fp").iterdir()} == {"data", "cache", "audit"}


@pytest.mark.parametrize(("root_name", "state"), [("shop", "shop/.fp"), ("feature_defs", ".fp")])
def test_state_lies_in_the_project_or_beside_feature_defs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root_name: str, state: str
) -> None:
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    assert state_folder(tmp_path / root_name) == tmp_path / state


def test_the_environment_can_put_state_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    assert state_folder(tmp_path / "shop") == tmp_path / "state"


def test_a_new_state_folder_is_its_owners_alone_and_another_keeps_its_mode(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, mode, expected in (("new", None, 0o700), ("shared", 0o770, 0o770)):
        state = root.parent / name
        if mode is not None:
            state.mkdir()
            state.chmod(mode)
        monkeypatch.setenv(STATE_VARIABLE, str(state))
        Project.open(root).close()
        assert {path.name for path in state.iterdir()} == {"cache", "audit"}
        assert stat.S_IMODE(state.stat().st_mode) == expected


def test_an_unknown_profile_is_refused_with_the_nearest(root: Path) -> None:
    with pytest.raises(UsageError, match=r"FP-PROJ-001: .*Did you mean 'embedded'"):
        Project.open(root, profile="embeded")


def test_a_domain_alone_has_its_views(root: Path) -> None:
    with Project.open(root, domains=["shop"]) as project:
        assert set(project.compiled.views) == {"customer_orders", "customer_profile"}


def test_an_unknown_domain_is_refused(root: Path) -> None:
    with pytest.raises((RegistryError, UsageError), match="shopp"):
        Project.open(root, domains=["shopp"])


def test_all_problems_of_all_files_come_together(root: Path) -> None:
    for name in ("a", "b"):
        (root / "shop" / f"{name}.yaml").write_text(f"kind: entity\nname: {name}\nkeyz: []\n", encoding="utf-8")
    with pytest.raises(FeaturePlatformError) as caught:
        Project.open(root)
    assert {problem.where.file for problem in caught.value.problems if problem.where} == {"shop/a.yaml", "shop/b.yaml"}


def test_stores_are_opened_once(project: Project) -> None:
    assert project.warehouse() is project.warehouse("warehouse")
    assert isinstance(project.warehouse(), Warehouse)
    assert project.online_store("redis") is project.online_store("redis")
    assert isinstance(project.online_store("redis"), OnlineStore)


@pytest.mark.parametrize(
    ("store", "method", "code"),
    [
        ("redis", "warehouse", "FP-PROJ-004"),
        ("warehouse", "online_store", "FP-PROJ-004"),
        ("reddis", "online_store", "FP-PROJ-003"),
    ],
)
def test_a_store_that_can_not_do_it_is_refused(project: Project, store: str, method: str, code: str) -> None:
    with pytest.raises(StoreError, match=code):
        getattr(project, method)(store)


def test_an_unknown_store_points_to_the_profile(project: Project) -> None:
    with pytest.raises(StoreError) as caught:
        project.warehouse("warehous")
    where = caught.value.problems[0].where
    assert where is not None
    assert where.file == "platform.yaml"


def test_a_server_without_address_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FP_TOKEN_KEY", "v1:" + "0123456789abcdef" * 4)
    monkeypatch.delenv("SHOP_POSTGRES", raising=False)
    with (
        Project.open(root, profile="servers") as project,
        pytest.raises(StoreError, match=r"FP-PROJ-006: .*SHOP_POSTGRES"),
    ):
        project.warehouse()


def test_a_profile_with_servers_fails_without_a_token_key(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FP_TOKEN_KEY", raising=False)
    with Project.open(root, profile="servers") as project, pytest.raises(GovernanceError, match="FP-GOV-010"):
        _ = project.tokens


def test_the_embedded_profile_makes_a_key_that_others_can_not_read(project: Project) -> None:
    token = project.tokens.token("email", "a@example.com")
    with Project.open(project.root) as again:
        assert again.tokens.token("email", "a@example.com") == token
    assert (project.state / "token.key").stat().st_mode & 0o077 == 0


def test_a_source_of_files_is_bound_to_the_data_folder(project: Project) -> None:
    binding = project.bindings([ORDERS], "warehouse")[TableName("sources", "orders")]
    assert isinstance(binding, FilesTable)
    assert binding.path == str(project.state / "data" / "orders.csv")
    assert binding.schema.names == ("order_id", "ordered_at", "customer_id", "amount", "status")


def test_a_table_of_another_warehouse_is_a_stream(root: Path) -> None:
    with Project.open(root, profile="two_warehouses") as project:
        binding = project.bindings([ORDERS], "elsewhere")[TableName("sources", "orders")]
        assert isinstance(binding, StreamTable)
        elsewhere = project.warehouse("elsewhere")
        query = Query(
            'SELECT COUNT(*) AS n FROM "sources"."orders"', "duckdb", tables={TableName("sources", "orders"): binding}
        )
        assert elsewhere.read(query).read_all().to_pylist() == [{"n": 120}]


def test_views_that_were_never_published_are_named_together(project: Project) -> None:
    with pytest.raises(StoreError) as caught:
        project.bindings([PROFILE, TableRef("view", "customer_orders")], "warehouse")
    assert [problem.code for problem in caught.value.problems] == ["FP-PROJ-005", "FP-PROJ-005"]


def test_a_query_gets_only_the_parameters_that_it_asks_for(project: Project) -> None:
    view = project.compiled.views["customer_orders"]
    assert view.materialize is not None
    now = datetime(2026, 6, 1)
    query = project.query(view.materialize, "warehouse", as_of=now, partition_start=None)
    assert dict(query.parameters) == {"as_of": now}
    assert query.sql == view.materialize.sql["duckdb"]


def test_the_warehouse_that_holds_most_computes(project: Project) -> None:
    assert project.compute_store([ORDERS, PROFILE]) == "warehouse"
    assert project.compute_store([], default="elsewhere") == "elsewhere"


def test_the_online_shape_is_keys_time_features_and_its_own_fingerprint(project: Project) -> None:
    view = project.compiled.views["customer_profile"]
    table = online_table(view)
    assert table.schema.names == ("customer_id", "event_time", "country", "age")
    assert table.schema.column("customer_id") == Column("customer_id", BIGINT)
    assert table.fingerprint != view.fingerprint


def test_a_closed_project_can_be_opened_again(root: Path) -> None:
    for _ in range(2):
        with Project.open(root) as project:
            rows = project.warehouse().stage(
                TableName("features", "t"),
                TableSchema((Column("x", BIGINT),)),
                StreamTable(lambda: pa.table({"x": [1]}).to_reader()),
            )
            project.warehouse().discard(rows)
