"""Digests of the queries that an engine has bound, so that the same query is not bound again: not by this process, nor
by the next one with the same state folder.

A digest is of everything that binding depends on, so an entry never goes stale: something else has another digest. A
file that can't be read or written, or an entry that is lost, costs binding again, nothing else. Who may write to the
folder may also write what was compiled, so the file opens nothing that was closed. Digests of what people ask in their
own words stay in memory: without a key, constants in a text could be guessed from them.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

_KEPT: Final = 10_000
"""Digests in a file; the oldest go first."""


class BoundTexts:
    """A set of digests, in a file of one a line if there is one. The caller keeps threads apart."""

    def __init__(self, file: Path | None = None) -> None:
        """Reads nothing yet."""
        self._file = file
        self._known: set[str] | None = None

    def __contains__(self, digest: str) -> bool:
        return digest in self._read()

    def add(self, digest: str, *, lasting: bool) -> None:
        """For this process, and with ``lasting`` for others too. Lines of several processes don't mix: each is
        appended in one write.
        """
        known = self._read()
        if len(known) < 2 * _KEPT:
            known.add(digest)
        if lasting and self._file is not None:
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("a", encoding="ascii") as file:
                    file.write(f"{digest}\n")

    def _read(self) -> set[str]:
        if self._known is None:
            lines: list[str] = []
            if self._file is not None:
                with suppress(OSError, UnicodeDecodeError):
                    lines = self._file.read_text(encoding="ascii").splitlines()
                if len(lines) > _KEPT:
                    lines = lines[-_KEPT // 2 :]
                    self._rewrite(lines)
            self._known = set(lines)
        return self._known

    def _rewrite(self, lines: list[str]) -> None:
        assert self._file is not None
        draft = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
        with suppress(OSError):
            draft.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
            draft.replace(self._file)
