"""Both ledgers: what a trail accepted is there once and in order, and nobody can change it unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_platform.errors import AuditError
from feature_platform.governance.audit.chain import Head, seal
from feature_platform.governance.audit.checkpoints import keep, read_head
from feature_platform.governance.audit.postgres_ledger import ROLES_FILE, SCHEMA_FILE, PostgresLedger
from feature_platform.governance.audit.spool import finished
from feature_platform.governance.audit.trail import AuditTrail
from tests.governance.audit.ledgers import KEYS, event, filled, rows_in, trail_in_files, trail_in_postgres


@pytest.fixture(params=["files", "postgres"])
def trail(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AuditTrail]:
    if request.param == "files":
        made = trail_in_files(tmp_path / "audit")
    else:
        made = trail_in_postgres(tmp_path / "audit", request.getfixturevalue("database"))
    yield made
    made.close()


def test_what_was_accepted_is_in_the_ledger_once_and_in_order(trail: AuditTrail) -> None:
    filled(trail, segments=3, events=4)
    assert rows_in(trail.ledger) == list(range(12))
    assert trail.verify().whole
    trail.drain()
    newest = [record.event()["action"] for record in trail.ledger.records(12)]
    assert newest == ["verify"], "the verification is recorded too"


def test_a_segment_that_was_drained_and_not_removed_is_not_drained_twice(trail: AuditTrail, tmp_path: Path) -> None:
    trail.record(event(trail, 1))
    trail.record(event(trail, 2))
    trail._spool.finish()
    (segment,) = finished(trail.folder)
    shutil.copy(segment, tmp_path / "copy")
    trail.drain()
    shutil.copy(tmp_path / "copy", segment)  # as if the process had died before it removed the file
    trail.drain()
    assert finished(trail.folder) == []
    assert rows_in(trail.ledger) == [1, 2]


def test_records_are_read_from_any_number_on(trail: AuditTrail) -> None:
    filled(trail, segments=1, events=5)
    assert [record.seq for record in trail.ledger.records(3)] == [4, 5]
    assert trail.ledger.hash_of(5) == trail.ledger.head().hash
    assert trail.ledger.hash_of(6) is None


def test_a_changed_segment_is_kept_as_evidence_and_reported_in_the_ledger(trail: AuditTrail) -> None:
    for number in range(3):
        trail.record(event(trail, number))
    trail._spool.finish()
    (segment,) = finished(trail.folder)
    segment.write_bytes(segment.read_bytes().replace(b'"rows":1', b'"rows":7'))
    assert trail.drain().damaged == 1
    assert rows_in(trail.ledger) == [0]
    damage = [record.event() for record in trail.ledger.records() if record.event()["action"] == "ledger_damage"]
    assert damage[0]["counts"] == {"events_saved": 1}
    assert len(list(trail.folder.glob("*.damaged"))) == 1


def test_a_segment_that_somebody_removed_is_missed_when_the_next_one_comes(trail: AuditTrail) -> None:
    filled(trail, segments=2, events=2)
    trail.record(event(trail, 98))
    trail._spool.finish()
    (removed,) = finished(trail.folder)
    removed.unlink()
    trail.record(event(trail, 99))
    trail.drain()
    missing = [record.event() for record in trail.ledger.records() if record.event()["action"] == "ledger_damage"]
    assert [found["object"] for found in missing] == [f"segment:{removed.name}"]
    assert rows_in(trail.ledger) == [0, 1, 2, 3, 99]


def test_a_checkpoint_elsewhere_outlives_everything_that_the_writer_can_reach(
    trail: AuditTrail, tmp_path: Path
) -> None:
    filled(trail)
    elsewhere = tmp_path / "elsewhere"
    keep(elsewhere, trail.checkpoint())
    filled(trail, first=100)
    assert trail.verify(elsewhere).whole


def test_a_folder_without_checkpoints_is_no_agreement(trail: AuditTrail, tmp_path: Path) -> None:
    filled(trail)
    for folder in (tmp_path / "not mounted", tmp_path):
        with pytest.raises(AuditError, match="no checkpoint in"):
            trail.verify(folder)


def test_files_whose_last_line_is_half_written_go_on_after_the_last_whole_one(tmp_path: Path) -> None:
    trail = filled(trail_in_files(tmp_path))
    (file,) = (tmp_path / "ledger").glob("ledger-*.jsonl")
    with file.open("ab") as opened:
        opened.write(b"0123 half a li")
    filled(trail, first=100)
    assert trail.verify().whole


def test_a_segment_that_files_took_half_of_is_finished_first_and_once(tmp_path: Path) -> None:
    trail = trail_in_files(tmp_path)
    for number in range(6):
        trail.record(event(trail, number))
    trail._spool.finish()
    (segment,) = finished(tmp_path)
    content = segment.read_bytes()
    trail.drain()
    (file,) = (tmp_path / "ledger").glob("ledger-*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # as if the process had died in the middle of its write
    (tmp_path / "head.json").unlink()
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "ledger" / "checkpoints.jsonl").unlink()
    segment.write_bytes(content)
    trail.record(event(trail, 6))
    trail.drain()
    assert rows_in(trail.ledger) == list(range(7))
    assert trail.verify().whole


def test_two_machines_with_folders_of_their_own_share_one_chain(database: str, tmp_path: Path) -> None:
    one = trail_in_postgres(tmp_path / "one", database)
    other = trail_in_postgres(tmp_path / "other", database)
    filled(one)
    filled(other, first=100)
    filled(one, first=200)
    assert one.verify().whole
    assert other.verify().whole
    for trail in (one, other):
        trail.close()


# --- who may do what


@pytest.fixture
def application(database: str) -> Iterator[str]:
    """The URL of a role that has nothing but what `roles.sql` grants."""
    name = f"worker_{uuid4().hex[:8]}"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(SCHEMA_FILE.read_text())
        owner.execute(ROLES_FILE.read_text())
        owner.execute(f"CREATE ROLE {name} LOGIN")
        owner.execute(f"GRANT fp_audit_writer TO {name}")
        yield database.replace("postgres@", f"{name}@")
        owner.execute(f"DROP OWNED BY {name}")
        owner.execute(f"DROP ROLE {name}")


CHANGES = [
    "UPDATE fp_audit.ledger SET record = 'x'",
    "DELETE FROM fp_audit.ledger",
    "TRUNCATE fp_audit.ledger",
    "DELETE FROM fp_audit.checkpoints",
    "TRUNCATE fp_audit.checkpoints",
    "UPDATE fp_audit.{month} SET record = 'x'",
    "DELETE FROM fp_audit.{month}",
    "TRUNCATE fp_audit.{month}",
    "DROP TABLE fp_audit.{month}",
    "ALTER TABLE fp_audit.ledger DISABLE TRIGGER append_only",
]


def test_the_application_role_records_and_verifies_and_changes_nothing(application: str, tmp_path: Path) -> None:
    trail = filled(trail_in_postgres(tmp_path, application))
    trail.checkpoint()
    assert trail.verify().whole
    trail.close()
    with psycopg.connect(application, autocommit=True) as connection:
        for change in CHANGES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change.format(month=_month(connection)))


@pytest.mark.parametrize("replica", [False, True])
def test_not_even_the_owner_or_a_superuser_changes_it_while_the_triggers_are_there(
    database: str, tmp_path: Path, replica: bool
) -> None:
    trail = filled(trail_in_postgres(tmp_path, database))
    trail.checkpoint()
    trail.close()
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(f"SET session_replication_role = {'replica' if replica else 'origin'}")
        for change in CHANGES[:8]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                owner.execute(change.format(month=_month(owner)))


def test_a_role_without_grants_is_told_what_to_do(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE ROLE nobody_of_audit LOGIN")
        ledger = PostgresLedger(database.replace("postgres@", "nobody_of_audit@"))
        with pytest.raises(AuditError, match="fp audit setup") as caught:
            ledger.head()
        assert caught.value.code == "FP-AUDIT-004"
        owner.execute("DROP ROLE nobody_of_audit")


# --- a superuser who takes the triggers away


def _month(connection: psycopg.Connection[Any]) -> str:
    found = connection.execute(
        "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'fp_audit.ledger'::regclass"
    ).fetchone()
    assert found is not None
    return str(found[0])


@pytest.fixture
def written(database: str, tmp_path: Path) -> Iterator[tuple[AuditTrail, str]]:
    """A filled ledger whose changes are rolled back after each example."""
    trail = filled(trail_in_postgres(tmp_path, database), segments=4, events=5)
    trail.checkpoint()
    yield trail, database
    trail.close()


SEQ = st.integers(1, 21)
TAMPERING = st.one_of(
    st.tuples(
        st.just("UPDATE fp_audit.ledger SET record = replace(record, '\"rows\":', '\"rows\":4') WHERE seq = %s"),
        st.integers(1, 20).map(lambda seq: (seq,)),
    ),
    st.tuples(st.just("DELETE FROM fp_audit.ledger WHERE seq = %s"), SEQ.map(lambda seq: (seq,))),
    st.tuples(st.just("DELETE FROM fp_audit.ledger WHERE seq >= %s"), SEQ.map(lambda seq: (seq,))),
    st.tuples(st.just("DELETE FROM fp_audit.ledger WHERE seq <= %s"), SEQ.map(lambda seq: (seq,))),
    st.tuples(
        st.just(
            "UPDATE fp_audit.ledger AS one SET record = other.record, hash = other.hash, segment = other.segment, "
            "position = other.position FROM fp_audit.ledger AS other WHERE one.seq IN (%s, %s) "
            "AND other.seq = %s + %s - one.seq"
        ),
        st.tuples(SEQ, SEQ).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: (*pair, *pair)),
    ),
    st.tuples(
        st.just(
            "INSERT INTO fp_audit.ledger SELECT seq + %s, recorded_at, segment, position, record, hash "
            "FROM fp_audit.ledger WHERE seq = %s"
        ),
        st.tuples(st.integers(1, 30), SEQ).filter(lambda pair: sum(pair) > 21),
    ),
    st.tuples(
        st.just("UPDATE fp_audit.ledger SET hash = sha256(hash || record::bytea) WHERE seq >= %s"),
        SEQ.map(lambda seq: (seq,)),
    ),
    st.tuples(
        st.just("UPDATE fp_audit.ledger SET seq = seq + 1000, recorded_at = recorded_at WHERE seq >= %s"),
        SEQ.map(lambda seq: (seq,)),
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TAMPERING, min_size=1, max_size=3))
def test_whatever_a_superuser_changes_without_the_triggers_is_found(
    written: tuple[AuditTrail, str], changes: list[tuple[str, tuple[int, ...]]]
) -> None:
    trail, url = written
    with psycopg.connect(url) as superuser:
        superuser.execute("ALTER TABLE fp_audit.ledger DISABLE TRIGGER ALL")
        before = superuser.execute("SELECT * FROM fp_audit.ledger ORDER BY 1, 2").fetchall()
        for change, parameters in changes:
            try:
                with superuser.transaction():
                    superuser.execute(change, parameters)
            except psycopg.errors.UniqueViolation:
                continue
        after = superuser.execute("SELECT * FROM fp_audit.ledger ORDER BY 1, 2").fetchall()
        verdict = _verified(superuser, trail)
        superuser.rollback()
    assert verdict.whole == (before == after)


def _verified(connection: psycopg.Connection[Any], trail: AuditTrail) -> Any:
    """What `fp audit verify` would say of the ledger as this session's transaction sees it."""
    from feature_platform.governance.audit.chain import Record, Verifier
    from feature_platform.governance.audit.checkpoints import read_all
    from feature_platform.governance.audit.event import moment

    verifier = Verifier(KEYS, sorted(set(read_all(trail.folder))))
    rows = connection.execute("SELECT * FROM fp_audit.ledger WHERE seq > 0 ORDER BY seq").fetchall()
    for seq, recorded_at, segment, position, text, digest in rows:
        verifier.feed(Record(seq, moment(recorded_at), segment, position, text, bytes(digest)))
    return verifier.finish()


def test_an_end_that_was_cut_off_stays_found_after_the_writers_went_on(database: str, tmp_path: Path) -> None:
    trail = filled(trail_in_postgres(tmp_path, database))
    seen = read_head(tmp_path)
    assert seen is not None
    assert seen.seq == 12
    with psycopg.connect(database, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE fp_audit.ledger DISABLE TRIGGER ALL")
        superuser.execute("DELETE FROM fp_audit.ledger WHERE seq > 9")
    filled(trail, first=100)
    actions = [record.event()["action"] for record in trail.ledger.records()]
    assert actions.count("ledger_damage") == 1
    verdict = trail.verify()
    assert "record 12 is not the one of the checkpoint" in verdict.findings[0].what
    trail.close()


def test_a_month_that_was_archived_leaves_a_rest_that_verifies(database: str, tmp_path: Path) -> None:
    june = datetime(2026, 6, 30, 23, tzinfo=UTC)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(SCHEMA_FILE.read_text())
        owner.execute("SELECT fp_audit.prepare_month(%s)", [june])
        for record in seal(KEYS, Head(), "june.segment", [(0, '{"rows":1}'), (1, '{"rows":2}')], june):
            row = (record.seq, june, record.segment, record.position, record.text, record.hash)
            owner.execute("INSERT INTO fp_audit.ledger VALUES (%s, %s, %s, %s, %s, %s)", row)
        trail = filled(trail_in_postgres(tmp_path, database))
        assert trail.verify().first == 1
        owner.execute("ALTER TABLE fp_audit.ledger DETACH PARTITION fp_audit.ledger_2026_06")
        verdict = trail.verify()
        assert verdict.whole
        assert verdict.first == 3
        owner.execute("ALTER TABLE fp_audit.checkpoints DISABLE TRIGGER ALL")
        owner.execute("DELETE FROM fp_audit.checkpoints WHERE seq = 2")
        next(tmp_path.glob("checkpoints/000000000002-*")).unlink()
        assert not trail.verify().whole, "nothing vouches for the rest any more"
    trail.close()


def test_the_view_for_people_shows_events_as_json(database: str, tmp_path: Path) -> None:
    trail = filled(trail_in_postgres(tmp_path, database), segments=1, events=2)
    with psycopg.connect(database) as reader:
        rows = reader.execute("SELECT action, event->>'object', event->'rows' FROM fp_audit.events").fetchall()
    assert rows == [("read", "query", 0), ("read", "query", 1)]
    trail.close()
