"""A clock that is off.

With the package ``libfaketime`` installed (no part of the project: ``pip install libfaketime``) all that a process
reads of the clock is shifted, native code included; without it what the platform's Python code reads:
``datetime.now`` of stores and runs, and ``time.time``. Monotonic clocks go on as they do on real machines, and servers
keep the right time.
"""

from __future__ import annotations

import datetime as datetime_module
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def preloaded() -> dict[str, str]:
    """What a process needs in its environment, so that its clock can be shifted as a whole."""
    spec = find_spec("libfaketime")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for library in Path(folder).glob("vendor/libfaketime/src/libfaketime.so*"):
            return {"LD_PRELOAD": str(library), "FAKETIME": "+0", "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
    return {}


def shift_clock(seconds: int) -> None:
    """Shifts this process's clock for good. 0: nothing happens."""
    if not seconds:
        return
    if "FAKETIME" in os.environ:
        os.environ["FAKETIME"] = f"{seconds:+d}"
    else:
        _shift_python(seconds)


def _shift_python(seconds: int) -> None:
    real, real_time, real_nanoseconds = datetime_module.datetime, time.time, time.time_ns
    shift = datetime_module.timedelta(seconds=seconds)

    class Shifted(real):  # type: ignore[valid-type, misc]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz) + shift

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_nanoseconds() + seconds * 1_000_000_000
    for name, module in list(sys.modules.items()):
        if name.startswith(("feature_platform.stores", "feature_platform.orchestration.partitions")):
            for each, value in list(vars(module).items()):
                if value is real:
                    setattr(module, each, Shifted)
