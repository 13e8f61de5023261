"""Feature services: stars spelled out, features found, every label held against the one purpose of the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from feature_platform.compiler.codes import SERVICE_FEATURE, SERVICE_LABEL
from feature_platform.compiler.plan import COMPILER_VERSION, CompiledService, CompiledView, OutputColumn
from feature_platform.errors import CompileError, Problem, did_you_mean
from feature_platform.governance.access import Access
from feature_platform.registry.fingerprint import digest
from feature_platform.registry.graph import ColumnRef, LinkedService, Registry


def compile_service(
    service: LinkedService, registry: Registry, compiled: Mapping[str, CompiledView], author: Access
) -> CompiledService:
    """The compiled form of a service.

    Raises:
        CompileError: a feature does not exist, or carries a label that the purpose may not have.
    """
    spec = service.spec
    features = tuple(dict.fromkeys(_spelled_out(service, compiled)))
    check = _Check(service, registry, compiled, author.with_purposes([spec.purpose]))
    problems = [problem for view, feature in features for problem in check.feature(view, feature)]
    if problems:
        raise CompileError(problems)
    views = sorted({view for view, _ in features})
    fingerprint = digest(
        [
            COMPILER_VERSION,
            spec.name,
            spec.version,
            spec.purpose,
            features,
            [compiled[view].fingerprint for view in views],
        ]
    )
    return CompiledService(spec.name, spec.version, spec.purpose, features, fingerprint)


def _spelled_out(service: LinkedService, compiled: Mapping[str, CompiledView]) -> Iterator[tuple[str, str]]:
    for view, feature in service.features:
        if feature == "*":
            yield from ((view, known.name) for known in compiled[view].features)
        else:
            yield view, feature


@dataclass(frozen=True)
class _Check:
    """Holds the features of one service against what is compiled and allowed."""

    service: LinkedService
    registry: Registry
    compiled: Mapping[str, CompiledView]
    access: Access

    def feature(self, view: str, feature: str) -> Iterator[Problem]:
        spec = self.service.spec
        where = self.service.origin.where("features", _line(self.service, view, feature))
        known = self.compiled[view].feature(feature)
        if known is None:
            names = [other.name for other in self.compiled[view].features]
            yield SERVICE_FEATURE.problem(
                f"view '{view}' has no feature '{feature}'.{did_you_mean(feature, names)}",
                mend=f"its features are {', '.join(names[:30])}",
                where=where,
            )
            return
        for refusal in self.access.refuses(known.column.labels):
            origin = label_origin(known.column, refusal.label.classification, self.registry, self.compiled)
            source = f" (from {origin})" if origin is not None else ""
            yield SERVICE_LABEL.problem(
                f"feature '{view}:{feature}' carries {refusal.label}{source}, which is not allowed for purpose "
                f"'{spec.purpose}': {refusal.decision.cited}",
                mend="leave the feature out, or ask the policy's owner for a rule for this purpose",
                where=where,
            )


def label_origin(
    column: OutputColumn, classification: str, registry: Registry, compiled: Mapping[str, CompiledView]
) -> ColumnRef | None:
    """The classified source column, at whatever distance, that a label of ``column`` comes from."""
    stack, seen = sorted(column.indirect, reverse=True) + sorted(column.direct, reverse=True), set[ColumnRef]()
    while stack:
        ref = stack.pop()
        if ref in seen:
            continue
        seen.add(ref)
        if ref.table.kind == "source":
            declared = registry.sources[ref.table.name].spec.columns.get(ref.column)
            if declared is not None and declared.pii == classification:
                return ref
            continue
        view = compiled[ref.table.name]
        columns = (
            view.materialize.columns if view.materialize is not None else tuple(known.column for known in view.features)
        )
        for other in columns:
            if other.name == ref.column:
                stack.extend(sorted(other.indirect, reverse=True) + sorted(other.direct, reverse=True))
    return None


def _line(service: LinkedService, view: str, feature: str) -> int:
    """Index of the line of ``features`` that asks for a feature."""
    written = service.spec.features
    return next((index for index, line in enumerate(written) if line in (f"{view}:{feature}", f"{view}:*")), 0)
