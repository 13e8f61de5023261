"""What a state folder last recorded of each view, of the policies and of the keys, so that only changes are recorded
again. Losing it costs repeated events, nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


class Memory:
    """Names with the digest that was recorded last."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, str]:
        """Empty when there is none, or none that can be read."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def update(self, recorded: Mapping[str, str]) -> None:
        """Adds to it, as a whole. When the disk refuses, the next process records the same again."""
        before = self.read()
        after = {**before, **recorded}
        if after == before:
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.write_text(json.dumps(after), encoding="utf-8")
            draft.replace(self._path)
