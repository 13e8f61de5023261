"""Order and cycles of a graph of names."""

from __future__ import annotations

import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from feature_platform.registry.order import topological

_graphs = st.dictionaries(
    st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefghx"), unique=True, max_size=4), max_size=8
)


@given(_graphs)
def test_without_cycles_every_name_comes_once_and_after_what_it_reads(reads: dict[str, list[str]]) -> None:
    order, cycles = topological(reads)
    if cycles:
        return
    assert sorted(order) == sorted(reads)
    for name, read in reads.items():
        assert all(order.index(other) < order.index(name) for other in read if other in reads)


@given(_graphs)
def test_every_cycle_is_a_closed_path_along_reads(reads: dict[str, list[str]]) -> None:
    for cycle in topological(reads)[1]:
        assert cycle[0] == cycle[-1]
        assert all(later in reads[earlier] for earlier, later in itertools.pairwise(cycle))


@given(_graphs)
def test_the_result_does_not_depend_on_the_order_of_writing(reads: dict[str, list[str]]) -> None:
    shuffled = {name: list(reversed(reads[name])) for name in reversed(list(reads))}
    assert topological(reads) == topological(shuffled)


def test_a_long_chain_takes_no_recursion() -> None:
    chain = {f"v{number:06}": [f"v{number + 1:06}"] for number in range(50_000)}
    begin = time.perf_counter()
    order, cycles = topological(chain)
    assert (order[0], cycles) == ("v049999", [])
    assert time.perf_counter() - begin < 5
