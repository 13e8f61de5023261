"""Many random queries, judged one after the other, and what came of them in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from feature_platform.compiler.guard import GuardedQuery
from feature_platform.errors import FeaturePlatformError
from tests.compiler.interference.choices import Choices, shrunk
from tests.compiler.interference.oracle import Worlds, changed, depends, guarded, leak, rendered, unlabelled
from tests.compiler.interference.queries import Written, write
from tests.compiler.interference.worlds import LABELLED, PAIRS, World

OTHERWISE = frozenset({"ties", "count_if"})
"""Constructs that may give something else than unguarded DuckDB: the engine breaks ties as it likes, and of no rows the
dialect counts 0 where DuckDB's count_if gives NULL."""
_SIDES = (*LABELLED, "token")


@dataclass(frozen=True)
class Judgement:
    """What is known about one query."""

    written: Written
    fault: str = ""
    """Which of the laws it breaks, and how; empty if none."""
    refused: tuple[str, ...] = ()
    """Codes and texts, if the guard refuses it."""
    valid: bool = True
    """Whether it runs unguarded."""
    dependent: bool = False
    """Whether its unguarded outcome tells the worlds apart."""
    text: str = ""

    @property
    def independent(self) -> bool:
        """Whether it depends on no personal data: it runs, no world gives itself away, and it does not even try to use
        a classified column in a way that no policy here allows. (A few rows may hide what such a use would show.)"""
        return self.valid and not self.dependent and "forbidden" not in self.written.constructs


@dataclass
class Figures:
    """Counts over many queries."""

    faults: list[tuple[int, Judgement]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """Construct → PII-independent queries with it that were refused."""
    met: Counter[str] = field(default_factory=Counter)
    """Construct → PII-independent queries with it."""
    passed: Counter[str] = field(default_factory=Counter)
    """Construct → queries with it that were let through."""
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, seed: int, judged: Judgement) -> None:
        """Counts one query."""
        if judged.fault:
            self.faults.append((seed, judged))
        kinds = {
            "queries": True,
            "valid": judged.valid,
            "let through": not judged.refused,
            "personal": judged.valid and judged.dependent,
            "personal, let through": judged.valid and judged.dependent and not judged.refused,
            "independent": judged.independent,
            "independent, refused": judged.independent and bool(judged.refused),
            "clear columns only": judged.independent and not judged.written.personal,
            "clear columns only, refused": judged.independent and not judged.written.personal and bool(judged.refused),
        }
        self.counts.update(name for name, holds in kinds.items() if holds)
        if not judged.refused:
            self.passed.update(judged.written.constructs)
        if judged.independent:
            self.met.update(judged.written.constructs)
        if judged.independent and judged.refused:
            self.refused.update(judged.written.constructs)
            self.reasons[judged.refused[0]] += 1
            self.examples.setdefault(judged.refused[0], (seed, judged.written.sql))

    def share(self, part: str, whole: str) -> float:
        return self.counts[part] / max(self.counts[whole], 1)

    def report(self) -> str:
        """The figures for people: counts, and which constructs are refused how often."""
        lines = [f"{name}: {count}" for name, count in self.counts.items()]
        lines.append(f"over-blocking: {self.share('independent, refused', 'independent'):.1%}")
        lines.append(f"sensitive: {self.share('personal', 'valid'):.1%}")
        for construct, count in self.refused.most_common(25):
            lines.append(f"  {construct}: {count} of {self.met[construct]} refused")
        for reason, count in self.reasons.most_common(25):
            seed, sql = self.examples[reason]
            lines.append(f"  {count} x {reason}\n      seed {seed}: {sql}")
        return "\n".join(lines)


def judge(worlds: Worlds, written: Written, seed: int, *, thorough: bool = False) -> Judgement:
    """Holds one query to every law. Which pair and which world for labels it meets depends on ``seed``, unless it is
    ``thorough``: then it meets all."""
    worlds = worlds.remembering()
    pairs = range(PAIRS) if thorough else [seed % PAIRS]
    raw = worlds.run(World(seed % PAIRS), written.sql)
    valid = not raw.error
    dependent = (
        written.personal and valid and depends(worlds, written.sql, [(seed + step) % PAIRS for step in range(PAIRS)])
    )
    try:
        query = guarded(written.sql)
    except Exception as crash:  # noqa: BLE001 - whatever it is, the author sees it instead of a refusal
        return Judgement(written, f"crash: {crash!r}", valid=valid, dependent=dependent)
    if isinstance(query, FeaturePlatformError):
        reasons = tuple(f"{problem.code} {problem.what}" for problem in query.problems)
        return Judgement(written, refused=reasons, valid=valid, dependent=dependent)
    text = rendered(query)
    fault = leak(worlds, text, pairs)
    if fault:
        return Judgement(written, f"leak: {fault}", valid=valid, dependent=dependent, text=text)
    fault = _unlabelled(worlds, query, text, _SIDES if thorough else [_SIDES[seed % len(_SIDES)]])
    if not fault and not written.personal and valid and not OTHERWISE & written.constructs:
        difference = changed(worlds.run(World(seed % PAIRS), text), raw)
        fault = f"meaning: {difference}" if difference else ""
    return Judgement(written, fault, valid=valid, dependent=dependent, text=text)


def run(worlds: Worlds, seeds: Iterable[int]) -> Figures:
    """Judges the query of every seed."""
    figures = Figures()
    for seed in seeds:
        figures.add(seed, judge(worlds, write(Choices(seed)), seed))
    return figures


def explained(worlds: Worlds, seed: int, judged: Judgement) -> str:
    """A fault for the person who has to mend it: the shortest query with a fault of this kind, and how to see it
    again."""
    kind = judged.fault.split(":")[0]

    def fails(made: Sequence[int]) -> bool:
        return judge(worlds, write(Choices(given=made)), seed).fault.startswith(kind)

    short = judge(worlds, write(Choices(given=shrunk(judged.written.made, fails))), seed)
    shown = short if short.fault else judged
    return (
        f"seed {seed}: {shown.fault}\n\n{shown.written.sql}\n\nguarded:\n{shown.text}\n\n"
        f"again: python -m tests.compiler.interference {seed}\nas first found:\n{judged.written.sql}"
    )


def _unlabelled(worlds: Worlds, query: GuardedQuery, text: str, sides: Sequence[str]) -> str:
    for side in sides:
        found = unlabelled(worlds, query, text, side)
        if found:
            return f"label: {found}"
    return ""
