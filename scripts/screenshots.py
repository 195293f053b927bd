"""Take pictures of every page as a person meets it: in three widths, light and dark.

    python scripts/screenshots.py build/screenshots

Starts the app on a free port, works through it in a headless browser, and writes PNG files. Of them
wide-light-3-removed.png is docs/images/workbench.png, which README shows.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.browser import Workbench, launch, serving

SIZES = {"narrow": (390, 844), "wide": (1440, 900), "widest": (2560, 1440)}
LEARN = ("Lesson", "Tours", "Criteria", "Glossary")
SCHEMES = ("Propose", "Fine-tune", "Compare", "Evidence", "Shift")


def main() -> None:
    """Take every picture, or those of one size and scheme."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--scheme", choices=("light", "dark"), action="append")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with serving() as address, sync_playwright() as playwright, launch(playwright) as browser:
        for size in arguments.size or SIZES:
            for scheme in arguments.scheme or ("light", "dark"):
                width, height = SIZES[size]
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                walk(page, address, arguments.folder, f"{size}-{scheme}", (width, height))
                page.close()


def walk(page: Page, address: str, folder: Path, name: str, size: tuple[int, int]) -> None:
    """Open, select, ask, remove, branch, then every other page; a picture after each."""
    width, height = size
    workbench = Workbench(page, address)

    def picture(what: str, *, whole: bool = False) -> None:
        path = folder / f"{name}-{what}.png"
        if whole:
            workbench.show_whole()
        page.screenshot(path=path)
        print(path)

    workbench.open()
    workbench.settle()
    picture("1-open")
    workbench.press("Select lowest 9")
    workbench.press("What would it cost?")
    workbench.settle()
    picture("2-selected")
    workbench.remove()
    workbench.settle()
    for head in ((3, 2), (1, 1), (5, 10), (0, 4)):
        workbench.click_head(*head)
    workbench.press("What would it cost?")
    picture("3-removed")
    workbench.remove()
    workbench.settle()
    workbench.press("Undo")
    workbench.settle()
    workbench.press("Select lowest 9")
    workbench.remove()
    workbench.settle()
    workbench.press("Select lowest 9")
    picture("4-branches")
    picture("5-whole", whole=True)
    page.set_viewport_size({"width": width, "height": height})
    workbench.press("Clear")
    workbench.go("Samples", ".st-key-sentence-map .nsewdrag")
    picture("6-samples")
    workbench.lasso([(0.1, 0.1), (0.5, 0.1), (0.5, 0.6), (0.1, 0.6), (0.1, 0.15)])
    picture("7-samples-selected")
    picture("8-samples-whole", whole=True)
    page.set_viewport_size({"width": width, "height": height})
    workbench.go("Sentence", ".st-key-arcs .main-svg")
    picture("9-sentence")
    page.locator(".st-key-bertviz").get_by_text("Model view", exact=True).click()
    workbench.settle()
    picture("10-sentence-whole", whole=True)
    page.set_viewport_size({"width": width, "height": height})
    workbench.go("Roles", ".st-key-role-map .main-svg")
    picture("11-roles")
    picture("12-roles-whole", whole=True)
    page.set_viewport_size({"width": width, "height": height})
    workbench.go("Schemes", ".st-key-tree-chart .main-svg")
    picture("13-tree")
    for view in SCHEMES:
        workbench.view(view)
        picture(f"14-{view.lower()}-whole", whole=True)
        page.set_viewport_size({"width": width, "height": height})
    workbench.go("Export", ".st-key-view-export")
    picture("15-export-whole", whole=True)
    page.set_viewport_size({"width": width, "height": height})
    workbench.go("Learn", ".st-key-learn-view")
    for view in LEARN:
        page.locator(".st-key-learn-view").get_by_text(view, exact=True).click()
        workbench.settle()
        picture(f"16-learn-{view.lower()}-whole", whole=True)
        page.set_viewport_size({"width": width, "height": height})


if __name__ == "__main__":
    main()
