"""A disk that gets full while Delta tables are written: what is live stays, and the next run needs nobody's help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from feature_platform.stores import codes
from tests.faults.disk_writer import Tables
from tests.faults.world import Servers

SAID = {codes.FILES_UNREADABLE.id, codes.STORE_UNREACHABLE.id, codes.OUT_OF_MEMORY.id}


def called(mortal: Servers, function: str, **arguments: Any) -> Any:
    run = mortal.writers.call(f"tests.faults.disk_writer:{function}", arguments)
    assert run.wait()
    assert not run.error, run.error
    return run.report


@pytest.mark.parametrize(("at", "sizes"), [("stage", [0, 10, 5_000, 200_000]), ("publish", [0, 10, 600])])
def test_no_file_may_grow(mortal: Servers, tmp_path: Path, at: str, sizes: list[int]) -> None:
    with Tables(tmp_path) as tables:
        tables.publish(1)
        before = tables.values()
        for code, text in called(mortal, "limited", folder=str(tmp_path), sizes=sizes, at=at):
            assert code in SAID, text
            assert "disk" in text, text
        assert tables.values() == before
        tables.publish(3)
        assert tables.values() == ({3}, before[1])
        assert tables.leftovers() == 0


@pytest.mark.parametrize("at", ["stage", "publish"])
def test_a_file_system_without_room(mortal: Servers, tmp_path: Path, at: str) -> None:
    """``ENOSPC`` of a real file system. The last size is enough for everything."""
    left = [0, 4_096, 8_192, 16_384, 32_768, 131_072, 2_000_000]
    tries = called(mortal, "on_small_disk", folder=str(tmp_path), left=left, at=at)
    if tries == [None]:
        pytest.skip("this system lets nobody mount a file system of his own")
    assert tries[0][0] in SAID
    assert tries[-1][0] == ""
    assert {code for code, _, _ in tries} <= SAID | {""}
    assert [right for _, right, _ in tries] == [True] * len(left)
    assert [leftovers for _, _, leftovers in tries] == [0] * len(left)
