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

from dataclasses import dataclass, replace
from functools import lru_cache

from sqlglot import exp

from feature_platform.compiler.catalog import CatalogColumn, CatalogTable
from feature_platform.compiler.codes import (
    CONSTRUCT,
    DENIED,
    LABEL_NOT_PERMITTED,
    STAR_OVER_DENIED,
    UNCLASSIFIED,
    VIEW_PURPOSE,
)
from feature_platform.compiler.governed_calls import move_governed_calls
from feature_platform.compiler.names import Relation, Resolution
from feature_platform.compiler.plan import AppliedRule
from feature_platform.compiler.scan_columns import (
    Scan,
    ScanColumn,
    applied,
    check_tokenisable,
    governed,
    listed,
    plain,
    source_column,
    ways,
)
from feature_platform.compiler.trees import nodes
from feature_platform.governance.access import Access
from feature_platform.governance.detection.names import looks_personal
from feature_platform.governance.labels import CLEAN, Label
from feature_platform.governance.policies import Decision
from feature_platform.governance.transforms import TRANSFORMS
from feature_platform.registry.graph import ColumnRef


def guard_scans(tree: exp.Expr, state: Resolution, access: Access) -> dict[str, Scan]:
    """Replaces the tables of a resolved tree in place; what the policy refuses is noted. Gives the scans by alias."""
    scans = {alias: Scan(relation, _table(relation)) for alias, relation in state.bases.items()}
    guard = _Guard(state, access)
    for scan in scans.values():
        guard.check_view(scan)
    move_governed_calls(tree, scans, state, access)
    for column in nodes(tree):
        if not isinstance(column, exp.Column):
            continue
        of = scans.get(column.table)
        if of is not None and not column.meta_get("refused"):
            guard.open_column(column, of)
    inside = [_rewrite(scan) for scan in scans.values()]
    _check_nothing_unguarded(tree, inside, state)
    return scans


def _check_nothing_unguarded(tree: exp.Expr, inside: list[exp.Table], state: Resolution) -> None:
    """The promise of this pass, looked at once more: every table left in the tree is inside a scan, or a CTE."""
    scanned = {id(table) for table in inside}
    everything = nodes(tree)
    known = {node.alias for node in everything if isinstance(node, exp.CTE)}
    for table in everything:
        if not isinstance(table, exp.Table):
            continue
        if id(table) not in scanned and (table.args.get("db") is not None or table.name not in known):
            state.report.add(CONSTRUCT, table, f"table '{table.name}' can't be guarded here", "read it in a CTE first")


def _table(relation: Relation) -> CatalogTable:
    assert relation.table is not None
    return relation.table


@dataclass
class _Guard:
    """What the decisions about one query share."""

    state: Resolution
    access: Access

    def check_view(self, scan: Scan) -> None:
        allowed = scan.table.purposes
        if allowed is not None and not set(allowed) & set(self.access.purposes):
            self.state.report.add(
                VIEW_PURPOSE,
                scan.relation.node,
                f"view '{scan.table.ref.name}' may not be used for {listed(self.access.purposes)}",
                f"it may be used for {listed(allowed)}; its owner can add a purpose",
            )

    def open_column(self, column: exp.Column, scan: Scan) -> None:
        """Adds what the policy lets through of ``column`` to the scan."""
        name = column.name
        declared = scan.table.by_name.get(name.lower())
        if name in scan.columns or declared is None:
            return
        ref = ColumnRef(scan.table.ref, declared.name)
        if declared.labels or declared.behind:
            self._check_labels(column, declared)
        if declared.classification is None or declared.classification == "none":
            self._check_unclassified(column, declared, scan)
            scan.columns[name] = ScanColumn(
                plain(declared), declared.type, declared.labels, frozenset({ref}), rules=self._allowing(ref, declared)
            )
            return
        decision = self.access.decide(declared.classification)
        match decision.action:
            case "clear":
                scan.columns[name] = ScanColumn(plain(declared), declared.type, CLEAN, frozenset({ref}))
            case "raw":
                raw = frozenset({Label("raw", declared.classification)})
                rules = applied(ref, declared.classification, "raw", decision)
                scan.columns[name] = ScanColumn(plain(declared), declared.type, raw, frozenset({ref}), rules=rules)
            case "token" | "redact":
                if decision.action == "token":
                    check_tokenisable(column, declared, self.state.report)
                transform = TRANSFORMS[decision.action]
                scan.columns[name] = governed(transform, declared, [source_column(declared)], ref, decision)
            case _:
                self._note_denied(column, declared, scan, decision)

    def _check_unclassified(self, column: exp.Column, declared: CatalogColumn, scan: Scan) -> None:
        if declared.pii_reason or scan.table.ref.kind == "view" or not self.state.catalog.strict_pii:
            return
        if (suspected := _suspicion(declared)) is None:
            return
        classification, evidence = suspected
        lacks = "is not classified" if declared.classification is None else "is declared `none` without a reason"
        self.state.report.add(
            UNCLASSIFIED,
            column,
            f"column '{declared.name}' of source '{scan.table.ref.name}' looks like {classification} ({evidence}) "
            f"and {lacks}",
            f"declare it in the source: `pii: {classification}`, or `pii: none` with a `pii_reason`",
        )

    def _check_labels(self, column: exp.Column, declared: CatalogColumn) -> None:
        refused = self.access.refuses(declared.labels)
        if refused:
            self.state.report.add(
                LABEL_NOT_PERMITTED,
                column,
                f"column '{declared.name}' carries what {self.access} may not have: {refused[0]}",
                "leave the column out, or ask the policy's owner for a rule",
            )
            return
        for classification in sorted(declared.behind):
            decision = self.access.decide(classification)
            if not decision.opens:
                self.state.report.add(
                    LABEL_NOT_PERMITTED,
                    column,
                    f"column '{declared.name}' depends on {classification}, of which nothing is open for "
                    f"{self.access}: {decision.cited}",
                    "leave the column out, or ask the policy's owner for a rule",
                )

    def _allowing(self, ref: ColumnRef, declared: CatalogColumn) -> tuple[AppliedRule, ...]:
        """The rules by which the labels of a view's column are allowed."""
        return tuple(
            replace(rule, gives=str(label))
            for label in sorted(declared.labels)
            for rule in applied(ref, label.classification, label.needs, self.access.decide(label.classification))
        )

    def _note_denied(self, column: exp.Column, declared: CatalogColumn, scan: Scan, decision: Decision) -> None:
        classification = declared.classification
        what = (
            f"column '{declared.name}' of source '{scan.table.ref.name}' ({classification}) is denied for "
            f"{self.access}: {decision.cited}"
        )
        mend = ways(decision, declared.name)
        if column.meta_get("star"):
            denied = [
                other.name for other in scan.table.columns if self.access.decide(other.classification).action == "deny"
            ]
            self.state.report.add(STAR_OVER_DENIED, column, what, f"write * EXCLUDE ({', '.join(denied)})")
        else:
            self.state.report.add(DENIED, column, what, mend or "leave it out, or ask the policy's owner for a rule")


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
    return exp.Alias(this=expression, alias=exp.Identifier(this=name, quoted=True))


def _suspicion(column: CatalogColumn) -> tuple[str, str] | None:
    """What the column looks like, and what says so: its values if they were profiled, else its name."""
    if column.suspicion is not None:
        return column.suspicion.classification, column.suspicion.reason
    by_name = _suspected(column.name)
    return None if by_name is None else (by_name, "by its name")


@lru_cache(maxsize=10_000)
def _suspected(column: str) -> str | None:
    # The same few names occur in thousands of views.
    return looks_personal(column)
