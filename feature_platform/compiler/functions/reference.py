"""Generates ``functions.md``, the reference page of the dialect's functions.

``python -m feature_platform.compiler.functions.reference docs/reference`` writes it; a test holds the page in the
repository to what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from feature_platform.compiler.doris.special import has_form
from feature_platform.compiler.functions import aggregates, duckdb, lists, logic, maps, numbers, texts, times, windows
from feature_platform.compiler.functions.model import (
    ANY,
    ARRAY,
    EXACT,
    NUMBER,
    ORDERED,
    SCALAR,
    TIME,
    WHOLE,
    Function,
    Parameter,
    Signature,
)
from feature_platform.compiler.functions.refused import REFUSED
from feature_platform.types import DataType, Kind

PAGE: Final = "functions.md"

_FAMILIES: Final[Sequence[tuple[str, Sequence[Function]]]] = (
    ("Choosing among values, arrays", logic.FUNCTIONS),
    ("Numbers", numbers.FUNCTIONS),
    ("Texts", texts.FUNCTIONS),
    ("Dates and times", times.FUNCTIONS),
    ("Aggregates", aggregates.FUNCTIONS),
    ("Window functions", windows.FUNCTIONS),
    ("Lists", lists.FUNCTIONS),
    ("Maps and JSON", maps.FUNCTIONS),
    ("DuckDB alone", duckdb.FUNCTIONS),
)
_GROUPS: Final[dict[frozenset[Kind], str]] = {
    ANY: "any type",
    SCALAR: "any type but nested ones",
    ARRAY: "list",
    ORDERED: "numbers, texts, times",
    NUMBER: "numbers",
    EXACT: "integers, decimals",
    WHOLE: "integers",
    TIME: "dates, timestamps",
}

_PARSER_NAMES: Final = {name.replace("_", "") for name in REFUSED if "_" in name} | {
    "readcsv",
    "currenttime",
    "currentdate",
}
"""Names that the parser gives to functions of the list; no author writes them."""

_INTRODUCTION: Final = """\
# Functions

Generated from `feature_platform/compiler/functions` by `make docs`; do not edit.

The functions of the SQL dialect that feature views and ad-hoc queries are written in. The list is closed: what is not
here does not compile. Every function is tested to give the same value, of the same type, on DuckDB and on PostgreSQL,
edges included, unless it says *DuckDB alone*: then ad-hoc queries may use it where DuckDB computes, and feature views
may not. Texts for Doris are made when they are asked for; the last column says which functions have an exact form
there (*in part*: some calls have none, which the error says), see [Doris](../guides/doris.md). Where the table says
*to the last digits*, results are doubles whose last digits depend on the engine's library or order of summation.
Functions that read classified columns are [governed transforms](transforms.md).

## Types of operators

| expression | type |
|---|---|
| `int + - * int`, with `bigint` too | `bigint`; beyond 64 bits the run stops, never wraps |
| `decimal(p,s) + - decimal(q,t)` | scale the greater of `s` and `t`, one digit more than the longer integer part |
| `decimal(p,s) * decimal(q,t)` | `decimal(p+q, s+t)`, at most 38 digits |
| integers with decimals | the integer counts as `decimal(10,0)` or `decimal(19,0)`, a literal by its digits |
| anything with a `double` | `double` |
| `a / b` | `double`; NULL where `b` is zero |
| `a // b` | `bigint`, of integers, towards zero; NULL where `b` is zero |
| `a % b` | integers and decimals, sign of `a`; NULL where `b` is zero |
| `date - date` | `bigint`, days |
| `date + integer` | `date` |
| `date` or `timestamp` `+ - INTERVAL` | `timestamp` |
| CASE, COALESCE, UNION, ... | the smallest number type that holds all; `timestamp` for dates with timestamps |
| `CAST(text AS ...)` | of constants only; use `TRY_CAST`, which gives NULL for what is not plainly of the type |
"""


def functions_page() -> str:
    """The page as Markdown."""
    lines = [_INTRODUCTION.rstrip()]
    for title, functions in _FAMILIES:
        lines += ["", f"## {title}", "", "| function | gives | type | NULL | Doris |", "|---|---|---|---|---|"]
        lines += [_row(function) for function in functions]
    lines += ["", "## Not offered", "", "| functions | why | instead |", "|---|---|---|"]
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, refusal in REFUSED.items():
        if name in _PARSER_NAMES:
            continue
        reasons.setdefault((refusal.why, refusal.mend), []).append(f"`{name}`")
    lines += [f"| {', '.join(names)} | {why} | {mend} |" for (why, mend), names in reasons.items()]
    return "\n".join(lines) + "\n"


def _row(function: Function) -> str:
    calls = " <br> ".join(dict.fromkeys(_call(function, signature) for signature in function.signatures))
    notes = [function.doc]
    if function.aliases:
        notes.append(f"Also `{'`, `'.join(alias.replace('|', chr(92) + '|') for alias in function.aliases)}`.")
    if not any("postgres" in signature.templates for signature in function.signatures):
        notes.append("DuckDB alone.")
    if function.tolerance:
        notes.append("Doubles: to the last digits.")
    types = " <br> ".join(dict.fromkeys(_result(signature) for signature in function.signatures))
    return f"| {calls} | {' '.join(notes)} | {types} | {function.nulls} | {_on_doris(function)} |"


def _on_doris(function: Function) -> str:
    """Whether there is a form on Doris, for all forms of the call or for some."""
    has = [has_form(function.name, signature.key) for signature in function.signatures]
    return "yes" if all(has) else "in part" if any(has) else "–"


def _call(function: Function, signature: Signature) -> str:
    if not function.name.isidentifier():
        name = function.name.replace("|", "\\|")
        parts = [_argument(parameter) for parameter in signature.parameters]
        return f"`{name}{parts[0]}`" if len(parts) == 1 else f"`{parts[0]} {name} {parts[1]}`"
    if function.name == "count" and not signature.parameters:
        return "`count(*)`"
    shown = ", ".join(_argument(parameter) for parameter in signature.parameters)
    over = " OVER (ORDER BY ...)" if function.ordered == "over" else ""
    inside = " ORDER BY ..." if function.ordered == "inside" else ""
    return f"`{function.name}({shown}{inside}){over}`"


def _argument(parameter: Parameter) -> str:
    name = parameter.name.strip("_")
    return f"{name}, ..." if parameter.many else name


def _result(signature: Signature) -> str:
    given = ", ".join(
        "constant" if parameter.constant else _GROUPS.get(parameter.kinds, ", ".join(sorted(parameter.kinds)))
        for parameter in signature.parameters[:1]
    )
    result = f"`{signature.result}`" if isinstance(signature.result, DataType) else signature.shown or "as the input"
    return f"{given} → {result}" if given and given != "constant" else result


def main() -> None:
    """Writes the page into the folder that the first argument names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(functions_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
