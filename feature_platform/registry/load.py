"""From a folder to a registry: reads every file, links what could be read, reports all problems of both together."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from feature_platform.errors import Problem, RegistryError, SpecError
from feature_platform.registry import file_cache
from feature_platform.registry.graph import Registry
from feature_platform.registry.link import assemble, examine
from feature_platform.registry.references import SqlReads, tables_read
from feature_platform.specs.files import SpecFile, find_files, read_bytes
from feature_platform.specs.loader import LoadedDocument, Unusable, parse
from feature_platform.specs.models import FeatureView


def load_registry(root: Path, *, domains: Collection[str] | None = None, cache: Path | None = None) -> Registry:
    """The linked project under ``root``; see ``link`` for ``domains``. ``cache`` is a folder for results of files.

    Raises:
        SpecError: some document is not what its kind asks for. Holds the problems of linking the others, too.
        RegistryError: every document is valid alone, but they do not fit together.
    """
    with _collector_paused():
        return _load(root, domains, cache)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """What loading makes is kept; looking for garbage in it would take half of the time of a large project."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load(root: Path, domains: Collection[str] | None, cache: Path | None) -> Registry:
    files, problems = find_files(root)
    reading = _Reading(file_cache.read_pack(cache) if cache else {}, problems)
    for file in files:
        reading.take(file)
    if cache:
        reading.keep(cache)
    linked = examine(reading.documents, reading.unusable, reading.sql_reads)
    if reading.problems:
        raise SpecError([*reading.problems, *linked.problems] if reading.documents else reading.problems)
    if linked.problems:
        raise RegistryError(linked.problems)
    return assemble(linked, root, domains)


@dataclass
class _Reading:
    """What has been read so far."""

    packed: dict[str, bytes]
    """What the last run kept."""
    problems: list[Problem]
    documents: list[LoadedDocument] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    _sql: dict[str, SqlReads] = field(default_factory=dict)
    _repacked: dict[str, bytes] = field(default_factory=dict)

    def take(self, file: SpecFile) -> None:
        """One file, from the cache if its content is known."""
        content = read_bytes(file)
        if isinstance(content, Problem):
            self.problems.append(content)
            self.unusable.append(Unusable(None, None))
            return
        key = file_cache.entry_key(file.shown, content)
        packed = self.packed.get(key)
        entry = file_cache.unpack(packed) if packed is not None else None
        if entry is None or packed is None:
            report = parse(content, file.shown)
            self.problems.extend(report.problems)
            self.unusable.extend(report.unusable)
            entry = file_cache.Entry(report.documents, _sql_of(report.documents))
            packed = None if report.problems else file_cache.pack(entry)
        self.documents.extend(entry.documents)
        self._sql.update(entry.sql_reads)
        if packed is not None:
            self._repacked[key] = packed

    def keep(self, folder: Path) -> None:
        """Keeps the results of all files that are there now, if any of them is new or one is gone."""
        if self._repacked.keys() != self.packed.keys() or any(
            self._repacked[key] is not packed for key, packed in self.packed.items()
        ):
            file_cache.write_pack(folder, self._repacked)

    def sql_reads(self, sql: str) -> SqlReads:
        """What ``sql`` reads, as it was found when its file was read."""
        return self._sql[sql]


def _sql_of(documents: Sequence[LoadedDocument]) -> dict[str, SqlReads]:
    views = (document.spec for document in documents if isinstance(document.spec, FeatureView))
    return {view.sql: tables_read(view.sql) for view in views if view.sql is not None}
