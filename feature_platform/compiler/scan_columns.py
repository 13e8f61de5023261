"""What a guarded scan consists of: its columns, and how each is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from feature_platform.compiler.catalog import CatalogColumn, CatalogTable
from feature_platform.compiler.codes import NOT_TOKENISABLE
from feature_platform.compiler.names import Relation
from feature_platform.compiler.plan import AppliedRule
from feature_platform.compiler.report import Report
from feature_platform.governance.canonical import column_kinds
from feature_platform.governance.labels import Labels
from feature_platform.governance.policies import Decision
from feature_platform.governance.transforms import PREFIX, TRANSFORMS, Transform
from feature_platform.registry.graph import ColumnRef
from feature_platform.types import STRING, DataType

COLLATION: Final = "C"


@dataclass(frozen=True, slots=True)
class ScanColumn:
    """A column that a guarded scan gives."""

    expression: exp.Expr
    type: DataType
    labels: Labels
    sources: frozenset[ColumnRef]
    transforms: frozenset[str] = frozenset()
    rules: tuple[AppliedRule, ...] = ()
    """By which it may be there."""


@dataclass
class Scan:
    """The guarded scan of one table reference; ``columns`` by the name that the query around it uses."""

    relation: Relation
    table: CatalogTable
    columns: dict[str, ScanColumn] = field(default_factory=dict)
    calls: dict[exp.Expr, str] = field(default_factory=dict)
    """Governed calls that are in the scan already, with the names of their columns."""


def governed(
    transform: Transform, declared: CatalogColumn, inside: list[exp.Expr], ref: ColumnRef, decision: Decision
) -> ScanColumn:
    """The column that a governed call gives; ``inside`` are its arguments as they stand in the scan."""
    assert declared.classification is not None
    arguments: list[exp.Expr] = inside
    if transform.name == "token":
        arguments = [exp.Literal.string(declared.classification), *inside]
    call: exp.Expr = exp.Anonymous(this=PREFIX + transform.name, expressions=arguments)
    return ScanColumn(
        collated(call) if transform.result == STRING else call,
        transform.result,
        transform.labels(declared.classification),
        frozenset({ref}),
        frozenset({transform.name}),
        applied(ref, declared.classification, transform.name, decision),
    )


def applied(ref: ColumnRef, classification: str, gives: str, decision: Decision) -> tuple[AppliedRule, ...]:
    """The rules of a decision by which a column gives something."""
    return tuple(AppliedRule(ref, classification, gives, rule.policy, rule.location) for rule in decision.giving(gives))


def plain(declared: CatalogColumn) -> exp.Expr:
    """The column as it is."""
    column = source_column(declared)
    return collated(column) if declared.type == STRING else column


def source_column(declared: CatalogColumn) -> exp.Column:
    """The raw column, inside the scan."""
    return exp.Column(this=exp.Identifier(this=declared.name, quoted=True))


def check_tokenisable(node: exp.Expr, declared: CatalogColumn, report: Report) -> None:
    """Notes a column whose type has no text that a token could be made of."""
    assert declared.classification is not None
    if declared.type.kind not in column_kinds(declared.classification):
        report.add(
            NOT_TOKENISABLE,
            node,
            f"column '{declared.name}' ({declared.type}) can't be tokenised",
            "declare it as string, bigint, decimal or date in the source, or let the policy redact it",
        )


def ways(decision: Decision, column: str) -> str:
    """The transforms that a decision leaves open, as a mend; empty if there are none."""
    calls = []
    for name in sorted(decision.transforms):
        transform = TRANSFORMS.get(name)
        if transform is not None:
            calls.append(f"{name}({', '.join((column, *(argument.name for argument in transform.arguments)))})")
    return f"write {' or '.join(calls)}" if calls else ""


def listed(purposes: Sequence[str]) -> str:
    """Purposes, for messages."""
    return ", ".join(f"'{purpose}'" for purpose in purposes) or "no purpose"


def collated(expression: exp.Expr) -> exp.Expr:
    """A text that compares by code point, on every engine."""
    return exp.Collate(this=expression, expression=exp.Identifier(this=COLLATION, quoted=True))
