"""Layouts are reached from any older one, by many processes at once, wholly or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql

from feature_platform.errors import StoreError
from feature_platform.governance.audit import postgres_ledger
from feature_platform.layouts import migrate
from feature_platform.layouts.migrate import Line, bring_up_to_date, revision
from feature_platform.stores import postgres_layouts

LINES = (postgres_layouts.WAREHOUSE, postgres_layouts.ONLINE, postgres_ledger.LAYOUT)
FIRST = """
revision = "t_1"
down_revision = None

def upgrade(op, schema):
    op.execute(f'CREATE TABLE "{schema}".notes (id integer PRIMARY KEY)')
    op.execute(f'INSERT INTO "{schema}".notes VALUES (1)')
"""
SECOND = """
revision = "t_2"
down_revision = "t_1"

def upgrade(op, schema):
    op.execute(f'ALTER TABLE "{schema}".notes ADD COLUMN note text')
    op.execute(f"UPDATE \\"{schema}\\".notes SET note = 'old, 100 %' WHERE id = 1")
"""
BROKEN = SECOND + "    op.execute('SELECT 1 / 0')\n"


@pytest.fixture
def schema(postgres_url: str) -> Iterator[str]:
    name = f"layout {token_hex(4)}"
    yield name
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


@pytest.fixture
def line(tmp_path: Path) -> Callable[..., Line]:
    def make(*texts: str) -> Line:
        for number, text in enumerate(texts, 1):
            (tmp_path / f"t_{number}.py").write_text(text)
        return Line(tmp_path, tuple(f"t_{number}" for number in range(1, len(texts) + 1)))

    return make


def upgraded(url: str, line: Line, schema: str) -> bool:
    with psycopg.connect(url, autocommit=True) as session:
        return bring_up_to_date(session, url, line, schema)


def notes(url: str, schema: str) -> list[Any]:
    with psycopg.connect(url) as session:
        return session.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, "notes"))).fetchall()


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.folder.name)
def test_the_list_of_revisions_is_what_the_folder_holds(line: Line) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent))
    config.set_main_option("version_locations", str(line.folder))
    config.set_main_option("path_separator", "newline")
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == line.revisions


def test_a_new_database_gets_all_revisions_once(postgres_url: str, schema: str, line: Callable[..., Line]) -> None:
    both = line(FIRST, SECOND)
    assert upgraded(postgres_url, both, schema)
    assert not upgraded(postgres_url, both, schema)
    assert notes(postgres_url, schema) == [(1, "old, 100 %")]


def test_an_older_layout_keeps_its_rows(postgres_url: str, schema: str, line: Callable[..., Line]) -> None:
    assert upgraded(postgres_url, line(FIRST), schema)
    with psycopg.connect(postgres_url) as session:
        session.execute(sql.SQL("INSERT INTO {} VALUES (2)").format(sql.Identifier(schema, "notes")))
    assert upgraded(postgres_url, line(FIRST, SECOND), schema)
    assert sorted(notes(postgres_url, schema)) == [(1, "old, 100 %"), (2, None)]


def test_many_at_once_migrate_once(postgres_url: str, schema: str, line: Callable[..., Line]) -> None:
    both = line(FIRST, SECOND)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: upgraded(postgres_url, both, schema), range(6)))
    assert notes(postgres_url, schema) == [(1, "old, 100 %")]


def test_a_migration_that_fails_leaves_the_layout_before(
    postgres_url: str, schema: str, line: Callable[..., Line]
) -> None:
    upgraded(postgres_url, line(FIRST), schema)
    with pytest.raises(StoreError) as raised:
        upgraded(postgres_url, line(FIRST, BROKEN), schema)
    assert raised.value.code == "FP-LAYOUT-002"
    with psycopg.connect(postgres_url) as session:
        assert revision(session, schema) == "t_1"
    assert notes(postgres_url, schema) == [(1,)]


def test_an_older_release_stops_at_a_newer_layout(postgres_url: str, schema: str, line: Callable[..., Line]) -> None:
    upgraded(postgres_url, line(FIRST, SECOND), schema)
    with pytest.raises(StoreError, match="newer") as raised:
        upgraded(postgres_url, Line(Path("nowhere"), ("t_1",)), schema)
    assert raised.value.code == "FP-LAYOUT-001"


def test_a_role_that_may_not_is_told_who_can(postgres_url: str, schema: str, line: Callable[..., Line]) -> None:
    role = f"fp_test_{token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        try:
            url = psycopg.conninfo.make_conninfo(postgres_url, user=role)
            with pytest.raises(StoreError, match="fp store migrate") as raised:
                upgraded(url, line(FIRST), schema)
        finally:
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert raised.value.code == "FP-LAYOUT-002"


def test_threads_of_one_process_migrate_side_by_side(postgres_url: str, schema: str) -> None:
    names = [f"{schema} {number}" for number in range(6)]

    def migrate_one(number: int) -> bool:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            return bring_up_to_date(connection, postgres_url, LINES[number % 2], names[number])

    try:
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(migrate_one, range(6))) == [True] * 6
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as owner:
            for name in names:
                owner.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
