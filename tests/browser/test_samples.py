"""The Samples page in a real browser, which may ask no other host for anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.server import serving
from tests.browser.watching import by_itself
from tests.browser.workbench import Workbench
from tests.tiny import WORDS, save_tiny

pytestmark = pytest.mark.browser

MARKUP = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def samples(app: Workbench) -> Iterator[Workbench]:
    """The Samples page, settled; it may ask no other host for anything, and open no dialog."""
    with by_itself(app):
        app.open()
        app.settle()
        go(app, "Samples")
        yield app
        assert app.complaints() == []


def go(samples: Workbench, title: str) -> None:
    """Go to another page by the sidebar."""
    samples.page.locator(".st-key-pages").get_by_text(title, exact=True).click()
    samples.settle()


def area(page: Page) -> tuple[float, float, float, float]:
    """Left, top, width and height of the first panel of the map."""
    found = page.locator(".st-key-sentence-map .nsewdrag").first
    found.evaluate("element => element.scrollIntoView({block: 'center'})")
    box = found.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def selected(samples: Workbench) -> int:
    """How many sentences are selected, as the page says it."""
    found = re.search(r"([\d,]+) sentences? selected", samples.text())
    return 0 if found is None else int(found[1].replace(",", ""))


def test_a_lasso_selects_fills_the_table_and_draws_the_difference(samples: Workbench) -> None:
    assert "(UMAP)" in samples.text()
    samples.lasso([(0.0, 0.0), (0.6, 0.0), (0.6, 1.0), (0.0, 1.0), (0.0, 0.05)])
    count = selected(samples)
    assert 20 < count < 460
    page = samples.page
    assert page.locator(".st-key-rows").get_by_text(f"selected {count}").is_visible()
    assert page.get_by_role("button", name=f"Select {count} sentences").is_enabled()
    cells = page.locator(".st-key-difference-map .scatterlayer .point")
    assert cells.count() >= 72
    assert re.search(rf"more for these {count} than for the rest. Dot: beyond", samples.text())
    samples.press("Clear")
    assert selected(samples) == 0


def test_a_box_selects_and_a_click_adds_one(samples: Workbench) -> None:
    page = samples.page
    page.locator(".st-key-sentence-pointer").get_by_text("box", exact=True).click()
    samples.settle()
    samples.lasso([(0.02, 0.02), (0.5, 0.98)])
    count = selected(samples)
    assert count > 20
    go(samples, "Workbench")
    go(samples, "Samples")
    assert selected(samples) == count
    page.locator(".st-key-sentence-pointer").get_by_text("click", exact=True).click()
    samples.settle()
    right = page.evaluate(
        """() => [...document.querySelectorAll('.st-key-sentence-map .scatterlayer .point')]
            .map(point => point.getBoundingClientRect())
            .map(box => [box.x + box.width / 2, box.y + box.height / 2])
            .sort((one, other) => other[0] - one[0])[0]"""
    )
    page.mouse.move(right[0] - 2, right[1] - 2)
    page.mouse.move(*right)
    page.wait_for_timeout(150)
    page.mouse.click(*right)
    samples.settle()
    assert selected(samples) == count + 1


def test_after_pruning_it_shows_what_changed_and_a_row_opens_its_sentence(
    samples: Workbench,
) -> None:
    page = samples.page
    go(samples, "Workbench")
    samples.press("Select lowest 9")
    samples.press("Remove 9 heads")
    go(samples, "Samples")
    found = re.search(r"(\d+) of 480 predictions changed: (\d+) lost", samples.text())
    assert found is not None
    assert "tag" in samples.text()
    for show in ("moves", "pruned", "side by side"):
        page.locator(".st-key-show").get_by_text(show, exact=True).click()
        samples.settle()
        panels = page.locator(".st-key-sentence-map .nsewdrag").count()
        assert panels == (2 if show == "side by side" else 1)
    page.get_by_placeholder("Search sentence, label or tag").fill("irony")
    page.keyboard.press("Enter")
    samples.settle()
    grid = page.locator("[data-testid=stDataFrame]").first
    grid.evaluate("element => element.scrollIntoView({block: 'center'})")
    grid.click(position={"x": 32, "y": 52})
    expect(page.locator("h1.title")).to_have_text("What does a head look at?")
    samples.settle()
    assert urlsplit(page.url).path == "/sentence"


def test_markup_in_a_sentence_is_text(samples: Workbench, tmp_path: Path) -> None:
    page = samples.page
    rows = "".join(
        f"{MARKUP} number {row} is {('bad', 'good')[row % 2]}\t{row % 2}\t{MARKUP}\n"
        for row in range(24)
    )
    path = tmp_path / "markup.tsv"
    path.write_text("text\tlabel\ttag\n" + rows, encoding="utf-8")
    samples.press("Change model or data")
    dialog = page.get_by_role("dialog")
    use = dialog.get_by_role("button", name="Use these")
    expect(use).to_be_enabled()
    dialog.get_by_text("Upload", exact=True).click()
    expect(use).to_be_disabled()
    underway = list[Route]()
    page.route("**/upload_file/**", lambda route: underway.append(route))
    with page.expect_request("**/upload_file/**"):
        dialog.locator("input[type=file]").set_input_files(path)
    dialog.get_by_text("markup.tsv").first.wait_for()
    expect(use).to_be_disabled()  # pressed before its file is there, it would find none
    underway[0].continue_()
    page.unroute_all()
    use.click()
    expect(dialog).to_have_count(0)
    samples.settle()
    assert "(PCA)" in samples.text()
    page.locator(".st-key-sentence-colour").click()
    page.get_by_role("option", name="tag").click()
    samples.settle()
    samples.lasso([(0.0, 0.0), (0.9, 0.0), (0.9, 1.0), (0.0, 1.0), (0.0, 0.05)])
    assert selected(samples) > 0
    x, y, width, height = area(page)
    for right in range(12):
        page.mouse.move(x + width * right / 12, y + height / 2)
    assert page.locator("img[src=x]").count() == 0


def test_a_page_address_opens_on_a_server_that_nobody_visited(browser: Browser) -> None:
    with serving({"HF_HUB_OFFLINE": "1"}) as address:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        samples = Workbench(page, address)
        page.goto(f"{address}/samples")
        page.locator(".st-key-sentence-map .nsewdrag, [role=dialog]").first.wait_for()
        samples.settle()
        assert page.get_by_role("dialog").count() == 0
        assert page.get_by_text("Page not found").count() == 0
        expect(page.locator("h1.title")).to_have_text("Which sentences does it change?")
        assert samples.fact("heads") == "72 of 72 kept"
        assert samples.complaints() == []
        # The map that comes first is drawn anew once the one by UMAP is there.
        page.get_by_text("(UMAP)").first.wait_for()
        samples.settle()
        samples.lasso([(0.0, 0.0), (0.6, 0.0), (0.6, 1.0), (0.0, 1.0), (0.0, 0.05)])
        assert selected(samples) > 20
        assert urlsplit(page.url).path == "/samples"
        page.close()


def click_on_a_point(samples: Workbench) -> None:
    """Move over the map until a point answers with its text, and click there."""
    page = samples.page
    area = page.locator(".st-key-sentence-map .nsewdrag").first
    area.evaluate("element => element.scrollIntoView({block: 'center'})")
    box = area.bounding_box()
    assert box is not None
    said = page.locator(".st-key-sentence-map .hoverlayer .hovertext")
    for step in range(400):
        across, down = step % 20, step // 20
        page.mouse.move(
            box["x"] + box["width"] * (across + 0.5) / 20,
            box["y"] + box["height"] * (down + 0.5) / 20,
        )
        page.wait_for_timeout(40)
        # A text may still be that of the place before: a busy machine draws it late.
        if said.count():
            page.wait_for_timeout(500)
            if said.count():
                break
    assert said.count()
    page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(500)
    samples.settle()


NO_WEBGL = """
    const own = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
        return kind.includes("webgl") ? null : own.call(this, kind, ...more);
    };
"""


@pytest.mark.parametrize("webgl", [True, False], ids=["WebGL", "no WebGL"])
def test_thousands_of_sentences_are_drawn_and_selected(
    browser: Browser, address: str, tmp_path: Path, webgl: bool
) -> None:
    model = save_tiny(tmp_path / "tiny")
    rows = [f"the {WORDS[row % len(WORDS)]} film is good {row}\t{row % 2}" for row in range(3_300)]
    path = tmp_path / "many.tsv"
    path.write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    if not webgl:
        page.add_init_script(NO_WEBGL)
    samples = Workbench(page, address)
    samples.open()
    samples.press("Change model or data")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Hub id or folder", exact=True).click()
    dialog.get_by_placeholder("owner/model or").fill(str(model))
    dialog.get_by_placeholder("owner/model or").press("Enter")
    dialog.get_by_text("Upload", exact=True).click()
    dialog.locator("input[type=file]").set_input_files(path)
    dialog.get_by_text("many.tsv").first.wait_for()
    dialog.get_by_role("button", name="Use these").click()
    expect(dialog).to_have_count(0)
    samples.settle()
    samples.go("Samples", ".st-key-sentence-map .nsewdrag")
    page.get_by_text("(UMAP)").wait_for()
    samples.settle()
    # By WebGL a point is no element of the page.
    points = page.locator(".st-key-sentence-map .scatterlayer .point")
    expect(points).to_have_count(0 if webgl else 2_200)
    half = [(0.0, 0.0), (0.6, 0.0), (0.6, 1.0), (0.0, 1.0), (0.0, 0.05)]
    samples.lasso(half)
    lassoed = selected(samples)
    assert 0 < lassoed < 2_200
    samples.press("Clear")
    assert selected(samples) == 0
    samples.lasso(half)  # the same again: the page has forgotten the first one
    assert selected(samples) == lassoed
    page.locator(".st-key-sentence-pointer").get_by_text("box", exact=True).click()
    samples.settle()
    samples.lasso([(0.0, 0.0), (0.99, 0.99)])
    assert lassoed < selected(samples) <= 2_200
    wrong = page.locator(".st-key-rows").get_by_text(re.compile("^wrong"))
    count = int(wrong.inner_text().removeprefix("wrong ").replace(",", ""))
    wrong.click()
    samples.settle()
    page.get_by_role("button", name=re.compile(r"^Select [\d,]+ sentences?$")).click()
    samples.settle()
    assert selected(samples) == count
    page.locator(".st-key-sentence-pointer").get_by_text("click", exact=True).click()
    samples.settle()
    click_on_a_point(samples)
    assert selected(samples) in (count - 1, count + 1)
    assert samples.complaints() == []
    page.close()
