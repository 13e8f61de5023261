"""Reads YAML into raw documents, in one pass over the events of PyYAML's C parser.

Events instead of composed nodes, for three reasons: depth is bounded before anything recurses, aliases are counted
before they multiply, and PyYAML's YAML 1.1 guesses (``yes`` is true, ``1:30`` is ninety, ``010`` is eight, a date is a
date object) never run. What a plain scalar means here: ``null``, ``~`` and nothing at all are null; ``true`` and
``false`` are the booleans; decimal numbers are numbers; all else is text.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml

from feature_platform.errors import Location, Problem
from feature_platform.specs.codes import CHARACTER, EMPTY, NUMBER, SYNTAX, TAB, TAG
from feature_platform.specs.raw import RawBuilder, RawFile, StopReadingError

_WORDS: Final[dict[str, object]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "false": False,
}
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_NUMBER_START: Final = frozenset("+-.0123456789")
_MAX_DIGITS: Final = 38

_EXPLAINED: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "mapping values are not allowed",
        "a `:` stands where no field can begin",
        "Check the indentation of this line and the one before; quote text that contains `: `.",
    ),
    (
        "could not find expected ':'",
        "a field name without `:`",
        "Write `name: value`; check the indentation and the line before.",
    ),
    ("did not find expected key", "neither a field of this mapping nor its end", "Line the fields up in one column."),
    (
        "did not find expected '-' indicator",
        "neither an item of this list nor its end",
        "Begin every item with `- `, all in one column.",
    ),
    ("did not find expected ',' or ']'", "a list in brackets that does not go on", "Add the missing `,` or `]`."),
    ("did not find expected ',' or '}'", "a mapping in braces that does not go on", "Add the missing `,` or `}`."),
    ("found unexpected end of stream", "quoted text that never ends", "Add the closing quotation mark."),
    (
        "found unexpected document indicator",
        "`---` or `...` inside quoted text",
        "Close the quotation mark before it.",
    ),
    (
        "found unknown escape character",
        "an unknown escape in double quotes",
        "Write `\\\\` for a backslash, or use single quotes.",
    ),
    (
        "found character that cannot start any token",
        "a character that cannot begin a value",
        "Quote the text: `%`, `@` and `` ` `` cannot stand first.",
    ),
    (
        "did not find expected <document start>",
        "text between two documents",
        "Begin each document with `---` on a line of its own.",
    ),
    (
        "did not find expected node content",
        "brackets without content",
        "Write a value, or remove the bracket or comma.",
    ),
    (
        "block sequence entries are not allowed",
        "a list item where none can begin",
        "Put the list on lines of its own, indented.",
    ),
)


def read_yaml(text: str, file: str) -> RawFile:
    """All documents of ``text``. Problems are recorded; what can still be read is read."""
    builder = RawBuilder(file)
    reader = _YamlReader(text, builder)
    complete = reader.run()
    if complete and not builder.documents:
        builder.report(EMPTY, "the file has no document", "Write a definition, or delete the file.", 1, 1)
    return RawFile(builder.documents, builder.problems, complete)


class _YamlReader:
    """Turns parser events into calls of the builder."""

    def __init__(self, text: str, builder: RawBuilder) -> None:
        self._text = text
        self._builder = builder
        self._lines: list[str] | None = None

    def run(self) -> bool:
        """Whether the end of the text was reached."""
        # CSafeLoader's parser half alone is used: its resolver and constructor never see a value.
        parser: Any = yaml.CSafeLoader(self._text)
        try:
            self._follow(parser)
        except StopReadingError:
            return False
        except yaml.YAMLError as error:
            self._builder.problems.append(self._syntax_problem(error))
            return False
        finally:
            parser.dispose()
        return True

    def _follow(self, parser: Any) -> None:
        builder = self._builder
        next_event = parser.get_event
        while True:
            event = next_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                builder.close()
            elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
                mark = event.start_mark
                self._refuse_tag(event)
                mapping = kind is yaml.MappingStartEvent
                builder.open(mapping=mapping, line=mark.line + 1, column=mark.column + 1, anchor=event.anchor)
            elif kind is yaml.AliasEvent:
                builder.alias(event.anchor, event.start_mark.line + 1, event.start_mark.column + 1)
            elif kind is yaml.DocumentStartEvent:
                builder.start_document(event.start_mark.line + 1, event.start_mark.column + 1)
            elif kind is yaml.StreamEndEvent:
                return

    def _scalar(self, event: Any) -> None:
        builder = self._builder
        text, style = event.value, event.style
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if event.tag is not None:
            self._refuse_tag(event)
        if style == '"' and "\0" in text:
            builder.report_value(CHARACTER, "text with a NUL character", "Remove the `\\0`.", line, column)
            text = ""
        if builder.expects_key:
            if style:
                builder.key(text, line, column)
            else:
                self._plain_key(text, line, column)
            return
        value: object = text
        if not style:
            value = self._plain(text, line, column)
        elif style in "|>":
            line, column = self._block_start(event)
        else:
            column += 1
        builder.scalar(value, line, column, event.anchor)

    def _plain_key(self, text: str, line: int, column: int) -> None:
        meaning = self._plain(text, line, column)
        if isinstance(meaning, str):
            self._builder.key(meaning, line, column)
        elif meaning is None:
            self._builder.refuse_key("null", line, column)
        else:
            self._builder.refuse_key(f"`{text}`, which YAML reads as a {_word(meaning)}", line, column)

    def _plain(self, text: str, line: int, column: int) -> object:
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _NUMBER_START:
            return text
        if _INTEGER.fullmatch(text) and len(text) <= _MAX_DIGITS:
            return int(text)
        if (match := _FLOAT.fullmatch(text)) and (match[1] or (match[2] and len(match[2]) > 1)):
            return self._number(text, line, column)
        return text

    def _number(self, text: str, line: int, column: int) -> object:
        if text.lstrip("+-").isdigit() or not math.isfinite(float(text)):
            self._builder.report_value(
                NUMBER, "a number out of range", "Write a smaller number, or quote it if it is text.", line, column
            )
            return None
        return float(text)

    def _block_start(self, event: Any) -> tuple[int, int]:
        """The place of a block scalar's first character: on the line below its ``|``, at the block's indentation."""
        if self._lines is None:
            self._lines = self._text.splitlines()
        first = event.start_mark.line + 1
        written = next((row for row in self._lines[first : event.end_mark.line + 1] if row.strip()), None)
        content = next((row for row in event.value.splitlines() if row.strip()), None)
        if written is None or content is None:
            return event.start_mark.line + 1, event.start_mark.column + 1
        indent = _leading_spaces(written) - _leading_spaces(content)
        return first + 1, indent + 1

    def _syntax_problem(self, error: yaml.YAMLError) -> Problem:
        """The parser's complaint in the author's words."""
        mark, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
        mark = mark or begun
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if self._builder.documents:
            self._builder.documents[-1].sound = False
        where = Location(self._builder.file, line, column)
        said = str(getattr(error, "problem", None) or error)
        if "tab character" in said or (mark and self._text[mark.index : mark.index + 1] == "\t"):
            return TAB.problem("a tab where only spaces may stand", mend="Indent with spaces.", where=where)
        since = f", begun on line {begun.line + 1}" if begun and begun.line + 1 < line else ""
        for pattern, what, mend in _EXPLAINED:
            if pattern in said:
                return SYNTAX.problem(what + since, mend=mend, where=where)
        context = getattr(error, "context", None)
        what = f"{context}: {said}" if context else said
        mend = "Mend the text here or on the line before."
        return SYNTAX.problem(f"not readable as YAML ({what}){since}", mend=mend, where=where)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            mark = event.start_mark
            self._builder.report_value(
                TAG,
                f"the tag `{event.tag[:60]}` is not allowed",
                "Remove it; quote a value that is meant as text.",
                mark.line + 1,
                mark.column + 1,
            )


def _leading_spaces(row: str) -> int:
    return len(row) - len(row.lstrip(" "))


def _word(value: object) -> str:
    return "boolean" if isinstance(value, bool) else "number"
