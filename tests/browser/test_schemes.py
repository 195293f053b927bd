"""The Schemes page in a real browser: go along the tree, note, delete, branch, compare, save."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.workbench import Workbench

pytestmark = pytest.mark.browser


@pytest.fixture
def workbench(app: Workbench) -> Iterator[Workbench]:
    """The page Schemes, with two steps: 9 heads removed, then 9 more."""
    app.open()
    app.settle()
    for _ in range(2):
        app.press("Select lowest 9")
        app.press("Remove 9 heads")
    app.expect_fact("heads", "54 of 72 kept")
    app.go("Schemes", ".st-key-tree-chart .main-svg")
    yield app
    assert app.complaints() == []


def test_from_step_to_step_with_note_deletion_and_a_branch(workbench: Workbench) -> None:
    page = workbench.page
    workbench.click_tree(1)
    workbench.expect_fact("heads", "63 of 72 kept")
    note = page.get_by_label("Note")
    note.fill("a good place to start from")
    note.blur()
    workbench.settle()
    workbench.click_tree(0)
    workbench.expect_fact("heads", "72 of 72 kept")
    assert note.input_value() == ""
    workbench.click_tree(1)
    assert note.input_value() == "a good place to start from"

    before = workbench.saved()
    workbench.press("Delete this step and 1 later step")
    workbench.expect_fact("heads", "72 of 72 kept")
    assert [step.id for step in workbench.saved().steps] == [0]
    workbench.press("Put back 2 deleted steps")
    workbench.expect_fact("heads", "63 of 72 kept")
    assert workbench.saved() == before

    workbench.go("Workbench", ".st-key-head-map .nsewdrag")
    workbench.click_head(*next((head.layer, head.head) for head in before.mask))
    workbench.press("Remove 1 head")
    workbench.expect_fact("heads", "62 of 72 kept")
    workbench.go("Schemes", ".st-key-tree-chart .main-svg")
    scheme = workbench.saved()
    assert [[step.id for step in path] for path in scheme.branches()] == [[0, 1, 2], [0, 1, 3]]
    accuracy = workbench.fact("accuracy")

    workbench.view("Compare")
    expect(page.locator(".st-key-kept-maps .main-svg").first).to_be_visible()
    assert re.search(r"\bA\b step 2, 54 kept", page.locator(".st-key-kept-maps").inner_text())
    assert re.search(r"\bB\b step 3, 62 kept", page.locator(".st-key-kept-maps").inner_text())
    assert "A → B:" in workbench.text()
    assert accuracy.split("%")[0] in workbench.text()


def test_a_saved_scheme_opens_in_another_browser(
    workbench: Workbench, browser: Browser, address: str, tmp_path: Path
) -> None:
    name = workbench.page.get_by_label("Name", exact=True)
    name.fill("two steps")
    name.press("Enter")
    workbench.settle()
    scheme = workbench.saved()
    assert scheme.name == "two steps"
    file = tmp_path / "scheme.json"
    file.write_text(scheme.to_json(), encoding="utf-8")

    other = browser.new_page(viewport={"width": 1440, "height": 900})
    elsewhere = Workbench(other, address)
    elsewhere.open()
    elsewhere.settle()
    other.get_by_test_id("stSidebar").get_by_text("Load", exact=True).click()
    other.locator("input[type=file]").set_input_files(file)
    elsewhere.expect_fact("scheme", "two steps")
    elsewhere.expect_fact("heads", "54 of 72 kept")
    assert elsewhere.saved() == scheme
    other.close()


def test_the_shift_names_heads_and_a_click_selects_one(workbench: Workbench) -> None:
    workbench.view("Shift")
    page = workbench.page
    expect(page.get_by_text("became more important after 18 heads left")).to_be_visible()
    kept = next(iter(workbench.saved().mask))
    workbench.click_head(kept.layer, kept.head, "rise-map")
    workbench.go("Workbench", ".st-key-head-map .nsewdrag")
    workbench.expect_selected(str(kept))


@pytest.mark.parametrize("view", ["Tree", "Compare", "Shift"])
def test_a_link_leads_to_a_view_and_a_narrow_screen_shows_it_whole(
    app: Workbench, view: str
) -> None:
    page = app.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{app.address}/schemes?view={view}")
    page.locator(".st-key-view").wait_for()
    app.settle()
    chosen = page.locator(".st-key-view [aria-checked=true]")
    expect(chosen).to_have_text(view)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert app.complaints() == []
