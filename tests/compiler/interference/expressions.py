"""The grammar of expressions: templates by type, with holes that are filled by expressions of the hole's type.

Holes: ``{int}``, ``{text}`` and so on are expressions; ``{column}`` of any type; ``{person}`` is a bare classified
column and ``{same}`` another one of the same class; ``{rows}`` is a FROM clause over a table ``x`` whose rows belong to
those of the query around. Braces of SQL's own are written ``«`` and ``»``.
"""

from __future__ import annotations

import re
from typing import Final

from tests.compiler.interference.worlds import CANARIES
from tests.compiler.interference.writing import BASE, DENIED, TOKENS, Col, Kind, Rel, Scope, Writer

_HOLE: Final = re.compile(r"\{([a-z_]+)\}")

LITERALS: Final[dict[Kind, tuple[str, ...]]] = {
    "text": ("'CZ'", "'SK'", "''", "'411112'", "'gmail.com'"),
    "int": ("1", "0", "3", "2"),
    "num": ("1.5", "0.25"),
    "bool": ("true", "false"),
    "time": ("TIMESTAMP '2025-12-01 00:00:00'",),
    "date": ("DATE '2025-12-01'", "DATE '2026-01-05'"),
    "list": ("['CZ', 'web']",),
}

# (construct, template): the construct is what figures are reported by; the first of a type is the simplest.
TEMPLATES: Final[dict[Kind, tuple[tuple[str, str], ...]]] = {
    "text": (
        ("text function", "lower({text})"),
        ("text function", "upper({text})"),
        ("text function", "substr({text}, 1, 2)"),
        ("text function", "concat({text}, '-', {text})"),
        ("text function", "replace({text}, 'C', 'x')"),
        ("text function", "trim({text})"),
        ("text function", "left({text}, 2)"),
        ("text function", "md5({text})"),
        ("text function", "split_part({text}, '.', 1)"),
        ("text function", "strftime({time}, '%Y-%m')"),
        ("||", "{text} || {text}"),
        ("cast", "CAST({int} AS varchar)"),
        ("cast", "{int}::varchar"),
        ("cast", "CAST({date} AS varchar)"),
        ("coalesce", "coalesce({text}, {text})"),
        ("nullif", "nullif({text}, {text})"),
        ("case", "CASE WHEN {bool} THEN {text} ELSE {text} END"),
        ("case", "CASE {int} WHEN 1 THEN {text} WHEN 2 THEN {text} END"),
        ("if", "if({bool}, {text}, {text})"),
        ("greatest", "greatest({text}, {text})"),
        ("slice", "{text}[1:2]"),
        ("list access", "([{text}, {text}])[1]"),
        ("struct", "(«'a': {text}, 'b': {int}»).a"),
        ("struct", "struct_pack(a := {text}, b := {int}).a"),
        ("struct", "struct_extract(«'a': {text}», 'a')"),
        ("map", "map «'k': {text}»['k']"),
        ("map", "element_at(map «'k': {text}», 'k')"),
        ("json", "json_extract_string(to_json(«'a': {text}»), '$.a')"),
        ("json", "to_json(«'a': {text}») ->> 'a'"),
        ("json", "CAST(to_json({list}) AS varchar)"),
        ("lambda", "list_transform([{text}], lambda z: upper(z))[1]"),
        ("list function", "array_to_string({list}, ',')"),
        ("scalar subquery", "(SELECT max(x.{text_column}) FROM {rows})"),
    ),
    "int": (
        ("arithmetic", "{int} + {int}"),
        ("arithmetic", "{int} - 1"),
        ("arithmetic", "{int} * 2"),
        ("arithmetic", "{int} // 2"),
        ("arithmetic", "{int} % 3"),
        ("arithmetic", "-{int}"),
        ("number function", "abs({int})"),
        ("number function", "mod({int}, 3)"),
        ("number function", "sign({int})"),
        ("text function", "length({text})"),
        ("text function", "strpos({text}, 'Z')"),
        ("time function", "year({time})"),
        ("time function", "extract(month FROM {time})"),
        ("time function", "date_part('day', {time})"),
        ("time function", "date_diff('hour', {time}, {time})"),
        ("time function", "{date} - {date}"),
        ("cast", "TRY_CAST({text} AS int)"),
        ("cast", "CAST({bool} AS int)"),
        ("coalesce", "coalesce({int}, 0)"),
        ("coalesce", "ifnull({int}, {int})"),
        ("nullif", "nullif({int}, {int})"),
        ("case", "CASE WHEN {bool} THEN {int} WHEN {bool} THEN {int} END"),
        ("if", "if({bool}, {int}, {int})"),
        ("least", "least({int}, {int})"),
        ("list function", "array_length({list})"),
        ("list function", "len({list})"),
        ("list access", "([{int}, {int}])[2]"),
        ("struct", "(«'n': {int}»).n"),
        ("struct", "(«'n': {int}»)['n']"),
        ("map", "map «'k': {int}»['k']"),
        ("map", "cardinality(map «'k': {int}»)"),
        ("json", "TRY_CAST(json_extract_string(to_json(«'n': {int}»), '$.n') AS int)"),
        ("json", "json_array_length(to_json({list}))"),
        ("lambda", "list_sum(list_transform([{int}, {int}], lambda z: z + 1))"),
        ("lambda", "list_sum(list_filter([{int}, {int}], lambda z: z > {int}))"),
        ("lambda", "list_reduce([{int}, {int}], lambda y, z: y + z)"),
        ("comprehension", "list_sum([z + 1 for z in [{int}, {int}]])"),
        ("scalar subquery", "(SELECT count(*) FROM {rows})"),
        ("scalar subquery", "(SELECT sum(x.{int_column}) FROM {rows} AND {bool})"),
    ),
    "num": (
        ("arithmetic", "{num} + {num}"),
        ("arithmetic", "{num} / 4"),
        ("arithmetic", "{int} / 2"),
        ("arithmetic", "{num} * {int}"),
        ("number function", "round({num}, 1)"),
        ("number function", "floor({num})"),
        ("number function", "sqrt(abs({num}))"),
        ("cast", "CAST({int} AS double)"),
        ("cast", "TRY_CAST({text} AS double)"),
        ("coalesce", "coalesce({num}, 0)"),
        ("case", "CASE WHEN {bool} THEN {num} ELSE {num} END"),
        ("time function", "epoch({time})"),
        ("scalar subquery", "(SELECT avg(x.{int_column}) FROM {rows})"),
    ),
    "bool": (
        ("comparison", "{int} > {int}"),
        ("comparison", "{text} = {text}"),
        ("comparison", "{text} < {text}"),
        ("comparison", "{num} >= {num}"),
        ("comparison", "{time} > {time}"),
        ("comparison", "{date} <= {date}"),
        ("comparison", "{int} <> {int}"),
        ("logic", "{bool} AND {bool}"),
        ("logic", "{bool} OR {bool}"),
        ("logic", "NOT {bool}"),
        ("is null", "{column} IS NULL"),
        ("is null", "{text} IS NOT NULL"),
        ("is", "({bool}) IS TRUE"),
        ("distinct from", "{text} IS DISTINCT FROM {text}"),
        ("distinct from", "{int} IS NOT DISTINCT FROM {int}"),
        ("between", "{int} BETWEEN {int} AND {int}"),
        ("between", "{text} NOT BETWEEN 'A' AND {text}"),
        ("like", "{text} LIKE 'C%'"),
        ("like", "{text} NOT LIKE '%.com'"),
        ("ilike", "{text} ILIKE 'c%'"),
        ("regular expression", "regexp_matches({text}, '[0-9]')"),
        ("text function", "starts_with({text}, 'C')"),
        ("text function", "contains({text}, 'Z')"),
        ("in list", "{text} IN ('CZ', 'SK')"),
        ("in list", "{int} NOT IN (1, {int})"),
        ("row value", "({int}, {text}) = ({int}, {text})"),
        ("row value", "({int}, {text}) IN ((1, 'CZ'), (2, 'SK'))"),
        ("list function", "list_contains({list}, {text})"),
        ("list function", "list_has_any({list}, ['web'])"),
        ("lambda", "list_bool_or(list_transform({list}, lambda z: z = {text}))"),
        ("exists", "EXISTS (SELECT 1 FROM {rows})"),
        ("exists", "NOT EXISTS (FROM {rows} AND {bool})"),
        ("in subquery", "{int} IN (SELECT x.{int_column} FROM {rows})"),
        ("in subquery", "{text} NOT IN (SELECT x.{text_column} FROM {rows})"),
        ("any", "{int} = ANY (SELECT x.{int_column} FROM {rows})"),
        ("any", "{int} > ALL (SELECT x.{int_column} FROM {rows})"),
    ),
    "time": (
        ("time function", "{time} + INTERVAL 2 DAYS"),
        ("time function", "date_trunc('day', {time})"),
        ("time function", "time_bucket(INTERVAL 6 HOURS, {time})"),
        ("cast", "CAST({date} AS timestamp)"),
        ("cast", "TRY_CAST({text} AS timestamp)"),
        ("coalesce", "coalesce({time}, {time})"),
        ("greatest", "greatest({time}, {time})"),
    ),
    "date": (
        ("cast", "CAST({time} AS date)"),
        ("cast", "{time}::date"),
        ("arithmetic", "{date} + 3"),
        ("time function", "last_day({date})"),
        ("coalesce", "coalesce({date}, {date})"),
    ),
    "list": (
        ("list function", "list_value({text}, {text})"),
        ("list literal", "[{text}, {text}]"),
        ("lambda", "list_transform({list}, lambda z: lower(z))"),
        ("lambda", "list_filter({list}, lambda z: z <> {text})"),
        ("comprehension", "[upper(z) for z in {list} if z <> 'CZ']"),
        ("list function", "list_sort({list})"),
        ("list function", "list_concat({list}, [{text}])"),
        ("list function", "string_split({text}, '.')"),
    ),
}

# What may be asked of persons.
PERSONAL: Final[dict[Kind, tuple[tuple[str, str], ...]]] = {
    "bool": (
        ("person: null", "{person} IS NULL"),
        ("person: equality", "{person} = {same}"),
        ("person: equality", "{person} IS DISTINCT FROM {same}"),
        ("person: in subquery", "{person} IN (SELECT {x_person} FROM {x_rows})"),
        ("person: in subquery", "{person} NOT IN (SELECT {x_person} FROM {x_rows} WHERE {x_person} IS NOT NULL)"),
        ("person: any", "{person} = ANY (SELECT {x_person} FROM {x_rows})"),
        ("person: exists", "EXISTS (SELECT 1 FROM {x_rows} WHERE {x_person} = {person})"),
        ("person: list", "list_contains([{person}], {same})"),
    ),
    "int": (
        ("person: scalar subquery", "(SELECT count(*) FROM {x_rows} WHERE {x_person} = {person})"),
        ("person: case", "CASE WHEN {person} = {same} THEN {int} ELSE {int} END"),
        ("person: scalar subquery", "(SELECT count(DISTINCT {x_person}) FROM {x_rows})"),
    ),
}

# What may not be asked of them. ``{raw}`` is a classified column where a text is wanted.
FORBIDDEN: Final[dict[Kind, tuple[str, ...]]] = {
    "text": ("lower({raw})", "substr({raw}, 1, 3)", "{raw} || 'x'", "md5({raw})", "coalesce({raw}, 'x')", "{raw}"),
    "int": ("length({raw})", "TRY_CAST({raw} AS int)", "strpos({raw}, 'a')"),
    "bool": (
        "{raw} = {canary}",
        "{raw} LIKE 'a%'",
        "{raw} > 'M'",
        "{raw} IN ({canary}, 'x')",
        "regexp_matches({raw}, '^a')",
        "{raw} BETWEEN 'a' AND 'n'",
        "EXISTS (SELECT 1 FROM Logins AS x WHERE x.agent > {raw})",
        "luhn_valid({raw})",
    ),
    "list": ("[{raw}]", "string_split({raw}, '@')"),
}


class Expressions(Writer):
    """Writes expressions of a type over a scope."""

    def value(self, scope: Scope, kind: Kind, depth: int) -> str:
        """An expression of ``kind``; depth 0 is a column or a literal."""
        if kind in FORBIDDEN and self.slip():
            self.mark("forbidden")
            return self.fill(self.of(FORBIDDEN[kind]), scope, 0)
        if depth <= 0 or not self.chance(60):
            return self.leaf(scope, kind)
        if kind in PERSONAL and self.chance(45) and self.personal and self.knows_person(scope):
            construct, template = self.choices.of(PERSONAL[kind])
        else:
            construct, template = self.choices.of(TEMPLATES[kind])
        self.mark(construct)
        return f"({self.fill(template, scope, depth - 1)})"

    def condition(self, scope: Scope, depth: int, place: str) -> str:
        """A condition in a clause."""
        if self.slip() and self.person(scope, outside=False) is not None:
            self.mark("forbidden")
            self.mark(f"forbidden in {place}")
            return self.fill(self.of(FORBIDDEN["bool"]), scope, 0)
        return self.value(scope, "bool", depth)

    def leaf(self, scope: Scope, kind: Kind) -> str:
        """A column, what a transform leaves of one, or a literal."""
        if self.personal and self.chance(50):
            form = self.form(scope, kind)
            if form is not None:
                return form
        found = [(relation, column) for relation, column in scope.columns(outside=True) if column.kind == kind]
        found = [(relation, column) for relation, column in found if not column.person]
        if not found or self.chance(15):
            return self.of(LITERALS[kind])
        relation, column = self.choices.of(found)
        if relation not in scope.relations:
            self.mark("correlated")
        return self.ref(scope, relation, column)

    def form(self, scope: Scope, kind: Kind) -> str | None:
        """A permitted form of a classified column, if one of this type is in scope."""
        forms = []
        for relation, column in scope.columns():
            name = f"{relation.alias}.{column.written}"
            if column.source:
                forms += _forms(relation, column, kind, name)
            elif column.person and column.kind == kind and column.person == "person_name":
                forms.append(name)
        if not forms:
            return None
        self.mark("transform")
        return self.of(forms)

    def person(self, scope: Scope, classes: frozenset[str] = TOKENS, *, outside: bool = True) -> tuple[Rel, Col] | None:
        """A bare column of one of these classes."""
        found = [pair for pair in scope.columns(outside=outside) if pair[1].person in classes]
        return self.choices.of(found) if found else None

    def knows_person(self, scope: Scope) -> bool:
        """Whether a token is in scope."""
        return any(column.person in TOKENS for _, column in scope.columns(outside=True))

    def fill(self, template: str, scope: Scope, depth: int) -> str:
        """The template with every hole filled."""
        held: dict[str, str] = {}

        def hole(match: re.Match[str]) -> str:
            return self._hole(match[1], scope, depth, held)

        return _HOLE.sub(hole, template).replace("«", "{").replace("»", "}")

    def _hole(self, name: str, scope: Scope, depth: int, held: dict[str, str]) -> str:
        match name:
            case "column":
                pairs = [pair for pair in scope.columns() if not pair[1].person] or [None]
                pair = self.choices.of(pairs)
                return self.ref(scope, *pair) if pair is not None else "1"
            case "person" | "same" | "x_person" | "x_rows":
                return self._personal_hole(name, scope, held)
            case "raw":
                found = self.person(scope, DENIED | TOKENS | {"person_name"})
                if found is None:
                    return "'CZ'"
                written = self.ref(scope, *found)
                return written if found[1].kind == "text" else f"CAST({written} AS varchar)"
            case "canary":
                return f"'{self.of(CANARIES)}'"
            case "rows":
                return self._rows(scope, held)
            case "text_column" | "int_column":
                return self._column_of_rows(name.removesuffix("_column"), held)
        return self.value(scope, name, depth)

    def _personal_hole(self, name: str, scope: Scope, held: dict[str, str]) -> str:
        if "class" not in held:
            found = self.person(scope)
            if found is None:
                held |= {"class": "payment_card", "person": "'CZ'"}
            else:
                held |= {"class": found[1].person, "person": self.ref(scope, *found)}
            others = [(t, c) for t, columns in BASE.items() for c in columns if c.person == held["class"]]
            table, column = self.choices.of(others)
            alias = self.name("x")
            held |= {"x_rows": f'"{table}" AS {alias}', "x_person": f"{alias}.{column.written}"}
        if name == "same":
            found = self.person(scope, frozenset({held["class"]}))
            return self.ref(scope, *found) if found is not None else held["person"]
        return held[name]

    def _table_of_rows(self, held: dict[str, str]) -> str:
        if "table" not in held:
            held["table"] = self.of(("transactions", "customers", "merchants"))
        return held["table"]

    def _rows(self, scope: Scope, held: dict[str, str]) -> str:
        """``transactions AS x WHERE x.customer_id = c.customer_id``."""
        table = self._table_of_rows(held)
        key = "merchant_id" if table == "merchants" else "customer_id"
        found = [pair for pair in scope.columns(outside=True) if pair[1].kind == "int" and not pair[1].person]
        other = self.ref(scope, *self.choices.of(found)) if found else "1"
        return f"{table} AS x WHERE x.{key} = {other}"

    def _column_of_rows(self, kind: Kind, held: dict[str, str]) -> str:
        table = self._table_of_rows(held)
        return self.of([column.written for column in BASE[table] if column.kind == kind and not column.person])


def _forms(relation: Rel, column: Col, kind: Kind, name: str) -> list[str]:
    match column.person, kind:
        case "email", "text":
            return [f"email_domain({name})"]
        case "payment_card", "text":
            return [f"last4({name})", f"bin6({name})"]
        case "birth_date", "int":
            ages = [f"age_years({name}, {relation.alias}.{relation.at})"] if relation.at else []
            return [f"birth_year({name})", f"age_years({name}, DATE '2025-12-24')", *ages]
        case "ip_address", "text":
            return [f"ip_prefix({name})"]
        case "person_name", "text":
            return [name]
    return []
