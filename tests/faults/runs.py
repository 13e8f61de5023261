"""One run with a fault, and what must be true afterwards.

The data goes one step further, a process materializes it, one fault strikes, and then runs follow as a schedule would
start them, until one finds everything published. Meanwhile a reader reads all that is live.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from queue import Queue
from typing import Any, Final, cast

from feature_platform.orchestration.instance import instance
from feature_platform.orchestration.store_status import store_status
from feature_platform.project.project import Project
from tests.faults.proxy import CONNECTING, Fault, Manner
from tests.faults.reader import Found, Reader, look
from tests.faults.requests import PUBLISH
from tests.faults.world import World, leftovers
from tests.faults.writer import Run

_PUBLISHING: Final = 0.3
"""Share of faults that strike while something is published, beyond those that do so anyway."""
RUNS_AFTER: Final = 4
"""So many runs may follow a fault until everything is whole."""

NETWORK: Final = ("reset", "half", "lost reply", "delay", "cut", "silence")
KINDS: Final = (*NETWORK, "server killed", "writer killed", "server killed", "writer killed", "disk full", "clock")


@dataclass(frozen=True)
class Plan:
    """A fault: what, where, when."""

    kind: str
    store: str = ""
    """Whose network it meets; empty: it begins with a step of the run."""
    phase: str = ""
    nth: int = 0
    manner: Manner = "reset"
    seconds: float = 0.0
    """How long the network or the server is away, or the writer goes on before it is killed."""
    asset: str = ""
    step: str = ""
    amount: int = 0
    """Bytes that a file may have; seconds that the clock is off."""


@dataclass
class Result:
    """What happened in a run and after it."""

    plan: Plan
    views: tuple[str, ...]
    struck: bool = False
    at: str = ""
    """In which phase it struck."""
    first: str = ""
    """How the run ended that was struck: ``whole``, ``said what failed``, ``killed`` or an error's text."""
    runs_after: int = 0
    """How many runs it took until everything was whole; 0: the struck run did it itself."""
    reads: int = 0
    unanswered: int = 0
    """Reads that were told that a store can't be reached."""
    wrong: list[str] = field(default_factory=list)
    """What must not be. Empty, or a bug."""
    seconds: float = 0.0


def choose(world: World, views: Sequence[str], kind: str, store: str = "", phase: str = "") -> Plan:
    """A place for a fault of that kind, among those that a run of these views passes; any that is not named."""
    chosen = world.chosen
    if kind == "clock":
        amount = chosen.choice((-86_400, -3_600, 3_600, 86_400))
        asset, step = chosen.choice([("", ""), *sorted(world.steps[tuple(views)])])
        return Plan(kind, asset=asset, step=step, amount=amount)
    if kind == "disk full" or (kind == "writer killed" and not store and chosen.random() < 0.5):
        asset, step = chosen.choice(sorted(world.steps[tuple(views)]))
        return Plan(
            kind, asset=asset, step=step, seconds=chosen.choice((0.0, 0.01, 0.05, 0.2)), amount=chosen.randrange(60_000)
        )
    traces = world.traces[tuple(views)]
    store = store or chosen.choice(sorted(traces))
    if not phase and PUBLISH in traces[store] and chosen.random() < _PUBLISHING:
        phase = PUBLISH
    phase = phase or chosen.choice(sorted(traces[store]))
    count = traces[store].get(phase, 1)
    manner: str = chosen.choice(("before", "after")) if "killed" in kind else kind
    if phase == CONNECTING and manner in ("half", "lost reply", "after"):
        manner = "before" if "killed" in kind else "reset"
    return Plan(kind, store, phase, chosen.randrange(count), cast(Manner, manner), chosen.choice((0.1, 0.5, 1.0, 3.0)))


def one_run(world: World, views: Sequence[str], plan: Plan, reader: Reader) -> Result:
    """Everything about one fault. Leaves the world whole, or says what is wrong with it."""
    result = Result(plan, tuple(views))
    before = (reader.reads, reader.unanswered)
    world.advance(views)
    with _struck(world, views, plan, result) as run:
        ended = run.wait()
        result.seconds = run.seconds
    if not ended:
        result.wrong.append(f"the run did not end by itself; it was at {run.phase}")
    result.first = _ending(run)
    _judge_first(world, run, result)
    whole = run.ok
    while not whole and result.runs_after < RUNS_AFTER:
        result.runs_after += 1
        run = world.start(views)
        if not run.wait():
            result.wrong.append(f"a run after the fault did not end by itself; it was at {run.phase}")
        whole = run.ok
    if not whole:
        result.wrong.append(f"not whole after {RUNS_AFTER} more runs: {_ending(run)} {reasons(run)}")
    result.wrong += after(world, views)
    reader.settle()
    result.reads, result.unanswered = reader.reads - before[0], reader.unanswered - before[1]
    result.wrong += reader.take_wrong()
    return result


@contextlib.contextmanager
def _struck(world: World, views: Sequence[str], plan: Plan, result: Result) -> Iterator[Run]:
    """A run that the fault strikes. In the end every server runs and every network is there."""
    more: dict[str, Any] = {"mark": [plan.asset, plan.step]} if plan.asset else {}
    if plan.kind == "clock":
        more["clock_seconds"] = plan.amount
    if plan.kind == "disk full":
        more["file_bytes"] = plan.amount
    started: Queue[Run] = Queue()

    def strike() -> None:
        if plan.kind == "writer killed":
            started.get().kill()
        else:
            world.servers.behind[plan.store].kill()

    fault = None
    if plan.store:
        fault = Fault(plan.phase, plan.nth, plan.manner, plan.seconds, strike if "killed" in plan.kind else None)
        world.servers.networks[plan.store].arm(fault)
    run = world.start(views, **more)
    started.put(run)

    def follow() -> None:
        """Kills at a step; mends after a while, as somebody or something always does."""
        if fault is None:
            if run.comes_to_mark() and plan.kind == "writer killed":
                run.over.wait(plan.seconds)
                strike()
            return
        while not fault.hit.wait(0.02):
            if run.over.is_set():
                return
        run.over.wait(plan.seconds)
        _mend(world)

    following = threading.Thread(target=follow, name="mend", daemon=True)
    following.start()
    try:
        yield run
    finally:
        following.join(60)
        _mend(world)
        always = plan.kind == "clock" and not plan.asset
        result.struck = always or (fault.hit if fault else run.marked).is_set()
        result.at = plan.phase or plan.step or "whole run"


def _mend(world: World) -> None:
    for server in (world.servers.postgres, world.servers.redis):
        server.start()
    for network in world.servers.networks.values():
        network.restore()


def _ending(run: Run) -> str:
    if run.report is None:
        return run.error or "killed"
    return "whole" if run.ok else "said what failed"


def reasons(run: Run) -> str:
    assets = run.report["assets"] if run.report else {}
    return "; ".join(f"{asset}: {why}" for asset, (status, why) in assets.items() if why)


def _judge_first(world: World, run: Run, result: Result) -> None:
    """What the struck run claims is true, and what it does not claim is as it was or as it should be."""
    with world.open() as project:
        found = look(world, project)
        if "state" in result.views:
            result.wrong += _untrue_status(world, project, found)
    result.wrong += [f"after the struck run: {text}" for place, text in found.values() if place is None]
    if run.report is None:
        return
    for asset, (status, why) in run.report["assets"].items():
        store, _, view = asset.split("/")
        if "a bug:" in why or (status == "failed" and "FP-" not in why):
            result.wrong.append(f"{asset} failed without saying what to do: {why}")
        if status in ("published", "up_to_date"):
            result.wrong += [
                f"{asset} is said to be {status}: {text}" for text in _not_newest(world, found, view, store)
            ]


def _untrue_status(world: World, project: Project, found: Found) -> list[str]:
    """Where ``fp store status`` says that an online store has what the history has, and it has not, or the reverse."""
    history = found["state"][0]
    return [
        f"status says that {each.store} is {each.health}: it has answer {found[f'state {each.store}'][0]} of {history}"
        for each in store_status(project, ["state"], world.data.now)
        if each.role == "online" and (each.health == "current") != (found[f"state {each.store}"][0] == history)
    ]


def _not_newest(world: World, found: Found, view: str, store: str) -> list[str]:
    if store in ("redis", "served"):
        tables = [f"{view} {store}"]
    else:
        tables = [view] if view == "state" else [table for table in found if table.startswith("moved 2")]
    return [
        f"{table} has answer {found[table][0]} of {len(world.answers[table].valid) - 1}"
        for table in tables
        if found[table][0] != len(world.answers[table].valid) - 1
    ]


def after(world: World, views: Sequence[str]) -> list[str]:
    """What must be true once a run found everything published."""
    wrong: list[str] = []
    with world.open() as project:
        found = look(world, project)
        wrong += [text for place, text in found.values() if place is None]
        for view in views:
            stores = {asset.split("/")[0] for asset in world.assets(project, view)}
            wrong += [text for store in sorted(stores) for text in _not_newest(world, found, view, store)]
        for status in store_status(project, list(views), world.data.now):
            if status.health != "current":
                wrong.append(f"status of {status.view} in {status.store}: {status.health} {status.detail}")
        wrong += leftovers(world, project)
        with instance(project) as opened:
            wrong += [f"run {run.run_id} is {run.status}" for run in opened.get_runs() if not run.is_finished]
    return wrong


def unharmed(world: World, views: Sequence[str]) -> Result:
    """A run without a fault; what it asked of which network becomes the map for faults."""
    for network in world.servers.networks.values():
        network.arm(None)
    run = world.start(views)
    run.wait()
    world.steps[tuple(views)] = run.steps
    world.servers.writers.learn(run)
    result = Result(Plan("none"), tuple(views), struck=True, first=_ending(run), seconds=run.seconds)
    if not run.ok:
        result.wrong.append(f"a run without a fault failed: {_ending(run)} {reasons(run)}")
    result.wrong += after(world, views)
    traces = {name: network.trace() for name, network in world.servers.networks.items()}
    world.traces[tuple(views)] = {name: trace for name, trace in traces.items() if trace}
    return result


def some_views(chosen: random.Random) -> tuple[str, ...]:
    return chosen.choice((("state",), ("moved",), ("state",), ("moved",), ("moved", "state")))
