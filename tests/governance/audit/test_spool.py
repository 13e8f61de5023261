"""The spool: what was accepted is there, what was changed is noticed, what is full refuses."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest

from feature_platform.errors import AuditError
from feature_platform.governance.audit.spool import Segment, Spool, finished, hold
from tests.governance.audit.ledgers import KEYS, OTHER_KEYS


def read(folder: Path) -> list[Segment]:
    """Every finished segment."""
    found = []
    for path in finished(folder):
        held = hold(path)
        assert held is not None
        found.append(held.read(KEYS))
        held.release()
    return found


def test_events_come_back_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    for number in range(5):
        spool.accept(f'{{"n":{number}}}', durable=number % 2 == 0)
    spool.finish()
    assert [segment.events for segment in read(tmp_path)] == [tuple(f'{{"n":{number}}}' for number in range(5))]


def test_a_segment_belongs_to_its_writer_until_it_is_finished(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    spool.accept("{}")
    assert hold(finished(tmp_path)[0]) is None
    spool.finish()
    held = hold(finished(tmp_path)[0])
    assert held is not None
    assert hold(finished(tmp_path)[0]) is None
    held.remove()
    assert finished(tmp_path) == []


def test_a_segment_that_nobody_closed_goes_with_its_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    spool.accept("{}", durable=False)
    del spool
    assert [segment.events for segment in read(tmp_path)] == [("{}",)]


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS, segment_bytes=200)
    for number in range(10):
        spool.accept(f'{{"n":{number}}}')
    spool.finish()
    segments = read(tmp_path)
    assert len(segments) > 1
    assert [event for segment in segments for event in segment.events] == [f'{{"n":{number}}}' for number in range(10)]


def test_threads_lose_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS, segment_bytes=2_000)
    threads = [
        Thread(target=lambda name=name: [spool.accept(f"{name}-{each}") for each in range(50)]) for name in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.finish()
    events = [event for segment in read(tmp_path) for event in segment.events]
    assert sorted(events) == sorted(f"{name}-{each}" for name in range(4) for each in range(50))


def test_half_a_line_was_never_accepted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    spool.accept("{}")
    spool.finish()
    with finished(tmp_path)[0].open("ab") as file:
        file.write(b"0123456789abcdef")
    assert read(tmp_path) == [Segment(finished(tmp_path)[0].name, ("{}",))]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_changed_line_is_noticed_and_those_before_it_are_saved(tmp_path: Path, place: int) -> None:
    spool = Spool(tmp_path, KEYS)
    for number in range(3):
        spool.accept(f'{{"n":{number}}}')
    spool.finish()
    path = finished(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b'{"n":%d}' % place, b'{"n":9}'))
    (segment,) = read(tmp_path)
    assert len(segment.events) == place
    assert "changed" in segment.damage


def test_a_segment_under_another_name_or_key_is_not_taken(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    spool.accept("{}")
    spool.finish()
    path = finished(tmp_path)[0]
    held = hold(path)
    assert held is not None
    assert held.read(OTHER_KEYS).events == ()
    held.release()
    path.rename(path.with_name(f"9{path.name}"))
    assert read(tmp_path)[0].events == ()


def test_a_full_spool_accepts_nothing_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS, segment_bytes=100, spool_bytes=500)
    for _ in range(3):
        spool.accept('{"some":"event", "of":"quite some length, so that three of them fill the spool"}')
    with pytest.raises(AuditError) as caught:
        spool.accept("{}")
    assert caught.value.code == "FP-AUDIT-003"


def test_a_folder_that_cannot_be_written_accepts_nothing(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(AuditError) as caught:
        Spool(tmp_path / "spool", KEYS).accept("{}")
    assert caught.value.code == "FP-AUDIT-003"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_accepts_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    spool.accept("{}")
    segment = spool._open
    assert segment is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, segment.descriptor)
    os.close(full)
    with pytest.raises(AuditError, match="No space left"):
        spool.accept("{}")
    spool.accept('{"after":"the disk has room again"}')


def test_a_forked_child_writes_a_segment_of_its_own(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    spool.accept('"parent"')
    child = os.fork()
    if child == 0:
        spool.accept('"child"')
        os._exit(0)
    os.waitpid(child, 0)
    spool.accept('"parent again"')
    spool.finish()
    assert sorted(segment.events for segment in read(tmp_path)) == [('"child"',), ('"parent"', '"parent again"')]
