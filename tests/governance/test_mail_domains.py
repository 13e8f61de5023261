"""The list of mail providers, and what helps to renew it."""

from __future__ import annotations

import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.governance.transforms.mail_domains import COMMON_DOMAINS, LEAST_PERSONS, compared

REVIEWED = (1, "90ec9c10aef664b0")


def test_another_list_is_another_version_of_the_transform() -> None:
    digest = sha256("\n".join(COMMON_DOMAINS).encode()).hexdigest()[:16]
    assert (TRANSFORMS["email_domain"].version, digest) == REVIEWED, "raise the version, then write both down here"


def test_the_list_is_in_order_and_has_each_domain_once_in_the_form_that_addresses_are_brought_to() -> None:
    assert list(COMMON_DOMAINS) == sorted(set(COMMON_DOMAINS))
    assert all(re.fullmatch(r"[a-z0-9-]+([.][a-z0-9-]+)+", domain) for domain in COMMON_DOMAINS)


def test_a_renewal_shows_what_is_missing_and_what_is_too_small() -> None:
    persons = dict.fromkeys(COMMON_DOMAINS, LEAST_PERSONS) | {"new.example": 5_000, "firm.example": 3, "gmail.com": 1}
    assert list(compared(persons)) == [
        "new.example: 5,000 persons, not listed",
        "gmail.com: listed, fewer than 1,000 persons",
    ]


def test_the_command_reads_a_file_of_counts(tmp_path: Path) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("domain,persons\nNew.example,2\nnew.example,3\n", encoding="utf-8")
    command = [sys.executable, "-m", "feature_platform.governance.transforms.mail_domains", str(counts), "5"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "new.example: 5 persons, not listed\n" in shown
