"""Names of features: what a view gives, as far as it is known without compiling, and which names cannot be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from feature_platform.errors import Problem, did_you_mean
from feature_platform.registry.codes import DUPLICATE_FEATURE, FEATURE_NAME, RESERVED_NAME, UNKNOWN_FEATURE
from feature_platform.registry.graph import Origin
from feature_platform.registry.sources import RESERVED_PREFIX, TIME_COLUMNS
from feature_platform.specs.durations import Duration
from feature_platform.specs.models import NAME_PATTERN, Aggregation, Entity, FeatureView
from feature_platform.specs.origins import Path

_USABLE: Final = re.compile(NAME_PATTERN)


def feature_names(view: FeatureView) -> tuple[str, ...] | None:
    """The view's features in order; None for an SQL view, whose columns only the compiler knows."""
    if view.form == "sql":
        return None
    return tuple(dict.fromkeys(name for name, _ in _named(view)))


def written_description(view: FeatureView, feature: str) -> str:
    """What the author says of a feature in its contract; of an aggregation that nobody described, what it computes:
    ``sum of amount over 30d, where status = 'approved'``. Empty if nothing is known.
    """
    contract = view.features.get(feature)
    if contract and contract.description:
        return contract.description
    for line in view.aggregations:
        for window in line.windows:
            if line.feature_name(window) == feature:
                return line.description or _computed(line, window)
    return ""


def _computed(line: Aggregation, window: Duration) -> str:
    of = f" of {line.column}" if line.column else ""
    ended = f", ending {line.offset} before" if line.offset else ""
    where = f", where {line.where}" if line.where else ""
    return f"{line.function}{of} over {window}{ended}{where}"


def _named(view: FeatureView) -> Iterator[tuple[str, Path]]:
    """Every feature and what it is named after in the document."""
    for number, line in enumerate(view.aggregations):
        for window in line.windows:
            yield line.feature_name(window), ("aggregations", number, "name" if line.name else "function")
    for number, feature in enumerate(view.derived):
        yield feature.name, ("derived", number, "name")


def check_features(view: FeatureView, origin: Origin, entity: Entity | None) -> Iterator[Problem]:
    """Names of the view, its features, and its contract."""
    if "__" in view.name or view.name.endswith("_"):
        yield RESERVED_NAME.problem(
            "`__` stands between view and feature in training sets, so no view has it in its name or ends in `_`",
            mend="Rename the view.",
            where=origin.where("name"),
        )
    taken = dict.fromkeys(TIME_COLUMNS, "a column that every view has")
    taken |= {key.name.lower(): "a key of the entity" for key in (entity.keys if entity else ())}
    for name in view.request:
        yield from _check_name(name, origin, ("request", name), taken, at_key=True)
        taken.setdefault(name.lower(), "a value of the request")
    for name, path in _named(view):
        yield from _check_name(name, origin, path, taken)
        if not _USABLE.fullmatch(name):
            yield FEATURE_NAME.problem(
                f"the feature would be named '{name[:80]}'",
                mend="Give a `name:` in lower-case letters, digits and `_`, below 64 characters with its window.",
                where=origin.where(*path),
            )
        taken.setdefault(name.lower(), "another feature of the view")
    yield from _check_contract(view, origin, entity)


def _check_name(
    name: str, origin: Origin, path: Path, taken: dict[str, str], *, at_key: bool = False
) -> Iterator[Problem]:
    reserved, holder = name.lower().startswith(RESERVED_PREFIX), taken.get(name.lower())
    if not reserved and holder is None:
        return
    where = origin.where_key(*path) if at_key else origin.where(*path)
    if reserved:
        yield RESERVED_NAME.problem(
            f"'{name}' begins with `{RESERVED_PREFIX}`, which the platform keeps for itself",
            mend="Rename it.",
            where=where,
        )
    if holder is not None:
        yield DUPLICATE_FEATURE.problem(
            f"'{name}' is the name of {holder} already",
            mend="Give it another `name:`." if not at_key else "Rename it.",
            where=where,
        )


def _check_contract(view: FeatureView, origin: Origin, entity: Entity | None) -> Iterator[Problem]:
    known = feature_names(view)
    no_features = {*TIME_COLUMNS, *(key.name for key in (entity.keys if entity else ()))}
    for name in view.features:
        if known is None and name not in no_features:
            continue
        if known is None or name not in known:
            hint = did_you_mean(name, known or ())
            listed = f"Its features are {', '.join(known)}." if known and len(known) <= 12 else "Mend the name."
            yield UNKNOWN_FEATURE.problem(
                f"the view has no feature '{name}'", mend=listed + hint, where=origin.where_key("features", name)
            )
