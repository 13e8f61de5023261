"""Dagster's own storage: SQLite under ``DAGSTER_HOME``, or PostgreSQL where ``FP_DAGSTER_POSTGRES_URL`` says so.

YAML knows no conditions, and a laptop and a server should read the same ``dagster.yaml``; so that names this class,
which gives the one or the other. The interface of storage classes is not public in Dagster, hence the private imports;
they have been stable since 1.0, and a deployment that minds can name ``dagster_postgres`` in a ``dagster.yaml`` of its
own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dagster._core.storage.base_storage import DagsterStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from feature_platform.errors import FeaturePlatformError, StoreError
from feature_platform.orchestration.codes import INSTANCE_FAILED
from feature_platform.project.state import DAGSTER_POSTGRES_VARIABLE, STATE_VARIABLE

HOME_VARIABLE: Final = "DAGSTER_HOME"


class StorageByEnv(DagsterStorage, ConfigurableClass):
    """Never instantiated: Dagster asks it for a storage, and gets another class's."""

    @classmethod
    def config_type(cls) -> Any:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Any:  # noqa: ARG003 - Dagster's signature
        """A ``DagsterStorage``, though not this one."""
        url = os.environ.get(DAGSTER_POSTGRES_VARIABLE)
        if not url:
            from feature_platform.orchestration.sqlite_storage import SqliteStorage

            return SqliteStorage(str(_folder().resolve()), inst_data)
        from dagster_postgres import DagsterPostgresStorage

        return DagsterPostgresStorage(_with_driver(url), inst_data=inst_data)


def _folder() -> Path:
    """``DAGSTER_HOME``. Dagster's tools also run without one, and then read ``dagster.yaml`` where they are: there, the
    state folder of a project in the same place."""
    if home := os.environ.get(HOME_VARIABLE):
        return Path(home)
    return Path(os.environ.get(STATE_VARIABLE) or ".fp") / "dagster"


@contextmanager
def reported() -> Iterator[None]:
    """Turns errors of Dagster's storage into ``StoreError``. Their texts hold statements and values: SQLite's own words
    are kept (``database or disk is full``), of other drivers the kind of error."""
    try:
        yield
    except FeaturePlatformError:
        raise
    except Exception as error:
        cause = _database_error(error)
        if cause is None:
            raise
        what = str(cause) if isinstance(cause, sqlite3.Error) else type(cause).__name__
        raise StoreError(
            INSTANCE_FAILED.problem(
                f"Dagster's storage failed: {what}",
                mend="make room on the disk, or see that the server answers, and materialize again",
            )
        ) from None


def _database_error(error: BaseException | None) -> BaseException | None:
    """The driver's error behind ``error``, which Dagster may have wrapped in its own; None: it has nothing to do with a
    database."""
    from sqlalchemy.exc import SQLAlchemyError

    while error is not None:
        if isinstance(error, (SQLAlchemyError, sqlite3.Error)):
            return getattr(error, "orig", None) or error
        error = error.__cause__
    return None


def unrecorded(run_id: str) -> StoreError:
    """A run is over and its storage does not say so."""
    return StoreError(
        INSTANCE_FAILED.problem(
            f"the end of run {run_id} could not be recorded",
            mend="make room on the disk, or see that the server answers, and materialize again",
        )
    )


def _with_driver(url: str) -> str:
    """Names the driver: from SQLAlchemy 2.1 on a bare URL means psycopg 3, on which dagster-postgres fails."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg2://{rest}" if separator and scheme in ("postgres", "postgresql") else url
