"""Copying trees and walking over them, fast: that is where most of a compiler's time goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp


def children(node: exp.Expr) -> list[exp.Expr]:
    """The nodes right below ``node``, in order."""
    found: list[exp.Expr] = []
    for value in node.args.values():
        if isinstance(value, exp.Expr):
            found.append(value)
        elif type(value) is list:
            found += [item for item in value if isinstance(item, exp.Expr)]
    return found


def walk(tree: exp.Expr) -> Iterator[exp.Expr]:
    """``tree`` and all nodes below it, the upper ones first; what the caller puts below a node that it was just given
    is walked over too."""
    found = [tree]
    for node in found:  # which grows
        yield node
        found += children(node)


def nodes(tree: exp.Expr) -> list[exp.Expr]:
    """``tree`` and all nodes below it, the upper ones first; the tree may be changed meanwhile."""
    found = [tree]
    for node in found:  # which grows
        for value in node.args.values():
            if isinstance(value, exp.Expr):
                found.append(value)
            elif type(value) is list:
                found.extend([item for item in value if isinstance(item, exp.Expr)])
    return found


def clone(node: exp.Expr) -> exp.Expr:
    """A copy of ``node`` and all below it; notes in ``meta`` are shared values, comments and sqlglot's own types are
    left behind."""
    arguments: dict[str, Any] = {}
    for key, value in node.args.items():
        if isinstance(value, exp.Expr):
            arguments[key] = clone(value)
        elif type(value) is list:
            arguments[key] = [clone(item) if isinstance(item, exp.Expr) else item for item in value]
        else:
            arguments[key] = value
    copied: exp.Expr = node.__class__(**arguments)
    notes = node._meta
    if notes:
        copied._meta = notes.copy()
    return copied
