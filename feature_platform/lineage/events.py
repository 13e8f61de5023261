"""OpenLineage events: of a project as it stands, and of the runs that materialize its views.

Jobs are views: ``payments.card_spend`` writes the history, ``payments.card_spend.redis`` copies the newest rows. An
event holds names, types, labels, counts and fingerprints; no SQL, whose literals may be personal, and no text
of an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from openlineage.client.event_v2 import DatasetEvent, Job, JobEvent, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    dataset_version_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    ownership_job,
    parent_run,
    processing_engine_run,
    source_code_location_job,
    tags_job,
)

from feature_platform import __version__
from feature_platform.errors import Location
from feature_platform.lineage.datasets import PRODUCER, Datasets, static
from feature_platform.lineage.graph import Lineage
from feature_platform.lineage.names import Name, Names
from feature_platform.registry.graph import TableRef

if TYPE_CHECKING:
    from feature_platform.project.project import Project

Link = Callable[[Location], str | None]
"""Gives the web page of a place in the project's files, None where there is none."""


@dataclass(frozen=True)
class Task:
    """What one run does with one view: writes its history, or copies the newest rows to a store."""

    view: str
    copies_to: str | None = None


@dataclass(frozen=True)
class Parent:
    """The Dagster run that a task is a part of."""

    run_id: str
    job: str


@dataclass(frozen=True)
class Attempt:
    """A task in a run, and the moment that is told of (aware)."""

    task: Task
    parent: Parent
    at: datetime


@dataclass(frozen=True)
class Written:
    """What a task published."""

    rows: int
    version: str
    input_versions: Mapping[str, str]
    """By the table's name in SQL, as far as recorded."""


@dataclass(frozen=True)
class Events:
    """Makes the events of one project and profile."""

    project: Project
    datasets: Datasets
    link: Link

    @classmethod
    def of(cls, project: Project, link: Link) -> Events:
        """``link`` leads from a definition to its page in the Git host."""
        lineage = Lineage(project.registry, project.compiled)
        return cls(project, Datasets(lineage, Names.of(project)), link)

    def static(self, at: datetime) -> Iterator[DatasetEvent | JobEvent]:
        """Everything that a catalogue wants to know without any run: every dataset, then every job.

        ``at``: aware time that the events bear.
        """
        registry, when = self.project.registry, _moment(at)
        tables = [self.datasets.table(TableRef("source", name)) for name in registry.sources]
        jobs = list(self._jobs())
        for dataset in (*tables, *(output for _, _, output in jobs)):
            yield DatasetEvent(eventTime=when, producer=PRODUCER, dataset=static(dataset))
        for job, reads, output in jobs:
            inputs = [self.datasets.table(ref) for ref in reads]
            yield JobEvent(eventTime=when, producer=PRODUCER, job=job, inputs=inputs, outputs=[output])

    def started(self, attempt: Attempt, span: tuple[datetime, datetime] | None) -> RunEvent:
        """``span``: the time that the task's partitions cover (UTC)."""
        return self._event(RunState.START, attempt, _nominal(span))

    def completed(self, attempt: Attempt, written: Written) -> RunEvent:
        """Everything was published."""
        return self._event(RunState.COMPLETE, attempt, {}, written)

    def failed(self, attempt: Attempt, message: str) -> RunEvent:
        """``message`` goes to another system: give what may be read there."""
        facet = error_message_run.ErrorMessageRunFacet(message, "PYTHON", producer=PRODUCER)
        return self._event(RunState.FAIL, attempt, {"errorMessage": facet})

    def aborted(self, attempt: Attempt) -> RunEvent:
        """Somebody stopped the run."""
        return self._event(RunState.ABORT, attempt, {})

    def _event(
        self, state: RunState, attempt: Attempt, facets: Mapping[str, RunFacet], written: Written | None = None
    ) -> RunEvent:
        task, parent = attempt.task, attempt.parent
        job = self._job(task)
        inputs = [self.datasets.table(ref) for ref in self._reads(task)]
        output = self._output(task)
        if written is not None:
            for ref, table in zip(self._reads(task), inputs, strict=True):
                if version := written.input_versions.get(str(ref)):
                    table.facets = {**(table.facets or {}), "version": _version(version)}
            output.facets = {**(output.facets or {}), "version": _version(written.version)}
            output.outputFacets = {
                "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                    rowCount=written.rows, producer=PRODUCER
                )
            }
        run = Run(str(run_id(parent.run_id, job.name)), facets={**_around(parent, job.namespace), **facets})
        return RunEvent(
            eventTime=_moment(attempt.at),
            producer=PRODUCER,
            eventType=state,
            run=run,
            job=job,
            inputs=inputs,
            outputs=[output],
        )

    def _jobs(self) -> Iterator[tuple[Job, Sequence[TableRef], OutputDataset]]:
        """Every job with what it reads and writes: views in topological order, then services."""
        for name, view in self.project.registry.views.items():
            stores = view.spec.storage.online_stores if view.spec.storage.offline is not None else ()
            for task in (Task(name), *(Task(name, store) for store in stores)):
                yield self._job(task), self._reads(task), self._output(task)
        for name, service in self.project.compiled.services.items():
            views = dict.fromkeys(view for view, _ in service.features)
            yield self._serving(name), [TableRef("view", view) for view in views], self.datasets.service(name)

    def _reads(self, task: Task) -> Sequence[TableRef]:
        if task.copies_to is not None:
            return [TableRef("view", task.view)]
        return self.project.compiled.views[task.view].reads

    def _output(self, task: Task) -> OutputDataset:
        if task.copies_to is not None:
            return self.datasets.copy(task.view, task.copies_to)
        return self.datasets.history(task.view)

    def _job(self, task: Task) -> Job:
        view = self.project.registry.views[task.view]
        name = self.datasets.names.job(task.view, task.copies_to)
        facets = self._job_facets(view.spec.description, view.owner, view.origin.location)
        facets["tags"] = _job_tags({"fingerprint": self.project.compiled.views[task.view].fingerprint}, view.purposes)
        return Job(*name, facets=facets)

    def _serving(self, service: str) -> Job:
        linked, compiled = self.project.registry.services[service], self.project.compiled.services[service]
        facets = self._job_facets(linked.spec.description, linked.owner, linked.origin.location, "SERVICE")
        facets["tags"] = _job_tags({"fingerprint": compiled.fingerprint}, [compiled.purpose])
        name: Name = self.datasets.names.serving(service)
        return Job(*name, facets=facets)

    def _job_facets(self, description: str, owner: str, where: Location, kind: str = "BATCH") -> dict[str, JobFacet]:
        facets: dict[str, JobFacet] = {
            "jobType": job_type_job.JobTypeJobFacet(kind, "FEATURE_PLATFORM", "JOB", producer=PRODUCER),
            "ownership": ownership_job.OwnershipJobFacet(
                owners=[ownership_job.Owner(owner, "OWNER")], producer=PRODUCER
            ),
        }
        if description:
            facets["documentation"] = documentation_job.DocumentationJobFacet(description, producer=PRODUCER)
        if page := self.link(where):
            facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
                "git", page, path=where.file, producer=PRODUCER
            )
        return facets


def run_id(dagster_run: str, job: str) -> UUID:
    """The run of one job within a Dagster run: the same however often its step is tried.

    >>> run_id("018f2c3e-0000-7000-8000-000000000000", "payments.card_spend").version
    5
    """
    return uuid5(UUID(dagster_run), job)


_ENGINE: Final = "Dagster"


def _around(parent: Parent, namespace: str) -> dict[str, RunFacet]:
    """The Dagster run, which is where the chain of runs begins, too."""
    from importlib.metadata import version

    return {
        "parent": parent_run.ParentRunFacet(
            run=parent_run.Run(parent.run_id),
            job=parent_run.Job(namespace, parent.job),
            root=parent_run.Root(parent_run.RootRun(parent.run_id), parent_run.RootJob(namespace, parent.job)),
            producer=PRODUCER,
        ),
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version("dagster"), _ENGINE, __version__, producer=PRODUCER
        ),
    }


def _nominal(span: tuple[datetime, datetime] | None) -> dict[str, RunFacet]:
    if span is None:
        return {}
    start, end = (_moment(each.replace(tzinfo=UTC)) for each in span)
    return {"nominalTime": nominal_time_run.NominalTimeRunFacet(start, end, producer=PRODUCER)}


def _job_tags(facts: Mapping[str, str], purposes: Sequence[str]) -> tags_job.TagsJobFacet:
    pairs = [*facts.items(), *(("purpose", purpose) for purpose in purposes)]
    tags = [tags_job.TagsJobFacetFields(key, value, "FEATURE_PLATFORM") for key, value in pairs]
    return tags_job.TagsJobFacet(tags=tags, producer=PRODUCER)


def _version(version: str) -> dataset_version_dataset.DatasetVersionDatasetFacet:
    return dataset_version_dataset.DatasetVersionDatasetFacet(version, producer=PRODUCER)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
