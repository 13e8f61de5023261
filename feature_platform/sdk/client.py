"""The front door for notebooks and models: :func:`connect`.

>>> store = connect(purpose="fraud_detection")  # doctest: +SKIP
>>> store.training_set(spine, features=["card_spend:amount_sum_1d", "fraud_model"], time="event_time").to_polars()  #
doctest: +SKIP
>>> store.online("fraud_model", [{"card_number": "…", "amount": 12.50}])[0].values  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from feature_platform.errors import UsageError, did_you_mean
from feature_platform.project.project import Project
from feature_platform.sdk.codes import UNKNOWN_PURPOSE
from feature_platform.sdk.derived import Deriver
from feature_platform.sdk.online import FeatureVectors, OnlineReader
from feature_platform.sdk.results import Result, TrainingSet
from feature_platform.sdk.search import FeatureInfo, find_features
from feature_platform.sdk.selection import Asker, select, service_named
from feature_platform.types import DataType

if TYPE_CHECKING:
    from feature_platform.sdk.datasets import Dataset
    from feature_platform.sdk.spine import SpineLike
    from feature_platform.sdk.verification import Verification


def connect(
    project: Path | str | None = None, *, profile: str | None = None, purpose: str, role: str = "author"
) -> FeatureStore:
    """A session over the project in the folder ``project`` (default: ``feature_defs`` here, or here itself).

    ``purpose`` is why the data is used: one of the project's. It decides, with ``role``, which features can be had.

    Raises:
        FeaturePlatformError: the project has problems, or there is no such purpose or profile.
    """
    root = Path(project) if project is not None else _default_root()
    return FeatureStore(Project.open(root, profile=profile), purpose=purpose, role=role)


class FeatureStore:
    """A session with one purpose. Use it as a context manager, or call :meth:`close`. Safe for several threads."""

    def __init__(self, project: Project, *, purpose: str, role: str = "author") -> None:
        self.project = project
        self.asker = Asker(known_purpose(project, purpose), role)
        """Purpose and role of the session."""
        self._deriver = Deriver()
        self._readers: dict[tuple[str, ...], OnlineReader] = {}

    @property
    def purpose(self) -> str:
        """Why this session uses data."""
        return self.asker.purpose

    def features(self, search: str = "") -> list[FeatureInfo]:
        """The features that this session may have; with ``search``, those whose name, description, owner or domain has
        all its words.
        """
        return find_features(self.project, search, self.asker)

    def training_set(self, spine: SpineLike, features: Sequence[str], *, time: str = "event_time") -> TrainingSet:
        """The spine's rows with features as they were known at each row's time.

        ``spine`` is an Arrow table or reader, a pandas or polars data frame, the path of a Parquet file, or a query
        over the project's sources and views, ``Sql("SELECT …")``. It has the keys of the entities whose features are
        asked for, and the column ``time``: a timestamp (UTC if it has no zone) or a date (its midnight). ``features``
        are ``view:feature``, ``view:*`` or names of services. The answer has the spine's rows, order, duplicates and
        other columns, and ``<view>__<feature>``; nothing is computed before it is read.

        Keys that are personal, such as card numbers, may be given as they are or as tokens; they come back as tokens.

        A query is guarded like that of :meth:`sql`: personal columns are what the policy makes of them, and what they
        carry stays with the columns of the answer. Its rows come in the order of its ORDER BY; without one in the order
        in which the engine delivers them, which may be another one next time.

        Raises:
            GuardError: the query that gives the spine reaches for what is closed, or is not understood.
            UsageError: unknown features, features that the purpose may not have, a spine without the columns needed.
            StoreError: a view that is needed was never materialized.
        """
        from feature_platform.sdk.training import training_set

        chosen = select(self.project, features, self.asker)
        return training_set(self.project, self.asker, chosen, spine, time)

    def create_dataset(
        self, name: str, spine: SpineLike, features: Sequence[str], *, time: str = "event_time"
    ) -> Dataset:
        """A training set, kept under ``name`` as its next version, with what is needed to make it again: fingerprints
        of the definitions, versions of the tables, digests of the spine and of every column.

        Raises:
            UsageError: as :meth:`training_set`, or the name can't be used.
        """
        from feature_platform.sdk.datasets import create_dataset

        return create_dataset(self.project, self.asker, name, spine, features, time)

    def dataset(self, name: str) -> Dataset:
        """A kept training set: ``name@3``, or ``name`` for its newest version.

        Raises:
            UsageError: there is none, its file is damaged, or the purpose may not have its features.
        """
        from feature_platform.sdk.datasets import open_dataset

        return open_dataset(self.project, self.asker, name)

    def verify_dataset(self, name: str) -> Verification:
        """Makes a dataset's features again and compares every value; says what changed where they differ."""
        from feature_platform.sdk.verification import verify_dataset

        return verify_dataset(self.project, self.asker, name)

    def online(
        self, service: str | Sequence[str], entities: Sequence[Mapping[str, Any]] | Mapping[str, Any]
    ) -> FeatureVectors:
        """The newest features of ``entities``: dicts with the keys, and with the request values of derived features.

        ``service`` is a feature service, or features as :meth:`training_set` takes them.

        Raises:
            UsageError: unknown names, not allowed for the purpose, not kept online, or values missing.
            StoreError: a store can't be reached.
        """
        given = [entities] if isinstance(entities, Mapping) else list(entities)
        return self._reader(service).read(given)

    def online_inputs(self, service: str | Sequence[str]) -> Mapping[str, DataType]:
        """What every entity of :meth:`online` has to bring: names and types of keys and request values."""
        return {column.name: column.type for column in self._reader(service).needs.columns}

    def sql(self, query: str) -> Result:
        """The rows of one SELECT over sources and views, by name; personal columns are what the policy makes of them
        for this purpose.

        Raises:
            GuardError: the query reaches for what is closed, or is not understood.
            StoreError: a view that it reads was never materialized.
        """
        from feature_platform.sdk.query import run_sql

        return run_sql(self.project, self.asker, query)

    def close(self) -> None:
        """Closes every store, and stops embedded servers that nobody else uses."""
        self._deriver.close()
        self.project.close()

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reader(self, service: str | Sequence[str]) -> OnlineReader:
        wanted = (service,) if isinstance(service, str) else tuple(service)
        if wanted not in self._readers:
            if isinstance(service, str) and ":" not in service:
                with self.project.audit.refusals("read", "features", self.asker):
                    service_named(self.project, service, self.asker)
            selected = select(self.project, wanted, self.asker)
            features = [(chosen.view, chosen.feature) for chosen in selected]
            record = self.project.audit.online(" ".join(wanted), features, self.asker)
            self._readers[wanted] = OnlineReader(self.project, self._deriver, selected, record)
        return self._readers[wanted]


def known_purpose(project: Project, purpose: str) -> str:
    """``purpose``, if the project has it. Raises UsageError."""
    known = project.registry.platform.purposes
    if purpose not in known:
        raise UsageError(
            UNKNOWN_PURPOSE.problem(
                f"the project has no purpose '{purpose}'.{did_you_mean(purpose, known)}",
                mend=f"use one of {', '.join(known)}",
            )
        )
    return purpose


def _default_root() -> Path:
    folder = Path.cwd() / "feature_defs"
    return folder if folder.is_dir() else Path.cwd()
