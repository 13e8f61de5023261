"""Which engines a guarded query can run on: constructs and functions that only some engines have.

Nearly everything that compiles means the same everywhere. What does not is either rewritten into something that does,
by a pass of its own, or it stands here with the engines that have it. A function is limited by its templates: a
signature without one for an engine has no form there.

>>> from feature_platform.compiler.parse import Places, parse_query
>>> lacking(parse_query("SELECT t.a, u.b FROM t POSITIONAL JOIN u").tree, Places(None, None)).keys()
dict_keys(['postgres'])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from feature_platform.compiler.calls import SIGNATURE
from feature_platform.compiler.codes import NO_FORM
from feature_platform.compiler.functions.catalogue import call_of
from feature_platform.compiler.inference import DUCKDB_ALONE
from feature_platform.compiler.parse import Places
from feature_platform.compiler.report import Report
from feature_platform.compiler.trees import nodes
from feature_platform.errors import Problem
from feature_platform.types import ENGINES, Engine


@dataclass(frozen=True, slots=True)
class Limit:
    """What only ``engines`` can say, and what to write for all of them."""

    what: str
    mend: str
    engines: frozenset[Engine] = frozenset({"duckdb"})


_FLAT: Final = (
    "take the parts out that are needed: tables hold scalars, arrays and maps of scalars, and every engine reads "
    "m['key'] from a column of maps"
)

_LIMIT: Final = "fp_limit"
LIMITED: Final[Mapping[tuple[type[exp.Expr], str, str], Limit]] = {
    (exp.Join, "method", "POSITIONAL"): Limit(
        "a POSITIONAL JOIN", "number the rows of both sides with row_number() and join on the numbers"
    ),
    (exp.ILike, "", ""): Limit("ILIKE", "write lower(text) LIKE 'pattern'"),
    (exp.Glob, "", ""): Limit("GLOB", "use LIKE or regexp_matches"),
    (exp.IgnoreNulls, "", ""): Limit("IGNORE NULLS", "filter the NULLs out in a subquery first"),
    (exp.Try, "", ""): Limit("TRY", "functions give NULL already where they have no value; use TRY_CAST for texts"),
    (exp.StructExtract, "", ""): Limit("a field of a struct", "declare the field as a column of the source"),
    (exp.Transform, "", ""): Limit("list_transform", "model the elements as rows of a source"),
    (exp.ArrayFilter, "", ""): Limit("list_filter", "model the elements as rows of a source"),
    (exp.Reduce, "", ""): Limit("list_reduce", "model the elements as rows of a source"),
}
"""By node class, part and the part's text; with ``""`` for both the node itself, with ``""`` for the text any that is
set."""


def limit(node: exp.Expr, what: str, mend: str, engines: frozenset[Engine] = frozenset({"duckdb"})) -> None:
    """Notes at a node that only ``engines`` have a form of it; for passes that see it where a table can't."""
    node.meta[_LIMIT] = Limit(what, mend, engines)


def lacking(tree: exp.Expr, places: Places) -> Mapping[Engine, tuple[Problem, ...]]:
    """What keeps a typed tree from running, by engine; an engine that has everything is not there."""
    reports = {engine: Report(places) for engine in ENGINES}
    for node in nodes(tree):
        notes = node._meta
        if type(node) not in _KINDS and (not notes or notes.keys().isdisjoint(_NOTES)):
            continue  # nearly all
        for found in _limits(node):
            for engine in ENGINES:
                if engine not in found.engines:
                    reports[engine].add(NO_FORM, node, f"{engine} has no form of {found.what}", found.mend)
    return {engine: tuple(report.problems) for engine, report in reports.items() if report.problems}


def _limits(node: exp.Expr) -> Iterator[Limit]:
    for part in ("", *_PARTS.get(type(node), ())):
        value = node.args.get(part) if part else None
        text = value.upper() if isinstance(value, str) else value.name if isinstance(value, exp.Expr) else ""
        found = LIMITED.get((type(node), part, text)) or LIMITED.get((type(node), part, ""))
        if found is not None and (value or not part):
            yield found
    noted = node.meta_get(_LIMIT)
    if noted is not None:
        yield noted
    alone = node.meta_get(DUCKDB_ALONE)
    if alone is not None:
        yield Limit(alone, _FLAT)
    key = node.meta_get(SIGNATURE)
    call = call_of(node) if key is not None else None
    if call is not None:
        function = call.function
        engines = frozenset(function.signature(key).templates)
        if len(engines) < len(ENGINES):
            only = " and ".join(sorted(engines))
            yield Limit(
                f"{function.name}(...) with these arguments", f"leave it out, or ask where {only} computes", engines
            )


_PARTS: Final[dict[type[exp.Expr], set[str]]] = {}
for _kind, _part, _ in LIMITED:
    if _part:
        _PARTS.setdefault(_kind, set()).add(_part)
_KINDS: Final = frozenset(kind for kind, _, _ in LIMITED)
_NOTES: Final = frozenset({_LIMIT, DUCKDB_ALONE, SIGNATURE})
"""What :func:`_limits` looks at: other nodes have no limits."""
