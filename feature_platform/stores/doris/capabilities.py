"""What a version of Doris can do. Below 4.0 nothing is tried: too much of what is relied on differs there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from feature_platform.errors import StoreError
from feature_platform.stores.codes import DORIS_VERSION

Version = tuple[int, int, int]

FLOOR: Final[Version] = (4, 0, 0)
_SINCE: Final[Mapping[str, Version]] = {
    "arrow_flight": (4, 0, 1),  # 4.0.0 fails on plain SELECTs
}
_NUMBER: Final = re.compile(r"(?<![\d.])(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Of one server. QUALIFY, MERGE, TRY_CAST and two-phase loads are there from the floor on."""

    version: Version
    arrow_flight: bool


def capabilities(version_comment: str, known: Mapping[str, bool] | None = None) -> Capabilities:
    """What a server can do that says ``version_comment`` of itself, e.g. ``Doris version doris-4.0.5-rc01-a1b2c3``.

    Args:
        version_comment: ``SELECT @@version_comment``; ``version()`` only says which MySQL it imitates.
        known: what is known better, by name.

    Raises:
        StoreError: it is no Doris, or an older one.
    """
    found = _NUMBER.search(version_comment)
    if found is None or "doris" not in version_comment.lower():
        raise _refused("the server does not say that it is Apache Doris")
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < FLOOR:
        raise _refused(f"the server is Doris {'.'.join(map(str, version))}")
    flags = {name: version >= since for name, since in _SINCE.items()}
    flags |= {name: value for name, value in (known or {}).items() if name in flags}
    return Capabilities(version, **flags)


def _refused(what: str) -> StoreError:
    return StoreError(
        DORIS_VERSION.problem(f"{what}; 4.0.0 is the oldest that is supported", mend="upgrade it, 4.0.5 or later")
    )
