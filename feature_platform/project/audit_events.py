"""Compiled views, guarded queries, features and checks as parts of audit events: names, labels, classes, counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from feature_platform.compiler.plan import COMPILER_VERSION
from feature_platform.governance.audit.event import Column, Decision, Event
from feature_platform.governance.labels import CLEAN, Labels, describe

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.compiler.guard import GuardedQuery
    from feature_platform.compiler.plan import AppliedRule, CompiledProject, CompiledView, Feature, OutputColumn
    from feature_platform.governance.audit.trail import AuditTrail
    from feature_platform.monitoring.outcome import CheckOutcome

__all__ = ["COMPILER_VERSION"]


def outcomes(compiled: CompiledProject, policy_hash: str) -> dict[str, str]:
    """What compilation came to, by ``view:name`` and ``service:name``."""
    after = f"{policy_hash[:32]}:{COMPILER_VERSION}"
    views = {f"view:{name}": f"{view.fingerprint}:{after}" for name, view in compiled.views.items()}
    return views | {f"service:{name}": f"{each.fingerprint}:{after}" for name, each in compiled.services.items()}


def compiled(trail: AuditTrail, project: CompiledProject, subject: str) -> Event:
    """The event of one view or service that compiled."""
    event = trail.event("compile", subject)
    kind, _, name = subject.partition(":")
    if kind == "view":
        view = project.views[name]
        query = view.materialize or view.derive
        digest = trail.keys.sql_digest("\0".join(query.sql[engine] for engine in sorted(query.sql))) if query else ""
        return replace(of_view(event, view, ()), sql_after=digest)
    service = project.services[name]
    features = []
    for view_name, feature_name in service.features:
        feature = project.views[view_name].feature(feature_name)
        assert feature is not None
        features.append((project.views[view_name], feature))
    event = replace(event, fingerprint=service.fingerprint, purposes=(service.purpose,))
    return of_features(event, features, fingerprint=service.fingerprint)


def of_view(event: Event, view: CompiledView, purposes: Sequence[str]) -> Event:
    """With the columns, inputs and rules of a view."""
    query = view.materialize or view.derive
    assert query is not None
    columns = [_column(column.name, column, query.rules) for column in query.columns]
    return _with_columns(
        replace(
            event,
            fingerprint=view.fingerprint,
            purposes=tuple(purposes) or event.purposes,
            inputs=tuple(map(str, view.reads)),
            rules=_rules(query.rules),
        ),
        columns,
        [column.labels for column in query.columns],
        {transform for column in query.columns for transform in column.transforms},
    )


def of_query(event: Event, guarded: GuardedQuery) -> Event:
    """With the columns, inputs and rules of somebody's query.

    Names that the author chose are left out: an alias can hold anything. A column is known by its place.
    """
    columns = [
        _column(f"column_{place}", column, guarded.rules) for place, column in enumerate(guarded.columns, start=1)
    ]
    return _with_columns(
        replace(event, inputs=tuple(map(str, guarded.reads)), rules=_rules(guarded.rules)),
        columns,
        [column.labels for column in guarded.columns],
        guarded.transforms,
    )


def of_features(event: Event, features: Sequence[tuple[CompiledView, Feature]], *, fingerprint: str = "") -> Event:
    """With the features that somebody gets."""
    columns = [_column(f"{view.name}:{feature.name}", feature.column, ()) for view, feature in features]
    views = {view.name: view.fingerprint for view, _ in features}
    return _with_columns(
        replace(
            event, fingerprint=fingerprint, inputs=tuple(f"view:{name}@{mark[:12]}" for name, mark in views.items())
        ),
        columns,
        [feature.column.labels for _, feature in features],
        {transform for _, feature in features for transform in feature.column.transforms},
    )


def of_kept(event: Event, features: Sequence[str], labels: Mapping[str, str]) -> Event:
    """With the features of a kept training set; ``labels`` as people read them, by column."""
    columns = []
    for name, described in zip(features, labels.values(), strict=True):
        clean = described == describe(CLEAN)
        kept = () if clean else tuple(described.split(" + "))
        columns.append(Column(name=name, decision="allow" if clean else "mask", labels=kept))
    return _with_columns(event, columns, [], ())


def of_checks(event: Event, outcomes: Iterable[CheckOutcome]) -> Event:
    """With the verdict of each check (1 passed, 0 failed) and its whole numbers."""
    counts: dict[str, int] = {}
    blocked = False
    evaluated = False
    for outcome in outcomes:
        evaluated = True
        blocked |= outcome.blocking and not outcome.passed
        counts[outcome.name] = int(outcome.passed)
        counts |= {
            f"{outcome.name}.{name}": value
            for name, value in outcome.metadata.items()
            if type(value) is int and name.isascii()
        }
    return replace(event, decision="deny" if blocked or not evaluated else "allow", counts=counts)


def counted(reader: pa.RecordBatchReader, at_end: Callable[[int], None]) -> pa.RecordBatchReader:
    """The same batches; ``at_end`` hears how many rows went out, also when the reader stops early."""
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        rows = 0
        try:
            with reader:
                for batch in reader:
                    rows += batch.num_rows
                    yield batch
        finally:
            at_end(rows)

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _with_columns(
    event: Event, columns: Sequence[Column], labels: Sequence[Labels], transforms: Iterable[str]
) -> Event:
    masked = any(column.decision == "mask" for column in columns)
    return replace(
        event,
        columns=tuple(columns),
        input_classes=tuple(sorted({label.classification for each in labels for label in each})),
        transforms=tuple(sorted(transforms)),
        decision="mask" if masked and event.decision == "allow" else event.decision,
    )


def _column(name: str, column: OutputColumn, rules: Sequence[AppliedRule]) -> Column:
    decision: Decision = "mask" if column.labels else "allow"
    from_columns = column.direct | column.indirect
    return Column(
        name=name,
        decision=decision,
        labels=tuple(str(label) for label in sorted(column.labels)),
        inputs=tuple(str(ref) for ref in sorted(column.direct)),
        transforms=tuple(sorted(column.transforms)),
        rules=_rules(rule for rule in rules if rule.column in from_columns) if column.labels else (),
    )


def _rules(rules: Iterable[AppliedRule]) -> tuple[str, ...]:
    """``token of email by policy 'privacy' (privacy.yaml:12)``, each once."""
    return tuple(
        dict.fromkeys(
            f"{rule.gives} of {rule.classification} by policy '{rule.policy}' ({rule.where.file}:{rule.where.line})"
            for rule in rules
        )
    )
