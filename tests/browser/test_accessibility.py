"""Every page in both themes: nothing that axe calls serious or critical, and nothing cut off."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from bhpvas.charts import style
from tests.accessibility import grave
from tests.browser.workbench import Workbench

pytestmark = pytest.mark.browser

#: The pages by their titles, each with what is on it once it is drawn.
PAGES = {
    "Samples": ".st-key-sentence-map .nsewdrag",
    "Sentence": ".st-key-arcs .main-svg",
    "Roles": ".st-key-role-map .main-svg",
    "Export": ".st-key-view-export",
}
SCHEMES = ("Tree", "Propose", "Fine-tune", "Compare", "Evidence", "Shift")
LEARN = ("Lesson", "Tours", "Criteria", "Glossary")
WIDTHS = (390, 2560)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_kept_out(app: Workbench, theme: Any) -> None:
    """A person removes some heads and then walks through every page and view."""
    page, found = app.page, dict[str, list[str]]()
    page.emulate_media(color_scheme=theme)

    def look(name: str) -> None:
        found[name] = grave(page) + without_words(page) + pale(page)

    app.open()
    app.settle()
    look("Workbench, nothing selected")
    x, y = app.cell(3, 4)
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.locator(".hoverlayer .hovertext").first.wait_for()
    look("Workbench, a head under the pointer")
    app.press("Select lowest 9")
    look("Workbench, some selected")
    app.click_part(3)
    look("Workbench, a feed-forward part selected")
    app.click_part(3)
    app.remove()
    look("Workbench, some removed")
    for title, sign in PAGES.items():
        app.go(title, sign)
        look(title)
    app.go("Schemes", ".st-key-view")
    for view in SCHEMES:
        app.view(view)
        look(f"Schemes, {view}")
    app.go("Learn", ".st-key-learn-view")
    for view in LEARN:
        page.locator(".st-key-learn-view").get_by_text(view, exact=True).click()
        app.settle()
        look(f"Learn, {view}")
    page.locator(".st-key-learn-view").get_by_text("Tours", exact=True).click()
    page.locator(".st-key-start-schemes button").click()
    page.locator(".st-key-tour").wait_for()
    app.settle()
    look("A tour")
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_figure_saved_from_a_dark_page_can_be_read_on_paper(app: Workbench) -> None:
    page = app.page
    page.emulate_media(color_scheme="dark")
    app.open()
    app.settle()
    page.locator(".st-key-head-map .nsewdrag").first.hover()
    with page.expect_download() as saved:
        page.locator(".st-key-head-map .modebar-btn").click()
    drawn = Path(saved.value.path()).read_text(encoding="utf-8")
    assert ">L3</text>" in drawn
    assert set(re.findall(r"<text[^>]*fill: (rgb[^;]+);", drawn)) == {_rgb(style.INK)}


def without_words(page: Page) -> list[str]:
    """Figures that say nothing to whoever cannot see them."""
    return page.evaluate(
        """() => [...document.querySelectorAll("[data-testid=stPlotlyChart]")]
            .filter(one => !one.querySelector("[aria-label]:not([aria-label=''])")
                && !one.getAttribute("aria-label") && !one.closest("[role=img][aria-label]"))
            .map(one => `no words: ${one.closest("[class*=st-key-]").className}`)"""
    )


def pale(page: Page) -> list[str]:
    """Text of figures on the page's own ground with less than 4.5:1, which axe does not look at.

    Left out is what stands on a coloured cell, in a colour chosen for it.
    """
    return page.evaluate(
        """(onCells) => {
            const parts = said => said.match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
                .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
            const app = document.querySelector("[data-testid=stApp]");
            const ground = light(parts(getComputedStyle(app).backgroundColor));
            const found = new Set();
            for (const text of document.querySelectorAll(".js-plotly-plot text")) {
                const fill = getComputedStyle(text).fill;
                if (!text.textContent.trim() || fill === "none" || onCells.includes(fill)
                    || text.closest(".heatmap-label")) continue;
                const [low, high] = [light(parts(fill)), ground].sort((a, b) => a - b);
                const where = text.closest("[class*=st-key-]").className;
                if ((high + 0.05) / (low + 0.05) < 4.5) found.add(`pale ${fill}: ${where}`);
            }
            return [...found];
        }""",
        [_rgb(style.ON_BRIGHT), _rgb(style.ON_DARK)],
    )


def _rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


@pytest.mark.slow
def test_every_page_fits_its_window(app: Workbench) -> None:
    page = app.page
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    app.open()
    app.settle()
    seen = {"Workbench": _too_wide(page)}
    for title, sign in {**PAGES, "Schemes": ".st-key-view", "Learn": ".st-key-learn-view"}.items():
        app.go(title, sign)
        seen[title] = _too_wide(page)
    assert {title: wide for title, wide in seen.items() if wide} == {}


def _too_wide(page: Page) -> list[int]:
    """The widths of a window that the page does not fit; it is left at the first one."""
    found = []
    for width in reversed(WIDTHS):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(width)
    return found


def test_the_check_finds_what_is_wrong(page: Page) -> None:
    page.set_content("<html lang=en><title>x</title><main><button></button></main></html>")
    assert [line.split(":")[0] for line in grave(page)] == ["button-name"]
    page.set_content(
        '<html lang=en><title>x</title><main class="st-key-x"><div data-testid="stPlotlyChart">'
    )
    assert without_words(page) == ["no words: st-key-x"]
    page.set_content(
        '<main data-testid="stApp" class="st-key-x" style="background: rgb(255, 255, 255)">'
        '<svg class="js-plotly-plot"><text fill="#808495">a</text><text fill="#767676">b</text>'
        f'<text fill="{style.ON_DARK}">c</text></svg></main>'
    )
    assert pale(page) == ["pale rgb(128, 132, 149): st-key-x"]
