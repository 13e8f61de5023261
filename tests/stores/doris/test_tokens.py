"""Tokens of a cluster's own functions are the platform's, of the version that a query wants, or there are none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from feature_platform.errors import FeaturePlatformError
from feature_platform.governance.token_keys import KeyMaterial
from feature_platform.governance.tokens import TokenKeys
from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.doris.settings import DorisSettings
from feature_platform.stores.doris.warehouse import DorisWarehouse
from feature_platform.stores.protocols import Query
from tests.stores.doris.cases import StandingClock
from tests.stores.doris.double.cluster import Cluster

KEYS = TokenKeys.of([KeyMaterial(bytes(range(32)), 1), KeyMaterial(bytes(range(7, 39)), 2)])
MADE = "SELECT `fp_tokens`.`token`('email', 'jan@example.com') AS `t`"


@pytest.fixture
def opened(settings: DorisSettings, postgres_url: str) -> Iterator[DorisWarehouse]:
    warehouse = DorisWarehouse("d", settings, DorisLedger(postgres_url, "tokens"), keys=KEYS, clock=StandingClock())
    yield warehouse
    warehouse.close()


def token(warehouse: DorisWarehouse, sql: str = MADE, **versions: int) -> object:
    return warehouse.read(Query(sql, "doris", key_versions=versions)).read_all().column(0)[0].as_py()


def refusal(warehouse: DorisWarehouse, sql: str = MADE) -> str:
    with pytest.raises(FeaturePlatformError) as raised:
        token(warehouse, sql)
    return raised.value.code


def test_tokens_are_of_the_version_that_is_wanted(cluster: Cluster, opened: DorisWarehouse) -> None:
    for version in (1, 2):
        cluster.install_tokens(KEYS, version)
    writing, *older = KEYS.versions("email")
    assert token(opened) == KEYS.token("email", "jan@example.com", writing)
    for version in (writing, *older):
        assert token(opened, email=version) == KEYS.token("email", "jan@example.com", version)
    assert sum("probe" in statement for statement in cluster.statements) == 2, "each function is held to its key once"


def test_a_cluster_without_the_function_makes_no_tokens(cluster: Cluster, opened: DorisWarehouse) -> None:
    assert refusal(opened) == "FP-GOV-014"
    cluster.install_tokens(KEYS, KEYS.writing("email"))
    assert token(opened) == KEYS.token("email", "jan@example.com")


def test_another_key_in_the_cluster_makes_no_tokens(cluster: Cluster, opened: DorisWarehouse) -> None:
    writing = KEYS.writing("email")
    cluster.install_tokens(TokenKeys(bytes(range(90, 130)), writing), writing)
    assert refusal(opened) == "FP-GOV-013"
    assert not any("jan@example.com" in statement for statement in cluster.statements)


@pytest.mark.parametrize(
    "call",
    ["`fp_tokens`.`token`(`c`, 'x')", "`fp_tokens`.`keys`('email', 'x')", "fp_tokens.token_v1('email', 'x')"],
)
def test_nothing_else_of_that_database_is_reached(opened: DorisWarehouse, call: str) -> None:
    assert refusal(opened, f"SELECT {call} AS `t`") == "FP-STORE-020"


def test_without_keys_no_tokens_are_made_and_other_queries_run(settings: DorisSettings, postgres_url: str) -> None:
    warehouse = DorisWarehouse("d", settings, DorisLedger(postgres_url, "tokens"), clock=StandingClock())
    assert refusal(warehouse) == "FP-STORE-020"
    assert token(warehouse, "SELECT CAST(1 AS BIGINT) AS `t`", email=1) == 1
    warehouse.close()
