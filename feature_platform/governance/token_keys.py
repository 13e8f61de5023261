"""Where token keys come from: a KMS plug-in, an environment variable, a key file, or the embedded profile's own file.

As text, keys are entries parted by white space or commas, each ``[read:][<classification>:][v<version>:]<key>`` with
the key in hexadecimal or base64:

* ``<key>`` alone is version 1 of the root key, from which every classification gets a key of its own;
* ``payment_card:v2:<key>`` is that classification's own key and comes before what the root key of version 2 gives;
* ``read:v2:<key>`` is a key that others may have written with, but that this process does not write with yet.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from feature_platform.errors import GovernanceError, Problem
from feature_platform.governance.canonical import CANONICAL
from feature_platform.governance.codes import TOKEN_KEY_EXPOSED, TOKEN_KEY_MISSING, TOKEN_KEY_WEAK
from feature_platform.governance.key_files import decoded, make_key_file

KEY_FILE: Final = "token.key"
FILE_SUFFIX: Final = "_FILE"
"""``FP_TOKEN_KEY_FILE`` names a file with what ``FP_TOKEN_KEY`` would hold."""
PLUGIN_GROUP: Final = "feature_platform.token_keys"
"""Entry points that give token keys."""
MINIMUM_BYTES: Final = 32

_SEPARATOR: Final = re.compile(r"[\s,]+")
_ENTRY: Final = re.compile(r"(read:)?(?:([a-z_]+):)?(?:v([1-9][0-9]{0,3}):)?([^:]+)")
_ADVICE: Final = "make one with `openssl rand -hex 32`; write `v2:` before it if it replaces an older one"


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A secret, and what it is for. Shows nothing of the secret and can't be pickled."""

    key: bytes = field(repr=False)
    version: int = 1
    classification: str | None = None
    """None: a root key, from which every classification's key is derived."""
    writes: bool = True
    """False: rows with its tokens are found, but no new tokens are made with it."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a token key does not leave its process")


class KeySource(Protocol):
    """A plug-in: asks a KMS, a vault, an HSM. Called once per process, in the process that needs the keys."""

    def __call__(self) -> Iterable[KeyMaterial]: ...


def read_keys(
    env_name: str, state_dir: Path | None, *, plugin: str | None = None, environ: Mapping[str, str] | None = None
) -> tuple[KeyMaterial, ...]:
    """The keys that ``plugin`` gives; without one those of the variable ``env_name``, else those of the file that
    ``<env_name>_FILE`` names, else those of the file in ``state_dir``, which is made if need be.

    Raises:
        GovernanceError: see :meth:`feature_platform.governance.tokens.TokenKeys.from_environment`.
    """
    if plugin is not None:
        return _from_plugin(plugin)
    if given := _variable(env_name, environ):
        return _parsed(given, f"environment variable {env_name}")
    if path := _variable(env_name + FILE_SUFFIX, environ):
        return _from_file(Path(path), f"the file that {env_name}{FILE_SUFFIX} names")
    if state_dir is None:
        raise GovernanceError(
            TOKEN_KEY_MISSING.problem(
                f"environment variable {env_name} is not set",
                mend=f"set {env_name} to the project's token key, or {env_name}{FILE_SUFFIX} to the path of a file "
                "with it; a new one comes from `openssl rand -hex 32`",
            )
        )
    own = state_dir / KEY_FILE
    if not own.exists():
        make_key_file(own)
    return _from_file(own, f"{KEY_FILE} in the state folder")


def _variable(name: str, environ: Mapping[str, str] | None) -> str:
    return (os.environ if environ is None else environ).get(name, "").strip()


def _from_file(path: Path, called: str) -> tuple[KeyMaterial, ...]:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise GovernanceError(
            TOKEN_KEY_MISSING.problem(
                f"{called} can't be read ({type(error).__name__})", mend="correct the path, or who may read the file"
            )
        ) from None
    if mode & 0o077:
        raise GovernanceError(TOKEN_KEY_EXPOSED.problem(f"{called} is open to other users", mend=f"chmod 600 {path}"))
    return _parsed(text, called)


def _from_plugin(name: str) -> tuple[KeyMaterial, ...]:
    try:
        found = tuple(_plugin(name)())
    except Exception as error:  # noqa: BLE001 - whatever a client library raises; its text may hold secrets
        problem = TOKEN_KEY_MISSING.problem(
            f"the token key plug-in '{name}' failed ({type(error).__name__})",
            mend="see the plug-in's own log; nothing that reads a personal key can run without it",
        )
        raise GovernanceError(problem) from None
    if not found or not all(isinstance(each, KeyMaterial) for each in found):
        raise GovernanceError(
            TOKEN_KEY_WEAK.problem(
                f"the token key plug-in '{name}' did not give KeyMaterial", mend="return one KeyMaterial per key"
            )
        )
    return found


def _plugin(name: str) -> Callable[[], Iterable[KeyMaterial]]:
    from importlib import import_module
    from importlib.metadata import entry_points

    module, colon, attribute = name.partition(":")
    if colon:
        source: KeySource = getattr(import_module(module), attribute)
        return source
    (entry,) = entry_points(group=PLUGIN_GROUP, name=name)
    loaded: KeySource = entry.load()
    return loaded


def _parsed(text: str, called: str) -> tuple[KeyMaterial, ...]:
    """Raises without a key among the local variables of the frame that raises: some tools print those."""
    found = [_entry(each, called) for each in _SEPARATOR.split(text.strip()) if each]
    del text
    if not found:
        found = [_unusable(called)]
    if problems := [each for each in found if isinstance(each, Problem)]:
        found.clear()
        raise GovernanceError(problems)
    return tuple(each for each in found if isinstance(each, KeyMaterial))


def _entry(text: str, called: str) -> KeyMaterial | Problem:
    match = _ENTRY.fullmatch(text)
    key = decoded(match[4]) if match else b""
    if match is None or len(key) < MINIMUM_BYTES:
        return _unusable(called)
    if match[2] is not None and match[2] not in CANONICAL:
        return TOKEN_KEY_WEAK.problem(
            f"the token key in {called} is for a classification that does not exist",
            mend=f"use one of {', '.join(sorted(CANONICAL))}, or leave it out for the root key",
        )
    return KeyMaterial(key, int(match[3] or 1), match[2], not match[1])


def _unusable(called: str) -> Problem:
    return TOKEN_KEY_WEAK.problem(
        f"the token key in {called} is not {MINIMUM_BYTES} bytes or more in hexadecimal or base64", mend=_ADVICE
    )
