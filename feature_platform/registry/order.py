"""Puts views into an order in which each comes after what it reads, and names the circles that forbid it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def topological(reads: Mapping[str, Sequence[str]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """All names of ``reads`` in order, and the cycles found, each as a path that ends where it begins.

    Linear, without recursion, and the same whatever the order of ``reads``. Names that are read but not listed do not
    count. With cycles the order is of no use.

    >>> topological({"b": ["a"], "a": []})
    (['a', 'b'], [])
    >>> topological({"a": ["b"], "b": ["a"]})[1]
    [('a', 'b', 'a')]
    """
    order: list[str] = []
    cycles: dict[frozenset[str], tuple[str, ...]] = {}
    done: set[str] = set()
    for start in sorted(reads):
        if start in done:
            continue
        path = [start]
        position = {start: 0}
        waiting = [iter(sorted(reads[start]))]
        while path:
            name = next(waiting[-1], None)
            if name is None:
                waiting.pop()
                finished = path.pop()
                del position[finished]
                done.add(finished)
                order.append(finished)
            elif name in position:
                cycle = (*path[position[name] :], name)
                cycles.setdefault(frozenset(cycle), cycle)
            elif name in reads and name not in done:
                position[name] = len(path)
                path.append(name)
                waiting.append(iter(sorted(reads[name])))
    return order, list(cycles.values())
