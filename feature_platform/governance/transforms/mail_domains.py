"""Mail providers whose name tells nothing about a person. The list and how it is renewed: ``mail_domains.txt``.

``python -m feature_platform.governance.transforms.mail_domains COUNTS.csv [LEAST]`` holds it against what sources have.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

LEAST_PERSONS: Final = 1_000
"""So many persons in one's own data, at least, before a domain is worth a look: with fewer it may name some of them."""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


COMMON_DOMAINS: Final = _listed((files(__package__) / "mail_domains.txt").read_text(encoding="utf-8"))
"""In order. Any other domain may belong to one family or one firm, so it names people."""


def compared(persons: Mapping[str, int], least: int = LEAST_PERSONS) -> Iterator[str]:
    """What somebody who renews the list should look at: one line per domain."""
    for domain, count in sorted(persons.items(), key=lambda item: -item[1]):
        if count >= least and domain not in COMMON_DOMAINS:
            yield f"{domain}: {count:,} persons, not listed"
    for domain in COMMON_DOMAINS:
        if persons.get(domain, 0) < least:
            yield f"{domain}: listed, fewer than {least:,} persons"


def counts(rows: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Persons by domain, from rows with ``domain`` and ``persons``."""
    found: dict[str, int] = {}
    for row in rows:
        domain = row["domain"].strip().lower()
        found[domain] = found.get(domain, 0) + int(row["persons"])
    return found


def main() -> None:
    """Reads the file that the first argument names."""
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
        persons = counts(csv.DictReader(file))
    least = int(sys.argv[2]) if len(sys.argv) > 2 else LEAST_PERSONS
    sys.stdout.writelines(f"{line}\n" for line in compared(persons, least))


if __name__ == "__main__":
    main()
