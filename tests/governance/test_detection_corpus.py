"""How good detection is, measured on labelled columns that it was not adjusted with.

The thresholds are what a user can live with: of a hundred publications that stop, three may be false alarms; of a
hundred columns of a personal kind, five may need the column's name or an author's declaration. Of each kind one column
at most may be missed, so that a weak kind does not hide behind many easy ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from feature_platform.governance.detection import CERTAIN, classify
from tests.governance.detection_corpus import Set, corpus

PRECISION = 0.97
RECALL = 0.95


@dataclass
class Score:
    """What became of a set's columns."""

    found: Counter[str] = field(default_factory=Counter)
    missed: list[tuple[str, str]] = field(default_factory=list)
    """(kind, which column): nothing was found, or another class first."""
    alarms: list[str] = field(default_factory=list)
    """Harmless columns with a finding that would stop a publication."""

    @property
    def recall(self) -> float:
        return self.found.total() / (self.found.total() + len(self.missed))

    @property
    def precision(self) -> float:
        return self.found.total() / (self.found.total() + len(self.alarms))

    def missed_of(self, kind: str) -> int:
        return sum(label == kind for label, _ in self.missed)


def measured(which: Set) -> Score:
    score = Score()
    for column in corpus(which):
        findings = [each for each in classify(column.name, column.values) if each.confidence >= CERTAIN]
        if column.label is None:
            score.alarms += [f"{column.what}: {each.classification}" for each in findings[:1]]
        elif findings and findings[0].classification == column.label:
            score.found[column.label] += 1
        else:
            score.missed.append((column.label, column.what))
    return score


@pytest.mark.parametrize("which", ["seen", "held_out"])
def test_what_is_personal_is_found_and_what_is_not_is_left_alone(which: Set) -> None:
    score = measured(which)
    assert score.precision >= PRECISION, score.alarms
    assert score.recall >= RECALL, score.missed
    kinds = {*score.found, *(label for label, _ in score.missed)}
    assert {kind for kind in kinds if score.missed_of(kind) > 1} == set(), score.missed
