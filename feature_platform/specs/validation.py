"""Turns raw documents into specs, and pydantic's errors into problems in the author's words.

What pydantic reports is a list of (path, error type, context). Paths through a union also name the branch that was
tried; those parts are no fields of the document, and the branches that failed for their type alone are noise once
another branch fits better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from feature_platform.errors import Problem, did_you_mean
from feature_platform.specs.codes import EMPTY, NO_KIND, NOT_A_MAPPING, UNKNOWN_KIND
from feature_platform.specs.messages import TYPE_WORDS, Fault, explain, wrong_type
from feature_platform.specs.models import KINDS, AnySpec
from feature_platform.specs.origins import Origin, Path
from feature_platform.specs.raw import RawDocument


def validate(raw: RawDocument) -> tuple[AnySpec | None, list[Problem]]:
    """The spec, or None and what is wrong with the document."""
    origin = raw.origin
    fields = raw.value
    if fields is None and raw.sound:
        mend = "Remove the `---` that begins it, or write the definition."
        return None, [EMPTY.problem("the document is empty", mend=mend, where=origin.location)]
    if not isinstance(fields, dict):
        return None, _not_a_mapping(raw)
    model = KINDS.get(kind) if isinstance(kind := fields.get("kind"), str) else None
    if model is None:
        return None, [_wrong_kind(fields, origin)]
    try:
        return model.model_validate(fields), []
    except ValidationError as error:
        problems = _problems(error, model, fields, origin)
        return None, [problem for path, problem in problems if not _doubtful(path, raw)]


def _not_a_mapping(raw: RawDocument) -> list[Problem]:
    if not raw.sound:  # whatever broke it has been reported
        return []
    mend = "Begin the document with `kind: …`, one field per line; put a space behind each `:`."
    return [NOT_A_MAPPING.problem("a document is a mapping of fields", mend=mend, where=raw.origin.where())]


def _wrong_kind(fields: Mapping[str, Any], origin: Origin) -> Problem:
    kinds = ", ".join(KINDS)
    if "kind" not in fields:
        near = next((name for name in fields if name.lower() == "kind"), None)
        hint = f" It is written in lower case, not `{near}`." if near else ""
        return NO_KIND.problem(
            "`kind` is missing",
            mend=f"Add `kind:` with one of {kinds}.{hint} Keep other files outside.",
            where=origin.location,
        )
    kind = fields["kind"]
    where = origin.where("kind")
    if not isinstance(kind, str):
        return UNKNOWN_KIND.problem("`kind` is not text", mend=f"Use one of {kinds}.", where=where)
    return UNKNOWN_KIND.problem(
        f"there is no kind '{kind[:60]}'", mend=f"Use one of {kinds}.{did_you_mean(kind, KINDS)}", where=where
    )


@dataclass(frozen=True)
class _Place:
    """Where in the document an error of pydantic's is."""

    path: Path
    """Fields and indexes that are there."""
    union: Path | None
    """The value whose type is a union, if the error comes from one branch of it."""
    is_key: bool
    value: Any


def _doubtful(path: Path, raw: RawDocument) -> bool:
    """Whether reading has reported what is wrong here; what stands there now is not the author's."""
    return any(path and path[: len(other)] == other[: len(path)] for other in raw.doubtful)


def _problems(
    error: ValidationError, model: type[AnySpec], fields: Any, origin: Origin
) -> Iterator[tuple[Path, Problem]]:
    located = [
        (details, _place(fields, details["loc"], details["type"])) for details in error.errors(include_url=False)
    ]
    fitting = {
        place.union for details, place in located if place.union is not None and details["type"] not in TYPE_WORDS
    }
    expected: dict[Path, list[str]] = {}
    for details, place in located:
        if place.union is not None and details["type"] in TYPE_WORDS:
            if place.union not in fitting:
                words = expected.setdefault(place.union, [])
                if (word := TYPE_WORDS[details["type"]]) not in words:
                    words.append(word)
            continue
        if details["type"] == "too_short" and place.value:
            continue  # pydantic counts entries that are wrong in themselves as absent
        yield place.path, _problem(explain(details, model, place.path, place.value), place, origin)
    for path, words in expected.items():
        value = _value_at(fields, path)
        yield path, _problem(wrong_type(path, words, value), _Place(path, None, False, value), origin)


def _problem(fault: Fault, place: _Place, origin: Origin) -> Problem:
    path = (*place.path, *fault.inside)
    where = origin.where_key(*path) if place.is_key or fault.at_key else origin.where(*path)
    return fault.code.problem(fault.what, mend=fault.mend, where=where)


def _place(fields: Any, loc: tuple[int | str, ...], error_type: str) -> _Place:
    at: Any = fields
    path: list[str | int] = []
    union: Path | None = None
    is_key = False
    parts = loc[:-1] if error_type == "missing" else loc
    for part in parts:
        if _has(at, part):
            path.append(part)
            at = at[part]
        elif part == "[key]":
            is_key = True
        elif not _is_store_tag(at, part):
            union = tuple(path)
    return _Place(tuple(path), union, is_key, at)


def _has(value: Any, part: int | str) -> bool:
    """Whether ``part`` leads further into the document; else it names a branch of a union."""
    if isinstance(value, dict):
        return part in value
    return isinstance(value, tuple) and isinstance(part, int)


def _is_store_tag(at: Any, part: int | str) -> bool:
    """A branch that the document itself chose by its ``type`` is the only one tried: nothing to reconcile."""
    return isinstance(at, dict) and at.get("type") == part


def _value_at(fields: Any, path: Path) -> Any:
    for part in path:
        fields = fields[part]
    return fields
