"""Where the audit key comes from, and that it stays inside."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from feature_platform.errors import AuditError
from feature_platform.governance.audit.keys import KEY_FILE, AuditKeys
from tests.governance.audit.ledgers import KEY, KEYS


def test_without_a_key_there_is_no_trail() -> None:
    with pytest.raises(AuditError) as caught:
        AuditKeys.from_environment("FP_AUDIT_KEY", environ={})
    assert caught.value.code == "FP-AUDIT-001"


def test_an_embedded_profile_makes_a_key_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = AuditKeys.from_environment("FP_AUDIT_KEY", tmp_path, environ={})
    again = AuditKeys.from_environment("FP_AUDIT_KEY", tmp_path, environ={})
    assert first.mac("chain", 1, b"x") == again.mac("chain", 1, b"x")
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(AuditError) as caught:
        AuditKeys.from_environment("FP_AUDIT_KEY", tmp_path, environ={})
    assert caught.value.code == "FP-AUDIT-002"


def test_a_variable_may_name_a_file_with_the_key_which_is_never_made(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    variables = {"FP_AUDIT_KEY_FILE": str(file)}
    with pytest.raises(AuditError):
        AuditKeys.from_environment("FP_AUDIT_KEY", tmp_path, environ=variables)
    file.write_text(f"v1:{KEY.hex()}\n")
    file.chmod(0o600)
    keys = AuditKeys.from_environment("FP_AUDIT_KEY", environ=variables)
    assert keys.mac("chain", 1, b"x") == KEYS.mac("chain", 1, b"x")


@pytest.mark.parametrize("text", ["short", "ab" * 31, "00" * 32, f"v1:{KEY.hex()},v1:{KEY.hex()}", "v0:" + KEY.hex()])
def test_a_key_that_can_be_guessed_or_misread_is_refused(text: str) -> None:
    with pytest.raises(AuditError) as caught:
        AuditKeys.from_environment("FP_AUDIT_KEY", environ={"FP_AUDIT_KEY": text})
    assert caught.value.code == "FP-AUDIT-002"
    assert text not in str(caught.value)


def test_the_highest_version_seals_and_older_ones_are_known() -> None:
    both = f"v2:{KEY[::-1].hex()},v1:{KEY.hex()}"
    keys = AuditKeys.from_environment("FP_AUDIT_KEY", environ={"FP_AUDIT_KEY": both})
    assert keys.version == 2
    assert keys.mac("chain", 1, b"x") == KEYS.mac("chain", 1, b"x")
    assert not keys.knows(3)


def test_each_use_has_a_key_of_its_own() -> None:
    assert len({KEYS.mac(use, 1, b"x") for use in ("chain", "spool", "checkpoint", "sql")}) == 4


def test_a_key_shows_nothing_of_itself_and_does_not_leave_its_process() -> None:
    assert KEY.hex() not in repr(KEYS)
    with pytest.raises(TypeError):
        pickle.dumps(KEYS)
