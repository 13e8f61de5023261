"""Documents before validation: plain values, and the place of every one of them.

The YAML and the JSON reader feed the same :class:`RawBuilder`, so both formats have the same limits and problems.
Values are dicts with text keys, tuples, text, whole numbers, floats, booleans and None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from feature_platform.errors import Code, Location, Problem
from feature_platform.specs.codes import ALIAS, DUPLICATE_KEY, KEY_NOT_TEXT, MERGE_KEY, TOO_DEEP
from feature_platform.specs.origins import Origin, Path, Places, pack, unpack

MAX_DEPTH: Final = 20
MAX_EXPANSION: Final = 10_000


@dataclass
class RawDocument:
    """One document: its value, and packed places of values and of field names (see ``origins``)."""

    file: str
    line: int
    column: int
    value: Any = None
    fields: dict[Path, int] = field(default_factory=dict)
    keys: dict[Path, int] = field(default_factory=dict)
    doubtful: set[Path] = field(default_factory=set)
    """Values that could not be read as written: something stands in their place."""
    sound: bool = True
    """Whether reading found nothing wrong in it. If not, it is validated all the same, for its other problems."""

    @property
    def origin(self) -> Origin:
        location = Location(self.file, self.line, self.column)
        fields = Places(self.file, self.fields)
        if isinstance(self.value, dict):
            location = fields.get((), location)  # the first field, not the `---` above it
        return Origin(location, fields, Places(self.file, self.keys))


@dataclass(frozen=True)
class RawFile:
    """What reading a file gave. ``complete`` says that nothing in it was left unread."""

    documents: Sequence[RawDocument]
    problems: Sequence[Problem]
    complete: bool


class StopReadingError(Exception):
    """The rest of a file cannot be read; the problem is recorded already."""


class _Frame:
    """A mapping or sequence that is still open."""

    __slots__ = ("anchor", "container", "count_before", "is_key", "key", "path")

    def __init__(
        self, container: dict[str, Any] | list[Any], path: Path | None, anchor: str | None, count: int, is_key: bool
    ) -> None:
        self.container = container
        self.path = path  # None: what is inside is dropped, so it has no place either
        self.anchor = anchor
        self.count_before = count
        self.is_key = is_key
        self.key: str | None = None


_DROPPED: Final = "\0dropped"
"""Stands for a field name that cannot be used; no text of a file contains NUL."""


class RawBuilder:
    """Builds documents from a stream of openings, scalars and closings. Lines and columns count from 1."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.documents: list[RawDocument] = []
        self.problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int] | None] = {}  # None while still open
        self._count = 0
        self._expanded = 0

    def report(self, code: Code, what: str, mend: str, line: int, column: int) -> None:
        """Records a problem and marks the current document."""
        self.problems.append(code.problem(what, mend=mend, where=Location(self.file, line, column)))
        if self.documents:
            self.documents[-1].sound = False

    def report_value(self, code: Code, what: str, mend: str, line: int, column: int) -> None:
        """Records a problem of the value (or field name) that comes next."""
        self.report(code, what, mend, line, column)
        if not self.expects_key and (path := self._value_path()) is not None:
            self.documents[-1].doubtful.add(path)

    def start_document(self, line: int, column: int) -> None:
        self.documents.append(RawDocument(self.file, line, column))
        self._anchors = {}
        self._count = self._expanded = 0

    @property
    def expects_key(self) -> bool:
        """Whether the next scalar is the name of a field."""
        return bool(self._stack) and isinstance(self._stack[-1].container, dict) and self._stack[-1].key is None

    def key(self, name: str, line: int, column: int) -> None:
        """The name of a field."""
        frame = self._stack[-1]
        if frame.path is not None:
            path = (*frame.path, name)
            keys = self.documents[-1].keys
            if name == "<<":
                self.report(MERGE_KEY, "`<<` is not supported", "Write the fields out where they belong.", line, column)
                name = _DROPPED
            elif path in keys:
                first = unpack(keys[path])[0]
                self.report(
                    DUPLICATE_KEY,
                    f"`{name}` is written twice; the first is on line {first}",
                    "Remove one of the two.",
                    line,
                    column,
                )
                name = _DROPPED
            else:
                keys[path] = pack(line, column)
        frame.key = name

    def refuse_key(self, described: str, line: int, column: int) -> None:
        """A field name that is no text. Its value will be dropped."""
        self.report(
            KEY_NOT_TEXT, f"a field name is text, this is {described}", "Quote the name, or mend it.", line, column
        )
        self._stack[-1].key = _DROPPED

    def scalar(self, value: object, line: int, column: int, anchor: str | None = None) -> None:
        """A value without parts."""
        self._count += 1
        if anchor is not None:
            self._anchors[anchor] = (value, 1)
        path = self._value_path()
        if path is not None:
            self.documents[-1].fields[path] = pack(line, column)
        self._put(value)

    def open(self, *, mapping: bool, line: int, column: int, anchor: str | None = None) -> None:
        """The beginning of a mapping or sequence.

        Raises:
            StopReadingError: it would be nested too deep.
        """
        if len(self._stack) >= MAX_DEPTH:
            self.report(
                TOO_DEEP,
                f"nested more than {MAX_DEPTH} levels deep; the rest of the file was not read",
                "Mend the brackets or the indentation here.",
                line,
                column,
            )
            raise StopReadingError
        is_key = self.expects_key
        path: Path | None = None
        if is_key:
            self.refuse_key("a mapping" if mapping else "a list", line, column)
        else:
            path = self._value_path()
        if path is not None:
            self.documents[-1].fields[path] = pack(line, column)
        self._count += 1
        if anchor is not None:
            self._anchors[anchor] = None
        self._stack.append(_Frame({} if mapping else [], path, anchor, self._count - 1, is_key))

    def close(self) -> None:
        """The end of the innermost mapping or sequence."""
        frame = self._stack.pop()
        value = frame.container if isinstance(frame.container, dict) else tuple(frame.container)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (value, self._count - frame.count_before)
        if not frame.is_key:
            self._put(value)

    def alias(self, name: str, line: int, column: int) -> None:
        """``*name``: the value that ``&name`` marked. The value is shared, not copied; its size counts all the same."""
        if self.expects_key:
            self.refuse_key(f"the alias `*{name}`", line, column)
            return
        value, size = None, 1
        marked = self._anchors.get(name)
        if marked is not None:
            value, size = marked
        elif name in self._anchors:
            self.report_value(ALIAS, f"`*{name}` contains itself", "Write the value out.", line, column)
        else:
            self.report_value(ALIAS, f"no `&{name}` before `*{name}`", "Mark the value with `&` first.", line, column)
        within = self._expanded <= MAX_EXPANSION
        self._count += size
        self._expanded += size
        if self._expanded > MAX_EXPANSION:
            value = None
            if within:
                self.report_value(
                    ALIAS,
                    f"the aliases of this document stand for more than {MAX_EXPANSION} values",
                    "Write out what is needed.",
                    line,
                    column,
                )
        path = self._value_path()
        if path is not None:
            self.documents[-1].fields[path] = pack(line, column)
        self._put(value)

    def _value_path(self) -> Path | None:
        """The path of the value that comes next; None when it will be dropped."""
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if frame.path is None or frame.key is _DROPPED:
            return None
        return (*frame.path, len(frame.container) if frame.key is None else frame.key)

    def _put(self, value: object) -> None:
        if not self._stack:
            self.documents[-1].value = value
            return
        frame = self._stack[-1]
        if isinstance(frame.container, list):
            frame.container.append(value)
            return
        if frame.key is not None and frame.key is not _DROPPED:
            frame.container[frame.key] = value
        frame.key = None
