"""``python -m feature_platform.demo``: the example project from generated data to an online vector."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

_SUFFIXES = {"": 1, "k": 1_000, "m": 1_000_000}


def main() -> int:
    """Runs the demonstration; 0 if everything was published and checked."""
    parser = argparse.ArgumentParser(prog="python -m feature_platform.demo", description=__doc__)
    parser.add_argument("--size", type=_size, default=500_000, help="transactions: 10k to 50M (default 500k)")
    parser.add_argument("--project", type=Path, default=_example(), help="folder of the project (default feature_defs)")
    options = parser.parse_args()

    from feature_platform.cli.screen import Texts, print_problems
    from feature_platform.demo.run import run
    from feature_platform.errors import FeaturePlatformError

    try:
        return run(options.project, options.size)
    except FeaturePlatformError as error:
        print_problems(error.problems, texts=Texts(options.project), machine=False)
        return 1
    except KeyboardInterrupt:
        return 130


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([km]?)", text.lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write 10k, 500k or 5M")
    size = int(match[1]) * _SUFFIXES[match[2]]
    if not 10_000 <= size <= 50_000_000:
        raise argparse.ArgumentTypeError("the demonstration works with 10k to 50M transactions")
    return size


def _example() -> Path:
    """``feature_defs`` here, or beside the package in a checkout."""
    here = Path("feature_defs")
    return here if here.is_dir() else Path(__file__).parents[2] / "feature_defs"


if __name__ == "__main__":
    sys.exit(main())
