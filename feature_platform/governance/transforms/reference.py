"""Generates ``transforms.md``, the reference page of the catalogue.

``python -m feature_platform.governance.transforms.reference docs/reference`` writes it; a test holds the page in the
repository to what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from feature_platform.governance.canonical import CANONICAL
from feature_platform.governance.transforms.catalogue import TRANSFORMS
from feature_platform.governance.transforms.transform import Transform

PAGE: Final = "transforms.md"

_LABELS: Final = {
    "token": "`token(class)`",
    "partial": "`partial(class, {name})`",
    "derived": "`derived(class)`",
    "aggregated": "`aggregated(class)`",
}


def transforms_page() -> str:
    """The page as Markdown."""
    lines = [
        "# Governed transforms",
        "",
        "Generated from `feature_platform/governance/transforms` by `make docs`; do not edit.",
        "",
        "The only functions that may read a classified column. The first argument is the column; the others are clean.",
        "All of them give NULL for NULL and for malformed values, never raise, and give the same result in DuckDB,",
        "PostgreSQL and Python. Each has a rendering for Doris too, reviewed as text: no Doris runs in the tests.",
        "A policy names those that it allows: see the [governance guide](../guides/governance.md).",
        "",
        "| transform | reads | gives | label of the result |",
        "|---|---|---|---|",
        *(_row(transform) for transform in TRANSFORMS.values()),
    ]
    for transform in TRANSFORMS.values():
        lines += ["", *_section(transform)]
    return "\n".join(lines) + "\n"


def _row(transform: Transform) -> str:
    label = _LABELS[transform.label].format(name=transform.name)
    return f"| [`{transform.signature}`](#{transform.name}) | {_classes(transform)} | `{transform.result}` | {label} |"


def _section(transform: Transform) -> list[str]:
    kinds = ", ".join(f"`{kind}`" for kind in sorted(transform.column_kinds))
    lines = [f"## {transform.name}", "", transform.description, "", f"* reads columns of type {kinds}"]
    for argument in transform.arguments:
        lines.append(f"* `{argument.name}`: {' or '.join(f'`{kind}`' for kind in sorted(argument.kinds))}")
    lines.append(f"* version {transform.version}")
    if transform.example[0]:
        lines.append(f"* `{transform.example[0]}` → `{transform.example[1]}`")
    return lines


def _classes(transform: Transform) -> str:
    if transform.accepts == frozenset(CANONICAL):
        return "every class"
    return ", ".join(f"`{name}`" for name in sorted(transform.accepts))


def main() -> None:
    """Writes the page into the folder that the first argument names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(transforms_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
