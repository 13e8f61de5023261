"""Governed calls move into the scan of the table whose column they read.

``last4(t.card_number)`` becomes ``t.last4_card_number``, and the scan of ``t`` gets ``fp_last4("card_number") AS
"last4_card_number"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from feature_platform.compiler.catalog import CatalogColumn
from feature_platform.compiler.codes import TRANSFORM_ARGUMENTS, TRANSFORM_MISPLACED, TRANSFORM_NOT_ALLOWED
from feature_platform.compiler.names import Resolution
from feature_platform.compiler.scan_columns import Scan, check_tokenisable, governed, source_column, ways
from feature_platform.compiler.temporal import literal_type
from feature_platform.compiler.trees import nodes
from feature_platform.governance.access import Access
from feature_platform.governance.transforms import TRANSFORMS, Transform
from feature_platform.registry.graph import ColumnRef
from feature_platform.types import DataType


def move_governed_calls(tree: exp.Expr, scans: Mapping[str, Scan], state: Resolution, access: Access) -> None:
    """Moves every governed call of a resolved tree; what is refused is noted, and its columns marked so that they are
    not noted again."""
    mover = _Mover(scans, state, access)
    for call in [node for node in nodes(tree) if isinstance(node, exp.Anonymous)]:
        if str(call.this).lower() not in TRANSFORMS:
            continue
        if not mover.move_transform(call):
            for column in call.find_all(exp.Column):
                column.meta["refused"] = True


@dataclass(frozen=True)
class _Mover:
    """What the moves of one query share."""

    scans: Mapping[str, Scan]
    state: Resolution
    access: Access

    def move_transform(self, call: exp.Anonymous) -> bool:
        """Moves a call of a governed transform into the scan of its column's table; False if it is refused."""
        transform = TRANSFORMS[str(call.this).lower()]
        arguments: list[exp.Expr] = call.expressions
        found = self._transformed_column(call, transform, arguments)
        if found is None:
            return False
        scan, declared = found
        if not self._check_transform(call, transform, declared):
            return False
        if not self._check_arguments(transform, arguments[1:], scan):
            return False
        inside = [source_column(declared), *(self._inside(argument, scan) for argument in arguments[1:])]
        name = self._place(transform, declared, inside, scan)
        column = exp.Column(
            this=exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=scan.relation.alias, quoted=True)
        )
        column.meta["resolved"] = True
        call.replace(column)
        return True

    def _transformed_column(
        self, call: exp.Anonymous, transform: Transform, arguments: Sequence[exp.Expr]
    ) -> tuple[Scan, CatalogColumn] | None:
        report = self.state.report
        if len(arguments) != 1 + len(transform.arguments):
            report.add(
                TRANSFORM_ARGUMENTS,
                call,
                f"{transform.name} takes {1 + len(transform.arguments)} arguments",
                f"write {transform.signature}",
            )
            return None
        first = arguments[0]
        scan = self.scans.get(first.table) if isinstance(first, exp.Column) else None
        declared = scan.table.by_name.get(first.name.lower()) if scan is not None else None
        if scan is None or declared is None:
            report.add(
                TRANSFORM_MISPLACED,
                call,
                f"{transform.name} does not read a column of a source here",
                f"call {transform.signature} where the source is read, in the CTE or subquery with its FROM",
            )
            return None
        if declared.classification is None or declared.classification == "none":
            what = (
                "of a view, which is governed already" if scan.table.ref.kind == "view" else "without a classification"
            )
            report.add(
                TRANSFORM_MISPLACED,
                call,
                f"{transform.name} reads classified columns; {scan.table.ref.name}.{declared.name} is a column {what}",
                "use the column as it is"
                if scan.table.ref.kind == "view"
                else f"declare what it holds: `pii:` of {declared.name}",
            )
            return None
        return scan, declared

    def _check_transform(self, call: exp.Anonymous, transform: Transform, declared: CatalogColumn) -> bool:
        report, classification = self.state.report, declared.classification
        assert classification is not None
        if classification not in transform.accepts:
            fitting = sorted(name for name, other in TRANSFORMS.items() if classification in other.accepts)
            report.add(
                TRANSFORM_ARGUMENTS,
                call,
                f"{transform.name} does not read {classification} ('{declared.name}')",
                f"for {classification} there is {', '.join(fitting)}",
            )
            return False
        if declared.type.kind not in transform.column_kinds:
            report.add(
                TRANSFORM_ARGUMENTS,
                call,
                f"{transform.name} does not read a column of type {declared.type} ('{declared.name}')",
                f"it reads {', '.join(sorted(transform.column_kinds))}",
            )
            return False
        if transform.name == "token":
            check_tokenisable(call, declared, self.state.report)
        decision = self.access.decide(classification)
        if decision.action != "clear" and transform.name not in decision.transforms:
            report.add(
                TRANSFORM_NOT_ALLOWED,
                call,
                f"{transform.name} of {classification} ('{declared.name}') is not allowed for {self.access}: "
                f"{decision.cited}",
                ways(decision, declared.name) or "ask the policy's owner for a rule",
            )
            return False
        return True

    def _check_arguments(self, transform: Transform, given: Sequence[exp.Expr], scan: Scan) -> bool:
        fine = True
        for argument, wanted in zip(given, transform.arguments, strict=True):
            type_ = self._argument_type(argument, scan)
            if type_ is None:
                self.state.report.add(
                    TRANSFORM_MISPLACED,
                    argument,
                    f"argument '{wanted.name}' of {transform.name} is neither a constant nor a clear column of "
                    f"'{scan.relation.written}'",
                    f"pass a constant or a column of {scan.table.ref.name}, whose rows are transformed where they "
                    "are read",
                )
            elif type_.kind not in wanted.kinds:
                self.state.report.add(
                    TRANSFORM_ARGUMENTS,
                    argument,
                    f"argument '{wanted.name}' of {transform.name} is a {type_}",
                    f"pass a {' or '.join(sorted(wanted.kinds))}",
                )
            fine = fine and type_ is not None and type_.kind in wanted.kinds
        return fine

    def _argument_type(self, argument: exp.Expr, scan: Scan) -> DataType | None:
        """Of a constant or of a clear column of the same table; None for anything else."""
        if not isinstance(argument, exp.Column):
            return literal_type(argument)
        if argument.table != scan.relation.alias:
            return None
        declared = scan.table.by_name.get(argument.name.lower())
        if declared is None or declared.labels:
            return None
        return declared.type if self.access.decide(declared.classification).action == "clear" else None

    def _inside(self, argument: exp.Expr, scan: Scan) -> exp.Expr:
        if isinstance(argument, exp.Column):
            return source_column(scan.table.by_name[argument.name.lower()])
        return argument.copy()

    def _place(self, transform: Transform, declared: CatalogColumn, inside: list[exp.Expr], scan: Scan) -> str:
        ref = ColumnRef(scan.table.ref, declared.name)
        column = governed(transform, declared, inside, ref, self.access.decide(declared.classification))
        known = scan.calls.get(column.expression)
        if known is not None:
            return known
        others = frozenset(
            ColumnRef(scan.table.ref, argument.name) for argument in inside[1:] if isinstance(argument, exp.Column)
        )
        column = replace(column, sources=column.sources | others)
        name, number = f"{transform.name}_{declared.name}", 1
        while name in scan.columns or name.lower() in scan.table.by_name:
            number += 1
            name = f"{transform.name}_{declared.name}_{number}"
        scan.columns[name] = column
        scan.calls[column.expression] = name
        return name
