"""Take pictures of every page as a person meets it: in three widths, light and dark.

    python scripts/screenshots.py build/screenshots

Starts the app on a free port, works in it once, as a person would, then opens that work anew on
every page at every width and writes what the whole page shows as PNG files. It says so where a page
is wider than its window. Of the pictures, workbench.png is docs/images/workbench.png, which README
shows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.browser.chromium import launch
from tests.browser.server import serving
from tests.browser.workbench import Workbench

SIZES = {"narrow": (390, 844), "wide": (1440, 900), "widest": (2560, 1440)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: Where every view is found, and what is on it once it is there.
VIEWS = {
    "workbench": ("", ".st-key-scatter .main-svg"),
    "samples": ("samples", ".st-key-sentence-map .nsewdrag"),
    "sentence": ("sentence", ".st-key-arcs .main-svg"),
    "roles": ("roles", ".st-key-role-map .main-svg"),
    "tree": ("schemes?view=Tree", ".st-key-tree-chart .main-svg"),
    "propose": ("schemes?view=Propose", ".st-key-proposal-map .main-svg"),
    "fine-tune": ("schemes?view=Fine-tune", ".st-key-view"),
    "compare": ("schemes?view=Compare", ".st-key-slice-grid .main-svg"),
    "evidence": ("schemes?view=Evidence", ".st-key-view-evidence"),
    "shift": ("schemes?view=Shift", ".st-key-view"),
    "export": ("export", ".st-key-view-export"),
    "lesson": ("learn?learn-view=Lesson", ".st-key-arcs .main-svg"),
    "tours": ("learn?learn-view=Tours", ".st-key-tour-schemes"),
    "criteria": ("learn?learn-view=Criteria", ".katex"),
    "glossary": ("learn?learn-view=Glossary", ".st-key-learn-view"),
}


def main() -> None:
    """Take every picture, or those of some sizes, schemes and views."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--scheme", choices=SCHEMES, action="append")
    parser.add_argument("--view", choices=["open", *VIEWS], action="append")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        serving({"BHPVAS_HOME": home}) as address,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        # First, while there is no work yet to go on with.
        views = {"open": ("", ".st-key-timeline-chart .main-svg")}
        _take(browser, address, "", views, given)
        work = _work(browser, address, given.folder)
        _take(browser, address, work, VIEWS, given)


def _work(browser: Browser, address: str, folder: Path) -> str:
    """Do what there is to see, once; returns what the work is called."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
    app = Workbench(page, address)
    app.open()
    app.settle()
    app.press("Select lowest 9")
    app.remove()
    for head in ((3, 2), (1, 1), (5, 10), (0, 4)):
        app.click_head(*head)
    app.press("What would it cost?")
    page.screenshot(path=folder / "workbench.png")
    app.remove()
    app.press("Undo")
    app.press("Select lowest 9")
    app.remove()
    app.go("Samples", ".st-key-sentence-map .nsewdrag")
    app.lasso([(0.1, 0.1), (0.5, 0.1), (0.5, 0.6), (0.1, 0.6), (0.1, 0.15)])
    app.go("Schemes", ".st-key-tree-chart .main-svg")
    app.view("Propose")
    app.propose("Fisher information", 18)
    app.press("Take as a step")
    app.press("Compensation of 36 heads")
    app.propose("Importance", 9)
    app.go("Workbench", ".st-key-head-map .nsewdrag")
    app.press("Select lowest 9")
    work = parse_qs(urlsplit(page.url).query)["work"][0]
    page.close()
    return work


def _take(
    browser: Browser,
    address: str,
    work: str,
    views: dict[str, tuple[str, str]],
    given: argparse.Namespace,
) -> None:
    """Pictures of some views of a work, named by view, size and scheme."""
    for size in given.size or SIZES:
        width, height = SIZES[size]
        for scheme in given.scheme or SCHEMES:
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            app = Workbench(page, address)
            for view in [one for one in views if one in (given.view or views)]:
                where, sign = views[view]
                if work:
                    where += f"{'&' if '?' in where else '?'}work={work}"
                path = given.folder / f"{view}-{size}-{scheme}.png"
                page.set_viewport_size({"width": width, "height": height})
                page.goto(f"{address}/{where}")
                page.locator(f"{sign}, [data-testid=stException]").first.wait_for()
                app.settle()
                assert not app.complaints(), app.complaints()
                app.show_whole()
                page.screenshot(path=path)
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                said = f"is {wide} pixels wider than its window" if wide > 0 else ""
                print(path, said, flush=True)
            page.close()


if __name__ == "__main__":
    main()
