"""The editor's schema agrees with the loader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from feature_platform.specs.examples import EXAMPLES
from feature_platform.specs.json_schema import json_schema
from feature_platform.specs.models import KINDS
from feature_platform.specs.yaml_reader import read_yaml


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_fit(kind: str) -> None:
    for document in read_yaml(EXAMPLES[kind], "a.yaml").documents:
        assert [error.message for error in _validator().iter_errors(_plain(document.value))] == []


@pytest.mark.parametrize(
    "text",
    [
        "{kind: domian, name: a, owner: 'team:a'}",
        "{kind: domain, name: a}",
        "{kind: domain, name: A, owner: 'team:a'}",
        "{kind: domain, name: a, owner: 'team:a', more: 1}",
        "{kind: feature_view, name: a, entity: b, sql: x, ttl: 1y}",
    ],
)
def test_what_the_loader_refuses_does_not_fit(text: str) -> None:
    assert not _validator().is_valid(_plain(read_yaml(text, "a.yaml").documents[0].value))


def test_every_kind_is_offered() -> None:
    definitions = json_schema()["$defs"]
    offered = {
        definition["properties"]["kind"]["const"]
        for definition in definitions.values()
        if "kind" in definition.get("properties", {})
    }
    assert offered == set(KINDS)
