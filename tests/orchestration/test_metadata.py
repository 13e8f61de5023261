"""Links, owners and tags, as Dagster takes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.errors import Location
from feature_platform.orchestration.metadata import (
    asset_tags,
    code_references,
    other_tags,
    owner_metadata,
    owners,
)
from feature_platform.project.checkout import Checkout, web_address


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://git.example.com/risk/features.git", "https://git.example.com/risk/features"),
        ("https://robot:secret@git.example.com/risk/features", "https://git.example.com/risk/features"),
        ("git@git.example.com:risk/features.git", "https://git.example.com/risk/features"),
        ("ssh://git@git.example.com:2222/risk/features.git", "https://git.example.com/risk/features"),
        ("/srv/git/features.git", None),
        ("file:///srv/git/features.git", None),
        ("", None),
    ],
)
def test_a_remote_has_a_web_page_without_credentials(remote: str, address: str | None) -> None:
    assert web_address(remote) == address


def test_a_file_outside_git_is_linked_on_this_disk(tmp_path: Path) -> None:
    (reference,) = code_references(Checkout.of(tmp_path), Location("payments/card.yaml", 7)).code_references
    assert reference == dg.LocalFileCodeReference(
        file_path=str(tmp_path / "payments/card.yaml"), line_number=7, label="payments/card.yaml:7:1"
    )


def test_a_file_in_a_checkout_is_linked_at_its_commit(tmp_path: Path) -> None:
    root = tmp_path / "feature_defs"
    root.mkdir()
    (root / "card.yaml").write_text("kind: entity\n")
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", "git@git.example.com:risk/features.git"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "Add"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    commit = subprocess.run(
        ["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    (reference,) = code_references(Checkout.of(root), Location("card.yaml", 1)).code_references
    assert isinstance(reference, dg.UrlCodeReference)
    assert (
        reference.url == f"https://git.example.com/risk/features/blob/{commit.stdout.strip()}/feature_defs/card.yaml#L1"
    )


TEXTS = st.text(st.sampled_from("aZ09_.-/: é"), max_size=70)


@given(st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_tags_that_dagster_refuses_become_metadata(tags: dict[str, str]) -> None:
    dg.AssetSpec("spend", tags=asset_tags(tags))
    assert asset_tags(tags) | other_tags(tags) == tags


@given(st.one_of(st.emails(), st.from_regex(r"\Ateam:[A-Za-z0-9][A-Za-z0-9_.-]*\Z"), st.text()))
def test_owners_that_dagster_refuses_become_metadata(owner: str) -> None:
    dg.AssetSpec("spend", owners=owners(owner))
    assert [*owners(owner), *owner_metadata(owner).values()] == [owner]
