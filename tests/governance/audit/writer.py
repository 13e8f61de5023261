"""A process that records events until it is killed: writes the number of each once it was accepted.

python -m tests.governance.audit.writer FOLDER URL FIRST COUNT
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.governance.audit.ledgers import event, trail_in_postgres


def main(folder: str, url: str, first: str, count: str) -> None:
    trail = trail_in_postgres(Path(folder), url)
    trail._spool._segment_bytes = 4_000  # many segments, so that a kill hits every step of their lives
    trail.start_draining()
    for number in range(int(first), int(first) + int(count)):
        trail.record(event(trail, number), durable=number % 10 == 0)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        if number % 50 == 49:
            trail.drain()
    trail.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
