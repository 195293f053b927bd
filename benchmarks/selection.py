"""Measure how fast Samples answers a selection: ``python -m benchmarks.selection sentences.tsv``.

Starts the app, uploads that many sentences of the file (columns ``sentence`` and ``label``), waits
until everything is measured, and selects among them with the pointer and the keyboard's ways. Each
gesture is timed in the browser: from its end to the last change of the page, the end of the last
task of 50 ms or more included.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.chromium import launch
from tests.browser.server import serving
from tests.browser.workbench import Workbench

CALIBRATION = 500
#: Milliseconds without any change after which the page is taken to be done.
QUIET = 1_000

# Notes when the last gesture ended, and when the page last changed or was last busy.
WATCH = """() => {
    const seen = window.selection = {begun: 0, changed: 0, busy: 0};
    new MutationObserver(() => { seen.changed = performance.now(); }).observe(
        document.querySelector('[data-testid=stApp]'),
        {subtree: true, childList: true, attributes: true, characterData: true});
    new PerformanceObserver(list => {
        for (const task of list.getEntries()) {
            seen.busy = Math.max(seen.busy, task.startTime + task.duration);
        }
    }).observe({type: 'longtask'});
    for (const event of ['pointerup', 'mouseup', 'click']) {
        window.addEventListener(event, () => { seen.begun = performance.now(); }, true);
    }
}"""
LAST = "() => Math.max(window.selection.changed, window.selection.busy)"


def upload(app: Workbench, path: Path) -> None:
    """Use a file as the app's data."""
    app.press("Change model or data")
    dialog = app.page.get_by_role("dialog")
    dialog.get_by_text("Upload", exact=True).click()
    dialog.locator("input[type=file]").set_input_files(path)
    dialog.get_by_text(path.name).first.wait_for()
    dialog.get_by_role("button", name="Use these").click()
    expect(dialog).to_have_count(0)
    app.settle()


def file_of(source: Path, sentences: int, folder: Path) -> Path:
    """The first sentences of a file of some words, shuffled, as a file in two parts."""
    frame = pd.read_csv(source, sep="\t", quoting=3)[["sentence", "label"]]
    frame = frame[frame["sentence"].str.split().str.len() >= 4]
    frame = frame.sample(sentences + CALIBRATION, random_state=0)
    frame["split"] = np.where(np.arange(len(frame)) < CALIBRATION, "calibration", "evaluation")
    path = folder / "sentences.tsv"
    frame.to_csv(path, sep="\t", index=False, quoting=3)
    return path


def answered(page: Page, gesture: Callable[[], None]) -> float:
    """Milliseconds from the end of a gesture to the last change of the page."""
    gesture()
    while True:
        page.wait_for_timeout(100)
        now, last = page.evaluate(f"() => [performance.now(), ({LAST})()]")
        if now - last > QUIET:
            break
    begun, last = page.evaluate(f"() => [window.selection.begun, ({LAST})()]")
    return float(last - begun)


def gestures(app: Workbench) -> dict[str, Callable[[], None]]:
    """Ways to select on the Samples page, by their names."""
    page = app.page

    def drag(corners: list[tuple[float, float]]) -> None:
        area = page.locator(".st-key-sentence-map .nsewdrag").first.bounding_box()
        assert area is not None
        places = [
            (area["x"] + right * area["width"], area["y"] + down * area["height"])
            for right, down in corners
        ]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=5)
        page.mouse.up()

    def rows(name: str) -> None:
        page.locator(".st-key-rows").get_by_text(name).first.click()

    return {
        "lasso": lambda: drag([(0.1, 0.1), (0.45, 0.1), (0.45, 0.6), (0.1, 0.6), (0.1, 0.12)]),
        "lasso around most": lambda: drag([(0, 0), (0.9, 0), (0.9, 1), (0, 1), (0, 0.03)]),
        "lasso around few": lambda: drag([(0.4, 0.4), (0.5, 0.4), (0.5, 0.5), (0.4, 0.5)]),
        "rows of the table": lambda: rows("wrong"),
        "the table's rows selected": lambda: page.locator(
            ".st-key-select-shown button"
        ).first.click(),
        "cleared": lambda: page.locator(".st-key-clear-sentences button").first.click(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="TSV file with the columns sentence and label")
    parser.add_argument("--sentences", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--heads", type=int, default=9, help="heads to remove before (default: 9)")
    parser.add_argument("--view", help="of the map, such as 'side by side' (default: the app's)")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving() as address,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        app = Workbench(page, address)
        app.open()
        app.settle()
        upload(app, file_of(given.source, given.sentences, Path(folder)))
        for _ in range(given.heads // 9):
            app.press("Select lowest 9")
            app.remove()
        begun = time.monotonic()
        app.go("Samples", ".st-key-sentence-map .nsewdrag")
        page.get_by_text("(UMAP)").wait_for()
        app.settle()
        print(
            f"Python {platform.python_version()}, {browser.browser_type.name} {browser.version}; "
            f"{given.sentences:,} sentences, {given.heads // 9 * 9} heads removed; all measured "
            f"{time.monotonic() - begun:.0f} s after Samples was opened\n"
        )
        if given.view:
            page.locator(".st-key-show").get_by_text(given.view, exact=True).click()
            app.settle()
        page.evaluate(WATCH)
        ways = gestures(app)
        ways["lasso"]()  # the importance of every sentence is measured once
        app.settle()
        page.wait_for_timeout(2 * QUIET)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(given.rounds):
            for name, gesture in ways.items():
                times[name].append(answered(page, gesture))
    print("| selection | ms (median) | min – max |\n|---|---|---|")
    for name, taken in times.items():
        print(f"| {name} | {statistics.median(taken):.0f} | {min(taken):.0f} – {max(taken):.0f} |")


if __name__ == "__main__":
    main()
