"""Feature services: the features that they name exist, and may be used for their purpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from feature_platform.errors import Problem, did_you_mean
from feature_platform.registry.codes import PURPOSE, UNKNOWN_FEATURE
from feature_platform.registry.features import feature_names
from feature_platform.registry.index import Index
from feature_platform.specs.models import FeatureService, FeatureView


def spell_out(service: FeatureService, views: Mapping[str, FeatureView]) -> tuple[tuple[str, str], ...]:
    """(view, feature) in the order written, each once; a star stays a star for SQL views."""
    found: dict[tuple[str, str], None] = {}
    for reference in service.features:
        view, _, feature = reference.partition(":")
        names = feature_names(views[view]) if feature == "*" else (feature,)
        found.update(dict.fromkeys((view, name) for name in names or ("*",)))
    return tuple(found)


def check_service(index: Index, service: FeatureService, purposes: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    """``purposes``: of every view."""
    origin = index.origin(service)
    refused: set[str] = set()
    known_purpose = index.platform is not None and service.purpose in index.platform.purposes
    for number, reference in enumerate(service.features):
        where = origin.where("features", number)
        view_name, _, feature = reference.partition(":")
        yield from index.unknown(view_name, origin, ("features", number), "feature_view")
        view = index.views.get(view_name)
        if view is None:
            continue
        known = feature_names(view)
        if feature != "*" and known is not None and feature not in known:
            listed = f"Its features are {', '.join(known)}." if len(known) <= 12 else "Mend the name."
            yield UNKNOWN_FEATURE.problem(
                f"the view '{view_name}' has no feature '{feature}'",
                mend=listed + did_you_mean(feature, known),
                where=where,
            )
        allowed = purposes.get(view_name)
        if allowed is not None and known_purpose and service.purpose not in allowed and view_name not in refused:
            refused.add(view_name)
            yield PURPOSE.problem(
                f"the service is for {service.purpose}, the view '{view_name}' for {', '.join(allowed) or 'nothing'}",
                mend=f"Leave the view out, or have its owner add {service.purpose} to its `purposes`, and to those of "
                "the views it is built on.",
                where=where,
            )
