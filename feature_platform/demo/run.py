"""The demonstration, step by step: generate, materialize, refuse, train, serve."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from feature_platform.cli.materialize import for_people, progress
from feature_platform.cli.screen import Screen, standard_error, standard_output
from feature_platform.demo import report
from feature_platform.demo.generate import DemoData, generate
from feature_platform.errors import GuardError
from feature_platform.orchestration.keys import assets_of
from feature_platform.orchestration.materialization import table_of
from feature_platform.orchestration.report import RunReport
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.sdk.client import FeatureStore

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import RenderableType

PURPOSE: Final = "fraud_detection"
PARTITION_DAYS: Final = 7
"""Partitioned views get the last days of the data's calendar."""

RAW_ATTEMPT: Final = "SELECT customer_id, name, birth_date FROM customers"

SPINE: Final = """
    SELECT transaction_id, card_number, customer_id, merchant_id, device_id, event_time, amount
    FROM transactions
    WHERE device_id IS NOT NULL AND NOT is_refund AND event_time >= TIMESTAMP '2026-06-29 00:00:00'
    ORDER BY event_time DESC, transaction_id
    LIMIT 10
"""
HEADINGS: Final = {
    "event_time": "event time",
    "card_number": "card",
    "amount": "amount",
    "card_spend__attempts_1d": "attempts 1d",
    "card_spend__amount_sum_30d": "sum 30d",
    "card_habits__online_payments_7d": "online 7d",
    "payment_check__times_average": "× average",
    "customer_identity__age": "age",
    "merchant_risk__decline_rate_30d": "declines",
}


def run(root: Path, transactions: int) -> int:
    """The whole demonstration over the project in ``root``; gives the exit code."""
    began = monotonic()
    console = standard_output()
    with Project.open(root) as project:
        console.print(f"[bold]1. Data[/]  in {_shown(project.data)}")
        data = _generate(project, transactions)
        console.print(f"   {report.generated(data.tables)}\n")

        console.print(f"[bold]2. Materialize[/]  the example project, as of {data.end:%Y-%m-%d %H:%M} UTC")
        outcome = _materialize(project, data)
        _print(report.stores(list(_live(project))))
        console.print(_verdict(outcome))
        if not outcome.ok:
            _print(for_people(outcome))
            return 1

        with FeatureStore(project, purpose=PURPOSE) as store:
            _show(store)
    console.print("\n[bold]6. Look around[/]  make ui          [dim]Dagster's web UI: assets, lineage, checks[/]")
    console.print(
        "                fp canary scan   [dim]is a value of a synthetic customer anywhere but in its source?[/]"
    )
    console.print(f"\n[dim]{monotonic() - began:.0f} s, {_peak_megabytes():,.0f} MB at most[/]")
    return 0


def _show(store: FeatureStore) -> None:
    console = standard_output()
    console.print(
        f"\n[bold]3. Raw personal data[/]  asked for with purpose {PURPOSE}, and refused before any engine sees it"
    )
    try:
        store.sql(RAW_ATTEMPT)
    except GuardError as error:
        _print(report.refusal(RAW_ATTEMPT, error.problems))
    else:
        raise AssertionError("raw personal data were let through")

    console.print("\n[bold]4. Training set[/]  of fraud_model, as known at each payment's time")
    rows = store.training_set(store.sql(SPINE).to_arrow(), ["fraud_model"]).to_arrow()
    _print(report.training_rows(rows, HEADINGS))

    console.print("\n[bold]5. Online vector[/]  of fraud_model, for the newest payment's card")
    entity = _entity(rows)
    store.online("fraud_model", entity)  # opens connections, which a model does once
    _print(report.online_vector(store.online("fraud_model", entity)))


def _generate(project: Project, transactions: int) -> DemoData:
    with _bars() as advance:
        return generate(project.data, transactions=transactions, progress=advance)


def _materialize(project: Project, data: DemoData) -> RunReport:
    first, last = data.end - timedelta(days=PARTITION_DAYS), data.end - timedelta(days=1)
    partition = f"{first:%Y-%m-%d}..{last:%Y-%m-%d}"
    with progress(Screen()) as on_event:
        return materialize(project, partition=partition, as_of=data.end, on_event=on_event)


def _live(project: Project) -> Iterator[report.StoreRows]:
    """What every store holds now."""
    for name, view in project.registry.views.items():
        for asset in assets_of(view):
            if asset.role == "online":
                live = project.online_store(asset.store).publication(name)
                yield report.StoreRows(asset.store, view.domain, name, asset.role, 1, live.rows if live else 0)
            else:
                published = project.warehouse(asset.store).publications(table_of(name))
                rows = sum(each.rows for each in published)
                yield report.StoreRows(asset.store, view.domain, name, asset.role, len(published), rows)


def _verdict(outcome: RunReport) -> str:
    checks = [check for asset in outcome.assets for check in asset.checks]
    passed = sum(check.passed for check in checks)
    failed = len(checks) - passed
    checked = f"checks: {passed} passed, {failed} failed" if checks else "nothing changed, so nothing had to be checked"
    counts = f"{len(outcome.of('published'))} published, {len(outcome.of('up_to_date'))} up to date"
    colour = "green" if outcome.ok else "bold red"
    return f"[{colour}]{len(outcome.assets)} assets[/]: {counts}; [{colour}]{checked}[/]; {outcome.seconds:.0f} s"


def _entity(rows: pa.Table) -> Mapping[str, Any]:
    names = ("card_number", "customer_id", "merchant_id", "device_id", "amount")
    return {name: rows.column(name)[0].as_py() for name in names}


def _print(renderables: Iterator[RenderableType]) -> None:
    console = standard_output()
    for renderable in renderables:
        console.print(renderable)


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar per table that is being written; nothing without a terminal."""
    console = standard_error()
    if not console.is_terminal:
        yield lambda _table, _done, _total: None
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = bars.add_task(table, total=total)
            bars.update(tasks[table], completed=done, total=total)

        yield advance


def _peak_megabytes() -> float:
    """The largest resident set of this process or of one that it started."""
    unit = 1 if sys.platform == "darwin" else 1_024
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(usage) * unit / 1_000_000


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
