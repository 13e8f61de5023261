"""Checks of entities and sources, each in itself: keys, time columns, names that engines cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterator

from feature_platform.errors import Problem, did_you_mean
from feature_platform.registry.codes import (
    COLUMN_TYPE,
    DUPLICATE_COLUMN,
    RESERVED_NAME,
    UNKNOWN_COLUMN,
)
from feature_platform.registry.graph import Origin
from feature_platform.specs.models import Entity, Source
from feature_platform.specs.origins import Path

TIME_COLUMNS = ("event_time", "available_at")
RESERVED_PREFIX = "fp_"


def check_entity(entity: Entity, origin: Origin) -> Iterator[Problem]:
    """Key columns can stand beside the columns that every view has, and can be compared exactly."""
    seen: set[str] = set()
    for number, key in enumerate(entity.keys):
        where = origin.where("keys", number, "name")
        if is_reserved(key.name):
            yield RESERVED_NAME.problem(
                f"the key column '{key.name}' has a reserved name", mend="Rename it.", where=where
            )
        if key.name.lower() in seen:
            yield DUPLICATE_COLUMN.problem(
                f"the key column '{key.name}' is there twice", mend="Remove one of the two.", where=where
            )
        seen.add(key.name.lower())
        if key.type.kind == "double" or key.type.is_nested:
            yield COLUMN_TYPE.problem(
                f"a key cannot be of type {key.type}: its values cannot be compared exactly",
                mend="Use an integer, decimal, string, date or timestamp.",
                where=origin.where("keys", number, "type"),
            )


def check_source(source: Source, origin: Origin) -> Iterator[Problem]:
    """Named columns exist, time columns hold times, no two columns differ by case only."""
    for role in TIME_COLUMNS:
        name = getattr(source, role)
        if name is None:
            continue
        yield from unknown_column(source, name, origin, (role,))
        column = source.columns.get(name)
        if column is not None and not column.type.is_temporal:
            yield COLUMN_TYPE.problem(
                f"`{role}` names '{name}', which is of type {column.type}",
                mend="Name a column of type timestamp or date.",
                where=origin.where(role),
            )
    for number, name in enumerate(source.key):
        yield from unknown_column(source, name, origin, ("key", number))
    seen: dict[str, str] = {}
    for name in source.columns:
        if (other := seen.setdefault(name.lower(), name)) != name:
            yield DUPLICATE_COLUMN.problem(
                f"'{name}' and '{other}' differ by case only",
                mend="Declare one of them, or rename one in the table.",
                where=origin.where_key("columns", name),
            )


def unknown_column(source: Source, name: str, origin: Origin, path: Path) -> Iterator[Problem]:
    """The problem that ``source`` has no column ``name``; nothing if it has."""
    if name not in source.columns:
        listed = ", ".join(list(source.columns)[:12]) + (", …" if len(source.columns) > 12 else "")
        yield UNKNOWN_COLUMN.problem(
            f"the source '{source.name}' has no column '{name}'",
            mend=f"Use one of {listed}.{did_you_mean(name, source.columns)}",
            where=origin.where(*path),
        )


def is_reserved(name: str) -> bool:
    """Whether the platform uses the column name itself."""
    return name.lower() in TIME_COLUMNS or name.lower().startswith(RESERVED_PREFIX)
