"""Loads a project's documents: finds the files, reads them, validates each document, reports all problems together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feature_platform.errors import Problem, SpecError
from feature_platform.specs.files import decode, find_files, read_bytes
from feature_platform.specs.json_reader import read_json
from feature_platform.specs.models import KINDS, AnySpec
from feature_platform.specs.origins import Origin
from feature_platform.specs.raw import RawDocument, RawFile
from feature_platform.specs.validation import validate
from feature_platform.specs.yaml_reader import read_yaml


@dataclass(frozen=True)
class LoadedDocument:
    """A valid document and where it was written."""

    spec: AnySpec
    origin: Origin


@dataclass(frozen=True)
class LoadedProject:
    """Every document under a folder, by file and place in it. They have not been linked: see ``registry``."""

    documents: tuple[LoadedDocument, ...]


@dataclass(frozen=True)
class Unusable:
    """A document that has problems, as far as it could still be identified."""

    kind: str | None
    """One of the known kinds, or None: it may be meant as any."""
    name: str | None


@dataclass(frozen=True)
class FileReport:
    """What one file gave. Without ``problems`` every document of the file is in ``documents``."""

    documents: tuple[LoadedDocument, ...]
    problems: tuple[Problem, ...]
    unusable: tuple[Unusable, ...] = ()


def load(root: Path) -> LoadedProject:
    """All documents under ``root``.

    Raises:
        SpecError: with every problem of every file; nothing is loaded in part.
    """
    files, problems = find_files(root)
    documents: list[LoadedDocument] = []
    for file in files:
        content = read_bytes(file)
        if isinstance(content, Problem):
            problems.append(content)
            continue
        report = parse(content, file.shown)
        problems.extend(report.problems)
        documents.extend(report.documents)
    if problems:
        raise SpecError(problems)
    return LoadedProject(tuple(documents))


def parse(content: bytes, file: str) -> FileReport:
    """The documents in one file's ``content``; ``file`` is its path from the root, which errors show. JSON in which
    nothing has a ``kind`` is another program's and has none.
    """
    text = decode(content, file)
    if isinstance(text, Problem):
        return FileReport((), (text,), (Unusable(None, None),))
    is_json = file.lower().endswith(".json")
    raw_file = (read_json if is_json else read_yaml)(text, file)
    if is_json and not _is_definition(raw_file, text):
        return FileReport((), ())
    problems = list(raw_file.problems)
    documents: list[LoadedDocument] = []
    unusable: list[Unusable] = [] if raw_file.complete else [Unusable(None, None)]
    for raw in _whole(raw_file.documents, complete=raw_file.complete):
        spec, found = validate(raw)
        problems.extend(found)
        if spec is not None and raw.sound:
            documents.append(LoadedDocument(spec, raw.origin))
        else:
            unusable.append(_identify(raw))
    return FileReport(tuple(documents), tuple(problems), tuple(unusable))


def _is_definition(raw_file: RawFile, text: str) -> bool:
    """Whether a JSON file is meant for us. Other programs keep JSON beside definitions (schemas, lock files, settings),
    so one counts only if some document of it has a ``kind``; one that can't be read, if it speaks of one.
    """
    if not raw_file.complete:
        return "kind" in text
    return any(isinstance(document.value, dict) and "kind" in document.value for document in raw_file.documents)


def _whole(documents: Sequence[RawDocument], *, complete: bool) -> Sequence[RawDocument]:
    """Of a file that broke off, the last document is a fragment: what it lacks says nothing about the author."""
    return documents if complete else documents[:-1]


def _identify(raw: RawDocument) -> Unusable:
    fields = raw.value if isinstance(raw.value, dict) else {}
    kind, name = fields.get("kind"), fields.get("name")
    return Unusable(kind if isinstance(kind, str) and kind in KINDS else None, name if isinstance(name, str) else None)
