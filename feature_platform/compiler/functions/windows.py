"""Window functions. Each needs an ORDER BY in OVER: without one the engine would choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions.constants import whole
from feature_platform.compiler.functions.model import ANY, Function, Parameter, node, sig
from feature_platform.compiler.numeric import Inferred
from feature_platform.types import BIGINT, DOUBLE, DataType

_OUTSIDE: Final = "outside the partition, and when the value there is"
_VALUE: Final = Parameter("x", ANY)


def _same(types: Sequence[Inferred]) -> Inferred:
    return types[0]


def _rank(name: str, kind: type[exp.Expr], doc: str, to: DataType = BIGINT) -> Function:
    return Function(
        name,
        (sig(to=to, both=f"{name.upper()}()"),),
        doc,
        "never",
        (node(kind),),
        form="window",
        labels="derived",
        ordered="over",
        tolerance=to == DOUBLE,
    )


def _shift(name: str, kind: type[exp.Expr], doc: str) -> Function:
    upper = name.upper()
    offset = Parameter("offset_", constant=whole(0))
    return Function(
        name,
        (
            sig(_VALUE, to=_same, both=f"{upper}(x)"),
            sig(_VALUE, offset, to=_same, both=f"{upper}(x, offset_)", key="offset"),
        ),
        doc,
        _OUTSIDE,
        (node(kind, "this", "offset"),),
        form="window",
        tokens=frozenset({0}),
        ordered="over",
    )


def _edge(name: str, kind: type[exp.Expr], doc: str) -> Function:
    return Function(
        name,
        (sig(_VALUE, to=_same, both=f"{name.upper()}(x)"),),
        doc,
        "when the frame is empty, and when the value there is",
        (node(kind, "this"),),
        form="window",
        tokens=frozenset({0}),
        ordered="over",
    )


FUNCTIONS: Final = (
    _rank("row_number", exp.RowNumber, "The row's number in its partition, from 1."),
    _rank("rank", exp.Rank, "The row's rank, with gaps after ties."),
    _rank("dense_rank", exp.DenseRank, "The row's rank, without gaps."),
    _rank("percent_rank", exp.PercentRank, "The rank as a share from 0 to 1.", DOUBLE),
    _rank("cume_dist", exp.CumeDist, "The share of rows up to this one, ties included.", DOUBLE),
    Function(
        "ntile",
        (sig(Parameter("buckets", constant=whole(1)), to=BIGINT, both="NTILE(buckets)"),),
        "The number of the bucket, from 1, when the partition is cut into equal parts.",
        "never",
        (node(exp.Ntile, "this"),),
        form="window",
        labels="derived",
        ordered="over",
    ),
    _shift("lag", exp.Lag, "The value `offset` (default 1) rows before; for another default than NULL use coalesce."),
    _shift("lead", exp.Lead, "The value `offset` (default 1) rows after; for another default than NULL use coalesce."),
    _edge("first_value", exp.FirstValue, "The value of the frame's first row."),
    _edge(
        "last_value",
        exp.LastValue,
        "The value of the frame's last row; the default frame ends at the current row and its ties.",
    ),
    Function(
        "nth_value",
        (sig(_VALUE, Parameter("n", constant=whole(1)), to=_same, both="NTH_VALUE(x, n)"),),
        "The value of the frame's row `n`, from 1.",
        "when the frame has fewer rows, and when the value there is",
        (node(exp.NthValue, "this", "offset"),),
        form="window",
        tokens=frozenset({0}),
        ordered="over",
    ),
)
