"""Where a project's files can be looked at: the page of a Git host, at the commit that is checked out."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feature_platform.errors import Location


@dataclass(frozen=True)
class Checkout:
    """Where the project's files can be looked at: in a Git host's web pages if the commit is known there, else on this
    disk."""

    root: Path
    url: str | None = None
    """Address of the project's root at the commit, without a slash at the end."""

    @classmethod
    def of(cls, root: Path) -> Checkout:
        """Asks Git for commit and remote; a folder without either has local files only."""
        prefix, commit, remote = (_git(root, *command) for command in _ABOUT_CHECKOUT)
        base = web_address(remote) if remote else None
        if not (base and commit):
            return cls(root)
        return cls(root, "/".join(filter(None, (base, "blob", commit, prefix.rstrip("/")))))

    def link(self, where: Location) -> str | None:
        """The page of the line where a document begins; None for a project that only this disk has."""
        return f"{self.url}/{where.file}#L{where.line}" if self.url else None


def web_address(remote: str) -> str | None:
    """The web page of a Git remote, without credentials; None for a remote that has none.

    >>> web_address("git@git.example.com:risk/features.git")
    'https://git.example.com/risk/features'
    """
    if "://" in remote:
        scheme, _, rest = remote.partition("://")
        if scheme not in ("https", "http", "ssh", "git"):
            return None
        host, slash, path = rest.partition("/")
        host = host.rpartition("@")[2]
        host = host if scheme in ("https", "http") else host.partition(":")[0]
    else:
        host, slash, path = remote.partition(":")
        if "@" not in host:
            return None
        host = host.rpartition("@")[2]
    return f"https://{host}/{path.strip('/').removesuffix('.git')}" if slash and path else None


_ABOUT_CHECKOUT: Final = (
    ("rev-parse", "--show-prefix"),
    ("rev-parse", "HEAD"),
    ("config", "--get", "remote.origin.url"),
)


def _git(root: Path, *command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            ["git", "-C", str(root), *command],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
