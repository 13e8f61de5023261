"""Transforms of teams: approved or not there at all; whole or refused; and the same on every engine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlglot import exp

from feature_platform.compiler.catalog import catalog_of
from feature_platform.compiler.guard import guard
from feature_platform.compiler.project import cache_keys, compile_project
from feature_platform.errors import CompileError, GuardError
from feature_platform.governance import expressions as sql
from feature_platform.governance.access import author_of
from feature_platform.governance.transforms import BUILT_IN, TRANSFORMS, catalogue
from feature_platform.governance.transforms.testing import check_transform
from feature_platform.governance.transforms.transform import Transform
from feature_platform.types import STRING
from tests.compiler.sql_projects import project
from tests.governance.conftest import Engines

MODULE = """
from feature_platform.governance import expressions as sql
from feature_platform.governance.transforms.transform import Transform
from feature_platform.types import STRING

print("imported")
LENGTHS = Transform(
    "email_initial", {version}, frozenset({{"email"}}), frozenset({{"string"}}), STRING, "{label}",
    "The first character.", lambda engine, args: {render}, lambda value: value and value[:1],
)
"""
FIRST = 'sql.call("substring", args[0], sql.number(1), sql.number(1))'
Package = Callable[..., None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Installs a package with the transform ``email_initial`` for the time of a test."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def install(
        module: str = MODULE,
        *,
        name: str = "email_initial",
        version: int = 1,
        label: str = "partial",
        render: str = FIRST,
    ) -> None:
        site = tmp_path / "site"
        info = site / "team_features-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: team-features\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[feature_platform.transforms]\n{name} = team_features:LENGTHS\n")
        (site / "team_features.py").write_text(module.format(version=version, label=label, render=render))
        sys.modules.pop("team_features", None)
        for cached in site.glob("__pycache__/*"):
            cached.unlink()

    yield install
    sys.modules.pop("team_features", None)
    for added in set(TRANSFORMS) - BUILT_IN:
        catalogue.remove(added)


def policy(approval: str = "version: 1", name: str = "email_initial") -> str:
    approved = f"transforms: [{{name: {name}, {approval}, approver: dpo@example.com}}]" if approval else ""
    return dedent(f"""
        kind: policy
        name: own
        owner: privacy@example.com
        {approved}
        rules: [{{classification: email, purposes: [marketing], action: token, transforms: [{name}]}}]
    """)


QUERY = "SELECT email_initial(email) AS x FROM customers"


def test_an_approved_transform_is_one_like_any_other(tmp_path: Path, package: Package, engines: Engines) -> None:
    package()
    registry = project(tmp_path / "defs", policy())
    compiled = compile_project(registry)
    query = guard(QUERY, catalog_of(registry, {}), compiled.author.with_purposes(["marketing"]))
    assert [str(label) for label in query.columns[0].labels] == ["partial(email, email_initial)"]
    assert 'SUBSTRING("email", 1, 1)' in query.sql("duckdb")
    assert (
        check_transform(
            TRANSFORMS["email_initial"], ["jan@example.com"], duckdb=engines.duckdb, postgres=engines.postgres
        )
        == ()
    )
    with pytest.raises(GuardError, match="FP-SQL-021"):
        guard(QUERY, catalog_of(registry, {}), compiled.author.with_purposes(["fraud"]))


def test_a_package_without_approval_is_not_even_imported(
    tmp_path: Path, package: Package, capfd: pytest.CaptureFixture[str]
) -> None:
    package()
    with pytest.raises(CompileError, match=r"FP-GOV-008: .*'email_initial', which is installed and not"):
        compile_project(project(tmp_path / "defs", policy("")))
    assert "team_features" not in sys.modules
    assert "imported" not in capfd.readouterr().out


def test_what_one_project_approves_another_does_not_have(tmp_path: Path, package: Package) -> None:
    package()
    compile_project(project(tmp_path / "one", policy()))
    registry = project(tmp_path / "other")
    with pytest.raises(GuardError, match="FP-SQL-021"):
        guard(QUERY, catalog_of(registry, {}), author_of(registry).with_purposes(["fraud"]))
    with pytest.raises(CompileError, match="FP-GOV-008"):
        compile_project(project(tmp_path / "third", policy("")))


@pytest.mark.parametrize(
    ("given", "approval", "message"),
    [
        ({"version": 2}, "version: 1", "FP-GOV-007: .*installed in version 2, and approved in version 1"),
        (
            {},
            "version: 1, definition: 0123456789abcdef",
            "(?s)FP-GOV-007: .*has changed .*`definition: [0-9a-f]{16}`",
        ),
        ({"name": "other"}, "version: 1", "FP-GOV-006: transform 'email_initial' is not installed"),
        ({"module": "1/0"}, "version: 1", "FP-GOV-006: .*can't be imported: ZeroDivisionError"),
        ({"module": "LENGTHS = 1"}, "version: 1", "FP-GOV-006: .*is a int, not a Transform"),
        ({"label": "token"}, "version: 1", "FP-GOV-006: .*would label its results token"),
        ({"render": "1/0"}, "version: 1", "FP-GOV-006: .*can't be written for duckdb: ZeroDivisionError"),
        ({"render": "sql.exp.column('phone')"}, "version: 1", "FP-GOV-006: .*reads more than its arguments"),
        (
            {"render": "sql.exp.select('1').from_('secrets').subquery()"},
            "version: 1",
            "FP-GOV-006: .*is more than an expression over one row",
        ),
    ],
)
def test_what_is_not_what_was_approved_is_refused(
    given: dict[str, Any], approval: str, message: str, tmp_path: Path, package: Package
) -> None:
    package(**given)
    with pytest.raises(CompileError, match=message):
        compile_project(project(tmp_path / "defs", policy(approval)))
    assert "email_initial" not in TRANSFORMS


def test_a_name_of_the_platforms_own_can_not_be_taken(tmp_path: Path, package: Package) -> None:
    package(name="last4")
    before = TRANSFORMS["last4"]
    with pytest.raises(CompileError, match="FP-GOV-006: transform 'last4' has the name of one of the platform's own"):
        compile_project(project(tmp_path / "defs", policy(name="last4")))
    assert TRANSFORMS["last4"] is before


def test_another_definition_is_another_cache_key(tmp_path: Path, package: Package) -> None:
    from tests.compiler.sql_projects import CARD_DAY, view

    registry = project(tmp_path / "defs", policy(), view("card_day", CARD_DAY))
    keys = []
    for render in (FIRST, FIRST, 'sql.call("lower", args[0])'):
        package(render=render)
        compile_project(registry)
        keys.append(cache_keys(registry, author_of(registry))["card_day"])
    assert keys[0] == keys[1] != keys[2]


LAST4 = TRANSFORMS["last4"]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (replace(LAST4, reference=lambda value: value[-4:]), "Python raises TypeError for row"),
        (replace(LAST4, reference=lambda value: value and value[-4:]), "duckdb and Python differ in row"),
        (replace(LAST4, reference=lambda value: value or ""), "Python gives something for NULL in row"),
        (
            replace(LAST4, render=lambda engine, args: sql.cast(args[0], STRING.parse("int"), engine)),
            "duckdb raises ConversionException for row",
        ),
        (
            Transform(
                "digits", 1, frozenset({"phone"}), frozenset({"string"}), STRING, "partial", "Only in one engine.",
                lambda engine, args: exp.null() if engine == "postgres" else args[0].copy(), lambda value: value,
            ),
            "postgres and Python differ in row",
        ),
    ],
)  # fmt: skip
def test_the_test_kit_finds_what_is_wrong(broken: Transform, told: str, engines: Engines) -> None:
    found = check_transform(broken, ["4111 1111 1111 1111"], duckdb=engines.duckdb, postgres=engines.postgres)
    assert any(problem.startswith(told) for problem in found), found
    assert not any("4111" in problem for problem in found)


@pytest.mark.parametrize("name", ["last4", "email_domain", "ip_prefix"])
def test_the_platforms_own_pass_the_test_kit(name: str, engines: Engines) -> None:
    samples = ["4111 1111 1111 1111", "jan@gmail.com", "192.0.2.7"]
    assert check_transform(TRANSFORMS[name], samples, duckdb=engines.duckdb, postgres=engines.postgres) == ()
