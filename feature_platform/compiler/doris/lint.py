"""Reads a finished text for Doris by itself, and lets nothing pass that it does not know.

It shares no rule with the renderer: words, functions with the number of their arguments, types, frames, joins and signs
are lists of its own, so a mistake of the renderer is found here. What Doris refuses or, worse, takes for something else
has a message of its own (:data:`DENIED`).

>>> problems("SELECT `a` FROM `t` QUALIFY ROW_NUMBER() OVER (ORDER BY `a` ASC NULLS LAST) = 1")[0]
'QUALIFY: a sub-query with row_number() says it on every version'
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from feature_platform.compiler.codes import UNRENDERABLE
from feature_platform.compiler.doris.lint_lists import (
    AGGREGATES,
    DENIED,
    DENIED_SIGNS,
    FUNCTIONS,
    KEYWORDS,
    ORDERED_INSIDE,
    OVER_ONLY,
    TRUNCATED,
    TYPES,
)
from feature_platform.compiler.doris.tokens import Token, tokens
from feature_platform.errors import CompileError


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the Doris at hand can do beyond 4.0."""

    asof: bool = False
    """``ASOF JOIN``: 4.0.5, 4.1.0."""


FLOOR: Final = Abilities()


def checked(text: str, abilities: Abilities = FLOOR) -> str:
    """``text``, if nothing is wrong with it.

    Raises:
        CompileError: FP-SQL-050, with everything that is.
    """
    found = problems(text, abilities)
    if found:
        raise CompileError(
            UNRENDERABLE.problem(f"the text for doris has {each}", mend="say it in another way") for each in found
        )
    return text


def problems(text: str, abilities: Abilities = FLOOR) -> list[str]:
    """What is wrong with a text, in the order of its places; each once."""
    return list(dict.fromkeys(_Reader(tokens(text), abilities).problems()))


class _Reader:
    """One text, and a walk over its tokens with the brackets around each."""

    def __init__(self, found: Sequence[Token], abilities: Abilities) -> None:
        self.tokens = found
        self.abilities = abilities
        self.partner = _partners(found)

    def problems(self) -> Iterator[str]:
        """Everything that is wrong."""
        if self.partner is None:
            yield "brackets that do not match"
            return
        if not self.tokens or self._word(0) not in ("SELECT", "WITH"):
            yield "a statement that is no query"
        for place, token in enumerate(self.tokens):
            if token.kind == "refused":
                yield f"{token.text}: {DENIED_SIGNS.get(token.text, 'not a sign of the emitter')}"
            elif token.kind == "text":
                yield from self._text(token)
            elif token.kind == "word":
                yield from self._of_word(place, token.word)
            elif token.text == "(":
                yield from self._bracket(place)
            elif token.text == "*":
                yield from self._star(place)

    # places

    def _word(self, place: int) -> str:
        return self.tokens[place].word if 0 <= place < len(self.tokens) else ""

    def _sign(self, place: int) -> str:
        return self.tokens[place].text if 0 <= place < len(self.tokens) and self.tokens[place].kind == "sign" else ""

    def _words(self, place: int, count: int) -> tuple[str, ...]:
        return tuple(self._word(each) for each in range(place, place + count))

    def _end(self, place: int) -> int:
        """The place of the bracket that closes the one at ``place``."""
        assert self.partner is not None
        return self.partner.get(place, len(self.tokens) - 1)

    def _arguments(self, place: int) -> list[tuple[int, int]]:
        """(start, end) of what stands between the commas of the brackets that open at ``place``."""
        end, start, found = self._end(place), place + 1, []
        each = start
        while each < end:
            if self._sign(each) == "(":
                each = self._end(each)
            elif self._word(each) == "ORDER":  # GROUP_CONCAT(x, ',' ORDER BY ...)
                break
            elif self._sign(each) == ",":
                found.append((start, each))
                start = each + 1
            each += 1
        return [*found, (start, end)] if end > place + 1 else []

    # rules

    def _text(self, token: Token) -> Iterator[str]:
        inside = token.text[1:-1].replace("\\\\", "").replace("''", "")
        if "\\" in inside:
            yield "a backslash that escapes"

    def _of_word(self, place: int, word: str) -> Iterator[str]:
        after = self._sign(place + 1)
        if self._is_type(place):
            yield from self._type(place, word)
        elif after == "(" and (word in FUNCTIONS and not self._is_joined(place, word)):
            yield from self._call(place, word)
        elif word in DENIED:
            yield f"{word}: {DENIED[word]}"
        elif after == "(" and word not in KEYWORDS:
            yield f"{word}(...), a function that is not on the list"
        elif word not in KEYWORDS:
            yield f"{word}, a name without back-quotes or an unknown word"
        else:
            rule = getattr(self, f"_{word.lower()}_rule", None)
            if rule is not None:
                yield from rule(place)

    def _is_joined(self, place: int, word: str) -> bool:
        return word in ("LEFT", "RIGHT") and self._word(place + 1) in ("JOIN", "OUTER", "SEMI", "ANTI")

    def _call(self, place: int, word: str) -> Iterator[str]:
        if self._sign(place - 1) == "." or self._word(place - 1) == "AS":
            yield f"{word}(...) where a name should be"
        least, most = FUNCTIONS[word]
        given = self._arguments(place + 1)
        if not least <= len(given) <= most:
            yield f"{word}(...) with {len(given)} arguments"
        for start, end in given:
            yield from self._argument(word, start, end)
        over = self._word(self._end(place + 1) + 1) == "OVER"
        if word in OVER_ONLY and not over:
            yield f"{word}(...) without OVER"
        if over and word not in OVER_ONLY and word not in AGGREGATES:
            yield f"{word}(...) with OVER"
        if word == "DATE_TRUNC" and (len(given) != 2 or self._literal(given[1]) not in TRUNCATED):
            yield "DATE_TRUNC(...) without a constant unit behind the time"

    def _argument(self, word: str, start: int, end: int) -> Iterator[str]:
        if self._word(start) == "DISTINCT" and word not in ("COUNT", "SUM"):
            yield f"{word}(DISTINCT ...)"
        depth = start
        while depth < end:
            if self._sign(depth) == "(":
                depth = self._end(depth)
            elif self._word(depth) == "ORDER" and word not in ORDERED_INSIDE:
                yield f"{word}(... ORDER BY ...): only GROUP_CONCAT has an order inside"
            depth += 1

    def _literal(self, argument: tuple[int, int]) -> str:
        start, end = argument
        return self.tokens[start].value if end == start + 1 and self.tokens[start].kind == "text" else ""

    def _bracket(self, place: int) -> Iterator[str]:
        before, opened = self._word(place - 1), self._word(place + 1)
        if before in ("FROM", "JOIN") and opened in ("SELECT", "WITH", ""):
            after = self._end(place) + 1
            if self._word(after) != "AS" or self.tokens[min(after + 1, len(self.tokens) - 1)].kind != "name":
                yield "a sub-query in FROM without a name"
        if (
            self.tokens[place - 1].kind == "name"
            and not self._is_named_function(place)
            and not self._is_column_list(place)
        ):
            yield "a call of a function that is not the platform's"

    def _is_named_function(self, place: int) -> bool:
        database = self.tokens[place - 3].value if place >= 3 and self.tokens[place - 3].kind == "name" else ""
        return self._sign(place - 2) == "." and (database, self.tokens[place - 1].value) == ("fp_tokens", "token")

    def _is_column_list(self, place: int) -> bool:
        inside = range(place + 1, self._end(place))
        plain = all(self.tokens[each].kind == "name" or self._sign(each) == "," for each in inside)
        return plain and (self._word(place - 2) in ("AS", "WITH") or self._sign(place - 2) == ",")

    def _star(self, place: int) -> Iterator[str]:
        counted = self._word(place - 2) == "COUNT" and self._sign(place - 1) == "(" and self._sign(place + 1) == ")"
        multiplied = (
            self.tokens[place - 1].kind in ("name", "number", "parameter")
            or self._sign(place - 1) == ")"
            or self._word(place - 1) in ("END", "NULL")
        ) and place > 0
        if not counted and not multiplied:
            yield "a star instead of columns"

    # types

    def _is_type(self, place: int) -> bool:
        """Whether the word stands where a cast names its type."""
        if self._word(place - 1) == "AS":
            return self.tokens[place].kind == "word"
        return self._sign(place - 1) == "<" and self._word(place - 2) == "ARRAY" and self._is_type(place - 2)

    def _type(self, place: int, word: str) -> Iterator[str]:
        if word not in TYPES:
            yield f"the type {word}"
        elif TYPES[word] and tuple(token.text for token in self.tokens[place + 1 : place + 4]) != TYPES[word]:
            if word == "DECIMAL" and self._sign(place + 1) == "(" and len(self._arguments(place + 1)) == 2:
                return
            yield f"{word} without {''.join(TYPES[word]) or 'its digits'}"

    # rules of single words, found by name

    def _range_rule(self, place: int) -> Iterator[str]:
        if self._words(place + 1, 6) not in _RANGES and self._words(place + 1, 6)[:6] not in _RANGES:
            yield "RANGE BETWEEN anything but UNBOUNDED and CURRENT ROW"

    def _rows_rule(self, place: int) -> Iterator[str]:
        end = self._bound(place + 2)
        if (
            self._word(place + 1) != "BETWEEN"
            or end is None
            or self._word(end) != "AND"
            or self._bound(end + 1) is None
        ):
            yield "ROWS without two bounds of whole numbers"

    def _bound(self, place: int) -> int | None:
        """The place behind a frame's bound."""
        sided = self._word(place + 1) in ("PRECEDING", "FOLLOWING")
        if self._words(place, 2) == ("CURRENT", "ROW") or (self._word(place) == "UNBOUNDED" and sided):
            return place + 2
        is_number = (
            place < len(self.tokens) and self.tokens[place].kind == "number" and self.tokens[place].text.isdigit()
        )
        return place + 2 if is_number and sided else None

    def _order_rule(self, place: int) -> Iterator[str]:
        """Every key says where NULL goes."""
        each, told = place + 2, False
        while (
            each < len(self.tokens) and self._sign(each) != ")" and self._word(each) not in ("ROWS", "RANGE", "LIMIT")
        ):
            if self._sign(each) == "(":
                each = self._end(each)
            told = self._word(each - 1) == "NULLS" and self._word(each) in ("FIRST", "LAST")
            if self._sign(each) == "," and self._word(each - 1) not in ("FIRST", "LAST"):
                yield "ORDER BY without NULLS FIRST or NULLS LAST"
            each += 1
        if not told or self._word(place + 1) != "BY":
            yield "ORDER BY without NULLS FIRST or NULLS LAST"

    def _all_rule(self, place: int) -> Iterator[str]:
        if self._word(place - 1) != "UNION":
            yield "ALL: Doris has UNION ALL alone, no GROUP BY ALL, no > ALL (...)"

    def _semi_rule(self, place: int) -> Iterator[str]:
        if self._word(place - 1) != "LEFT" or self._word(place + 1) != "JOIN":
            yield "SEMI or ANTI without LEFT before and JOIN behind it"

    _anti_rule = _semi_rule

    def _asof_rule(self, place: int) -> Iterator[str]:
        if not self.abilities.asof:
            yield "ASOF JOIN, which this Doris does not have"
        if self._word(place + 1) not in ("LEFT", "INNER") or self._word(place + 2) != "JOIN":
            yield "ASOF JOIN without LEFT or INNER: alone it means LEFT in Doris"
        each = place
        while each < len(self.tokens) and self._word(each) != "ON":
            if self._word(each) == "MATCH_CONDITION":
                return
            each = self._end(each) + 1 if self._sign(each) == "(" else each + 1
        yield "ASOF JOIN without MATCH_CONDITION"

    def _match_condition_rule(self, place: int) -> Iterator[str]:
        if self._sign(place + 1) != "(" or self._word(self._end(place + 1) + 1) != "ON":
            yield "MATCH_CONDITION without brackets, or without ON behind it"

    def _offset_rule(self, place: int) -> Iterator[str]:
        if self._word(place - 2) != "LIMIT":
            yield "OFFSET without LIMIT"

    def _over_rule(self, place: int) -> Iterator[str]:
        if self._sign(place + 1) != "(":
            yield "OVER a named window"

    def _nulls_rule(self, place: int) -> Iterator[str]:
        if self._word(place + 1) not in ("FIRST", "LAST") or self._word(place - 1) not in ("ASC", "DESC"):
            yield "NULLS without ASC or DESC before it"

    def _except_rule(self, place: int) -> Iterator[str]:
        if self._word(place + 1) == "ALL" or self._sign(place - 1) == "*":
            yield f"{self._word(place)} that Doris has not"

    _intersect_rule = _except_rule


_RANGES: Final = frozenset({
    ("BETWEEN", "UNBOUNDED", "PRECEDING", "AND", "CURRENT", "ROW"),
    ("BETWEEN", "UNBOUNDED", "PRECEDING", "AND", "UNBOUNDED", "FOLLOWING"),
    ("BETWEEN", "CURRENT", "ROW", "AND", "UNBOUNDED", "FOLLOWING"),
})  # fmt: skip


def _partners(found: Sequence[Token]) -> dict[int, int] | None:
    """Place of the closing bracket by that of the opening one; None where they do not match."""
    partner: dict[int, int] = {}
    opened: list[int] = []
    for place, token in enumerate(found):
        if token.text == "(" and token.kind == "sign":
            opened.append(place)
        elif token.text == ")" and token.kind == "sign":
            if not opened:
                return None
            partner[opened.pop()] = place
    return None if opened else partner
