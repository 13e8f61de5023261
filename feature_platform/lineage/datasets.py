"""Tables as OpenLineage datasets: schema, column lineage, labels as tags, owner, description.

Needs the extra ``lineage``; imported only by what exports or emits events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset, StaticDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    column_lineage_dataset,
    dataset_type_dataset,
    datasource_dataset,
    documentation_dataset,
    ownership_dataset,
    schema_dataset,
    tags_dataset,
)

from feature_platform import __version__
from feature_platform.lineage.graph import Edge, Lineage, columns_of, view_column
from feature_platform.lineage.names import Name, Names
from feature_platform.registry.graph import ColumnRef, TableRef

if TYPE_CHECKING:
    from feature_platform.compiler.plan import OutputColumn
    from feature_platform.governance.labels import Labels

PRODUCER: Final = f"urn:feature-platform:{__version__}"
"""Who made an event, as a URI."""
LABEL_TAG: Final = "label"
"""Tag of a view's column: one of its labels. A column without is clean."""
CLASSIFICATION_TAG: Final = "pii"
"""Tag of a source's column: what it was declared to hold."""
PURPOSE_TAG: Final = "purpose"
_SOURCE: Final = "FEATURE_PLATFORM"
_AUTHORS: Final = "USER"

Facets = dict[str, DatasetFacet]
Tag = tags_dataset.TagsDatasetFacetFields
_IDENTITY: Final = column_lineage_dataset.Transformation("DIRECT", "IDENTITY", masking=False)
_FILTER: Final = column_lineage_dataset.Transformation("INDIRECT", "FILTER", masking=False)


@dataclass(frozen=True)
class Datasets:
    """The datasets of a project. Facets are made once per table."""

    lineage: Lineage
    names: Names
    _facets: dict[Name, Facets] = field(default_factory=dict)

    def table(self, ref: TableRef) -> InputDataset:
        """A table as what a job reads."""
        name = self.names.table(ref)
        return InputDataset(*name, facets=dict(self._of_table(name, ref)))

    def history(self, view: str) -> OutputDataset:
        """A view's rows in its offline store; of a derived view, what it computes when it is read."""
        ref = TableRef("view", view)
        name = self.names.table(ref)
        return OutputDataset(*name, facets=dict(self._of_table(name, ref)))

    def copy(self, view: str, store: str) -> OutputDataset:
        """A view's newest rows in an online store."""
        name = self.names.view(view, store, "online")
        return OutputDataset(*name, facets=dict(self._once(name, lambda: self._of_copy(view, store))))

    def service(self, service: str) -> OutputDataset:
        """The vector of a service: one field per feature, ``view__feature``."""
        name = self.names.service(service)
        return OutputDataset(*name, facets=dict(self._once(name, lambda: self._of_service(service))))

    def _of_table(self, name: Name, ref: TableRef) -> Facets:
        if ref.kind == "source":
            return self._once(name, lambda: self._of_source(ref.name))
        return self._once(name, lambda: self._of_history(ref.name))

    def _once(self, name: Name, make: Callable[[], Facets]) -> Facets:
        if name not in self._facets:
            self._facets[name] = make()
        return self._facets[name]

    def _of_source(self, name: str) -> Facets:
        source = self.lineage.registry.sources[name]
        columns = source.spec.columns
        tags = [
            Tag(CLASSIFICATION_TAG, column.pii, _SOURCE, field)
            for field, column in columns.items()
            if column.pii is not None
        ]
        described = [(field, str(column.type), column.description) for field, column in columns.items()]
        return {
            **_about(source.spec.description, source.owner),
            "schema": _schema(described),
            "tags": _tags(tags),
            "dataSource": _data_source(source.spec.store, self.names.table(TableRef("source", name))),
            "datasetType": _type("TABLE" if source.spec.table else "FILE"),
        }

    def _of_history(self, view: str) -> Facets:
        columns = columns_of(self.lineage.compiled.views[view])
        store = self.lineage.registry.views[view].spec.storage.offline
        fields = {column.name: self._inputs(view_column(view, column.name)) for column in columns}
        derived = store is None
        return {
            **self._of_view(view, columns),
            "columnLineage": _column_lineage(fields),
            "dataSource": _data_source(store or "derived", self.names.table(TableRef("view", view))),
            "datasetType": _type("VIEW") if derived else _type("TABLE"),
        }

    def _of_copy(self, view: str, store: str) -> Facets:
        compiled = self.lineage.compiled.views[view]
        columns = [column for column in columns_of(compiled) if column.name != "available_at"]
        origin = self.names.table(TableRef("view", view))
        times = ("event_time", "available_at")
        fields = {
            column.name: [
                _input(origin, column.name, [_IDENTITY, _FILTER] if column.name in times else [_IDENTITY]),
                *(_input(origin, time, [_FILTER]) for time in times if time != column.name),
            ]
            for column in columns
        }
        return {
            **self._of_view(view, columns),
            "columnLineage": _column_lineage(fields),
            "dataSource": _data_source(store, self.names.view(view, store, "online")),
            "datasetType": _type("TABLE"),
        }

    def _of_view(self, view: str, columns: Sequence[OutputColumn]) -> Facets:
        linked = self.lineage.registry.views[view]
        contracts = linked.spec.features
        described = [
            (
                column.name,
                str(column.type),
                (contracts[column.name].description if column.name in contracts else "") or column.description,
            )
            for column in columns
        ]
        tags = [tag for column in columns for tag in _label_tags(column.labels, column.name)]
        tags += [Tag(PURPOSE_TAG, purpose, _SOURCE) for purpose in linked.purposes]
        tags += [Tag(key, value, _AUTHORS) for key, value in linked.spec.tags.items()]
        return {
            **_about(linked.spec.description, linked.owner),
            "schema": _schema(described),
            "tags": _tags(tags),
        }

    def _of_service(self, service: str) -> Facets:
        linked, compiled = self.lineage.registry.services[service], self.lineage.compiled.services[service]
        columns = {f"{view}__{name}": view_column(view, name) for view, name in compiled.features}
        tags = [tag for field, ref in columns.items() for tag in _label_tags(self.lineage.columns[ref].labels, field)]
        tags += [*_label_tags(self.lineage.service_labels(service)), Tag(PURPOSE_TAG, compiled.purpose, _SOURCE)]
        described = [(field, str(self.lineage.columns[ref].type), "") for field, ref in columns.items()]
        fields = {
            field: [_input(self.names.table(ref.table), ref.column, [_IDENTITY])] for field, ref in columns.items()
        }
        return {
            **_about(linked.spec.description, linked.owner),
            "schema": _schema(described),
            "columnLineage": _column_lineage(fields),
            "tags": _tags(tags),
            "datasetType": _type("VIEW"),
        }

    def _inputs(self, ref: ColumnRef) -> list[column_lineage_dataset.InputField]:
        """One input field per column, with every way in which it flows."""
        by_origin: dict[ColumnRef, list[Edge]] = {}
        for edge in self.lineage.edges(ref):
            by_origin.setdefault(edge.origin, []).append(edge)
        return [
            _input(self.names.table(origin.table), origin.column, [each for edge in edges for each in _ways(edge)])
            for origin, edges in by_origin.items()
        ]


def static(dataset: Dataset) -> StaticDataset:
    """The same dataset, told of without a job."""
    return StaticDataset(dataset.namespace, dataset.name, facets=dataset.facets)


def _about(description: str, owner: str) -> Facets:
    facets: Facets = {
        "ownership": ownership_dataset.OwnershipDatasetFacet(
            owners=[ownership_dataset.Owner(owner, "OWNER")], producer=PRODUCER
        )
    }
    if description:
        facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(description, producer=PRODUCER)
    return facets


def _schema(columns: Sequence[tuple[str, str, str]]) -> schema_dataset.SchemaDatasetFacet:
    return schema_dataset.SchemaDatasetFacet(
        fields=[
            schema_dataset.SchemaDatasetFacetFields(name, type_, description or None, ordinal_position=number)
            for number, (name, type_, description) in enumerate(columns, 1)
        ],
        producer=PRODUCER,
    )


def _column_lineage(
    fields: Mapping[str, list[column_lineage_dataset.InputField]],
) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    return column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={name: column_lineage_dataset.Fields(inputs) for name, inputs in fields.items() if inputs},
        producer=PRODUCER,
    )


def _input(
    table: Name, column: str, ways: list[column_lineage_dataset.Transformation]
) -> column_lineage_dataset.InputField:
    return column_lineage_dataset.InputField(*table, column, ways)


def _ways(edge: Edge) -> Iterator[column_lineage_dataset.Transformation]:
    for subtype in edge.subtypes or (None,):
        yield column_lineage_dataset.Transformation(edge.kind, subtype, masking=edge.masking)


def _label_tags(labels: Labels, field: str | None = None) -> list[Tag]:
    return [Tag(LABEL_TAG, str(label), _SOURCE, field) for label in sorted(labels)]


def _tags(tags: list[Tag]) -> tags_dataset.TagsDatasetFacet:
    return tags_dataset.TagsDatasetFacet(tags=tags, producer=PRODUCER)


def _type(name: str) -> dataset_type_dataset.DatasetTypeDatasetFacet:
    return dataset_type_dataset.DatasetTypeDatasetFacet(name, producer=PRODUCER)


def _data_source(store: str, table: Name) -> datasource_dataset.DatasourceDatasetFacet:
    return datasource_dataset.DatasourceDatasetFacet(store, table.namespace, producer=PRODUCER)
