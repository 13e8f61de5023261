"""The guarded scan: every table becomes a subquery that has only what the policy lets through.

``FROM transactions AS t`` with ``t.amount``, ``t.card_number`` and ``last4(t.card_number)`` becomes::

    FROM (
      SELECT "amount", fp_token('payment_card', "card_number") AS "card_number",
        fp_last4("card_number") AS "last4_card_number"
      FROM "sources"."transactions"
    ) AS t

Whatever else a query does, it does to these columns: a denied column is not there, the raw value of a tokenised one is
not there. Governed calls stay engine-neutral (``fp_<transform>``) until they are rendered. Texts are given the
collation ``C``, so that they compare by code point wherever they get to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from sqlglot import exp

from feature_platform.compiler.catalog import CatalogColumn, CatalogTable
from feature_platform.compiler.codes import (
    CONSTRUCT,
    DENIED,
    LABEL_NOT_PERMITTED,
    NOT_TOKENISABLE,
    STAR_OVER_DENIED,
    TRANSFORM_ARGUMENTS,
    TRANSFORM_MISPLACED,
    TRANSFORM_NOT_ALLOWED,
    UNCLASSIFIED,
    VIEW_PURPOSE,
)
from feature_platform.compiler.names import Relation, Resolution
from feature_platform.compiler.temporal import literal_type
from feature_platform.governance.access import Access
from feature_platform.governance.canonical import column_kinds
from feature_platform.governance.detection.names import looks_personal
from feature_platform.governance.labels import CLEAN, Labels
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


@dataclass
class Scan:
    """The guarded scan of one table reference; ``columns`` by the name that the query around it uses."""

    relation: Relation
    table: CatalogTable
    columns: dict[str, ScanColumn] = field(default_factory=dict)
    calls: dict[exp.Expr, str] = field(default_factory=dict)
    """Governed calls that are in the scan already, with the names of their columns."""


def guard_scans(tree: exp.Expr, state: Resolution, access: Access) -> dict[str, Scan]:
    """Replaces the tables of a resolved tree in place; what the policy refuses is noted. Gives the scans by alias."""
    scans = {alias: Scan(relation, _table(relation)) for alias, relation in state.bases.items()}
    guard = _Guard(state, access, scans)
    for scan in scans.values():
        guard.check_view(scan)
    for call in [node for node in tree.find_all(exp.Anonymous) if _is_governed(node)]:
        if not guard.move_transform(call):
            for column in call.find_all(exp.Column):
                column.meta["refused"] = True  # one mistake, one message
    for column in list(tree.find_all(exp.Column)):
        of = scans.get(column.table)
        if of is not None and not column.meta_get("refused"):
            guard.open_column(column, of)
    inside = [_rewrite(scan) for scan in scans.values()]
    _check_nothing_unguarded(tree, inside, state)
    return scans


def _check_nothing_unguarded(tree: exp.Expr, inside: list[exp.Table], state: Resolution) -> None:
    """The promise of this pass, looked at once more: every table left in the tree is inside a scan, or a CTE."""
    scanned = {id(table) for table in inside}
    known = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if id(table) not in scanned and (table.args.get("db") is not None or table.name not in known):
            state.report.add(CONSTRUCT, table, f"table '{table.name}' can't be guarded here", "read it in a CTE first")


def _table(relation: Relation) -> CatalogTable:
    assert relation.table is not None
    return relation.table


def _is_governed(node: exp.Anonymous) -> bool:
    return str(node.this).lower() in TRANSFORMS


@dataclass
class _Guard:
    """What the decisions about one query share."""

    state: Resolution
    access: Access
    scans: dict[str, Scan]

    def check_view(self, scan: Scan) -> None:
        allowed = scan.table.purposes
        if allowed is not None and not set(allowed) & set(self.access.purposes):
            self.state.report.add(
                VIEW_PURPOSE,
                scan.relation.node,
                f"view '{scan.table.ref.name}' may not be used for {_listed(self.access.purposes)}",
                f"it may be used for {_listed(allowed)}; its owner can add a purpose",
            )

    def open_column(self, column: exp.Column, scan: Scan) -> None:
        """Adds what the policy lets through of ``column`` to the scan."""
        name = column.name
        declared = scan.table.by_name.get(name.lower())
        if name in scan.columns or declared is None:
            return
        ref = ColumnRef(scan.table.ref, declared.name)
        if declared.labels:
            self._check_labels(column, declared)
        if declared.classification is None or declared.classification == "none":
            self._check_unclassified(column, declared, scan)
            scan.columns[name] = ScanColumn(_plain(declared), declared.type, declared.labels, frozenset({ref}))
            return
        decision = self.state.catalog.policies.decide(declared.classification, self.access)
        match decision.action:
            case "clear":
                scan.columns[name] = ScanColumn(_plain(declared), declared.type, CLEAN, frozenset({ref}))
            case "token" | "redact":
                self._check_kind(column, declared, decision.action)
                scan.columns[name] = _governed(TRANSFORMS[decision.action], declared, [_column(declared)], ref)
            case _:
                self._note_denied(column, declared, scan, decision)

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
        inside = [_column(declared), *(self._inside(argument, scan) for argument in arguments[1:])]
        name = self._place(transform, declared, inside, scan)
        column = exp.column(
            exp.Identifier(this=name, quoted=True), table=exp.Identifier(this=scan.relation.alias, quoted=True)
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
            self._check_kind(call, declared, "token")
        decision = self.state.catalog.policies.decide(classification, self.access)
        if decision.action != "clear" and transform.name not in decision.transforms:
            report.add(
                TRANSFORM_NOT_ALLOWED,
                call,
                f"{transform.name} of {classification} ('{declared.name}') is not allowed for {self._who()}: "
                f"{decision.cited}",
                _ways(decision, declared.name) or "ask the policy's owner for a rule",
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
        return (
            declared.type
            if self.state.catalog.policies.decide(declared.classification, self.access).action == "clear"
            else None
        )

    def _inside(self, argument: exp.Expr, scan: Scan) -> exp.Expr:
        if isinstance(argument, exp.Column):
            return _column(scan.table.by_name[argument.name.lower()])
        return argument.copy()

    def _place(self, transform: Transform, declared: CatalogColumn, inside: list[exp.Expr], scan: Scan) -> str:
        ref = ColumnRef(scan.table.ref, declared.name)
        column = _governed(transform, declared, inside, ref)
        known = scan.calls.get(column.expression)
        if known is not None:
            return known
        others = frozenset(
            ColumnRef(scan.table.ref, argument.name) for argument in inside[1:] if isinstance(argument, exp.Column)
        )
        column = ScanColumn(column.expression, column.type, column.labels, column.sources | others, column.transforms)
        name, number = f"{transform.name}_{declared.name}", 1
        while name in scan.columns or name.lower() in scan.table.by_name:
            number += 1
            name = f"{transform.name}_{declared.name}_{number}"
        scan.columns[name] = column
        scan.calls[column.expression] = name
        return name

    def _check_unclassified(self, column: exp.Column, declared: CatalogColumn, scan: Scan) -> None:
        if declared.classification == "none" or scan.table.ref.kind == "view" or not self.state.catalog.strict_pii:
            return
        suspected = _suspected(declared.name)
        if suspected is not None:
            self.state.report.add(
                UNCLASSIFIED,
                column,
                f"column '{declared.name}' of source '{scan.table.ref.name}' looks like {suspected} and is not "
                "classified",
                f"declare it in the source: `pii: {suspected}`, or `pii: none` with a `pii_reason`",
            )

    def _check_kind(self, node: exp.Expr, declared: CatalogColumn, action: str) -> None:
        assert declared.classification is not None
        if action == "token" and declared.type.kind not in column_kinds(declared.classification):
            self.state.report.add(
                NOT_TOKENISABLE,
                node,
                f"column '{declared.name}' ({declared.type}) can't be tokenised",
                "declare it as string, bigint, decimal or date in the source, or let the policy redact it",
            )

    def _check_labels(self, column: exp.Column, declared: CatalogColumn) -> None:
        refused = [
            self.state.catalog.policies.permits(declared.labels, purpose=purpose, role=self.access.role)
            for purpose in self.access.purposes
        ]
        if refused and all(refused):
            self.state.report.add(
                LABEL_NOT_PERMITTED,
                column,
                f"column '{declared.name}' carries what {self._who()} may not have: {refused[0][0]}",
                "leave the column out, or ask the policy's owner for a rule",
            )

    def _note_denied(self, column: exp.Column, declared: CatalogColumn, scan: Scan, decision: Decision) -> None:
        classification = declared.classification
        what = (
            f"column '{declared.name}' of source '{scan.table.ref.name}' ({classification}) is denied for "
            f"{self._who()}: {decision.cited}"
        )
        ways = _ways(decision, declared.name)
        if column.meta_get("star"):
            denied = [
                other.name
                for other in scan.table.columns
                if self.state.catalog.policies.decide(other.classification, self.access).action == "deny"
            ]
            self.state.report.add(STAR_OVER_DENIED, column, what, f"write * EXCLUDE ({', '.join(denied)})")
        else:
            self.state.report.add(DENIED, column, what, ways or "leave it out, or ask the policy's owner for a rule")

    def _who(self) -> str:
        return f"purpose {_listed(self.access.purposes)} and role '{self.access.role}'"


def _governed(transform: Transform, declared: CatalogColumn, inside: list[exp.Expr], ref: ColumnRef) -> ScanColumn:
    assert declared.classification is not None
    arguments: list[exp.Expr] = inside
    if transform.name == "token":
        arguments = [exp.Literal.string(declared.classification), *inside]
    call: exp.Expr = exp.Anonymous(this=PREFIX + transform.name, expressions=arguments)
    return ScanColumn(
        _collated(call) if transform.result == STRING else call,
        transform.result,
        transform.labels(declared.classification),
        frozenset({ref}),
        frozenset({transform.name}),
    )


def _plain(declared: CatalogColumn) -> exp.Expr:
    column = _column(declared)
    return _collated(column) if declared.type == STRING else column


def _column(declared: CatalogColumn) -> exp.Column:
    return exp.column(exp.Identifier(this=declared.name, quoted=True))


def _collated(expression: exp.Expr) -> exp.Expr:
    return exp.Collate(this=expression, expression=exp.Identifier(this=COLLATION, quoted=True))


def _rewrite(scan: Scan) -> exp.Table:
    """Puts the scan in the table's place; gives the table inside."""
    order = {column.name: position for position, column in enumerate(scan.table.columns)}
    names = sorted(scan.columns, key=lambda name: (order.get(name, len(order)), name))
    projections = [_named(scan.columns[name].expression, name) for name in names]
    if not projections:  # only the rows count
        projections = [exp.alias_(exp.true(), "fp_row", quoted=True)]
    ref = scan.table.ref
    table = exp.Table(this=exp.Identifier(this=ref.name, quoted=True), db=exp.Identifier(this=ref.schema, quoted=True))
    select = exp.Select(expressions=projections, from_=exp.From(this=table))
    alias = exp.TableAlias(this=exp.Identifier(this=scan.relation.alias, quoted=True))
    assert scan.relation.node is not None
    scan.relation.node.replace(exp.Subquery(this=select, alias=alias))
    return table


def _named(expression: exp.Expr, name: str) -> exp.Expr:
    if isinstance(expression, exp.Column) and expression.name == name:
        return expression
    return exp.alias_(expression, name, quoted=True, copy=False)


@lru_cache(maxsize=10_000)
def _suspected(column: str) -> str | None:
    # The same few names occur in thousands of views.
    return looks_personal(column)


def _ways(decision: Decision, column: str) -> str:
    calls = []
    for name in sorted(decision.transforms):
        transform = TRANSFORMS.get(name)
        if transform is not None:
            calls.append(f"{name}({', '.join((column, *(argument.name for argument in transform.arguments)))})")
    return f"write {' or '.join(calls)}" if calls else ""


def _listed(purposes: Sequence[str]) -> str:
    return ", ".join(f"'{purpose}'" for purpose in purposes) or "no purpose"
