"""The closed list of constructs: which nodes a query may be made of, and with which parts.

Whatever is not listed here, or in the function catalogue, is refused: opaque commands, dialect specialities whose
meaning differs between engines, and anything that a later version of the parser may come to understand.

>>> from feature_platform.compiler.parse import Places, parse_query
>>> report = Report(Places(None, None))
>>> check_constructs(parse_query("SELECT a FROM t WHERE a ILIKE 'x'").tree, report)
>>> report.problems[0].code
'FP-SQL-003'
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feature_platform.compiler.codes import ARGUMENTS, CONSTRUCT, UNKNOWN_FUNCTION
from feature_platform.compiler.functions.catalogue import (
    FUNCTION_NODES,
    call_of,
    function_named,
    known_names,
    written_name,
)
from feature_platform.compiler.functions.refused import refusal_of
from feature_platform.compiler.report import Report
from feature_platform.compiler.spellings import is_spelling
from feature_platform.compiler.table_constructs import stands_right
from feature_platform.compiler.trees import children
from feature_platform.errors import did_you_mean
from feature_platform.governance.transforms import TRANSFORMS

_BINARY: Final = frozenset({"this", "expression"})

ALLOWED: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Select: frozenset(
        [
            "expressions",
            "distinct",
            "from_",
            "joins",
            "where",
            "group",
            "having",
            "qualify",
            "order",
            "limit",
            "offset",
            "with_",
            "windows",
        ]
    ),
    exp.Union: frozenset(["this", "expression", "distinct", "with_", "order", "limit", "offset", "by_name"]),
    exp.Except: frozenset(["this", "expression", "distinct", "with_", "order", "limit", "offset"]),
    exp.Intersect: frozenset(["this", "expression", "distinct", "with_", "order", "limit", "offset"]),
    exp.Subquery: frozenset({"this", "alias", "joins", "pivots"}),
    exp.With: frozenset({"expressions", "recursive"}),
    exp.CTE: frozenset({"this", "alias", "materialized"}),
    exp.TableAlias: frozenset({"this", "columns"}),
    exp.From: frozenset({"this"}),
    exp.Table: frozenset({"this", "alias", "db", "joins", "pivots"}),
    exp.Lateral: frozenset({"this", "alias"}),
    exp.Unnest: frozenset({"expressions", "alias", "offset"}),
    exp.Values: frozenset({"expressions", "alias"}),
    exp.Pivot: frozenset({"expressions", "fields", "group", "unpivot", "include_nulls", "alias"}),
    exp.PivotAlias: frozenset({"this", "alias"}),
    exp.Join: frozenset({"this", "method", "side", "kind", "on", "using"}),
    exp.Where: frozenset({"this"}),
    exp.Group: frozenset({"expressions", "all"}),
    exp.Rollup: frozenset({"expressions"}),
    exp.Cube: frozenset({"expressions"}),
    exp.GroupingSets: frozenset({"expressions"}),
    exp.Grouping: frozenset({"expressions"}),
    exp.Having: frozenset({"this"}),
    exp.Qualify: frozenset({"this"}),
    exp.Order: frozenset({"this", "expressions"}),
    exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
    exp.Limit: frozenset({"expression", "limit_options"}),
    exp.LimitOptions: frozenset({"percent"}),
    exp.Offset: frozenset({"expression"}),
    exp.Distinct: frozenset({"expressions", "on"}),
    exp.Star: frozenset({"except_", "replace", "rename"}),
    exp.Columns: frozenset({"this", "unpack"}),
    exp.Alias: frozenset({"this", "alias"}),
    exp.Column: frozenset({"this", "table", "db", "catalog"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Boolean: frozenset({"this"}),
    exp.Null: frozenset(),
    exp.Paren: frozenset({"this"}),
    exp.And: _BINARY,
    exp.Or: _BINARY,
    exp.Not: frozenset({"this"}),
    exp.EQ: _BINARY,
    exp.NEQ: _BINARY,
    exp.LT: _BINARY,
    exp.LTE: _BINARY,
    exp.GT: _BINARY,
    exp.GTE: _BINARY,
    exp.NullSafeEQ: _BINARY,
    exp.NullSafeNEQ: _BINARY,
    exp.Is: _BINARY,
    exp.Between: frozenset({"this", "low", "high"}),
    exp.In: frozenset({"this", "expressions", "query", "field"}),
    exp.Like: _BINARY | {"negate"},
    exp.Escape: _BINARY,
    exp.Exists: frozenset({"this"}),
    exp.Case: frozenset({"this", "ifs", "default"}),
    exp.If: frozenset({"this", "true", "false"}),
    exp.Add: _BINARY,
    exp.Sub: _BINARY,
    exp.Mul: _BINARY,
    exp.Div: _BINARY | {"typed", "safe"},
    exp.IntDiv: _BINARY,
    exp.Neg: frozenset({"this"}),
    exp.Cast: frozenset({"this", "to"}),
    exp.TryCast: frozenset({"this", "to", "safe"}),
    exp.DataType: frozenset({"this", "expressions", "nested"}),
    exp.DataTypeParam: frozenset({"this"}),
    exp.Interval: frozenset({"this", "unit"}),
    exp.Var: frozenset({"this"}),
    exp.Window: frozenset({"this", "partition_by", "order", "spec", "over", "alias"}),
    exp.WindowSpec: frozenset({"kind", "start", "start_side", "end", "end_side", "exclude"}),
    exp.Filter: _BINARY,
    exp.IgnoreNulls: frozenset({"this"}),
    exp.RespectNulls: frozenset({"this"}),
    exp.WithinGroup: _BINARY,
    exp.ILike: _BINARY | {"negate"},
    exp.SimilarTo: _BINARY,
    exp.Glob: _BINARY,
    exp.Any: frozenset({"this"}),
    exp.All: frozenset({"this"}),
    exp.Try: frozenset({"this"}),
    exp.AtTimeZone: frozenset({"this", "zone"}),
    exp.PositionalColumn: frozenset({"this"}),
    exp.Tuple: frozenset({"expressions"}),
    exp.Struct: frozenset({"expressions"}),
    exp.PropertyEQ: _BINARY,
    exp.StructExtract: _BINARY,
    exp.Dot: _BINARY,
    exp.Bracket: frozenset({"this", "expressions", "offset"}),
    exp.Slice: _BINARY | {"step"},
    exp.ToMap: frozenset({"this"}),
    exp.Map: frozenset({"keys", "values"}),
    exp.Lambda: frozenset({"this", "expressions"}),
    exp.Transform: _BINARY,
    exp.ArrayFilter: _BINARY,
    exp.Comprehension: _BINARY | {"position", "iterator", "condition"},
    exp.JSONObject: frozenset({"expressions"}),
    exp.JSONKeyValue: _BINARY,
    exp.ParseJSON: frozenset({"this", "is_literal"}),
    exp.ArrayContainedBy: _BINARY,
    exp.ArrayPrepend: _BINARY,
    exp.ArraySort: frozenset({"this", "asc", "nulls_first"}),
    exp.ColumnDef: frozenset({"this", "kind"}),
}
"""Node classes with the parts that they may have."""

_MENDS: Final[dict[type[exp.Expr], tuple[str, str]]] = {
    exp.RegexpILike: ("a regular expression without regard to case", "write regexp_matches(lower(text), 'pattern')"),
    exp.Collate: ("COLLATE", "leave it out: texts compare by code point everywhere"),
    exp.TableSample: ("TABLESAMPLE", "leave it out: a sample is another one each time"),
    exp.Placeholder: ("a parameter", "write the value; the platform adds the parameters of a run itself"),
    exp.Parameter: ("a parameter", "write the value; the platform adds the parameters of a run itself"),
    exp.ByteString: ("an escape string", "write a plain text in single quotes"),
    exp.RawString: ("a text in dollar signs", "write a plain text in single quotes"),
    exp.HexString: ("a hexadecimal literal", "write a plain text or number"),
    exp.Command: ("a command", "write one SELECT"),
}

_PART_MENDS: Final[dict[tuple[type[exp.Expr], str], tuple[str, str]]] = {
    (exp.Between, "symmetric"): ("BETWEEN SYMMETRIC", "write x BETWEEN least(a, b) AND greatest(a, b)"),
    (exp.Table, "catalog"): ("a table with a database in front", "name the source or view alone"),
    (exp.CTE, "key_expressions"): ("USING KEY", "use UNION, and keep what is known in the rows"),
    (exp.Table, "sample"): ("TABLESAMPLE", "leave it out: a sample is another one each time"),
    (exp.Subquery, "sample"): ("TABLESAMPLE", "leave it out: a sample is another one each time"),
    (exp.Select, "sample"): ("USING SAMPLE", "leave it out: a sample is another one each time"),
    (exp.Select, "locks"): ("FOR UPDATE", "leave it out"),
    (exp.Select, "into"): ("SELECT INTO", "leave it out: the platform stores the rows"),
    (exp.Column, "db"): ("a field of a struct", "declare the field as a column of the source"),
    (exp.Group, "grouping_sets"): ("GROUPING SETS", "use UNION ALL of several GROUP BY"),
    (exp.Group, "rollup"): ("ROLLUP", "use UNION ALL of several GROUP BY"),
    (exp.Group, "cube"): ("CUBE", "use UNION ALL of several GROUP BY"),
    (exp.In, "unnest"): ("IN UNNEST", "use list_contains(list, x)"),
}


def check_constructs(tree: exp.Expr, report: Report) -> None:
    """Notes every node and every part of a node that is not on the list; looks no deeper below such a node."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if _check_node(node, report):
            stack.extend(reversed(children(node)))


def _check_node(node: exp.Expr, report: Report) -> bool:
    kind = type(node)
    parts = ALLOWED.get(kind)
    if parts is None:
        return _check_call(node, report)
    fine = True
    for part, value in node.args.items():
        if part not in parts and value:
            what, mend = _PART_MENDS.get(
                (kind, part), (f"{kind.__name__.upper()} with {part.strip('_').upper()}", "leave it out")
            )
            report.add(CONSTRUCT, node, f"not part of the dialect: {what}", mend)
            fine = False
    return fine and _check_traps(node, report)


def _check_call(node: exp.Expr, report: Report) -> bool:
    kind = type(node)
    if kind in FUNCTION_NODES:
        if call_of(node) is not None:
            return True
        name = written_name(node)
        function = function_named(name)
        forms = " or ".join(f"{name}({signature.text})" for signature in function.signatures[:3]) if function else name
        report.add(ARGUMENTS, node, f"{name} is not called in a form that the dialect has", f"write {forms}")
        return False
    name = written_name(node)
    shown = report.places.word(node) or name
    if isinstance(node, exp.Anonymous) and (name in TRANSFORMS or call_of(node) is not None or is_spelling(node)):
        return True
    refused = refusal_of(node, name)
    if refused is not None:
        report.add(refused.code, node, f"{shown} is not offered: {refused.why}", refused.mend)
    elif kind in _MENDS:
        what, mend = _MENDS[kind]
        report.add(CONSTRUCT, node, f"not part of the dialect: {what}", mend)
    elif isinstance(node, exp.Func):
        report.add(
            UNKNOWN_FUNCTION,
            node,
            f"there is no function '{shown}' in the catalogue.{did_you_mean(shown, (*known_names(), *TRANSFORMS))}",
            "use a function of docs/reference/functions.md; macros of a database are not visible here",
        )
    else:
        report.add(CONSTRUCT, node, f"not part of the dialect: {kind.__name__}", "say it in another way")
    return False


def _check_traps(node: exp.Expr, report: Report) -> bool:
    """What parses, but as something else than the author or an engine takes it for; what stands where it may not."""
    match node:
        case exp.Alias() if _is_glued_number(node):
            report.add(
                CONSTRUCT, node, "a number runs into a name", "put a space or AS between, or write the number in digits"
            )
            return False
        case exp.Struct() | exp.ToMap() | exp.Map() if not _is_spelled_out(node):
            report.add(
                CONSTRUCT,
                node,
                "not part of the dialect: a struct or map without names",
                "write {'name': value, ...}, MAP {'key': value, ...} or map([keys], [values])",
            )
            return False
        case exp.ParseJSON() if not (node.args.get("is_literal") and isinstance(node.this, exp.Literal)):
            report.add(
                CONSTRUCT, node, "not part of the dialect: json(...) as a call", "write CAST(text AS json), or to_json"
            )
            return False
        case exp.Dot() if not isinstance(node.expression, exp.Identifier | exp.Anonymous):
            report.add(CONSTRUCT, node, "not part of the dialect: this call with a dot", "write f(x) instead of x.f()")
            return False
        case exp.IgnoreNulls() if not isinstance(node.parent, exp.Window):
            return _check_ignored(node, report)
    return stands_right(node, report)


def _is_spelled_out(node: exp.Expr) -> bool:
    """Whether a struct has a name, and a map a key, for every value; neither is empty."""
    if isinstance(node, exp.Map):
        return node.args.get("keys") is not None and node.args.get("values") is not None
    if isinstance(node, exp.ToMap):
        return isinstance(node.this, exp.Struct | exp.Bracket)
    holder = node.parent
    while isinstance(holder, exp.Bracket):  # MAP {...}['k'], as the parser reads it
        holder = holder.parent
    keyed = isinstance(holder, exp.ToMap)
    return bool(node.expressions) and all(
        isinstance(field, exp.PropertyEQ) and (keyed or isinstance(field.this, exp.Identifier | exp.Literal))
        for field in node.expressions
    )


def _check_ignored(node: exp.IgnoreNulls, report: Report) -> bool:
    if isinstance(node.this, exp.AnyValue):
        return _check_call(node.this, report)  # any_value skips NULLs, which the parser spells out
    report.add(
        CONSTRUCT, node, "not part of the dialect: IGNORE NULLS without OVER", "use FILTER (WHERE x IS NOT NULL)"
    )
    return False


def _is_glued_number(node: exp.Alias) -> bool:
    # The parser reads 0x1F as the number 0 with the name x1F.
    literal, name = node.this, node.args.get("alias")
    if not isinstance(literal, exp.Literal) or literal.is_string or not isinstance(name, exp.Identifier):
        return False
    end, start = literal.meta_get("end"), name.meta_get("start")
    return end is not None and start is not None and start == end + 1
