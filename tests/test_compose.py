"""The production topology in docker-compose.yml parses and agrees with the settings that the code reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def _variables_read_by_the_code() -> set[str]:
    """Environment variables named in code, the instance file and the example project's profiles."""
    texts = [path.read_text() for path in (ROOT / "feature_platform").rglob("*.py")]
    texts += [path.read_text() for path in (ROOT / "feature_defs").rglob("*.yaml")]
    texts.append((ROOT / "dagster.yaml").read_text())
    return {name for text in texts for name in re.findall(r"\b(?:FP|DAGSTER)_[A-Z_]*[A-Z]\b", text)}


def test_every_service_of_the_topology_is_there() -> None:
    assert set(COMPOSE["services"]) == {
        "code-server", "webserver", "daemon", "postgres", "redis", "doris-fe", "doris-be",
    }  # fmt: skip


def test_every_platform_variable_in_the_compose_file_is_read_by_the_code() -> None:
    given = {name for name in COMPOSE["services"]["code-server"]["environment"] if name.startswith("FP_")}
    assert given
    assert given <= _variables_read_by_the_code()


def test_the_production_profile_finds_all_its_variables_in_the_compose_file() -> None:
    platform = next(
        document
        for document in yaml.safe_load_all((ROOT / "feature_defs" / "platform.yaml").read_text())
        if document["kind"] == "platform"
    )
    profile = platform["profiles"][COMPOSE["services"]["code-server"]["environment"]["FP_PROFILE"]]
    wanted = {store["url_env"] for store in profile["stores"].values() if store.get("url_env")}
    wanted.add(profile.get("token_key_env", "FP_TOKEN_KEY"))
    wanted.add(profile.get("audit_key_env", "FP_AUDIT_KEY"))
    assert wanted <= set(COMPOSE["services"]["code-server"]["environment"])


def test_no_password_stands_in_the_compose_file() -> None:
    for service in COMPOSE["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if "PASSWORD" in name or name.endswith("KEY"):
                assert str(value).startswith("${"), name


def test_files_that_the_compose_file_mounts_or_builds_exist() -> None:
    assert (ROOT / "deploy/Dockerfile").is_file()
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
