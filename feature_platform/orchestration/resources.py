"""Resources of a run: the opened project, and who wants to hear of progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import dagster as dg

if TYPE_CHECKING:
    from feature_platform.project.project import Project

PROJECT: Final = "project"
PROGRESS: Final = "progress"
LINEAGE: Final = "lineage"
REQUIRED: Final = frozenset({PROJECT, PROGRESS, LINEAGE})
"""Keys of the resources that every op and IO manager of the platform needs."""

Step = Literal["stage", "audit", "publish", "published", "failed"]


@dataclass(frozen=True, slots=True)
class Progress:
    """An asset has come to a step of its materialization; the last two end it."""

    asset: str
    step: Step
    partition: str | None = None


Listener = Callable[[Progress], None]


def project_resource(project: Project) -> dg.ResourceDefinition:
    """The project for as long as a run lasts: stores are opened when an op needs them and closed with the run."""

    @dg.resource(description="The feature project: definitions and stores.")
    def opened(_: dg.InitResourceContext) -> Iterator[Project]:
        try:
            yield project
        finally:
            project.close()

    return opened


def lent_project(project: Project) -> dg.ResourceDefinition:
    """A project that the caller opened and will close."""
    return dg.ResourceDefinition.hardcoded_resource(project, "The feature project: definitions and stores.")


def listener(hear: Listener | None = None) -> dg.ResourceDefinition:
    """Who is told of progress; by default nobody, since Dagster's event log has it all."""

    def ignore(_: Progress) -> None:
        return

    return dg.ResourceDefinition.hardcoded_resource(hear or ignore, "Hears of each step of a materialization.")
