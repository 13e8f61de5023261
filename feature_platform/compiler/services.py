"""Feature services: stars spelled out, features found, every label held against the one purpose of the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from feature_platform.compiler.codes import COMBINATION, SERVICE_FEATURE, SERVICE_LABEL
from feature_platform.compiler.origins import Origins, together
from feature_platform.compiler.plan import COMPILER_VERSION, CompiledService, CompiledView
from feature_platform.errors import CompileError, Problem, did_you_mean
from feature_platform.governance.access import Access
from feature_platform.governance.combinations import refused_combinations
from feature_platform.registry.fingerprint import digest
from feature_platform.registry.graph import LinkedService, Registry


def compile_service(
    service: LinkedService, registry: Registry, compiled: Mapping[str, CompiledView], author: Access
) -> CompiledService:
    """The compiled form of a service.

    Raises:
        CompileError: a feature does not exist, or carries a label that the purpose may not have.
    """
    spec = service.spec
    features = tuple(dict.fromkeys(_spelled_out(service, compiled)))
    check = _Check(service, Origins(registry, compiled), author.with_purposes([spec.purpose]))
    problems = [problem for view, feature in features for problem in check.feature(view, feature)]
    problems = problems or list(check.together(features))
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
    origins: Origins
    access: Access

    def feature(self, view: str, feature: str) -> Iterator[Problem]:
        spec = self.service.spec
        where = self.service.origin.where("features", _line(self.service, view, feature))
        compiled = self.origins.compiled[view]
        known = compiled.feature(feature)
        if known is None:
            names = [other.name for other in compiled.features]
            yield SERVICE_FEATURE.problem(
                f"view '{view}' has no feature '{feature}'.{did_you_mean(feature, names)}",
                mend=f"its features are {', '.join(names[:30])}",
                where=where,
            )
            return
        for refusal in self.access.refuses(known.column.labels):
            origin = next(
                (ref for ref, of in self.origins.of(known.column) if of == refusal.label.classification), None
            )
            source = f" (from {origin})" if origin is not None else ""
            yield SERVICE_LABEL.problem(
                f"feature '{view}:{feature}' carries {refusal.label}{source}, which is not allowed for purpose "
                f"'{spec.purpose}': {refusal.decision.cited}",
                mend="leave the feature out, or ask the policy's owner for a rule for this purpose",
                where=where,
            )
        for origin, classification, decision in self.origins.closed(known.column, self.access):
            yield SERVICE_LABEL.problem(
                f"feature '{view}:{feature}' depends on {origin} ({classification}), of which nothing is open for "
                f"purpose '{spec.purpose}': {decision.cited}",
                mend="leave the feature out, or ask the policy's owner for a rule for this purpose",
                where=where,
            )

    def together(self, features: Sequence[tuple[str, str]]) -> Iterator[Problem]:
        """Keys that the purpose may not have, and forms of one class that may not stand together."""
        where = self.service.origin.where("features")
        compiled = [(self.origins.compiled[view], feature) for view, feature in features]
        labels = together(
            ((view, known) for view, feature in compiled if (known := view.feature(feature))), self.origins.registry
        )
        for refusal in self.access.refuses(labels):
            yield SERVICE_LABEL.problem(
                f"its features are known by a key that is {refusal}",
                mend="leave out the features of that entity, or ask the policy's owner for a rule for this purpose",
                where=where,
            )
        for found in refused_combinations(labels, self.access):
            yield COMBINATION.problem(f"service '{self.service.spec.name}': {found.what}", mend=found.mend, where=where)


def _line(service: LinkedService, view: str, feature: str) -> int:
    """Index of the line of ``features`` that asks for a feature."""
    written = service.spec.features
    return next((index for index, line in enumerate(written) if line in (f"{view}:{feature}", f"{view}:*")), 0)
