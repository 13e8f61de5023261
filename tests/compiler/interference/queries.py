"""The grammar of queries: SELECT in all its forms, set operations, CTEs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.compiler.interference.choices import Choices
from tests.compiler.interference.relations import Relations
from tests.compiler.interference.writing import (
    BY_KIND,
    DENIED,
    Col,
    Columns,
    Item,
    Scope,
    columns_given,
    is_key,
    listed,
    unsourced,
)


@dataclass(frozen=True)
class Written:
    """A random query."""

    sql: str
    constructs: frozenset[str]
    personal: bool
    """Whether classified columns could occur in it."""
    made: tuple[int, ...]


def write(choices: Choices) -> Written:
    """The query that these choices make."""
    personal = choices.chance(62)
    grammar = Grammar(choices, personal=personal)
    # Few queries try what is forbidden, but those that do, do it often: most have to be let through and to hold.
    if not personal:
        grammar.mark("clear")
    grammar.slips = choices.of((0, 0, 0, 10)) if personal else 0
    sql, _ = grammar.query(choices.of((0, 1, 1, 2, 2)), Scope())
    return Written(sql, frozenset(grammar.used), personal, tuple(choices.made))


class Grammar(Relations):
    """Writes queries."""

    def query(self, depth: int, outer: Scope) -> tuple[str, Columns]:
        """A query with its columns; ``outer`` has the CTEs and the columns that it can see."""
        if depth >= 1 and self.chance(30):
            form = self.choices.of(
                (self.with_ctes, self.with_ctes, self.set_operation, self.set_operation, self.recursive)
            )
            return form(depth, outer)
        return self.select(depth, outer)

    # WITH.

    def with_ctes(self, depth: int, outer: Scope) -> tuple[str, Columns]:
        self.mark("WITH")
        ctes: dict[str, Columns] = dict(outer.ctes)
        parts = []
        own: set[str] = set()
        for _ in range(2 if self.chance(40) else 1):
            body, columns = self.query(depth - 1, Scope(dict(ctes), outer.outer))
            name = self.name("c")
            if self.chance(25):
                self.mark("CTE shadowing")
                name = self.of(("customers", "transactions", "Merchants", "CARD_SPEND"))
                if name.lower() in own:
                    name = self.name("c")
            own.add(name.lower())
            for known in [known for known in ctes if known.lower() == name.lower()]:
                del ctes[known]
            ctes[name] = unsourced(columns)
            parts.append(f"{name} AS {self.of(('', 'MATERIALIZED ')) if self.chance(5) else ''}({body})")
        text, columns = self.select(depth - 1, Scope(ctes, outer.outer))
        return f"WITH {', '.join(parts)} {text}", columns

    def recursive(self, depth: int, outer: Scope) -> tuple[str, Columns]:
        self.mark("WITH RECURSIVE")
        name, step = self.name("r"), self.name("n")
        scope = Scope(outer.ctes, outer.outer)
        start = self.from_clause(scope, 0)
        item = self.item(scope, 1)
        operator = self.of(("UNION ALL", "UNION"))
        value = item.column.written
        body = (
            f"SELECT 1 AS {step}, {item.sql} AS {value} {start} {operator} "
            f"SELECT {step} + 1, {value} FROM {name} WHERE {step} < 3"
        )
        columns = (Col(step, "int"), replace(item.column, source=False))
        inner = Scope({**outer.ctes, name: columns}, outer.outer)
        text, found = self.select(depth - 1, inner)
        return f"WITH RECURSIVE {name} AS ({body}) {text}", found

    # Set operations.

    def set_operation(self, depth: int, outer: Scope) -> tuple[str, Columns]:
        left, columns = self.select(depth - 1, Scope(outer.ctes, outer.outer), simple=True)
        operator = self.of(
            ("UNION ALL", "UNION", "EXCEPT", "INTERSECT", "UNION ALL BY NAME", "UNION BY NAME", "EXCEPT ALL")
        )
        self.mark(operator)
        wanted = columns
        by_name = operator.endswith("NAME")
        if by_name and self.chance(60):
            wanted = tuple(reversed(columns))
        right, _ = self.select(depth - 1, Scope(outer.ctes, outer.outer), wanted=wanted, named=by_name)
        text = f"{left} {operator} {right}"
        if self.chance(15):
            self.mark("ORDER BY")
            text += f" ORDER BY {self.of(['1', columns[0].written])}"
        return text, unsourced(columns)

    # SELECT.

    def select(
        self, depth: int, outer: Scope, *, wanted: Columns = (), named: bool = False, simple: bool = False
    ) -> tuple[str, Columns]:
        """A SELECT; with ``wanted``, its columns have these types and classes."""
        scope = Scope(outer.ctes, outer.outer)
        source = self.from_clause(scope, depth)
        if wanted:
            return self._matching(scope, source, wanted, named=named)
        forms = [self.plain, self.plain, self.grouped, self.aggregated, self.windowed, self.star, self.distinct]
        if not simple:
            forms += [self.columns_call, self.qualified, self.ordered, self.lateral_alias, self.whole_row]
        return self.choices.of(forms)(scope, source)

    def item(self, scope: Scope, depth: int, kind: str = "") -> Item:
        """An expression of the SELECT list, of any type if none is given."""
        name = self.name("a")
        if not kind and self.personal and self.chance(55):
            classes = frozenset({"email", "payment_card", "device_id", "person_name"})
            if self.slip():
                self.mark("forbidden")
                classes = DENIED
            found = self.person(scope, classes)
            if found is not None:
                return Item(self.ref(scope, *found), Col(name, found[1].kind, found[1].person))
        chosen = kind or (self.of(BY_KIND) if not self.chance(10) else "list")
        return Item(self.value(scope, chosen, depth), Col(name, chosen))

    def items(self, scope: Scope, depth: int = 2) -> list[Item]:
        return [self.item(scope, depth) for _ in range(1 + self.choices.below(3))]

    def where(self, scope: Scope) -> str:
        if not self.chance(45):
            return ""
        self.mark("WHERE")
        return f" WHERE {self.condition(scope, 2, 'WHERE')}"

    def plain(self, scope: Scope, source: str) -> tuple[str, Columns]:
        found = self.items(scope)
        text = f"SELECT {listed(found)} {source}{self.where(scope)}"
        if self.chance(8):
            self.mark("FROM first")
            text = f"{source} SELECT {listed(found)}{self.where(scope)}"
        return text, columns_given(found)

    def distinct(self, scope: Scope, source: str) -> tuple[str, Columns]:
        found = self.items(scope, 1)
        if self.chance(30):
            self.mark("DISTINCT ON")
            key = self.value(scope, "int", 0)
            total = self._total_order(scope)
            return (
                f"SELECT DISTINCT ON ({key}) {listed(found)} {source}{self.where(scope)} ORDER BY {key}, {total}",
                columns_given(found),
            )
        self.mark("DISTINCT")
        return f"SELECT DISTINCT {listed(found)} {source}{self.where(scope)}", columns_given(found)

    def ordered(self, scope: Scope, source: str) -> tuple[str, Columns]:
        self.mark("ORDER BY")
        found = self.items(scope, 1)
        sortable = [item for item in found if not item.column.person and item.column.kind not in ("list", "bool")]
        keys = [self.value(scope, self.of(("int", "text", "time")), 1)]
        keys = keys if not keys[0].isdigit() else [self._first_clear(scope)]
        keys += [self.of([item.column.written, str(found.index(item) + 1)]) for item in sortable[:1]]
        if self.slip():
            raw = self.person(scope, DENIED, outside=False)
            if raw is not None:
                self.mark("forbidden")
                self.mark("forbidden in ORDER BY")
                keys = [self.ref(scope, *raw)]
        text = f"SELECT {listed(found)} {source}{self.where(scope)} ORDER BY {', '.join(keys)}"
        if self.chance(20):
            text += self.of((" DESC", " NULLS FIRST", " DESC NULLS LAST"))
        total = self.chance(80)
        text += f", {self._total_order(scope)}" if total else ""
        if self.chance(50):
            if not total:
                self.mark("ties")
            self.mark("LIMIT")
            text += f" LIMIT {1 + self.choices.below(5)}" + self.of(("", " OFFSET 1"))
        return text, columns_given(found)

    def lateral_alias(self, scope: Scope, source: str) -> tuple[str, Columns]:
        """``SELECT a + 1 AS b, b * 2 AS c``."""
        self.mark("lateral alias")
        first = self.item(scope, 1, "int")
        alias = first.column.written
        second = Item(self.of((f"{alias} + 1", f"coalesce({alias}, 0) * 2")), Col(self.name("a"), "int"))
        third = Item(f"{second.column.written} > {alias}", Col(self.name("a"), "bool"))
        found = [first, second, third]
        where = f" WHERE {alias} > 0" if self.chance(30) else self.where(scope)
        return f"SELECT {listed(found)} {source}{where}", columns_given(found)

    def star(self, scope: Scope, source: str) -> tuple[str, Columns]:
        """``*`` or ``t.*``, with EXCLUDE, REPLACE and RENAME."""
        self.mark("star")
        relation = self.choices.of(scope.relations)
        names = [column.name.lower() for _, column in scope.columns()]
        bare = len(scope.relations) == 1 and len(names) == len(set(names)) and self.chance(70)
        hidden = DENIED if self.personal else DENIED | {column.person for column in relation.columns if column.person}
        left = [column for column in relation.columns if column.person not in hidden]
        excluded = [column for column in relation.columns if column.person in hidden]
        if self.slip():
            self.mark("forbidden")
            left, excluded = list(relation.columns), []
        if not left:
            return self.plain(scope, source)
        if len(left) > 1 and self.chance(25):
            excluded.append(left.pop(self.choices.below(len(left))))
        options, columns = self._star_options(scope, left)
        exclude = f" EXCLUDE ({', '.join(column.written for column in excluded)})" if excluded else ""
        star = f"{'*' if bare else f'{relation.alias}.*'}{exclude}{options}"
        return f"SELECT {star} {source}{self.where(scope)}", columns

    def _star_options(self, scope: Scope, left: list[Col]) -> tuple[str, Columns]:
        clear = [column for column in left if not column.person and column.kind in BY_KIND]
        if not clear or not self.chance(40):
            return "", tuple(left)
        column = self.choices.of(clear)
        if self.chance(50):
            self.mark("RENAME")
            name = self.name("a")
            renamed = tuple(replace(other, name=name) if other is column else other for other in left)
            return f" RENAME ({column.written} AS {name})", renamed
        self.mark("REPLACE")
        return f" REPLACE ({self.value(scope, column.kind, 1)} AS {column.written})", tuple(left)

    def columns_call(self, scope: Scope, source: str) -> tuple[str, Columns]:
        """``COLUMNS(...)``: by pattern, by lambda, inside an expression."""
        names = [column.name.lower() for _, column in scope.columns()]
        if len(names) != len(set(names)):
            return self.star(scope, source)
        self.mark("COLUMNS")
        everything = [column for _, column in scope.columns()]
        chosen = [column for column in everything if "country" in column.name or "_id" in column.name]
        chosen = [column for column in chosen if not column.person or self.personal]
        if not chosen:
            return self.star(scope, source)
        ints = [column for column in everything if column.name.endswith("_id")]
        forms: list[tuple[str, list[Col]]] = [
            (f"COLUMNS([{', '.join(repr(column.name) for column in chosen)}])", chosen),
        ]
        if ints and all(column.kind == "int" for column in ints):
            forms += [("COLUMNS('.*_id$')", ints), ("COLUMNS('.*_id$')", ints)]
            forms += [
                ("COLUMNS(lambda c: c LIKE '%_id')", ints),
                ("max(COLUMNS('.*_id$'))", []),
                ("COLUMNS('.*_id$') + 1", []),
            ]
        sql, columns = self.choices.of(forms)
        return f"SELECT {sql} {source}{self.where(scope)}", tuple(columns) or (Col(ints[0].name, "int"),)

    def whole_row(self, scope: Scope, source: str) -> tuple[str, Columns]:
        """A row as a value."""
        rows = [r for r in scope.relations if r.columns and all(not c.person for c in r.columns)]
        rows += [r for r in scope.relations if self.personal and not any(c.person in DENIED for c in r.columns)]
        if not rows:
            return self.plain(scope, source)
        self.mark("whole row")
        row = self.choices.of(rows)
        column = self.choices.of(row.columns)
        name = self.name("a")
        forms = (
            (f"{row.alias}", "row", ""),
            (f"to_json({row.alias})", "json", ""),
            (f"struct_extract({row.alias}, '{column.name}')", column.kind, column.person),
            (f"count(DISTINCT {row.alias})", "int", ""),
        )
        sql, kind, person = self.choices.of(forms)
        return f"SELECT {sql} AS {name} {source}{self.where(scope)}", (Col(name, kind, person),)

    # Aggregation and windows.

    def grouped(self, scope: Scope, source: str) -> tuple[str, Columns]:
        self.mark("GROUP BY")
        keys = [self.key(scope) for _ in range(1 + self.choices.below(2))]
        found = [*keys, *(self.aggregate(scope) for _ in range(1 + self.choices.below(2)))]
        numbers = ", ".join(str(number) for number in range(1, len(keys) + 1))
        expressions = ", ".join(item.sql for item in keys)
        aliases = ", ".join(item.column.written for item in keys)
        form = self.of(("keys", "ALL", "ordinals", "aliases", "sets"))
        self.mark(f"GROUP BY {form}")
        written = {"keys": expressions, "ALL": "ALL", "ordinals": numbers, "aliases": aliases}.get(form)
        if any(not is_key(item.sql) for item in keys) and form in ("keys", "sets"):
            written = aliases
        elif form == "sets":
            pattern = self.of(("ROLLUP ({})", "CUBE ({})", "GROUPING SETS (({}), ())"))
            written = pattern.format(expressions)
        text = f"SELECT {listed(found)} {source}{self.where(scope)} GROUP BY {written}"
        if self.chance(35):
            self.mark("HAVING")
            text += f" HAVING {self.having(scope)}"
        return text, columns_given(found)

    def key(self, scope: Scope) -> Item:
        """What to group by: something of the rows, not a constant."""
        made = self.item(scope, 1)
        if made.column.person or (is_key(made.sql) and any(f"{r.alias}." in made.sql for r in scope.relations)):
            return made
        clear = [pair for pair in scope.columns() if not pair[1].person]
        if not clear:
            return made
        relation, column = self.choices.of(clear)
        return Item(f"{relation.alias}.{column.written}", replace(made.column, kind=column.kind))

    def aggregated(self, scope: Scope, source: str) -> tuple[str, Columns]:
        self.mark("aggregate")
        found = [self.aggregate(scope) for _ in range(1 + self.choices.below(3))]
        having = ""
        if self.chance(15):
            self.mark("HAVING")
            having = f" HAVING {self.having(scope)}"
        return f"SELECT {listed(found)} {source}{self.where(scope)}{having}", columns_given(found)

    def having(self, scope: Scope) -> str:
        raw = self.person(scope, outside=False) if self.slip() else None
        if raw is not None:
            self.mark("forbidden")
            self.mark("forbidden in HAVING")
            return f"max({self.ref(scope, *raw)}) {self.of(('<', '=', 'LIKE'))} 'm%'"
        return f"{self.aggregate(scope, 'int').sql} {self.of(('>', '<=', '<>'))} {self.choices.below(4)}"

    def aggregate(self, scope: Scope, kind: str = "") -> Item:
        """An aggregate, with FILTER now and then."""
        sql, column = self._aggregate(scope, kind or self.of(("int", "int", "num", "text", "bool", "list")))
        if self.chance(20):
            self.mark("FILTER")
            sql += f" FILTER (WHERE {self.condition(scope, 1, 'FILTER')})"
        return Item(sql, replace(column, name=self.name("g")))

    def _aggregate(self, scope: Scope, kind: str) -> tuple[str, Col]:
        found = self.person(scope, outside=False) if self.personal and self.chance(40) else None
        if found is not None and kind in ("int", "text"):
            return self._of_persons(scope, self.ref(scope, *found), found[1], kind)
        if self.slip():
            raw = self.person(scope, DENIED | {"email", "payment_card"}, outside=False)
            if raw is not None:
                self.mark("forbidden")
                call = self.of(("string_agg({0}, ',' ORDER BY {0})", "max({0})", "arg_min({0}, {0})", "count({0})"))
                return call.format(self.ref(scope, *raw)), Col("", "text")
        value, order, first = self.value(scope, "int", 1), self._total_order(scope), self._first_clear(scope)
        text = self.value(scope, "text", 1)
        forms = {
            "int": (
                "count(*)",
                f"count({text})",
                f"sum({value})",
                f"count(DISTINCT {text})",
                f"min({value})",
                f"max({value})",
                f"arg_max({value}, {first})",
                f"count_if({self.value(scope, 'bool', 1)})",
            ),
            "num": (
                f"avg({value})",
                f"median({value})",
                f"sum({self.value(scope, 'num', 1)})",
                f"stddev_samp({value})",
            ),
            "text": (
                f"min({text})",
                f"max({text})",
                f"string_agg({text}, ',' ORDER BY {order})",
                f"arg_min({text}, {first})",
            ),
            "bool": (f"bool_or({self.value(scope, 'bool', 1)})", f"bool_and({self.value(scope, 'bool', 1)})"),
            "list": (f"array_agg({text} ORDER BY {order})", f"list({text} ORDER BY {order})"),
        }
        call = self.of(forms[kind])
        if call.startswith("arg_"):
            self.mark("ties")
        if call.startswith("count_if"):
            self.mark("count_if")
        return call, Col("", kind)

    def _of_persons(self, scope: Scope, sql: str, column: Col, kind: str) -> tuple[str, Col]:
        self.mark("person: aggregate")
        if kind == "int":
            return self.of((f"count(DISTINCT {sql})", f"count({sql})")), Col("", "int")
        first = self._first_clear(scope)
        return self.of((f"arg_max({sql}, {first})", f"arg_min({sql}, {first})")), Col("", "text", column.person)

    def windowed(self, scope: Scope, source: str) -> tuple[str, Columns]:
        self.mark("window")
        window, name = self._window(scope), ""
        if self.chance(20):
            self.mark("named window")
            name = self.name("w")
        call = self.of(
            (
                "row_number()",
                "rank()",
                "dense_rank()",
                "count(*)",
                f"sum({self.value(scope, 'int', 1)})",
                f"max({self.value(scope, 'int', 0)})",
                "ntile(2)",
                f"lag({self.value(scope, 'int', 1)})",
                f"first_value({self.value(scope, 'int', 1)})",
            )
        )
        if call[:5] in ("count", "sum({", "max({") and self.chance(15):
            self.mark("FILTER")
            call += f" FILTER (WHERE {self.value(scope, 'bool', 0)})"
        over = name or f"({window})"
        found = [self.item(scope, 1), Item(f"{call} OVER {over}", Col(self.name("a"), "int"))]
        clause = f" WINDOW {name} AS ({window})" if name else ""
        return f"SELECT {listed(found)} {source}{self.where(scope)}{clause}", columns_given(found)

    def qualified(self, scope: Scope, source: str) -> tuple[str, Columns]:
        self.mark("QUALIFY")
        found = self.items(scope, 1)
        condition = f"row_number() OVER ({self._window(scope, frame=False)}) {self.of(('= 1', '<= 2', '> 1'))}"
        if self.chance(20):
            condition += f" {self.of(('AND', 'OR'))} {self.condition(scope, 1, 'QUALIFY')}"
        return f"SELECT {listed(found)} {source}{self.where(scope)} QUALIFY {condition}", columns_given(found)

    def _window(self, scope: Scope, *, frame: bool = True) -> str:
        parts = []
        if self.chance(60):
            person = self.person(scope, outside=False) if self.personal and self.chance(40) else None
            if self.slip():
                person = self.person(scope, DENIED, outside=False)
                self.mark("forbidden")
                self.mark("forbidden in OVER")
            key = self.ref(scope, *person) if person is not None else self.value(scope, self.of(("int", "text")), 1)
            parts.append(f"PARTITION BY {key}")
        first = f"{self.value(scope, 'int', 0)}, " if self.chance(30) else ""
        if first[:1].isdigit():
            first = ""
        parts.append(f"ORDER BY {first}{self._total_order(scope)}")
        if frame and self.chance(15):
            self.mark("frame")
            parts.append("ROWS BETWEEN 2 PRECEDING AND CURRENT ROW")
        return " ".join(parts)

    # Shared.

    def _total_order(self, scope: Scope) -> str:
        """Clear columns that order the rows; notes where rows may tie, since engines break ties as they like."""
        if all(relation.key for relation in scope.relations):
            return ", ".join(f"{relation.alias}.{relation.key}" for relation in scope.relations)
        self.mark("ties")
        return self._first_clear(scope)

    def _first_clear(self, scope: Scope) -> str:
        for relation, column in scope.columns():
            if not column.person and column.kind in ("int", "time", "text"):
                return f"{relation.alias}.{column.written}"
        return "1"

    def _matching(self, scope: Scope, source: str, wanted: Columns, *, named: bool) -> tuple[str, Columns]:
        found = []
        for column in wanted:
            item = None
            if column.person:
                person = self.person(scope, frozenset({column.person}), outside=False)
                item = Item(self.ref(scope, *person), column) if person is not None else Item("NULL", column)
            elif column.kind in (*BY_KIND, "list"):
                item = self.item(scope, 1, column.kind)
            else:
                item = Item("NULL", column)
            found.append(replace(item, column=replace(column, source=False)))
        text = ", ".join(item.named if named else item.sql for item in found)
        return f"SELECT {text} {source}{self.where(scope)}", columns_given(found)
