"""What is wrong with a value and how to mend it, in the author's words: from pydantic's error types to sentences."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from feature_platform.errors import Code, did_you_mean
from feature_platform.specs import models
from feature_platform.specs.codes import CONTRADICTION, MISSING_FIELD, UNKNOWN_FIELD, WRONG_TYPE, WRONG_VALUE
from feature_platform.specs.origins import Path


@dataclass(frozen=True)
class Fault:
    """A problem before it has a place."""

    code: Code
    what: str
    mend: str
    at_key: bool = False
    """Whether the field's name is wrong, not its value."""
    inside: Path = ()
    """Where in the value that pydantic complains about."""


TYPE_WORDS: Final[Mapping[str, str]] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "datetime_type": "a date or time such as 2026-01-31 or 2026-01-31T06:00:00",
    "none_required": "null",
}
"""Error types that mean "of another type", and what the field wants."""

PATTERN_WORDS: Final[Mapping[str, str]] = {
    models.NAME_PATTERN: "lower-case letters, digits and `_`, a letter first, at most 63",
    models.COLUMN_PATTERN: "letters, digits and `_`, no digit first, at most 127",
    models.OWNER_PATTERN: "`team:<name>` or an e-mail address",
    models.FEATURE_PATTERN: "`view:feature` or `view:*`",
    models.SCHEDULE_PATTERN: "`@hourly`, `@daily`, `@weekly`, `@monthly` or five cron fields",
    models.TABLE_PATTERN: "`table` or `schema.table`, in letters, digits and `_`",
    models.VARIABLE_PATTERN: "the name of an environment variable, in capitals, digits and `_`, not its value",
    models.PLUGIN_PATTERN: "the name of an entry point, or `module:function`",
    models.DIGEST_PATTERN: "16 hexadecimal digits",
    models.MEMORY_PATTERN: "a number with MB or GB, such as 512MB",
}
"""What each pattern of the models asks for. A test holds the list complete."""


def explain(details: ErrorDetails, model: type[BaseModel], path: Path, value: Any) -> Fault:
    """One error of pydantic's. ``path`` leads to ``value`` in the document."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in TYPE_WORDS:
        return wrong_type(path, (TYPE_WORDS[kind],), value)
    if kind == "extra_forbidden":
        return _unknown_field(str(details["loc"][-1]), tuple(_models_at(model, details["loc"][:-1])), model)
    if kind == "missing":
        return _missing(str(details["loc"][-1]), path)
    if kind in ("fault", "contradiction"):
        return _own(kind, context)
    if kind == "literal_error":
        return _not_listed(path, re.findall(r"'([^']*)'", str(context["expected"])), value)
    if kind == "union_tag_invalid":
        fault = _not_listed((*path, "type"), re.findall(r"'([^']*)'", str(context["expected_tags"])), value["type"])
        return Fault(fault.code, fault.what, fault.mend, inside=("type",))
    if kind == "union_tag_not_found":
        return _missing("type", path)
    if kind == "string_pattern_mismatch":
        wanted = PATTERN_WORDS[context["pattern"]]
        return Fault(WRONG_VALUE, f"{_named(path)}{_shown(path, value)} is not allowed", f"Write {wanted}.")
    return _out_of_range(kind, context, path, value, details["msg"])


def wrong_type(path: Path, wanted: Sequence[str], value: Any) -> Fault:
    """A value of another type than any that the field takes."""
    mend = f"Write {' or '.join(wanted)}."
    if "`true` or `false`" in wanted and isinstance(value, str):
        mend += " Other words (`yes`, `on`, `True`) and quoted ones are text."
    elif "text" in wanted and isinstance(value, int | float):
        mend += " Quote it if it is meant as text."
    elif "a list" in wanted and isinstance(value, str):
        mend += " A list is written `[a, b]`."
    return Fault(WRONG_TYPE, f"{_named(path)}wants {' or '.join(wanted)}, not {_described(path, value)}", mend)


def _unknown_field(name: str, at: tuple[type[BaseModel], ...], top: type[BaseModel]) -> Fault:
    known = [field for model in at for field in model.model_fields]
    hint = did_you_mean(name, known)
    if not hint:
        homes = [home for home, field in top.model_fields.items() if _has(field.annotation, name)]
        hint = f" It is a field of `{homes[0]}`." if homes else ""
    if " " in name:
        hint = " If it is the rest of a text in braces, quote that text: a comma ends it otherwise."
    listed = ", ".join(known)
    return Fault(
        UNKNOWN_FIELD, f"there is no field `{name[:60]}` here", f"Remove it, or use one of {listed}.{hint}", at_key=True
    )


def _missing(name: str, path: Path) -> Fault:
    home = f" of `{_dotted(path)}`" if path else ""
    return Fault(MISSING_FIELD, f"the field `{name}`{home} is missing", f"Add `{name}:`.", at_key=True)


def _own(kind: str, context: Mapping[str, Any]) -> Fault:
    """A problem that the models themselves have worded."""
    code = CONTRADICTION if kind == "contradiction" else WRONG_VALUE
    field = context.get("field")
    return Fault(code, context["what"], context["mend"], at_key=field is not None, inside=(field,) if field else ())


def _not_listed(path: Path, allowed: Sequence[str], value: Any) -> Fault:
    hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
    return Fault(
        WRONG_VALUE, f"{_named(path)}{_shown(path, value)} is not allowed", f"Use one of {', '.join(allowed)}.{hint}"
    )


def _out_of_range(kind: str, context: Mapping[str, Any], path: Path, value: Any, said: str) -> Fault:
    bounds = {
        "greater_than_equal": ("ge", "at least"),
        "greater_than": ("gt", "more than"),
        "less_than_equal": ("le", "at most"),
        "less_than": ("lt", "less than"),
    }
    if kind in bounds:
        limit, words = bounds[kind]
        bound = f"{context[limit]:g}"
        return Fault(WRONG_VALUE, f"{_named(path)}{value} is out of range", f"Write a number of {words} {bound}.")
    if kind in ("too_short", "string_too_short"):
        return Fault(WRONG_VALUE, f"{_named(path)}must not be empty", "Write at least one entry, or text.")
    return Fault(WRONG_VALUE, f"{_named(path)}is not allowed: {said}", "Write a value that the field allows.")


def _named(path: Path) -> str:
    return f"`{_dotted(path)}`: " if path else ""


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _described(path: Path, value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean `{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {_shown(path, value)}"
    return "a mapping" if isinstance(value, dict) else "a list"


def _shown(path: Path, value: Any) -> str:
    """The value, if it is short and cannot be a secret that was pasted where a variable's name belongs."""
    if not isinstance(value, str):
        return _described(path, value)
    secret = any(isinstance(part, str) and part.endswith("_env") for part in path) or "://" in value
    if secret or len(value) > 40:
        return f"with {len(value)} characters"
    return f"'{value}'"


def _models_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> Iterator[type[BaseModel]]:
    """The models that may stand at ``loc``, which may name branches of unions."""
    here: list[Any] = [model]
    for part in loc:
        step = [inner for annotation in here for choice in _choices(annotation) for inner in _step(choice, part)]
        tagged = [choice for annotation in here for choice in _choices(annotation) if _tag(choice) == part]
        here = step or tagged or here
    return (choice for annotation in here for choice in _choices(annotation) if _is_model(choice))


def _step(annotation: Any, part: int | str) -> Iterator[Any]:
    if _is_model(annotation):
        if part in annotation.model_fields:
            yield annotation.model_fields[part].annotation
    elif get_origin(annotation) is tuple and isinstance(part, int):
        yield get_args(annotation)[0]
    elif get_origin(annotation) is dict:
        yield get_args(annotation)[1]


def _choices(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _choices(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for choice in get_args(annotation):
            yield from _choices(choice)
    else:
        yield annotation


def _tag(annotation: Any) -> str | None:
    if not _is_model(annotation) or "type" not in annotation.model_fields:
        return None
    tag = annotation.model_fields["type"].annotation
    return str(get_args(tag)[0]) if get_origin(tag) is Literal else None


def _has(annotation: Any, name: str) -> bool:
    return any(_is_model(choice) and name in choice.model_fields for choice in _choices(annotation))


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
