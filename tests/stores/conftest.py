"""The online stores that tests of their protocol run against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from feature_platform.stores.online_protocol import OnlineStore
from tests.stores.online_cases import KINDS, Kind, store_kind


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The store under test; its server starts when the first test asks."""
    return store_kind(request.param, request.getfixturevalue)


@pytest.fixture
def store(kind: Kind) -> Iterator[OnlineStore]:
    """One that is open."""
    with contextlib.closing(kind.open()) as opened:
        yield opened
