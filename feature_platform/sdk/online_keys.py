"""What an online read asks a store for: keys as they are, or in every version of the token key while one is rotated.

A store's rows are on one version or, shortly, on several; asking for all of them needs no look at what was published,
so no publication can slip in between. While the ring has one version of each key, this is one key per entity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import product
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from feature_platform.errors import GovernanceError, UsageError
from feature_platform.governance.codes import NO_KEY_OF_VERSION
from feature_platform.governance.tokens import TokenKeys, token_version
from feature_platform.project.key_versions import recorded_versions
from feature_platform.sdk.codes import REQUEST_VALUE
from feature_platform.sdk.tokens import key_token

if TYPE_CHECKING:
    from feature_platform.sdk.spine import NeededColumn
    from feature_platform.stores.online_protocol import OnlineRow, OnlineStore

Key = tuple[Any, ...]
_BELIEVED_SECONDS: Final = 10.0
_NEVER: Final = datetime(1, 1, 1)  # noqa: DTZ001 - naive UTC, as rows have it


@dataclass(frozen=True)
class KeyForms:
    """How one view's keys are asked for."""

    names: tuple[str, ...]
    personal: Mapping[str, NeededColumn]
    """Those of ``names`` that are personal."""
    keys: TokenKeys

    @cached_property
    def several(self) -> bool:
        """Whether an entity has more than one key."""
        return any(len(self.keys.versions(name)) > 1 for name in self._classes)

    def of(self, given: Mapping[str, Any], raw: Mapping[str, Any]) -> tuple[Key, ...]:
        """Every key of an entity, that with the writing versions first. ``given`` has tokens already, ``raw`` what the
        caller gave. Columns of one classification always go together: their tokens were made by one session.
        """
        plain = tuple(given[name] for name in self.names)
        if None in plain or not self.several:
            return (plain,)
        found = []
        for versions in product(*(self.keys.versions(name) for name in self._classes)):
            chosen = dict(zip(self._classes, versions, strict=True))
            found.append(tuple(self._form(name, given, raw, chosen) for name in self.names))
        return tuple(dict.fromkeys(found))

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column.classification or "" for column in self.personal.values()))

    def _form(self, name: str, given: Mapping[str, Any], raw: Mapping[str, Any], versions: Mapping[str, int]) -> Any:
        column = self.personal.get(name)
        if column is None or column.classification is None:
            return given[name]
        return key_token(self.keys, column.classification, raw[name], column.type, versions[column.classification])


class LiveVersions:
    """The versions of the token key in what is published online, for entities that were not found.

    Looked up again after some seconds, so that entities that really are new cost next to nothing.
    """

    def __init__(self, keys: TokenKeys) -> None:
        self._keys = keys
        self._seen: dict[str, tuple[float, Mapping[str, frozenset[int]]]] = {}

    def check_missing(self, view: str, store: OnlineStore, forms: KeyForms, raws: Sequence[Mapping[str, Any]]) -> None:
        """``raws`` are entities without a row. It may be there under a token that nobody asked for.

        Raises:
            GovernanceError: FP-GOV-016, the rows have a version that the ring lacks.
            UsageError: an entity was given as a token of another version than the rows have.
        """
        given = [
            (column, version)
            for raw in raws
            for column in forms.personal.values()
            if (version := token_version(str(raw[column.name]), column.classification or "")) is not None
        ]
        held = self._held(view, store, fresh=bool(given) and self._keys.rotating)
        for column in forms.personal.values():
            name = column.classification or ""
            if lacking := held.get(name, frozenset()) - set(self._keys.versions(name)):
                raise GovernanceError(
                    NO_KEY_OF_VERSION.problem(
                        f"rows of '{view}' in '{store.name}' have tokens of '{name}' of version {min(lacking)}, and "
                        "there is no such key",
                        mend=f"put that key back beside the others, or materialize the view: fp materialize {view}",
                    )
                )
        for column, version in given:
            versions = held.get(column.classification or "")
            if versions is not None and version not in versions:
                have = ", ".join(f"v{each}" for each in sorted(versions))
                raise UsageError(
                    REQUEST_VALUE.problem(
                        f"'{column.name}' was given as a token of key version {version}; rows of '{view}' have {have}",
                        mend=f"give the {column.classification} itself, or a token of that version",
                    )
                )

    def _held(self, view: str, store: OnlineStore, *, fresh: bool) -> Mapping[str, frozenset[int]]:
        now = monotonic()
        at, held = self._seen.get(view, (0.0, {}))
        if fresh or view not in self._seen or now - at > _BELIEVED_SECONDS:
            live = store.publication(view)
            held = recorded_versions([live]) if live else {}
            self._seen[view] = (now, held)
        return held


def newest(rows: Sequence[OnlineRow | None]) -> OnlineRow | None:
    """The row with the latest event time; of equal ones the first, whose tokens are of the writing version."""
    found = [row for row in rows if row is not None]
    return max(found, key=lambda row: row.event_time or _NEVER, default=None)
