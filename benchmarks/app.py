"""Measure the running app: how soon it can be used, and what its server takes.

``python -m benchmarks`` prints these rows last. Each start is that of a new server and a browser
that has not seen the app, with a warm file cache; kept results lie in a folder of this run alone.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from bhpvas.storage.paths import sample_data_folder
from tests.browser.chromium import launch
from tests.browser.server import running
from tests.browser.workbench import Workbench

#: What is on each page once it can be used.
SIGNS = {
    "Schemes": ".st-key-tree-chart .js-plotly-plot",
    "Samples": ".st-key-sentence-map .nsewdrag",
    "Sentence": ".st-key-arcs .main-svg",
    "Roles": ".st-key-role-map .main-svg",
    "Export": ".st-key-export-format",
    "Workbench": ".st-key-head-map .nsewdrag",
}
SIZE = ViewportSize(width=1440, height=900)


def line(what: str, values: list[float], unit: str, budget: str) -> str:
    """A row of the table: median and range, and of how many."""
    spread = f"{min(values):.2f} – {max(values):.2f}" if len(values) > 1 else ""
    median = f"{statistics.median(values):.2f} {unit}"
    return f"| {what} | {median} | {spread} | {budget} | {len(values)} × |"


def peak_gigabytes(process: int) -> float | None:
    """The most memory that a process has held so far; None where the system does not say."""
    with suppress(OSError):
        for said in Path(f"/proc/{process}/status").read_text().splitlines():
            if said.startswith("VmHWM:"):
                return int(said.split()[1]) * 1024 / 1e9
    return None


@contextmanager
def opened(browser: Browser, kept: str) -> Iterator[tuple[Workbench, int, float]]:
    """A new server with the app in a new browser: its process, and seconds until a click on the
    head map has selected a head."""
    page = browser.new_context(viewport=SIZE).new_page()
    begun = time.monotonic()
    with running({"BHPVAS_CACHE": kept}) as (address, process):
        app = Workbench(page, address)
        app.open_and_select()
        yield app, process, time.monotonic() - begun
    page.context.close()


def starts(browser: Browser, kept: str, rounds: int) -> list[float]:
    """Seconds from starting the server to a head map on which a click has selected a head."""
    found = []
    for _ in range(rounds):
        with opened(browser, kept) as (app, _, seconds):
            found.append(seconds)
            app.settle()  # what is measured is kept
    return found


def page_changes(app: Workbench, rounds: int) -> dict[str, list[float]]:
    """Seconds from the click on a page's link to what the page is for, each page seen before."""
    found: dict[str, list[float]] = {title: [] for title in SIGNS}
    for turn in range(rounds + 1):
        for title, sign in SIGNS.items():
            link = app.page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True)
            begun = time.monotonic()
            link.click()
            app.page.locator(sign).first.wait_for()
            if turn:
                found[title].append(time.monotonic() - begun)
            app.settle()
    return found


def work(app: Workbench) -> None:
    """What everybody does: remove some heads, and see what that costs."""
    app.settle()
    app.press("Select lowest 9")
    app.remove()


def open_model(app: Workbench, folder: Path) -> None:
    """Open another model by its folder."""
    app.press("Change model or data")
    dialog = app.page.get_by_role("dialog")
    dialog.get_by_text("Hub id or folder", exact=True).click()
    dialog.get_by_label("Hub id or folder of a").fill(str(folder))
    dialog.get_by_label("Hub id or folder of a").press("Enter")
    dialog.get_by_role("button", name="Use these").click()
    expect(dialog).to_have_count(0)
    app.settle()


def save_large(folder: Path) -> None:
    """A classifier of BERT-base's size with random weights and the sample model's tokenizer."""
    torch.manual_seed(0)
    labels = {0: "negative", 1: "positive"}
    BertForSequenceClassification(BertConfig(id2label=labels)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(sample_data_folder() / "model").save_pretrained(folder)


def memory(browser: Browser, browsers: int, model: Path | None = None) -> float | None:
    """The server's peak in GB while so many browsers work with the sample model, or one another."""
    with opened(browser, "off") as (app, process, _):
        if model is not None:
            open_model(app, model)
        work(app)
        for _ in range(browsers - 1):
            page = browser.new_context(viewport=SIZE).new_page()
            another = Workbench(page, app.address)
            another.open()
            work(another)
        return peak_gigabytes(process)


def print_rows(rounds: int) -> None:
    """Measure and print every row, as soon as it is there."""
    with (
        sync_playwright() as playwright,
        launch(playwright) as browser,
        tempfile.TemporaryDirectory(prefix="bhpvas-benchmark-") as scratch,
    ):
        kept, large = str(Path(scratch) / "kept"), Path(scratch) / "large"
        fresh = starts(browser, "off", rounds)
        print(line("app start to a head map, nothing kept", fresh, "s", "12 s"), flush=True)
        again = starts(browser, kept, rounds + 1)[1:]
        print(line("app start to a head map, results kept", again, "s", "12 s"), flush=True)
        with opened(browser, kept) as (app, _, _):
            app.settle()
            for title, seconds in page_changes(app, rounds).items():
                print(line(f"page change to {title}", seconds, "s", "1 s"), flush=True)
        save_large(large)
        cases = {
            "sample model, one browser": (1, None, "1.0 GB"),
            "sample model, eight browsers": (8, None, "1.3 GB"),
            "110M parameters (BERT-base's size, random weights), one browser": (1, large, "2.2 GB"),
        }
        for what, (browsers, model, budget) in cases.items():
            peak = memory(browser, browsers, model)
            if peak is None:
                print(f"| peak memory: {what} | not known on {sys.platform} | | {budget} | |")
            else:
                print(line(f"peak memory: {what}", [peak], "GB", budget), flush=True)
