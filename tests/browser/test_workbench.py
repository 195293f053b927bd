"""The app in a real browser, on the sample model: what a person does, and what they then read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.accessibility import grave
from tests.browser.server import running
from tests.browser.waiting import QUIET
from tests.browser.workbench import Workbench
from tests.commands import command_line

pytestmark = pytest.mark.browser


def test_removing_a_clicked_head_gives_the_accuracy_of_the_command_line(
    workbench: Workbench,
) -> None:
    expected = command_line("evaluate", "--remove", "L2H5")
    workbench.expect_fact("heads", "72 of 72 kept")
    workbench.click_head(2, 5)
    workbench.expect_selected("L2H5")
    workbench.press("Remove 1 head")
    workbench.expect_fact("heads", "71 of 72 kept")
    assert workbench.accuracy() == pytest.approx(100 * expected["accuracy"], abs=0.05)
    low, high = expected["accuracy_interval"]
    assert workbench.fact("accuracy").endswith(f"({100 * low:.1f}–{100 * high:.1f})")
    flipped = len(expected["flipped"])
    said = workbench.text()
    assert (f"{flipped} of 480 predictions changed" if flipped else "No prediction changed") in said


def test_a_second_click_takes_a_head_out_of_the_selection(workbench: Workbench) -> None:
    workbench.click_head(0, 0)
    workbench.click_head(5, 11)
    workbench.expect_selected("L0H0", "L5H11")
    workbench.click_head(0, 0)
    workbench.expect_selected("L5H11")


def test_a_feed_forward_part_is_narrowed_as_heads_are_removed(
    workbench: Workbench, tmp_path: Path
) -> None:
    page = workbench.page
    kept = page.get_by_label("Neurons that L3F keeps")
    workbench.click_part(3)
    expect(kept).to_have_value("768")
    workbench.click_part(3)
    expect(kept).to_have_count(0)
    workbench.click_head(2, 5)
    workbench.click_part(3)
    workbench.expect_selected("L2H5")
    kept.fill("1200")
    kept.press("Enter")
    workbench.settle()
    page.get_by_role("slider", name="L3F keeps, of 1,536 neurons").press("ArrowLeft")
    workbench.settle()
    expect(kept).to_have_value("1199")
    page.locator(".st-key-widths").get_by_role("button", name="Measure widths").click()
    page.locator(".st-key-width-curves .main-svg").first.wait_for()
    workbench.settle()
    assert "337 go: about loss " in workbench.text()
    assert grave(page) == []
    workbench.press("Remove 1 head and 337 neurons")
    workbench.expect_fact("heads", "71 of 72 kept")
    workbench.expect_fact("neurons", "8,879 of 9,216 kept")
    file = tmp_path / "narrower.json"
    file.write_text(workbench.saved().to_json(), encoding="utf-8")
    expected = command_line("evaluate", "--scheme", str(file))
    assert expected["neurons_kept"] == [1536, 1536, 1536, 1199, 1536, 1536]
    assert workbench.accuracy() == pytest.approx(100 * expected["accuracy"], abs=0.05)
    last = page.get_by_test_id("stSidebar").get_by_role("link", name="Export", exact=True)
    below = last.bounding_box()
    assert below is not None and below["y"] + below["height"] <= 900


def test_quick_clicks_all_count(workbench: Workbench) -> None:
    """Nobody waits for the map to be drawn anew before the next click."""
    cells = [(1, 1), (1, 2), (1, 3), (2, 3), (2, 4), (3, 6)]
    places = [workbench.cell(*cell) for cell in cells]
    for place in places:
        workbench.page.mouse.click(*place)
    workbench.settle()
    workbench.expect_selected(*(f"L{layer}H{head}" for layer, head in cells))
    expect(workbench.page.locator(".clicked")).to_have_count(0)


def test_a_box_selects_what_it_holds(workbench: Workbench) -> None:
    workbench.choose("box")
    workbench.drag_box((1, 3), (2, 5))
    workbench.expect_selected("L1H3", "L1H4", "L1H5", "L2H3", "L2H4", "L2H5")


def test_a_click_can_take_a_layer(workbench: Workbench) -> None:
    workbench.choose("layer")
    workbench.click_head(4, 7)
    workbench.expect_selected(*(f"L4H{head}" for head in range(12)))


def test_undo_and_redo_lead_back_and_forth(workbench: Workbench) -> None:
    start = workbench.accuracy()
    workbench.press("Select lowest 9")
    workbench.press("What would it cost?")
    expect(workbench.page.get_by_text("Estimate:")).to_be_visible()
    workbench.press("Remove 9 heads")
    workbench.expect_fact("heads", "63 of 72 kept")
    after = workbench.fact("accuracy")
    workbench.press("Undo")
    workbench.expect_fact("heads", "72 of 72 kept")
    assert workbench.accuracy() == start
    workbench.press("Redo")
    workbench.expect_fact("heads", "63 of 72 kept")
    workbench.expect_fact("accuracy", after)


def test_a_click_on_the_timeline_goes_to_its_step(workbench: Workbench) -> None:
    workbench.press("Select lowest 9")
    workbench.press("Remove 9 heads")
    workbench.expect_fact("heads", "63 of 72 kept")
    workbench.click_step(0)
    workbench.expect_fact("heads", "72 of 72 kept")


def test_work_can_be_cancelled_and_leaves_everything_as_it_was(workbench: Workbench) -> None:
    workbench.click_head(3, 3)
    page = workbench.page
    page.get_by_role("button", name="Remove each of 72 heads alone and measure").click()
    cancel = page.get_by_role("button", name="Cancel")
    cancel.click()
    expect(cancel).to_have_count(0)
    workbench.settle()
    workbench.expect_selected("L3H3")
    workbench.expect_fact("heads", "72 of 72 kept")
    assert page.get_by_role("button", name=re.compile("^Remove each of 72")).is_enabled()


def test_an_unknown_hub_id_is_one_sentence_and_the_scheme_stays(workbench: Workbench) -> None:
    workbench.click_head(2, 5)
    workbench.press("Remove 1 head")
    accuracy = workbench.fact("accuracy")
    page = workbench.page
    workbench.press("Change model or data")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Hub id or folder", exact=True).click()
    dialog.get_by_placeholder("owner/model").fill("nobody/has-such-a-model")
    dialog.get_by_role("button", name="Use these").click()
    sentence = dialog.get_by_role("alert")
    expect(sentence).to_contain_text("nobody/has-such-a-model")
    assert "Traceback" not in sentence.inner_text()
    page.keyboard.press("Escape")
    workbench.settle()
    workbench.expect_fact("heads", "71 of 72 kept")
    workbench.expect_fact("accuracy", accuracy)


def test_nothing_is_fetched_from_elsewhere(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    workbench = Workbench(page, address)
    workbench.open()
    workbench.settle()
    page.close()
    ours = (address, address.replace("http", "ws", 1), "data:", "blob:")
    assert [url for url in asked if not url.startswith(ours)] == []


def test_on_a_narrow_screen_the_sidebar_goes_when_a_page_was_chosen(app: Workbench) -> None:
    page = app.page
    page.set_viewport_size({"width": 390, "height": 844})
    app.open()
    for title, sign in (("Roles", ".st-key-role-map"), ("Export", ".st-key-view-export")):
        app.go(title, sign)
        expect(page.get_by_test_id("stExpandSidebarButton")).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    app.go("Roles", ".st-key-role-map")
    expect(page.get_by_test_id("stExpandSidebarButton")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_was_read_opens_within_the_screen(app: Workbench, theme: Any) -> None:
    """And leaves room: on a laptop no page's link is below the screen, even once heads are gone."""
    page = app.page
    page.emulate_media(color_scheme=theme)
    app.open()
    app.settle()
    app.press("Select lowest 9")
    app.remove()
    last = page.get_by_test_id("stSidebar").get_by_role("link", name="Export", exact=True)
    below = last.bounding_box()
    assert below is not None and below["y"] + below["height"] <= 900
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        if width == 390:
            page.get_by_test_id("stExpandSidebarButton").click()
        page.locator(".st-key-read button").click()
        table = page.locator(".st-key-read-table .table")
        expect(table).to_contain_text("Labels matched")
        app.settle()
        for row in table.get_by_role("row").all():
            box = row.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
        assert grave(page) == []
        page.keyboard.press("Escape")


def test_a_narrow_screen_shows_the_whole_map(app: Workbench) -> None:
    app.page.set_viewport_size({"width": 390, "height": 844})
    app.open()
    app.settle()
    app.click_head(5, 11)
    app.click_head(0, 0)
    app.expect_selected("L0H0", "L5H11")
    assert app.page.evaluate("document.documentElement.scrollWidth") <= 390


PAUSING = f"""
import gc, time
import streamlit as st

gc.collect = lambda generation: time.sleep({2 * QUIET / 1000})  # Streamlit's, after every run
step = st.session_state.setdefault("step", 0)
st.write(f"step {{step}}")
if st.button("Go") or step % 3:
    st.session_state["step"] += 1
    st.rerun()
"""


def test_a_pause_between_two_runs_is_no_rest(browser: Browser, tmp_path: Path) -> None:
    script = tmp_path / "pausing.py"
    script.write_text(PAUSING, encoding="utf-8")
    with running(script=str(script)) as (address, _):
        page = browser.new_page()
        app = Workbench(page, address)
        page.goto(address)
        page.get_by_text("step 0").wait_for()
        app.press("Go")
        assert "step 3" in app.text()
        page.close()
