"""Generates ``yaml.md``, the reference page of what a team writes, from the models.

``python -m feature_platform.specs.reference docs/reference`` writes it; a test holds the page in the repository to what
would be written.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from feature_platform.specs.durations import Duration
from feature_platform.specs.examples import EXAMPLES
from feature_platform.specs.messages import PATTERN_WORDS
from feature_platform.specs.models import COLUMN_PATTERN, KINDS, NAME_PATTERN, Window
from feature_platform.types import DataType


def yaml_page() -> str:
    """The page on what a team writes, as Markdown."""
    lines = [
        "# YAML reference",
        "",
        "Generated from `feature_platform/specs/models.py` by `make docs`; do not edit.",
        "",
        "Several documents per file, separated by `---`, as YAML (`.yaml`, `.yml`) or JSON (`.json`: one document or a",
        "list), in any folder of the project. Hidden files and folders do not count, nor does JSON of other programs,",
        "in which no document has a `kind`. Only `true` and `false` are booleans; times are UTC; a duration is a whole",
        "number and one of `s m h d w`, such as `30d`.",
        "",
        f"A *name* is {PATTERN_WORDS[NAME_PATTERN]}. A *column* is {PATTERN_WORDS[COLUMN_PATTERN]}.",
        "",
        "Kinds: " + ", ".join(f"[`{kind}`](#{kind})" for kind in EXAMPLES) + ".",
    ]
    for kind, example in EXAMPLES.items():
        lines += _kind_section(kind, KINDS[kind], example)
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Writes the page into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "yaml.md").write_text(yaml_page(), encoding="utf-8")


def _kind_section(kind: str, model: type[BaseModel], example: str) -> Iterator[str]:
    yield from ("", f"## {kind}", "", _doc(model), "", "```yaml", example.rstrip(), "```", "")
    yield from _table(model)
    for part in _parts(model):
        yield from ("", f"### {_part_title(part)}", "", _doc(part), "")
        yield from _table(part)


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| field | type | default | |"
    yield "|---|---|---|---|"
    for name, field in sorted(model.model_fields.items(), key=lambda item: not _tells_kind(item[1])):
        cells = (f"`{name}`", _type_words(field.annotation, field.metadata), _default(field), field.description or "")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _tells_kind(field: FieldInfo) -> bool:
    return field.is_required() and get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def _parts(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Models inside ``model``, each once, outer ones first."""
    found: list[type[BaseModel]] = []
    for field in model.model_fields.values():
        for part in _models_in(field.annotation):
            found += [inner for inner in (part, *_parts(part)) if inner not in found]
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _part_title(model: type[BaseModel]) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in model.__name__).strip()
    return words.replace("duck d b delta", "duckdb_delta")


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is PydanticUndefined or value is None or value in ((), ""):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type_words(annotation: Any, metadata: Any = ()) -> str:
    pattern = next((found for item in metadata if (found := getattr(item, "pattern", None))), None)
    if pattern is not None:
        return {NAME_PATTERN: "name", COLUMN_PATTERN: "column"}.get(pattern, PATTERN_WORDS[pattern])
    if annotation == get_args(Window)[0] and any(item in get_args(Window)[1:] for item in metadata):
        return "duration or `all`"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [item for part in arguments[1:] for item in (part.metadata if isinstance(part, FieldInfo) else (part,))]
        return _type_words(arguments[0], inner)
    if origin in (Union, types.UnionType):
        ordered = sorted(arguments, key=_is_list)
        choices = dict.fromkeys(_type_words(choice) for choice in ordered if choice is not type(None))
        return "a number" if set(choices) == {"a whole number", "a number"} else " or ".join(choices)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return f"list of: {_type_words(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type_words(arguments[0])} → {_type_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        title = _part_title(annotation)
        return f"[{title}](#{title.replace(' ', '-')})"
    return _SCALARS[annotation]


def _is_list(annotation: Any) -> bool:
    origin: Any = get_origin(annotation)
    return origin is tuple


_SCALARS: Final[dict[Any, str]] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "`true` or `false`",
    DataType: "`boolean`, `int`, `bigint`, `double`, `decimal(p,s)`, `string`, `date`, `timestamp`, `array<…>`, "
    "`map<…, …>`",
    Duration: "duration",
    date: "day, such as 2026-01-31",
    datetime: "date or time, such as 2026-01-31 or 2026-01-31T06:00:00",
}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m feature_platform.specs.reference FOLDER")
    main(Path(sys.argv[1]))
