"""Examples in docstrings are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from feature_platform import errors
from feature_platform.registry import fingerprint, order, references
from feature_platform.specs import durations


@pytest.mark.parametrize(
    "module", [errors, durations, fingerprint, order, references], ids=lambda module: module.__name__
)
def test_the_examples_of_a_module_hold(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
