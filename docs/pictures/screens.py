"""Takes the screenshots in ``docs/images`` again: Dagster's UI over the demonstration, and a change of a definition.

Not part of the tests: it wants a browser. It needs Chromium, and an environment of its own with Playwright and Pillow::

    python3 -m venv /tmp/shots && /tmp/shots/bin/pip install playwright pillow
    /tmp/shots/bin/python docs/pictures/screens.py /tmp/screens

The project and its state are a copy in the folder that is given; servers that it starts, it ends. It prints what
``fp plan`` says on the way, for the guide to orchestration. Look at every picture before you commit it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ROOT / "docs" / "images"
PORT: Final = 3971
URL: Final = f"http://127.0.0.1:{PORT}"
AS_OF: Final = "2026-07-01"
"""The end of the demonstration's data."""
PARTITIONS: Final = [f"2026-06-{day}" for day in range(24, 31)]
SPEND: Final = "warehouse/payments/card_spend"
LOCATION: Final = "feature_platform.definitions"
CHANGES: Final = (
    ("windows: [1h, 1d, 30d], where: status", "windows: [1h, 1d, 7d, 30d], where: status"),
    ("windows: [7d, 30d], name: payments}", "windows: [7d, 14d, 30d], name: payments}"),
)
"""What somebody changes in ``card_spend.yaml``: a window more for ``card_spend`` and for ``card_habits``."""
NAVIGATION: Final = 240
"""Pixels on the left that every page has."""
_FP: Final = "from feature_platform.cli.main import main; main()"
_LARGEST: Final = 150_000
_PATIENCE: Final = 600.0


class Platform:
    """``fp`` of the checkout over a copy of the example project."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.python = python
        self.project = folder / "feature_defs"
        shutil.copytree(ROOT / "feature_defs", self.project, ignore=shutil.ignore_patterns(".fp"), dirs_exist_ok=True)
        self.environment = {**os.environ, "FP_HOME": str(folder / "state"), "PYTHONPATH": str(ROOT)}

    def demo(self, size: str) -> None:
        self._run("-m", "feature_platform.demo", "--size", size, "--project", str(self.project))

    def fp(self, *arguments: str) -> str:
        return self._run("-c", _FP, *arguments, "--project", str(self.project))

    def change(self) -> None:
        path = self.project / "payments" / "card_spend.yaml"
        text = path.read_text(encoding="utf-8")
        for before, after in CHANGES:
            assert before in text, f"the example has no '{before}' any more"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")

    def _run(self, *arguments: str) -> str:
        command = [str(self.python), *arguments]
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)  # noqa: S603
        if result.returncode:
            sys.exit(f"{' '.join(arguments)}\n{result.stdout}{result.stderr}")
        return result.stdout

    @contextmanager
    def ui(self) -> Iterator[None]:
        command = [str(self.python), "-c", _FP, "ui", "--port", str(PORT), "--project", str(self.project)]
        with subprocess.Popen(  # noqa: S603
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            try:
                _wait(lambda: server.poll() is not None or _answers(), "the UI")
                assert server.poll() is None, "the UI ended"
                yield
            finally:
                server.send_signal(signal.SIGINT)


def graphql(query: str, **variables: Any) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{URL}/graphql", body, {"content-type": "application/json"})  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        found = json.load(answer)
    assert "errors" not in found, found["errors"]
    return dict(found["data"])


def reload_definitions() -> None:
    graphql("mutation($n:String!){reloadRepositoryLocation(repositoryLocationName:$n){__typename}}", n=LOCATION)


def launch_backfill(path: str) -> str:
    launched = graphql(
        "mutation($p:LaunchBackfillParams!){launchPartitionBackfill(backfillParams:$p){"
        "__typename ... on LaunchBackfillSuccess{backfillId}}}",
        p={"partitionNames": PARTITIONS, "assetSelection": [{"path": path.split("/")}]},
    )["launchPartitionBackfill"]
    return str(launched["backfillId"])


def backfill_status(backfill: str) -> str:
    query = "query($i:String!){partitionBackfillOrError(backfillId:$i){... on PartitionBackfill{status}}}"
    return str(graphql(query, i=backfill)["partitionBackfillOrError"]["status"])


def backfill_progress(backfill: str) -> int:
    """Partitions that a run works on."""
    query = """query($i:String!){partitionBackfillOrError(backfillId:$i){... on PartitionBackfill{assetBackfillData{
        assetBackfillStatuses{... on AssetPartitionsStatusCounts{numPartitionsInProgress}}}}}}"""
    found = graphql(query, i=backfill)["partitionBackfillOrError"]["assetBackfillData"]["assetBackfillStatuses"]
    return sum(each["numPartitionsInProgress"] for each in found)


def shoot(page: Page, name: str, *, top: int = 0, height: int | None = None) -> None:
    """The page without its navigation, in as few colours as do."""
    taken = Image.open(io.BytesIO(page.screenshot()))
    cut = taken.crop((NAVIGATION, top, taken.width, height or taken.height)).convert("RGB")
    for colours in (256, 128, 64, 32):
        cut.quantize(colours).save(IMAGES / f"{name}.png", optimize=True)
        if (IMAGES / f"{name}.png").stat().st_size <= _LARGEST:
            return
    raise SystemExit(f"{name}.png is larger than {_LARGEST} bytes")


def visit(page: Page, path: str, *, width: int = 1440, height: int = 800) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{URL}/{path}")
    page.wait_for_timeout(8_000)  # the UI asks for its data bit by bit, and has no sign for "all is there"
    assert not page.get_by_text("External Asset").count(), "the definitions did not load"


def graph(page: Page, path: str, name: str, *, width: int, height: int, top: int) -> None:
    """A graph, as large as it fits."""
    visit(page, path, width=width, height=height)
    page.mouse.dblclick(width - 400, height - 12)  # on the ground: centres and fits
    page.wait_for_timeout(3_000)
    shoot(page, name, top=top)


def before(page: Page) -> None:
    needs = "assets/services/credit_limit_model?view=lineage&lineageScope=upstream&lineageDepth=4"
    graph(page, needs, "asset-graph", width=1640, height=1300, top=162)
    visit(page, f"assets/{SPEND}?view=checks&checkDetail=pii", width=1440, height=700)
    shoot(page, "asset-checks")


def stale(page: Page) -> None:
    visit(page, f"assets/{SPEND}", height=900)
    page.get_by_text("Unsynced").first.hover()
    page.wait_for_timeout(1_500)
    shoot(page, "stale-asset")
    lineage = f"assets/{SPEND}?view=lineage&lineageScope=downstream&lineageDepth=3"
    graph(page, lineage, "stale-graph", width=1440, height=760, top=104)


def backfill(page: Page) -> None:
    began = launch_backfill("warehouse/payments/card_habits")
    _wait(lambda: backfill_progress(began) > 0, "the backfill's run")
    visit(page, f"runs/b/{began}", height=320)
    shoot(page, "backfill")
    _wait(lambda: backfill_status(began).startswith("COMPLETED"), "the backfill")
    assert backfill_status(began) == "COMPLETED_SUCCESS"
    visit(page, "assets/warehouse/payments/card_habits?view=partitions&partition=2026-06-30", height=900)
    shoot(page, "partition")
    visit(page, "assets/warehouse/payments/card_habits?view=checks&checkDetail=parity", height=700)
    shoot(page, "parity")


def synced(page: Page) -> None:
    visit(page, f"assets/{SPEND}?view=events", height=640)
    assert not page.get_by_text("Unsynced").count()
    shoot(page, "synced-asset")


def _answers() -> bool:
    try:
        urllib.request.urlopen(f"{URL}/server_info", timeout=5).close()  # noqa: S310 - our own server
    except (urllib.error.URLError, OSError):
        return False
    return True


def _wait(there: Any, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not there():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not come within {_PATIENCE:.0f} s")
        time.sleep(0.5)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="an empty or new folder for the project and its state")
    parser.add_argument("--python", type=Path, default=ROOT / ".venv/bin/python", help="that has the platform")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    parser.add_argument("--size", default="100k", help="transactions of the demonstration")
    parser.add_argument("--keep", action="store_true", help="the folder has the demonstration already")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    platform = Platform(options.folder, options.python)
    if not options.keep:
        platform.demo(options.size)
    with sync_playwright() as browsers, platform.ui():
        browser = browsers.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        page = browser.new_page()
        before(page)
        platform.change()
        print(platform.fp("plan", "card_spend+", "card_habits+", "--partition", "all", "--as-of", AS_OF))  # noqa: T201
        reload_definitions()
        stale(page)
        backfill(page)
        print(platform.fp("materialize", "--as-of", AS_OF))  # noqa: T201
        synced(page)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
