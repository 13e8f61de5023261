"""What tables are called outside."""

from __future__ import annotations

import pytest

from feature_platform.lineage.names import Name, Names, _postgres, _redis
from feature_platform.project.project import Project
from feature_platform.registry.graph import TableRef

OWN = "feature-platform://payments_example/embedded"


def test_what_lives_in_the_state_folder_is_called_by_project_profile_and_store(example: Project) -> None:
    names = Names(example, {})
    assert names.table(TableRef("source", "customers")) == Name(OWN, "warehouse.sources.customers")
    assert names.table(TableRef("view", "card_spend")) == Name(OWN, "warehouse.features.card_spend")
    assert names.view("card_spend", "redis", "online") == Name(OWN, "redis.online.card_spend")
    assert names.table(TableRef("view", "payment_check")) == Name(OWN, "derived.payment_check")
    assert names.job("card_spend", "redis") == Name(OWN, "payments.card_spend.redis")


def test_a_server_with_an_address_is_called_by_it(example: Project) -> None:
    with Project.open(example.root, profile="production") as project:
        variables = {
            "FP_POSTGRES_URL": "postgresql://writer:s3cret@db.example.com/features",
            "FP_REDIS_URL": "rediss://:s3cret@cache.example.com:6380/2",
        }
        names = Names(project, variables)
        view = next(
            name for name, each in project.registry.views.items() if "postgres" in each.spec.storage.online_stores
        )
        postgres = Name("postgres://db.example.com:5432", f"features.fponline.{view}")
        assert names.view(view, "postgres", "online") == postgres
        assert names.view("card_spend", "redis", "online") == Name("redis://cache.example.com:6380", "2.fp.card_spend")


def test_jobs_can_have_the_namespace_that_other_producers_use(example: Project) -> None:
    assert Names(example, {"OPENLINEAGE_NAMESPACE": "risk"}).job("card_spend") == Name("risk", "payments.card_spend")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("postgresql://u:p@host/db", ("postgres://host:5432", "db")),
        ("host=h1,h2 port=6432,6433 user=u", ("postgres://h1:6432", "u")),
        ("postgresql://u@/db?host=/run/postgres", None),
        ("not a url", None),
    ],
)
def test_a_postgres_url_gives_host_port_and_database_alone(url: str, server: tuple[str, str] | None) -> None:
    assert _postgres(url) == server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://:p@h", ("redis://h:6379", "0")),
        ("unix:///run/r.sock", None),
        ("redis://h:x/0", None),
        ("redis://u:p@a:7,b:8", ("redis://a:7", "0")),
    ],
)
def test_a_redis_url_gives_host_port_and_number_alone(url: str, server: tuple[str, str] | None) -> None:
    assert _redis(url) == server
