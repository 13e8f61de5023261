"""``python -m tests.compiler.interference SEED`` shows what became of one query; ``FIRST COUNT`` gives the figures of
many."""

from __future__ import annotations

import sys

from tests.compiler.interference.campaign import explained, judge, run
from tests.compiler.interference.choices import Choices
from tests.compiler.interference.oracle import every_world, opened
from tests.compiler.interference.queries import write


def main(arguments: list[str]) -> None:
    first = int(arguments[0])
    with opened(every_world()) as worlds:
        if len(arguments) > 1:
            figures = run(worlds, range(first, first + int(arguments[1])))
            print(figures.report())  # noqa: T201
            for seed, judged in figures.faults[:10]:
                print(f"\n{explained(worlds, seed, judged)}")  # noqa: T201
            return
        judged = judge(worlds, write(Choices(first)), first, thorough=True)
        print(judged.written.sql, judged.text, judged.refused, sep="\n\n")  # noqa: T201
        print(explained(worlds, first, judged) if judged.fault else "no fault")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
