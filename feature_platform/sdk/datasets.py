"""Datasets: training sets that are kept under a name, with everything that is needed to make them again.

A version of a dataset is a folder of the state folder, written once and never changed::

    datasets/<name>/v<number>/data.parquet     the rows, keys that are personal as tokens
                              manifest.json    what they are, and what they were made from

:mod:`.verification` makes the features anew for the spine that is kept with the rows, and compares every value.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_platform import __version__
from feature_platform.errors import UsageError, did_you_mean
from feature_platform.governance.canonical import CANONICAL
from feature_platform.governance.labels import describe
from feature_platform.governance.tokens import token_version
from feature_platform.registry.graph import TableRef
from feature_platform.sdk.codes import BAD_DATASET_NAME, DATASET_DAMAGED, UNKNOWN_DATASET
from feature_platform.sdk.digests import ColumnDigests, rechunked
from feature_platform.sdk.files import writer_of
from feature_platform.sdk.results import Result, pandas_frame, polars_frame
from feature_platform.sdk.selection import Asker, Selected, select
from feature_platform.sdk.training import training_set
from feature_platform.specs.models import NAME_PATTERN

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from feature_platform.project.project import Project
    from feature_platform.sdk.spine import SpineLike

DATA: Final = "data.parquet"
MANIFEST: Final = "manifest.json"
_VERSION: Final = re.compile(r"v([1-9][0-9]*)")


@dataclass(frozen=True)
class Manifest:
    """What a version of a dataset is, and what it was made from."""

    name: str
    version: int
    created_at: str
    """ISO 8601, UTC."""
    purpose: str
    role: str
    profile: str
    platform: str
    time: str
    rows: int
    spine: tuple[str, ...]
    """Columns that the spine brought along."""
    features: tuple[str, ...]
    """``view:feature``, in the order of their columns."""
    labels: Mapping[str, str]
    """Of each feature's column, as people read them."""
    fingerprints: Mapping[str, str]
    """Of each view's definition."""
    tables: Mapping[str, str]
    """Table that was read → the version of its rows."""
    key_versions: Mapping[str, int]
    """Classification → version of the token key that its tokens were made with, here and in the tables."""
    spine_digest: str
    digests: Mapping[str, str]
    """Of each column's values; see :mod:`feature_platform.sdk.digests`."""
    file_digest: str
    """SHA-256 of the Parquet file."""

    @property
    def title(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class Dataset:
    """One version of a dataset."""

    manifest: Manifest
    folder: Path

    def reader(self) -> pa.RecordBatchReader:
        """A stream of batches: memory does not grow with the number of rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self.folder / DATA, pre_buffer=False)  # else what was read stays in memory
        schema = file.schema_arrow.remove_metadata()
        batches = (batch.cast(schema) for batch in file.iter_batches())
        return pa.RecordBatchReader.from_batches(schema, batches)

    def to_arrow(self) -> pa.Table:
        """All rows as one Arrow table."""
        with self.reader() as reader:
            return reader.read_all()

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a pandas data frame, with the types of a training set's."""
        return pandas_frame(self.to_arrow())

    def to_polars(self) -> pl.DataFrame:
        """All rows as a polars data frame, with the types of a training set's."""
        return polars_frame(self.to_arrow())


def create_dataset(  # noqa: PLR0913, PLR0917 - what a training set takes, and a name
    project: Project, asker: Asker, name: str, spine: SpineLike, features: Sequence[str], time: str
) -> Dataset:
    """Makes a training set and keeps it as the next version of ``name``. See
    :meth:`feature_platform.sdk.client.FeatureStore.create_dataset`.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            BAD_DATASET_NAME.problem(
                f"'{name[:80]}' can't name a dataset", mend="write lower-case letters, digits and `_`, a letter first"
            )
        )
    chosen = select(project, features, asker)
    before = tables_of(project, chosen)
    result = training_set(project, asker, chosen, spine, time, repeatable=True)
    home = _home(project) / name
    draft = home / f".draft-{secrets.token_hex(8)}"
    draft.mkdir(parents=True)
    try:
        digests = _write(result, draft / DATA)
        after = tables_of(project, chosen)
        made_from = {
            table: old if after[table] == old else f"{old}..{after[table]}"  # published meanwhile: either may be in it
            for table, old in before.items()
        }
        manifest = _manifest(project, asker, name, result, chosen, time, digests, made_from, _file_digest(draft / DATA))
        return _place(home, draft, manifest)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def datasets(project: Project) -> list[Manifest]:
    """Every version of every dataset, by name and version."""
    found = [
        _read_manifest(path)
        for path in sorted(_home(project).glob(f"*/v*/{MANIFEST}"))
        if _VERSION.fullmatch(path.parent.name)
    ]
    return sorted(found, key=lambda manifest: (manifest.name, manifest.version))


def manifest_of(project: Project, title: str) -> Manifest:
    """What is recorded of ``name@3``, or of the newest version of ``name``.

    Raises:
        UsageError: no such dataset or version.
    """
    name, _, wanted = title.partition("@")
    listed = datasets(project)
    versions = {manifest.version: manifest for manifest in listed if manifest.name == name}
    if not versions or (wanted and (not wanted.isdecimal() or int(wanted) not in versions)):
        known = [manifest.title for manifest in listed]
        raise UsageError(
            UNKNOWN_DATASET.problem(
                f"there is no dataset '{title}'.{did_you_mean(title, known)}",
                mend=f"datasets are: {', '.join(known[:20]) or 'none yet'}",
            )
        )
    return versions[int(wanted) if wanted else max(versions)]


def open_dataset(project: Project, asker: Asker, title: str) -> Dataset:
    """A version of a dataset: ``name@3``, or ``name`` for the newest.

    Raises:
        UsageError: no such dataset or version, features that the purpose may not have, or a damaged file.
    """
    manifest = manifest_of(project, title)
    folder = _home(project) / manifest.name / f"v{manifest.version}"
    if not (folder / DATA).is_file() or _file_digest(folder / DATA) != manifest.file_digest:
        raise UsageError(
            DATASET_DAMAGED.problem(
                f"the rows of dataset '{manifest.title}' are not those that were written",
                mend="restore the folder from a backup, or create the dataset anew",
            )
        )
    known_features = [each for each in manifest.features if _exists(project, each)]
    if known_features:
        select(project, known_features, asker)  # the purpose has to be allowed all of them, today
    elif manifest.purpose != asker.purpose:
        raise UsageError(
            UNKNOWN_DATASET.problem(
                f"dataset '{manifest.title}' was made for purpose '{manifest.purpose}' from features that are no more",
                mend=f"open a session with purpose '{manifest.purpose}'",
            )
        )
    project.audit.dataset(manifest.title, manifest.features, manifest.labels, manifest.rows, asker)
    return Dataset(manifest, folder)


def _exists(project: Project, feature: str) -> bool:
    view, _, name = feature.partition(":")
    found = project.compiled.views.get(view)
    return found is not None and found.feature(name) is not None


def tables_of(project: Project, chosen: Sequence[Selected]) -> dict[str, str]:
    """Every table that the features are read from, with the version of its rows now."""
    refs: set[TableRef] = set()
    for name in views_of(project, chosen):
        spec = project.registry.views[name].spec
        if spec.form == "sql":
            refs.add(TableRef("view", name))
        elif spec.source is not None:
            refs.add(TableRef("source", spec.source))
    return {str(ref): version for ref in sorted(refs) for version in _versions(project, ref)}


def views_of(project: Project, chosen: Sequence[Selected]) -> list[str]:
    names = dict.fromkeys(each.view.name for each in chosen)
    for name in list(names):
        names |= dict.fromkeys(project.registry.views[name].spec.inputs)
    return list(names)


def _versions(project: Project, ref: TableRef) -> Iterator[str]:
    home = project.home(ref)
    if home is None:
        return
    for binding in project.bindings([ref], home).values():
        yield project.warehouse(home).version(binding)


def _write(result: Result, path: Path) -> ColumnDigests:
    with result.reader() as reader:
        digests = ColumnDigests(reader.schema.names)
        with writer_of(path, reader.schema) as writer:
            for batch in rechunked(reader):
                digests.add(batch)
                writer.write_batch(batch)
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return digests


def _manifest(  # noqa: PLR0913, PLR0917 - everything that is recorded
    project: Project,
    asker: Asker,
    name: str,
    result: Result,
    chosen: Sequence[Selected],
    time: str,
    digests: ColumnDigests,
    tables: Mapping[str, str],
    file_digest: str,
) -> Manifest:
    spine = tuple(column.name for column in result.columns if column.role == "spine")
    by_column = digests.by_column()
    of_spine = hashlib.sha256("".join(f"{column}\0{by_column[column]}\0" for column in spine).encode()).hexdigest()
    views = dict.fromkeys(each.view.name for each in chosen)
    return Manifest(
        name=name,
        version=0,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        purpose=asker.purpose,
        role=asker.role,
        profile=project.profile_name,
        platform=__version__,
        time=time,
        rows=digests.rows,
        spine=spine,
        features=tuple(f"{each.view.name}:{each.feature.name}" for each in chosen),
        labels={column.name: describe(column.labels) for column in result.features},
        fingerprints={view: project.compiled.views[view].fingerprint for view in views},
        tables=tables,
        key_versions=_shown_versions(result),
        spine_digest=of_spine,
        digests=by_column,
        file_digest=file_digest,
    )


def _shown_versions(result: Result) -> dict[str, int]:
    labels = {label for column in result.columns for label in column.labels if label.kind == "token"}
    return {label.classification: int(label.form.removeprefix("v")) for label in sorted(labels)}


def _place(home: Path, draft: Path, manifest: Manifest) -> Dataset:
    """Gives the draft the next number. A rename is atomic, and fails where another process was faster."""
    while True:
        numbers = [int(match[1]) for path in home.iterdir() if (match := _VERSION.fullmatch(path.name))]
        numbered = Manifest(**{**asdict(manifest), "version": max(numbers, default=0) + 1})
        (draft / MANIFEST).write_text(
            json.dumps(asdict(numbered), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        folder = home / f"v{numbered.version}"
        try:
            draft.rename(folder)
        except OSError:
            if folder.is_dir():
                continue
            raise
        return Dataset(numbered, folder)


def _read_manifest(path: Path) -> Manifest:
    given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for field in ("spine", "features"):
        given[field] = tuple(given[field])
    if "key_versions" not in given:  # made before they were recorded
        given["key_versions"] = _kept_versions(path.parent / DATA, given["spine"])
    return Manifest(**given)


def _kept_versions(path: Path, spine: Sequence[str]) -> dict[str, int]:
    """The versions that the tokens of the spine themselves say."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    texts = [name for name in spine if pa.types.is_string(file.schema_arrow.field(name).type)]
    found: dict[str, int] = {}
    for batch in islice(file.iter_batches(columns=texts), 1):
        for column in batch.columns:
            first = next((value.as_py() for value in column if value.is_valid), "")
            versions = {name: token_version(first, name) for name in CANONICAL}
            found |= {name: version for name, version in versions.items() if version is not None}
    return found


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _home(project: Project) -> Path:
    return project.state / "datasets"
