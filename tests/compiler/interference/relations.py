"""The grammar of FROM: tables, subqueries, and what else has rows; and the ways to join them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from tests.compiler.interference.expressions import Expressions
from tests.compiler.interference.writing import BASE, TOKENS, Col, Rel, Scope, base, unsourced


class Relations(Expressions, ABC):
    """Writes FROM clauses."""

    @abstractmethod
    def query(self, depth: int, outer: Scope) -> tuple[str, tuple[Col, ...]]:
        """A query with its columns; the grammar of queries says how."""

    def from_clause(self, scope: Scope, depth: int) -> str:
        """``FROM …`` with one to three relations, which are put into ``scope``."""
        first, relation = self.relation(scope, depth)
        scope.relations.append(relation)
        text = f"FROM {first}"
        while len(scope.relations) < 3 and self.chance(45 if depth > 0 else 25):
            text += self.join(scope, depth)
        return text

    # One relation.

    def relation(self, scope: Scope, depth: int) -> tuple[str, Rel]:
        """Something to read from, with its alias."""
        if depth <= 0 or not self.chance(30):
            return self.table(scope)
        write = self.choices.of(
            (self.subquery, self.subquery, self.values, self.unnest, self.pivot, self.unpivot, self.whole)
        )
        return write(scope, depth - 1)

    def table(self, scope: Scope) -> tuple[str, Rel]:
        """A declared table or a CTE."""
        if scope.ctes and self.chance(60):
            name = self.of(list(scope.ctes))
            self.mark("cte")
            return self._named(name, Rel("", scope.ctes[name]))
        weighted = ("customers", "transactions", "merchants", "customers", "transactions", "Logins", "card_spend")
        names = (*weighted, "card_trend")
        free = [name for name in names if name.lower() not in {known.lower() for known in scope.ctes}]
        name = self.of(free or ["merchants"])
        return self._named(name, base(name))

    def _named(self, name: str, relation: Rel) -> tuple[str, Rel]:
        written = f'"{name}"' if not name.islower() else name
        if self.chance(8):
            self.mark("case-folded identifier")
            written = name.upper()
        elif self.chance(5):
            self.mark("quoted identifier")
            written = f'"{name.capitalize()}"'
        if self.chance(3) and name.lower() not in self.bare:
            self.bare.add(name.lower())
            return written, replace(relation, alias=f'"{name}"' if not name.islower() else name)
        alias = self.name("t")
        return f"{written}{self.of((' AS ', ' '))}{alias}", replace(relation, alias=alias)

    def subquery(self, scope: Scope, depth: int) -> tuple[str, Rel]:
        text, columns = self.query(depth, Scope(scope.ctes, scope.outer))
        self.mark("subquery")
        alias = self.name("s")
        if self.chance(12):
            self.mark("column aliases")
            names = [self.name("n") for _ in columns]
            columns = tuple(replace(column, name=name) for column, name in zip(columns, names, strict=True))
            return f"({text}) AS {alias}({', '.join(names)})", Rel(alias, unsourced(columns))
        return f"({text}) AS {alias}", Rel(alias, unsourced(columns))

    def whole(self, scope: Scope, depth: int) -> tuple[str, Rel]:
        """``(FROM t)``: all columns of a table, without a SELECT."""
        self.mark("FROM without SELECT")
        inner, relation = self.table(Scope())
        if self.personal or len(relation.clear) == len(relation.columns):
            denied = {"customers": "birth_date, phone", "Logins": "ip, agent"}
            name = next((name for name, columns in BASE.items() if columns == relation.columns), "")
            alias = self.name("s")
            if name in denied:
                names = denied[name].split(", ")
                kept = tuple(column for column in relation.columns if column.name not in names)
                return f"(FROM {inner} SELECT * EXCLUDE ({denied[name]})) AS {alias}", Rel(alias, unsourced(kept))
            return f"(FROM {inner}) AS {alias}", Rel(alias, unsourced(relation.columns))
        return self.subquery(scope, depth)

    def values(self, _scope: Scope, _depth: int) -> tuple[str, Rel]:
        self.mark("VALUES")
        alias = self.name("v")
        rows = ", ".join(f"({number}, '{country}')" for number, country in enumerate(("CZ", "SK", "DE")))
        columns = (Col(self.name("k"), "int"), Col(self.name("l"), "text"))
        return f"(VALUES {rows}) AS {alias}({columns[0].name}, {columns[1].name})", Rel(alias, columns)

    def unnest(self, _scope: Scope, _depth: int) -> tuple[str, Rel]:
        self.mark("UNNEST")
        alias, name = self.name("u"), self.name("e")
        return f"unnest(['CZ', 'SK']) AS {alias}({name})", Rel(alias, (Col(name, "text"),))

    def pivot(self, _scope: Scope, _depth: int) -> tuple[str, Rel]:
        """Countries become columns; what is summed or counted is clear, or a person counted."""
        self.mark("PIVOT")
        alias = self.name("p")
        used = "count(DISTINCT card_number)" if self.personal and self.chance(40) else "sum(quantity)"
        rows = "(SELECT merchant_id, country, quantity, card_number FROM transactions)"
        if used == "sum(quantity)":
            rows = "(SELECT merchant_id, country, quantity FROM transactions)"
        columns = (Col("merchant_id", "int"), Col("cz", "int"), Col("sk", "int"))
        if self.slip():
            self.mark("forbidden")
            return (
                f"(PIVOT (FROM customers SELECT customer_id, phone) ON phone USING count(*) GROUP BY ALL) AS {alias}",
                Rel(alias, (Col("customer_id", "int"),)),
            )
        read = self.of((rows, rows, "(FROM transactions)", "transactions"))
        if self.chance(50):
            text = f"(PIVOT {read} ON country IN ('CZ', 'SK') USING {used} GROUP BY merchant_id) AS {alias}"
            return text, Rel(alias, (columns[0], Col("CZ", "int"), Col("SK", "int")))
        text = f"{rows} PIVOT ({used} FOR country IN ('CZ' AS cz, 'SK' AS sk) GROUP BY merchant_id) AS {alias}"
        return text, Rel(alias, columns)

    def unpivot(self, _scope: Scope, _depth: int) -> tuple[str, Rel]:
        self.mark("UNPIVOT")
        alias = self.name("p")
        keys = ("transaction_id", Col("transaction_id", "int"))
        rows = "(SELECT transaction_id, quantity, merchant_id FROM transactions)"
        columns = (keys[1], Col("what", "text"), Col("much", "int"))
        if self.personal and self.chance(15):
            rows = "(SELECT customer_id AS transaction_id, email AS quantity, email AS merchant_id FROM customers)"
            columns = (keys[1], Col("what", "text"), Col("much", "text", "email"))
        forms = (
            f"{rows} UNPIVOT (much FOR what IN (quantity, merchant_id)) AS {alias}",
            f"(UNPIVOT {rows} ON quantity, merchant_id INTO NAME what VALUE much) AS {alias}",
        )
        return self.of(forms), Rel(alias, columns)

    # Joins.

    def join(self, scope: Scope, depth: int) -> str:
        """One more relation, joined to those of ``scope`` in some way."""
        write = self.choices.of(
            (
                self.join_on,
                self.join_on,
                self.join_on,
                self.join_persons,
                self.join_persons,
                self.join_using,
                self.join_natural,
                self.join_cross,
                self.join_asof,
                self.join_semi,
                self.join_lateral,
                self.join_unnest,
                self.join_positional,
            )
        )
        return write(scope, depth)

    def join_on(self, scope: Scope, depth: int) -> str:
        text, relation = self.relation(scope, depth - 1)
        side = self.of(("JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        self.mark(side)
        left = [(r, c) for r, c in scope.columns() if not c.person]
        right = relation.clear
        pairs = [(pair, column) for pair in left for column in right if pair[1].kind == column.kind == "int"]
        pairs = pairs or [(pair, column) for pair in left for column in right if pair[1].kind == column.kind]
        if not pairs:
            scope.relations.append(relation)
            return f" CROSS JOIN {text}"
        pair, column = self.choices.of(pairs)
        condition = f"{pair[0].alias}.{pair[1].written} = {relation.alias}.{column.written}"
        scope.relations.append(relation)
        if side != "FULL JOIN" and self.chance(30):
            condition += f" AND {self.condition(scope, 1, 'ON')}"
        return f" {side} {text} ON {condition}"

    def join_persons(self, scope: Scope, depth: int) -> str:
        """Who is in both: tokens of one class, equal."""
        found = self.person(scope, outside=False) if self.personal else None
        others = [name for name, columns in BASE.items() for c in columns if found and c.person == found[1].person]
        if found is None:
            return self.join_on(scope, depth)
        self.mark("person: join")
        name = self.of(others)
        alias = self.name("t")
        relation = base(name, alias)
        column = next(c for c in relation.columns if c.person == found[1].person)
        if self.slip():
            column = next((c for c in relation.columns if c.person in DENIED_JOINS), column)
        scope.relations.append(relation)
        left = f"{found[0].alias}.{found[1].written}"
        side = self.of(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        return f' {side} "{name}" AS {alias} ON {left} = {alias}.{column.written}'

    def join_using(self, scope: Scope, depth: int) -> str:
        common = _common(scope, personal=self.personal)
        if not common:
            return self.join_on(scope, depth)
        name, tables = self.choices.of(common)
        self.mark("USING")
        scope.merged.add(name)
        table, alias = self.of(tables), self.name("t")
        relation = base(table, alias)
        scope.relations.append(relation)
        side = self.of(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        self.mark(f"{side} USING")
        return f' {side} "{table}" AS {alias} USING ({name})'

    def join_natural(self, scope: Scope, depth: int) -> str:
        common = _common(scope, personal=self.personal)
        if not common:
            return self.join_on(scope, depth)
        name, tables = self.choices.of(common)
        self.mark("NATURAL")
        scope.merged.add(name)
        table, alias, more = self.of(tables), self.name("s"), self.name("m")
        column = next(c for c in BASE[table] if c.name == name)
        kept = next(c for c in BASE[table] if not c.person and c.name != name)
        scope.relations.append(Rel(alias, (replace(column, source=False), replace(kept, name=more))))
        return (
            f' NATURAL {self.of(("", "LEFT "))}JOIN (SELECT {name}, {kept.written} AS {more} FROM "{table}") AS {alias}'
        )

    def join_cross(self, scope: Scope, depth: int) -> str:
        self.mark("CROSS JOIN")
        text, relation = self.relation(scope, depth - 1)
        scope.relations.append(relation)
        return f"{self.of((' CROSS JOIN ', ', '))}{text}"

    def join_asof(self, scope: Scope, depth: int) -> str:
        times = [(r, c) for r, c in scope.columns() if c.kind == "time"]
        if not times:
            return self.join_on(scope, depth)
        self.mark("ASOF")
        relation, column = self.choices.of(times)
        alias = self.name("t")
        keys = [(r, c) for r, c in scope.columns() if c.name == "customer_id" and not c.person]
        if keys:
            other = base("customers", alias)
            key = f"{keys[0][0].alias}.{keys[0][1].written} = {alias}.customer_id AND "
            text, time = "customers", "updated_at"
        else:
            other, key, text, time = base("card_spend", alias), "", "card_spend", "event_time"
        scope.relations.append(other)
        side = self.of(("ASOF JOIN", "ASOF LEFT JOIN"))
        return f" {side} {text} AS {alias} ON {key}{relation.alias}.{column.written} >= {alias}.{time}"

    def join_semi(self, scope: Scope, depth: int) -> str:
        """SEMI and ANTI: the right side gives no columns."""
        self.mark("SEMI JOIN")
        alias = self.name("t")
        found = self.person(scope, frozenset({"payment_card"}), outside=False) if self.personal else None
        kind = self.of(("SEMI JOIN", "ANTI JOIN"))
        if found is not None:
            left, right = f"{found[0].alias}.{found[1].written}", "card_number"
        else:
            ints = [(r, c) for r, c in scope.columns() if c.kind == "int" and not c.person]
            if not ints:
                return self.join_on(scope, depth)
            relation, column = self.choices.of(ints)
            left, right = f"{relation.alias}.{column.written}", "customer_id"
        return f" {kind} transactions AS {alias} ON {left} = {alias}.{right}"

    def join_lateral(self, scope: Scope, depth: int) -> str:
        self.mark("LATERAL")
        text, columns = self.query(min(depth - 1, 1), Scope(scope.ctes, scope))
        alias = self.name("l")
        scope.relations.append(Rel(alias, unsourced(columns)))
        return f"{self.of((', LATERAL ', ' CROSS JOIN LATERAL '))}({text}) AS {alias}"

    def join_unnest(self, scope: Scope, depth: int) -> str:
        """One row per element of a list beside it."""
        lists = [(r, c) for r, c in scope.columns() if c.kind == "list" and not c.person]
        if not lists:
            return self.join_on(scope, depth)
        self.mark("UNNEST")
        relation, column = self.choices.of(lists)
        alias, name = self.name("u"), self.name("e")
        scope.relations.append(Rel(alias, (Col(name, "text"),)))
        return f" CROSS JOIN unnest({relation.alias}.{column.written}) AS {alias}({name})"

    def join_positional(self, scope: Scope, _depth: int) -> str:
        self.mark("POSITIONAL")
        if len(scope.relations) > 1 or not scope.relations[0].key:
            self.mark("ties")  # rows that a join or a subquery made have no places of their own
        text, relation = self.table(scope)
        scope.relations.append(relation)
        return f" POSITIONAL JOIN {text}"


DENIED_JOINS = frozenset({"phone", "free_text"})


def _common(scope: Scope, *, personal: bool) -> list[tuple[str, list[str]]]:
    """Names of columns that occur once in scope and in some table, with those tables."""
    names = [column.name for _, column in scope.columns()]
    allowed = TOKENS | {""} if personal else {""}
    found = []
    for _, column in scope.columns():
        if names.count(column.name) > 1 or not column.name.islower() or column.person not in allowed:
            continue
        same = [
            table for table, columns in BASE.items() for c in columns if (c.name, c.kind) == (column.name, column.kind)
        ]
        same = [table for table in same if all(c.person == column.person for c in BASE[table] if c.name == column.name)]
        if same:
            found.append((column.name, same))
    return found
