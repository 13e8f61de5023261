"""The guard with one mistake in it: what the random queries and the corpus of bypasses have to notice.

A mutant changes functions of the guard while it lives, never a copy of them. Most are of two kinds. *A place that the
guarded scan forgets*: columns there come raw out of their tables, with no label. *A flow that the analysis forgets*:
labels or refusals are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final

import pytest
from sqlglot import exp

from feature_platform.compiler import comparison_flows, governed_calls, joins, lineage, relations, scan
from feature_platform.compiler.flows import NOTHING, Flow, QueryFlows
from feature_platform.compiler.scan_columns import Scan, ScanColumn, plain
from feature_platform.governance.access import Access
from feature_platform.governance.labels import CLEAN
from feature_platform.governance.policies import Decision
from feature_platform.governance.transforms import PREFIX
from feature_platform.registry.graph import ColumnRef

guard = import_module("feature_platform.compiler.guard")  # the package shows the function of that name
Patch = pytest.MonkeyPatch
Place = Callable[[exp.Column, Scan], bool]


@dataclass(frozen=True)
class Mutant:
    """A mistake. ``among`` names constructs that a query has to have so that the mistake can matter."""

    name: str
    make: Callable[[Patch], None]
    among: frozenset[str] = frozenset()
    word: str = ""
    """What a bypass has to have in its text so that the mistake can matter."""

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The guard makes the mistake inside."""
        with pytest.MonkeyPatch.context() as patch:
            self.make(patch)
            yield


# Places that the guarded scan forgets.


def raw_where(place: Place) -> Callable[[Patch], None]:
    """Columns at ``place`` are taken as they are in the table."""

    def make(patch: Patch) -> None:
        right = scan._Guard.open_column

        def wrong(self: Any, column: exp.Column, of: Scan) -> None:
            declared = of.table.by_name.get(column.name.lower())
            if declared is None or not place(column, of):
                right(self, column, of)
                return
            name = f"unguarded_{declared.name}"
            refs = frozenset({ColumnRef(of.table.ref, declared.name)})
            of.columns[name] = ScanColumn(plain(declared), declared.type, CLEAN, refs)
            column.this.set("this", name)

        patch.setattr(scan._Guard, "open_column", wrong)

    return make


def in_clause(kind: type[exp.Expr], key: str = "") -> Place:
    """Inside a clause of this kind, or in the argument ``key`` of such a node."""

    def place(column: exp.Column, _scan: Scan) -> bool:
        node: exp.Expr | None = column
        while node is not None:
            if isinstance(node.parent, kind) and (not key or node.arg_key == key):
                return True
            node = node.parent
        return False

    return place


def table_in(kind: type[exp.Expr], key: str = "") -> Place:
    """Of a table that stands inside a node of this kind."""

    def place(_column: exp.Column, of: Scan) -> bool:
        node = of.relation.node
        while node is not None:
            if isinstance(node.parent, kind) and (not key or node.arg_key == key):
                return True
            node = node.parent
        return False

    return place


def _in_expression(_column: exp.Column, of: Scan) -> bool:
    """In a subquery that is a value or a condition."""
    node = of.relation.node
    while node is not None:
        if isinstance(node, exp.Select) and isinstance(node.parent, exp.Exists | exp.In | exp.Any):
            return True
        if isinstance(node, exp.Subquery) and not isinstance(node.parent, exp.From | exp.Join | exp.SetOperation):
            return True
        node = node.parent
    return False


def _recursive(_column: exp.Column, of: Scan) -> bool:
    """In a CTE that reads itself."""
    holder = of.relation.node.find_ancestor(exp.With) if of.relation.node is not None else None
    return holder is not None and bool(holder.args.get("recursive"))


def _qualified(column: exp.Column, _scan: Scan) -> bool:
    alias = column.find_ancestor(exp.Alias)
    return alias is not None and alias.alias == "fp_qualified"


def _otherwise_written(_column: exp.Column, of: Scan) -> bool:
    return of.relation.node is not None and of.relation.node.name != of.table.ref.name


def _of_star(column: exp.Column, _scan: Scan) -> bool:
    return bool(column.meta_get("star"))


# What stands in the scan.


def _governed(patch: Patch, change: Callable[[exp.Anonymous], exp.Expr]) -> None:
    right = scan.governed

    def wrong(*arguments: Any) -> ScanColumn:
        made = right(*arguments)
        for call in made.expression.find_all(exp.Anonymous):
            if str(call.this) == f"{PREFIX}token":
                call.replace(change(call))
        return made

    patch.setattr(scan, "governed", wrong)
    patch.setattr(governed_calls, "governed", wrong)


def unkeyed_hash(patch: Patch) -> None:
    _governed(patch, lambda call: exp.MD5(this=call.expressions[1].copy()))


def one_key_for_all(patch: Patch) -> None:
    def same_class(call: exp.Anonymous) -> exp.Expr:
        call.set("expressions", [exp.Literal.string("person"), call.expressions[1]])
        return call

    _governed(patch, same_class)


def token_of_a_part(patch: Patch) -> None:
    def part(call: exp.Anonymous) -> exp.Expr:
        inner = exp.Substring(this=call.expressions[1], start=exp.Literal.number(1), length=exp.Literal.number(8))
        call.set("expressions", [call.expressions[0], inner])
        return call

    _governed(patch, part)


def denied_as_token(patch: Patch) -> None:
    right = Access.decide

    def wrong(self: Access, classification: str | None) -> Decision:
        found = right(self, classification)
        return replace(found, action="token") if found.action == "deny" else found

    patch.setattr(Access, "decide", wrong)


def any_transform(patch: Patch) -> None:
    right = Access.decide

    def wrong(self: Access, classification: str | None) -> Decision:
        found = right(self, classification)
        return replace(found, transforms=found.transforms | {"luhn_valid", "last4", "age_years"})

    patch.setattr(Access, "decide", wrong)


def tokenized_literals(patch: Patch) -> None:
    """``email = 'x'`` becomes ``token = token('x')``: an oracle for who is in the data."""
    right, types = comparison_flows.check_comparison, guard.infer_types

    def wrong(node: exp.Expr, sides: list[exp.Expr], flows: list[Flow], report: Any) -> None:
        tokens = [label.classification for flow in flows for label in flow.labels if label.kind == "token"]
        literals = [side for side in sides if isinstance(side, exp.Literal)]
        if not tokens or not literals:
            right(node, sides, flows, report)
        for literal in literals if tokens else ():
            literal.meta["tokenize"] = tokens[0]

    def after_typing(tree: exp.Expr, *others: Any) -> Any:
        found = types(tree, *others)
        for literal in list(tree.find_all(exp.Literal)):
            kind = literal.meta_get("tokenize")
            if kind:
                arguments = [exp.Literal.string(kind), exp.Literal.string(literal.name)]
                literal.replace(exp.Anonymous(this=f"{PREFIX}token", expressions=arguments))
        return found

    patch.setattr(comparison_flows, "check_comparison", wrong)
    patch.setattr(guard, "infer_types", after_typing)


# Flows that the analysis forgets.


def without_clause(part: str) -> Callable[[Patch], None]:
    """The clause is not looked at."""

    def make(patch: Patch) -> None:
        right = lineage._select

        def wrong(select: exp.Select, state: Any) -> QueryFlows:
            clause = select.args.get(part)
            select.args[part] = None
            try:
                return right(select, state)
            finally:
                select.args[part] = clause

        patch.setattr(lineage, "_select", wrong)

    return make


def set_operation_keeps_the_left(patch: Patch) -> None:
    def wrong(operation: exp.SetOperation, state: Any) -> QueryFlows:
        left = lineage._query(operation.this, state)
        lineage._query(operation.expression, state)
        return left

    patch.setattr(lineage, "_set_operation", wrong)


def path_is_forgotten(patch: Patch) -> None:
    patch.setattr(lineage, "settled", lambda flow, _path: flow)
    patch.setattr(guard, "settled", lambda flow, _path: flow)


def choice_forgets_its_conditions(patch: Patch) -> None:
    patch.setattr(comparison_flows, "kept", lambda value, _conditions: value)


def picking_is_forgotten(patch: Patch) -> None:
    patch.setattr(lineage, "decided", lambda value, _by: value)


def tokens_go_everywhere(patch: Patch) -> None:
    patch.setattr(lineage, "refuse_token", lambda *_arguments: None)


def rule_gives_nothing(kind: type[exp.Expr]) -> Callable[[Patch], None]:
    return lambda patch: patch.setitem(lineage._RULES, kind, lambda _node, _state: NOTHING)


# Names that mean something else.


def tables_before_ctes(patch: Patch) -> None:
    right = relations._table

    def wrong(item: exp.Expr, visible: Any, state: Any, *others: Any) -> Any:
        hidden = {name: cte for name, cte in visible.items() if name not in state.catalog.tables}
        return right(item, hidden, state, *others)

    patch.setattr(relations, "_table", wrong)


def merged_is_the_left(patch: Patch) -> None:
    patch.setattr(joins, "_merged", lambda _side, left, _right: left.copy())


MUTANTS: Final = (
    Mutant("a CTE is left out", raw_where(table_in(exp.CTE)), frozenset({"WITH"}), word="WITH"),
    Mutant(
        "the second branch of a set operation is left out",
        raw_where(table_in(exp.SetOperation, "expression")),
        frozenset({"UNION ALL"}),
    ),
    Mutant("a subquery in FROM is left out", raw_where(table_in(exp.Subquery)), frozenset({"subquery"})),
    Mutant(
        "a subquery in an expression is left out",
        raw_where(_in_expression),
        frozenset({"person: in subquery"}),
        word="(SELECT",
    ),
    Mutant(
        "the right side of a join is left out", raw_where(table_in(exp.Join)), frozenset({"person: join"}), word="JOIN"
    ),
    Mutant("LATERAL is left out", raw_where(table_in(exp.Lateral)), frozenset({"LATERAL"}), word="LATERAL"),
    Mutant("a recursive CTE is left out", raw_where(_recursive), frozenset({"WITH RECURSIVE"}), word="RECURSIVE"),
    Mutant("WHERE is left out", raw_where(in_clause(exp.Where)), frozenset({"forbidden in WHERE"}), word="WHERE"),
    Mutant("HAVING is left out", raw_where(in_clause(exp.Having)), frozenset({"forbidden in HAVING"}), word="HAVING"),
    Mutant("QUALIFY is left out", raw_where(_qualified), frozenset({"forbidden in QUALIFY"}), word="QUALIFY"),
    Mutant(
        "FILTER is left out",
        raw_where(in_clause(exp.Filter, "expression")),
        frozenset({"forbidden in FILTER"}),
        word="FILTER",
    ),
    Mutant(
        "ORDER BY is left out", raw_where(in_clause(exp.Order)), frozenset({"forbidden in ORDER BY"}), word="ORDER BY"
    ),
    Mutant("GROUP BY is left out", raw_where(in_clause(exp.Group)), frozenset({"GROUP BY"})),
    Mutant("ON is left out", raw_where(in_clause(exp.Join, "on")), frozenset({"person: join"}), word=" ON "),
    Mutant(
        "PARTITION BY is left out",
        raw_where(in_clause(exp.Window, "partition_by")),
        frozenset({"forbidden in OVER"}),
        word="PARTITION",
    ),
    Mutant("CASE is left out", raw_where(in_clause(exp.Case)), frozenset({"case"}), word="CASE"),
    Mutant("aggregates are left out", raw_where(in_clause(exp.AggFunc)), frozenset({"person: aggregate"})),
    Mutant("a table in capitals is not recognised", raw_where(_otherwise_written)),
    Mutant("stars are expanded after the policy looked", raw_where(_of_star), frozenset({"star"})),
    Mutant("a token is an unkeyed hash", unkeyed_hash),
    Mutant("tokens of all classes have one key", one_key_for_all),
    Mutant("a token is made of a part of the value", token_of_a_part),
    Mutant("denied columns become tokens", denied_as_token),
    Mutant("transforms that no rule lists are let through", any_transform, frozenset({"forbidden"}), word="luhn"),
    Mutant("constants beside tokens are tokenized", tokenized_literals, frozenset({"forbidden"}), word="adam.1"),
    Mutant("the analysis skips WHERE", without_clause("where"), frozenset({"WHERE", "transform"}), word="WHERE"),
    Mutant("the analysis skips HAVING", without_clause("having"), frozenset({"HAVING", "transform"}), word="HAVING"),
    Mutant("the analysis skips ORDER BY", without_clause("order"), frozenset({"LIMIT", "transform"}), word="ORDER BY"),
    Mutant(
        "the analysis skips GROUP BY", without_clause("group"), frozenset({"GROUP BY", "transform"}), word="GROUP BY"
    ),
    Mutant("a set operation has the labels of its left branch", set_operation_keeps_the_left, word="UNION"),
    Mutant("the path of a query leaves no label", path_is_forgotten, frozenset({"WHERE", "transform"}), word="("),
    Mutant(
        "CASE forgets what its conditions carry",
        choice_forgets_its_conditions,
        frozenset({"case", "transform"}),
        word="CASE",
    ),
    Mutant(
        "windows, FILTER and ORDER BY inside aggregates leave no label",
        picking_is_forgotten,
        frozenset({"window", "transform"}),
    ),
    Mutant("IS NULL leaves no label", rule_gives_nothing(exp.Is), word="IS NULL"),
    Mutant("EXISTS leaves no label", rule_gives_nothing(exp.Exists), word="EXISTS"),
    Mutant("IN leaves no label", rule_gives_nothing(exp.In), word=" IN "),
    Mutant("tokens may be calculated with", tokens_go_everywhere, word="email"),
    Mutant("a table comes before a CTE of its name", tables_before_ctes, frozenset({"CTE shadowing"})),
    Mutant(
        "a merged column is the left one", merged_is_the_left, frozenset({"RIGHT JOIN USING", "clear"}), word="USING"
    ),
)
