"""Reads JSON into raw documents: one document, or a list of documents, per file.

Not read by the YAML parser, although JSON is nearly YAML: that refuses escaped surrogate pairs, which every JSON writer
emits, and accepts comments and bare words, which no JSON reader does. ``json`` itself knows no lines and columns.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from feature_platform.specs.codes import CHARACTER, EMPTY, JSON_SYNTAX, NUMBER
from feature_platform.specs.raw import RawBuilder, RawFile, StopReadingError

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<mark>[{}\[\]:,])
      | (?P<text>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")
      | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)(?![0-9A-Za-z.])
      | (?P<word>true|false|null)(?![0-9A-Za-z])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_WORDS: Final = {"true": True, "false": False, "null": None}
_MAX_DIGITS: Final = 38


class _Token(NamedTuple):
    kind: str
    text: str
    line: int
    column: int


def read_json(text: str, file: str) -> RawFile:
    """All documents of ``text``. The first syntax error ends the reading."""
    builder = RawBuilder(file)
    reader = _JsonReader(text, builder)
    try:
        reader.file()
    except StopReadingError:
        return RawFile(builder.documents, builder.problems, complete=False)
    return RawFile(builder.documents, builder.problems, complete=True)


class _JsonReader:
    """A parser with one token of lookahead. Nesting is bounded by the builder, so recursion is too."""

    def __init__(self, text: str, builder: RawBuilder) -> None:
        self._builder = builder
        self._text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._tokens = self._scan()
        self._token = next(self._tokens)

    def file(self) -> None:
        """One document, or a list of them, and nothing behind."""
        if self._token.kind == "end":
            self._builder.report(EMPTY, "the file has no document", "Write a definition, or delete the file.", 1, 1)
        elif self._at("["):
            self._items("]", self._document)
            if not self._builder.documents:
                self._builder.report(EMPTY, "the list has no document", "Write a definition, or delete the file.", 1, 1)
        else:
            self._document()
        if self._token.kind != "end":
            self._fail("text behind the end of the document", "Put several documents into one list: `[{…}, {…}]`.")

    def _document(self) -> None:
        self._builder.start_document(self._token.line, self._token.column)
        self._value()

    def _value(self) -> None:
        token, builder = self._token, self._builder
        if self._at("{"):
            builder.open(mapping=True, line=token.line, column=token.column)
            self._items("}", self._field)
            builder.close()
        elif self._at("["):
            builder.open(mapping=False, line=token.line, column=token.column)
            self._items("]", self._value)
            builder.close()
        elif token.kind in ("text", "number", "word"):
            self._advance()
            behind_quote = 1 if token.kind == "text" else 0
            builder.scalar(self._meaning(token), token.line, token.column + behind_quote)
        else:
            self._fail("a value is missing", "Write text in double quotes, a number, true, false, null, {…} or […].")

    def _field(self) -> None:
        token = self._token
        if token.kind != "text":
            self._fail("a field name is missing", "Write the name in double quotes, without a comma before `}`.")
        self._advance()
        self._builder.key(str(self._meaning(token)), token.line, token.column)
        if not self._at(":"):
            self._fail("`:` is missing behind the field name", 'Write `"name": value`.')
        self._advance()
        self._value()

    def _items(self, end: str, item: object) -> None:
        """``item, item, … end``, from the opening bracket on."""
        assert callable(item)
        self._advance()
        if self._at(end):
            self._advance()
            return
        while True:
            item()
            if self._at(","):
                self._advance()
            elif self._at(end):
                self._advance()
                return
            else:
                self._fail(f"`,` or `{end}` is missing", f"Add the missing `,` or `{end}` before this place.")

    def _meaning(self, token: _Token) -> object:
        if token.kind == "word":
            return _WORDS[token.text]
        if token.kind == "number":
            return self._number(token)
        value: str = json.loads(token.text)
        if "\\u" in token.text and any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
            self._builder.report_value(
                CHARACTER,
                "text with a NUL character or half of a surrogate pair",
                "Remove the escape.",
                token.line,
                token.column,
            )
            return ""
        return value

    def _number(self, token: _Token) -> object:
        whole = token.text.lstrip("-").isdigit()
        if whole and len(token.text) <= _MAX_DIGITS:
            return int(token.text)
        if whole or not math.isfinite(float(token.text)):
            self._builder.report_value(
                NUMBER, "a number out of range", "Write a smaller number.", token.line, token.column
            )
            return None
        return float(token.text)

    def _at(self, mark: str) -> bool:
        return self._token.kind == "mark" and self._token.text == mark

    def _advance(self) -> None:
        self._token = next(self._tokens)

    def _scan(self) -> Iterator[_Token]:
        position = 0
        while match := _TOKEN.match(self._text, position):
            kind = str(match.lastgroup)
            line, column = self._place(match.start(kind))
            yield _Token(kind, match[kind], line, column)
            position = match.end()
            if kind == "end":
                return
        blank = re.compile(r"[ \t\r\n]*").match(self._text, position)
        assert blank
        line, column = self._place(blank.end())
        yield _Token("fault", self._text[blank.end()], line, column)

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def _fail(self, what: str, mend: str) -> None:
        token = self._token
        if token.kind == "fault":
            what, mend = _fault(token.text)
        elif token.kind == "end":
            what = f"the file ends too early: {what}"
        self._builder.report(JSON_SYNTAX, what, mend, token.line, token.column)
        raise StopReadingError


def _fault(first: str) -> tuple[str, str]:
    """What a place at which no token begins most likely is."""
    if first == '"':
        return (
            "text that does not end, or has a line break or an unknown escape",
            "Close the quotation mark; write `\\n` and `\\\\`.",
        )
    if first in "/#":
        return "a comment, which JSON does not have", "Remove it, or use YAML."
    if first == "'":
        return "text in single quotes", "Use double quotes."
    return "something that JSON does not know", "Write text in double quotes, a number, true, false, null, {…} or […]."
