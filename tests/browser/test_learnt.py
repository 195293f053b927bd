"""Splits that share sentences, in a real browser: every page warns, and a narrow one shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from bhpvas.data.reading import sample_splits
from tests.browser.workbench import Workbench

pytestmark = pytest.mark.browser

SHARED, OTHERS = 20, 40
COUNTED = f"{SHARED} of the {SHARED + OTHERS} sentences were learnt from"
PAGES = {
    "Export": ".st-key-view-export",
    "Samples": ".st-key-sentence-map .nsewdrag",
    "Schemes": ".st-key-tree-chart .main-svg",
}


def overlapping(folder: Path) -> Path:
    """A file whose evaluation part has calibration sentences in other capitals."""
    learnt, measured = sample_splits().calibration, sample_splits().evaluation
    rows = [
        (learnt.texts[row], learnt.labels[row], "calibration") for row in range(SHARED + OTHERS)
    ]
    rows += [(learnt.texts[row].upper(), learnt.labels[row], "evaluation") for row in range(SHARED)]
    rows += [(measured.texts[row], measured.labels[row], "evaluation") for row in range(OTHERS)]
    path = folder / "overlapping.tsv"
    lines = ["text\tlabel\tsplit", *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_page_warns_and_fits_a_narrow_screen(app: Workbench, tmp_path: Path) -> None:
    app.open()
    app.settle()
    page = app.page
    app.press("Change model or data")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Upload", exact=True).click()
    dialog.locator("input[type=file]").set_input_files(overlapping(tmp_path))
    dialog.get_by_role("button", name="Use these").click()
    expect(dialog).to_have_count(0)
    app.settle()
    app.press("Select lowest 9")
    app.press("Remove 9 heads")
    side, main = page.get_by_test_id("stSidebar"), page.get_by_test_id("stMain")
    expect(side.get_by_role("alert").filter(has_text=COUNTED)).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(main.get_by_role("alert").filter(has_text=COUNTED)).to_be_visible()
    for title, sign in PAGES.items():
        app.go(title, sign)
        expect(main.get_by_role("alert").filter(has_text=COUNTED).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert app.complaints() == []
