"""Examples of errors: written down in ``examples.yaml``, run against the small project of ``project.yaml``.

An example is one mistake and what the platform says to it. Nothing of what is said is written down anywhere: it is
produced by the loader, the registry and the compiler each time.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from feature_platform.compiler.catalog import Catalog, catalog_of
from feature_platform.compiler.guard import guard
from feature_platform.compiler.project import compile_project
from feature_platform.errors import FeaturePlatformError, Problem
from feature_platform.governance.access import Access
from feature_platform.registry.load import load_registry
from feature_platform.specs.loader import parse

HERE: Final = Path(__file__).parent
FILE: Final = "project.yaml"


class Change(BaseModel):
    """One place of the project, before and after."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    before: str = Field(alias="from")
    after: str = Field(alias="to")


class Example(BaseModel):
    """One mistake, or in ``steps`` what to do about an error that no definition and no query can show."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    query: str = ""
    purpose: Literal["fraud_detection", "marketing"] = "fraud_detection"
    role: str = "author"
    document: str = ""
    file: str = "document.yaml"
    changes: tuple[Change, ...] = ()
    add: str = ""
    better: str = ""
    """What to write instead of ``query`` or ``document``."""
    steps: tuple[str, ...] = ()
    note: str = ""

    @property
    def runs(self) -> bool:
        return bool(self.query or self.document or self.changes or self.add)


@cache
def examples() -> dict[str, Example]:
    """Every example by its error code."""
    given = yaml.safe_load((HERE / "examples.yaml").read_text(encoding="utf-8"))
    return {code: Example.model_validate(fields) for code, fields in given.items()}


def problems_of(example: Example) -> list[Problem]:
    """What the platform says to the mistake."""
    if example.query:
        return _problems_of_query(example.query, example)
    if example.document:
        return list(parse(example.document.encode(), example.file).problems)
    return _problems_of_project(changed_project(example))


def problems_of_better(example: Example) -> list[Problem]:
    """What it says to ``better``: nothing of the same kind."""
    if example.query:
        return _problems_of_query(example.better, example)
    return list(parse(example.better.encode(), example.file).problems)


def changed_project(example: Example) -> str:
    """The project with the mistake in it.

    Raises:
        ValueError: a place that the example changes does not exist exactly once.
    """
    text = project_text()
    for change in example.changes:
        if text.count(change.before) != 1:
            raise ValueError(f"stands {text.count(change.before)} times in the project: {change.before!r}")
        text = text.replace(change.before, change.after)
    return f"{text}---\n{example.add}" if example.add else text


@cache
def project_text() -> str:
    """The documents of the project that examples are about."""
    return (HERE / FILE).read_text(encoding="utf-8")


def _problems_of_query(query: str, example: Example) -> list[Problem]:
    catalog, author = _project()
    try:
        guard(query, catalog, replace(author, purposes=(example.purpose,), role=example.role))
    except FeaturePlatformError as error:
        return list(error.problems)
    return []


@cache
def _project() -> tuple[Catalog, Access]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_text(project_text(), encoding="utf-8")
        registry = load_registry(Path(folder))
        compiled = compile_project(registry)
        return catalog_of(registry, compiled.views), compiled.author


def _problems_of_project(text: str) -> list[Problem]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_text(text, encoding="utf-8")
        try:
            compile_project(load_registry(Path(folder)))
        except FeaturePlatformError as error:
            return list(error.problems)
    return []
