"""Many randomized runs with faults: ``python -m tests.faults.run --runs 200 --seed 1``. Prints JSON.

Ends with 1 if anything was lost, doubled, half-visible or not healed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.faults.reader import Reader
from tests.faults.runs import KINDS, Plan, Result, choose, one_run, some_views, unharmed
from tests.faults.world import Layout, Servers, World, servers

RUNS_PER_WORLD = 25
PHASES = {
    "connecting": "connecting",
    "looking": "looking up",
    "reading": "reading",
    "stage": "staging",
    "staging": "staging",
    "audit": "gate",
    "publish": "publishing",
    "publishing": "publishing",
    "published": "after publishing",
    "sweeping": "sweeping",
    "failed": "failing",
    "whole run": "whole run",
}
"""Phases of requests and steps of runs, as the table calls them."""
SELECTIONS: tuple[tuple[str, ...], ...] = (("moved", "state"), ("state",), ("moved",))


def runs(used: Servers, layout: Layout, seed: int, kinds: Sequence[str], limit_seconds: float) -> Iterator[Result]:
    """A world of its own: first runs without faults, then one run per kind."""
    world = World(used, layout, seed)
    reader: Reader | None = None
    began = time.monotonic()
    try:
        for number, views in enumerate(SELECTIONS):
            if number:
                world.advance(views)
            yield unharmed(world, views)
        reader = Reader(world)
        for kind in kinds:
            if time.monotonic() - began > limit_seconds:
                return
            views = some_views(world.chosen)
            yield one_run(world, views, choose(world, views, kind), reader)
    finally:
        if reader is not None:
            reader.close()
        world.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60.0, help="ends after so long, whatever is done")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--log", type=Path, help="a file to which every run is added as a line of JSON")
    parser.add_argument("--table", action="store_true", help="faults by phase as a table for docs/reliability.md")
    parser.add_argument("--sum", type=Path, nargs="*", help="only adds up what such files have")
    given = parser.parse_args(arguments)
    if given.sum:
        logged = [_result(line) for path in given.sum for line in path.read_text().splitlines()]
        return _say(logged, given.table)
    results: list[Result] = []
    began = time.monotonic()
    chosen = random.Random(given.seed)
    with servers() as used:
        while len(struck(results)) < given.runs and time.monotonic() - began < given.minutes * 60:
            number = len(results)
            left = given.runs - len(struck(results))
            kinds = [given.kinds[index % len(given.kinds)] for index in range(min(left, RUNS_PER_WORLD))]
            chosen.shuffle(kinds)
            layout: Layout = chosen.choice(("warehouse", "tables"))
            seconds = given.minutes * 60 - (time.monotonic() - began)
            for result in runs(used, layout, given.seed * 1_000 + number, kinds, seconds):
                results.append(result)
                if given.log:
                    with given.log.open("a") as log:
                        log.write(json.dumps(asdict(result)) + "\n")
    return _say(results, given.table)


def _say(results: Sequence[Result], as_table: bool) -> int:
    said = table(results) if as_table else json.dumps(summary(results), indent=1)
    sys.stdout.write(said + "\n")
    return 1 if any(result.wrong for result in results) else 0


def _result(line: str) -> Result:
    values = json.loads(line)
    return Result(**{**values, "plan": Plan(**values["plan"]), "views": tuple(values["views"])})


def struck(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.struck and result.plan.kind != "none"]


def table(results: Sequence[Result]) -> str:
    """Markdown: how many runs each fault struck, by phase."""
    found = Counter((each.plan.kind, PHASES[each.at]) for each in struck(results))
    phases = [phase for phase in dict.fromkeys(PHASES.values()) if any(at == phase for _, at in found)]
    lines = [["fault", *phases, "runs"], ["---"] * (len(phases) + 2)]
    for kind in dict.fromkeys(KINDS):
        counts = [found[kind, phase] for phase in phases]
        lines.append([kind, *(str(count or "") for count in counts), str(sum(counts))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(results: Sequence[Result]) -> dict[str, Any]:
    hit = struck(results)
    by_phase: dict[str, Counter[str]] = {}
    for each in hit:
        by_phase.setdefault(each.plan.kind, Counter())[each.at] += 1
    return {
        "runs": len(hit),
        "not struck": sum(not result.struck for result in results),
        "by fault and phase": {kind: dict(sorted(phases.items())) for kind, phases in sorted(by_phase.items())},
        "by store": dict(Counter(each.plan.store or each.plan.asset.partition("/")[0] or "all" for each in hit)),
        "the struck run was": dict(
            Counter(each.first if len(each.first) < 30 else "ended by an error" for each in hit)
        ),
        "runs until whole": dict(sorted(Counter(each.runs_after for each in hit).items())),
        "reads": sum(result.reads for result in results),
        "reads told that a store is not there": sum(result.unanswered for result in results),
        "wrong": [text for result in results for text in result.wrong],
        "longest struck run, seconds": round(max((each.seconds for each in hit), default=0.0), 1),
    }


if __name__ == "__main__":
    sys.exit(main())
