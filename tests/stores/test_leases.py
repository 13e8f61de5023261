"""Leases: exclusive or shared, freed by the end of their holder."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from feature_platform.errors import StoreError
from feature_platform.stores.codes import TABLE_BUSY
from feature_platform.stores.leases import exclusive, own, shared, try_exclusive, try_shared

BUSY = TABLE_BUSY.problem("busy", mend="wait")


def test_one_holder_excludes_another(tmp_path: Path) -> None:
    held = try_exclusive(tmp_path / "lock")
    assert held is not None
    assert try_exclusive(tmp_path / "lock") is None
    held.release()
    assert try_exclusive(tmp_path / "lock") is not None


def test_readers_share_and_exclude_a_writer(tmp_path: Path) -> None:
    first, second = shared(tmp_path / "lock"), shared(tmp_path / "lock")
    assert try_exclusive(tmp_path / "lock") is None
    first.release()
    assert try_exclusive(tmp_path / "lock") is None
    second.release()
    assert try_exclusive(tmp_path / "lock") is not None


def test_a_writer_excludes_readers(tmp_path: Path) -> None:
    held = try_exclusive(tmp_path / "lock")
    assert held is not None
    assert try_shared(tmp_path / "lock") is None


def test_a_missing_file_is_held_by_nobody_and_stays_missing(tmp_path: Path) -> None:
    assert try_exclusive(tmp_path / "lock", create=False) is None
    assert not (tmp_path / "lock").exists()


def test_releasing_twice_is_releasing_once(tmp_path: Path) -> None:
    held = try_exclusive(tmp_path / "lock")
    assert held is not None
    held.release(remove=True)
    held.release(remove=True)
    assert not held.held
    assert not (tmp_path / "lock").exists()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from feature_platform.stores.leases import try_exclusive; "
        "held = try_exclusive(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert try_exclusive(tmp_path / "lock") is None
        process.kill()
    assert try_exclusive(tmp_path / "lock") is not None


def test_waiting_ends_with_a_clear_error(tmp_path: Path) -> None:
    held = try_exclusive(tmp_path / "lock")
    assert held is not None
    with (
        pytest.raises(StoreError, match="busy"),
        exclusive(tmp_path / "lock", timeout_seconds=0.05, busy=BUSY),
    ):
        pass


def test_a_sweeper_that_takes_a_new_file_for_a_dead_one_is_waited_for(tmp_path: Path) -> None:
    swept = try_exclusive(tmp_path / "attempt")  # as if it came between the making of the file and its lock
    assert swept is not None
    with ThreadPoolExecutor(1) as pool:
        owning = pool.submit(own, tmp_path / "attempt")
        with pytest.raises(TimeoutError):
            owning.result(timeout=0.1)
        swept.release(remove=True)
        owned = owning.result(timeout=30)
    assert (tmp_path / "attempt").exists()
    assert try_exclusive(tmp_path / "attempt", create=False) is None
    owned.release(remove=True)


def test_owners_and_sweepers_at_once_never_lose_a_lock(tmp_path: Path) -> None:
    def attempt(number: int) -> bool:
        for left in tmp_path.glob("*.lease"):
            if dead := try_exclusive(left, create=False):
                dead.release(remove=True)
        with own(tmp_path / f"{number}.lease") as lease:
            there = lease.path.exists()
            lease.release(remove=True)
        return there

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(attempt, range(2_000)))
