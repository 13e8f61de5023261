"""What Dagster shows of a table: columns with their labels, column lineage, owners, kinds, and where the definition
stands.

Names of metadata are Dagster's own (``dagster/column_schema``, ``dagster/column_lineage``, …), so that its UI and other
readers of its API understand them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import dagster as dg

from feature_platform.compiler.plan import CompiledView, OutputColumn
from feature_platform.errors import Location
from feature_platform.governance.labels import describe
from feature_platform.lineage.graph import columns_of
from feature_platform.orchestration.keys import Path as AssetPath
from feature_platform.project.checkout import Checkout
from feature_platform.registry.features import written_description
from feature_platform.registry.graph import LinkedSource, TableRef
from feature_platform.specs.models import FeatureView

COLUMN_SCHEMA: Final = "dagster/column_schema"
COLUMN_LINEAGE: Final = "dagster/column_lineage"
ROW_COUNT: Final = "dagster/row_count"
PARTITION_ROW_COUNT: Final = "dagster/partition_row_count"
UNCHANGED: Final = "unchanged"
"""Own metadata of a partition: a run looked at it and found it current."""
SUPERSEDED: Final = "superseded"
"""Own metadata of rows that were not published: why what is live is later."""
TABLE_NAME: Final = "dagster/table_name"
CODE_REFERENCES: Final = "dagster/code_references"
DEFINITION: Final = "definition"
"""Own metadata: ``file:line`` of the YAML document, relative to the project."""
PII_TAG: Final = "pii"
"""Tag of a column: its classification in a source, its labels in a view."""

STORAGE_KIND: Final = "dagster/storage_kind"
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "duckdb_delta": ("duckdb", "delta"),
    "doris": ("doris",),
    "postgres": ("postgres",),
    "redis": ("redis",),
}
"""Icons of the UI, by type of store. The first is also the storage kind."""


def code_references(checkout: Checkout, where: Location) -> dg.CodeReferencesMetadataValue:
    """The link to the line where a document begins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # code references are marked beta since 1.8
        if page := checkout.link(where):
            link: Any = dg.UrlCodeReference(url=page, label=str(where))
        else:
            path = str(checkout.root / where.file)
            link = dg.LocalFileCodeReference(file_path=path, line_number=where.line, label=str(where))
        return dg.CodeReferencesMetadataValue(code_references=[link])


def definition_metadata(checkout: Checkout, where: Location) -> dict[str, Any]:
    """Where a document stands, for people and as a link."""
    return {CODE_REFERENCES: code_references(checkout, where), DEFINITION: f"{where.file}:{where.line}"}


def view_columns(view: CompiledView, spec: FeatureView, *, online: bool = False) -> dg.TableSchema:
    """The published columns, with labels as tags. Online there is no ``available_at``."""
    keys = {key.name for key in view.keys}
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                str(column.type),
                column.description or written_description(spec, column.name) or None,
                constraints=_NOT_NULL if column.name in keys else None,
                tags={PII_TAG: describe(column.labels)} if column.labels else None,
            )
            for column in _columns(view, online=online)
        ]
    )


def source_columns(source: LinkedSource) -> dg.TableSchema:
    """The declared columns of a source, classifications as tags."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                str(column.type),
                " ".join(filter(None, (column.description, f"Unit: {column.unit}." if column.unit else ""))) or None,
                tags={PII_TAG: column.pii} if column.pii not in (None, "none") else None,
            )
            for name, column in source.spec.columns.items()
        ]
    )


def view_lineage(view: CompiledView, path_of: Callable[[TableRef], AssetPath]) -> dg.TableColumnLineage:
    """From which columns of which assets each column's values come."""
    return dg.TableColumnLineage(
        {
            column.name: [
                dg.TableColumnDep(dg.AssetKey(path_of(origin.table)), origin.column) for origin in sorted(column.direct)
            ]
            for column in _columns(view)
        }
    )


def copy_lineage(view: CompiledView, offline: AssetPath) -> dg.TableColumnLineage:
    """Online columns are the offline ones."""
    key = dg.AssetKey(offline)
    return dg.TableColumnLineage(
        {column.name: [dg.TableColumnDep(key, column.name)] for column in _columns(view, online=True)}
    )


def owners(owner: str) -> list[str]:
    """The owner, if Dagster takes it: ``team:<name>``, or a plain e-mail address."""
    return [owner] if _OWNER.fullmatch(owner) else []


def owner_metadata(owner: str) -> dict[str, str]:
    """The owner as metadata, if Dagster does not take it as owner."""
    return {} if owners(owner) else {"owner": owner}


def asset_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """A view's tags, as far as Dagster's alphabet goes; what does not fit is metadata instead (see
    :func:`other_tags`)."""
    return {
        name: value for name, value in tags.items() if _TAG.fullmatch(name) and (not value or _TAG.fullmatch(value))
    }


def other_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that Dagster's alphabet can't say."""
    fitting = asset_tags(tags)
    return {name: value for name, value in tags.items() if name not in fitting}


_NOT_NULL: Final = dg.TableColumnConstraints(nullable=False)
_OWNER: Final = re.compile(r"team:.+|\w[\w.+-]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,6}", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_.-]{1,63}")


def _columns(view: CompiledView, *, online: bool = False) -> Iterable[OutputColumn]:
    hidden = {"available_at"} if online else frozenset[str]()
    return [column for column in columns_of(view) if column.name not in hidden]
