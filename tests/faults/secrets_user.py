"""Uses the command line as a user does whose environment has secrets and whose loggers tell everything.

Called in a process of its own, see :class:`writer.Writers`.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.writer import Tell, hurry

LOGGERS = ("alembic", "dagster", "deltalake", "duckdb", "feature_platform", "psycopg", "psycopg.pool", "psycopg2")
MORE_LOGGERS = ("redis", "sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "sqlglot", "urllib3")


def commands(tell: Tell, *, folder: str, calls: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Runs ``fp`` for each call: ``arguments`` in ``environment``, and ``retries``, where that is not the usual number.
    What it writes is in files in ``folder``.

    Gives each one's exit code, and what it wrote.
    """
    log = Path(folder) / "debug.log"
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    for name in ("", *LOGGERS, *MORE_LOGGERS, *logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)
        logging.getLogger(name).propagate = True
        logging.getLogger(name).disabled = False
    os.environ["RUST_LOG"] = "debug"
    found: list[list[Any]] = []
    for number, call in enumerate(calls):
        written = Path(folder) / f"written-{number}.txt"
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        os.close(descriptor)
        logging.getLogger("feature_platform").debug("call %d begins", number)
        hurry(call.get("retries"))
        code = _command(call["arguments"], call["environment"])
        sys.stdout.flush()
        sys.stderr.flush()
        found.append([code, written.read_text(errors="replace")])
    return found


def _command(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code. An error that nobody expected is written as Python does."""
    from feature_platform.cli.main import app

    os.environ.update(environment)
    try:
        return int(app(list(arguments), standalone_mode=False) or 0)
    except BaseException:  # noqa: BLE001 - what a user would see
        traceback.print_exc()
        return -1
