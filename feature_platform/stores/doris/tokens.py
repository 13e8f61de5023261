"""Tokens in Doris: made by functions of the cluster's own, one per version of the key, each held to the platform's key.

A text says ``fp_tokens.token('email', x)``. It is sent as ``fp_tokens.token_v2('email', x)``, for the version that the
query wants, so that a rotation never depends on when the cluster's administrators change a function: the old and the
new one are there side by side. Keys are theirs and in no text. Before a function is first used it has to make the
token of a probe that the platform's own key makes: another key or another algorithm is refused, and no row gets it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from sqlglot import Token

from feature_platform.errors import GovernanceError, StoreError
from feature_platform.governance.codes import TOKEN_KEY_DIFFERS, TOKEN_SETUP_FAILED
from feature_platform.governance.tokens import SCHEMA
from feature_platform.stores.codes import QUERY_NOT_ALLOWED
from feature_platform.stores.doris.names import quoted, text
from feature_platform.stores.doris.problems import DorisError, Kind
from feature_platform.stores.doris.sessions import Sessions

_FUNCTION: Final = "token"
_MISSING: Final = frozenset({Kind.MISSING, Kind.SYNTAX, Kind.OTHER})


class Keys(Protocol):
    """The platform's keys, see :class:`feature_platform.governance.tokens.TokenKeys`."""

    def writing(self, classification: str) -> int: ...

    def probe(self, classification: str, version: int) -> tuple[str, str]: ...


class TokenFunctions:
    """The functions of one cluster. Safe for several threads; each is checked once."""

    def __init__(self, sessions: Sessions, keys: Keys | None) -> None:
        self._sessions = sessions
        self._keys = keys
        self._checked: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    def names(self, calls: Mapping[int, str], versions: Mapping[str, int]) -> dict[int, str]:
        """What each call's function is called in the cluster, by place: ``calls`` are classifications by place.

        Raises:
            GovernanceError: FP-GOV-013, a function has another key; FP-GOV-014, there is none.
            StoreError: the store was opened without keys.
        """
        found = {}
        for place, classification in calls.items():
            if self._keys is None:
                raise StoreError(_refused("a store without token keys makes no tokens", "open it through a project"))
            version = versions.get(classification) or self._keys.writing(classification)
            self._check(classification, version)
            found[place] = quoted(_named(version))
        return found

    def _check(self, classification: str, version: int) -> None:
        assert self._keys is not None
        with self._lock:
            if (classification, version) in self._checked:
                return
        probe, wanted = self._keys.probe(classification, version)
        call = f"{quoted(SCHEMA)}.{quoted(_named(version))}({text(classification)}, {text(probe)})"
        try:
            made = self._sessions.rows(f"SELECT {call} AS made")[0][0]
        except DorisError as error:
            if error.kind not in _MISSING:
                raise
            raise GovernanceError(
                TOKEN_SETUP_FAILED.problem(
                    f"the Doris cluster has no {SCHEMA}.{_named(version)} that takes ('{classification}', text)",
                    mend="let its administrators install one with the key of that version, see docs/guides/doris.md",
                )
            ) from None
        if made != wanted:
            raise GovernanceError(
                TOKEN_KEY_DIFFERS.problem(
                    f"{SCHEMA}.{_named(version)} of the Doris cluster does not make the tokens of '{classification}' "
                    f"that this process makes with version {version}",
                    mend="give the function the same key, or correct how it makes tokens, see docs/guides/doris.md",
                )
            )
        with self._lock:
            self._checked.add((classification, version))


def token_calls(tokens: Sequence[Token]) -> dict[int, str]:
    """Classifications by the place, among ``tokens``, of the function's name in a call of ``fp_tokens.token``.

    Raises:
        StoreError: another function of that database is named, or the classification is no constant.
    """
    found = {}
    for place, token in enumerate(tokens[:-4]):
        if token.text.lower() != SCHEMA or tokens[place + 1].text != "." or token.token_type.name == "STRING":
            continue
        function, bracket, classification = tokens[place + 2], tokens[place + 3], tokens[place + 4]
        if function.text != _FUNCTION or bracket.text != "(" or classification.token_type.name != "STRING":
            raise StoreError(_refused(f"{SCHEMA} has nothing for a query but tokens", "leave it out"))
        found[place + 2] = classification.text
    return found


def _named(version: int) -> str:
    return f"{_FUNCTION}_v{version}"


def _refused(what: str, mend: str) -> Any:
    return QUERY_NOT_ALLOWED.problem(what, mend=mend)
