"""Making a dataset again, and comparing every value with what was kept.

What is compared is what can be made now. Events that arrived since don't matter, because no row of the spine could have
known them; a table whose past was rewritten, and a definition that was changed, do, and are named. The rows that a
dataset was made from are not kept: a publication takes the place of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_platform.errors import UsageError
from feature_platform.project.key_versions import published_versions
from feature_platform.sdk.codes import DATASET_KEYS
from feature_platform.sdk.datasets import Manifest, open_dataset, tables_of, views_of
from feature_platform.sdk.digests import rechunked
from feature_platform.sdk.rounding import Rounded, compare, rounds
from feature_platform.sdk.selection import Asker, Selected, select
from feature_platform.sdk.training import training_set

if TYPE_CHECKING:
    from feature_platform.project.project import Project


@dataclass(frozen=True)
class Verification:
    """Whether a dataset can be made again, value by value."""

    dataset: str
    rows: int
    differing: Mapping[str, int]
    """Feature column → rows that have another value now."""
    rounded: Mapping[str, Rounded]
    """Feature column that is a sum of doubles → rows whose last digits are others now, by the order of additions."""
    definitions: tuple[str, ...]
    """Views whose fingerprint is another one now."""
    versions: Mapping[str, tuple[str, str]]
    """Table that may hold other rows now → its version then and now. The rows of then may be gone: a publication takes
    the place of the one before, so what is compared is what can be made of the rows of now."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables that may hold other rows now."""
        return tuple(self.versions)

    @property
    def reproduced(self) -> bool:
        return not self.differing


def verify_dataset(project: Project, asker: Asker, title: str) -> Verification:
    """Makes the features of a dataset again, for the spine that is kept in it, and compares all values.

    Raises:
        UsageError: as :func:`open_dataset`; or a feature does not exist any more.
    """
    import pyarrow as pa

    dataset = open_dataset(project, asker, title)
    manifest = dataset.manifest
    chosen = select(project, manifest.features, asker)
    spine = pa.RecordBatchReader.from_batches(
        pa.schema([dataset.reader().schema.field(name) for name in manifest.spine]),
        (batch.select(list(manifest.spine)) for batch in dataset.reader()),
    )
    usable = _usable(project, manifest, chosen)
    again = training_set(project, asker, chosen, spine, manifest.time, key_versions=usable, repeatable=True)
    sums = {each.column: rounds(project, each) for each in chosen}
    differing = dict.fromkeys(sums, 0)
    rounded = dict.fromkeys(sums, Rounded(0, 0.0))
    kept, made = rechunked(dataset.reader()), rechunked(again.reader())
    for one, other in zip(kept, made, strict=True):
        for column, is_sum in sums.items():
            rows, near = compare(one.column(column), other.column(column), rounded=is_sum)
            differing[column] += rows
            before = rounded[column]
            rounded[column] = Rounded(before.rows + near.rows, max(before.largest, near.largest))
    tables = tables_of(project, chosen)
    return Verification(
        manifest.title,
        manifest.rows,
        {column: rows for column, rows in differing.items() if rows},
        {column: near for column, near in rounded.items() if near.rows},
        tuple(view for view, old in manifest.fingerprints.items() if _fingerprint(project, view) != old),
        {table: (old, tables.get(table, "")) for table, old in manifest.tables.items() if tables.get(table) != old},
    )


def _usable(project: Project, manifest: Manifest, chosen: Sequence[Selected]) -> dict[str, int]:
    """The versions of token keys with which the features have to be made again: those of the tokens that were kept.

    Raises:
        UsageError: FP-SDK-033, such a key was retired, or a published view that is read was rewritten with another
        one; tokens of two keys never meet.
    """
    problems = []
    views = _stored_views(project, chosen)
    for name, version in manifest.key_versions.items():
        if version not in project.tokens.versions(name):
            what = f"tokens of '{name}' in dataset '{manifest.title}' are of key version {version}, which is retired"
            problems.append(DATASET_KEYS.problem(what, mend="give the ring that key again, or create the dataset anew"))
            continue
        held = {view: published_versions(project, view).get(name) for view in views}
        behind = {view: of for view, of in held.items() if of and of != {version}}
        for view, of in behind.items():
            now = ", ".join(f"v{each}" for each in sorted(of))
            problems.append(
                DATASET_KEYS.problem(
                    f"tokens of '{name}' in dataset '{manifest.title}' are of key version {version}, and those of "
                    f"view '{view}' are {now} now: the rows can't be matched any more",
                    mend="create the dataset anew from its original spine; verify datasets before a key is rotated",
                )
            )
    if problems:
        raise UsageError(problems)
    return dict(manifest.key_versions)


def _fingerprint(project: Project, view: str) -> str | None:
    found = project.compiled.views.get(view)
    return found.fingerprint if found else None


def _stored_views(project: Project, chosen: Sequence[Selected]) -> list[str]:
    """Views of which published rows are read."""
    return [name for name in views_of(project, chosen) if project.compiled.views[name].form == "sql"]
