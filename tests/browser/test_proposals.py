"""From a proposal to a branch in a real browser, and the whole tree through a file."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from bhpvas.criteria import CRITERIA
from bhpvas.data.reading import sample_splits
from bhpvas.heads import HeadId
from bhpvas.model.classifier import load_classifier
from bhpvas.search import METHODS, Proposal, propose
from tests.browser.workbench import Workbench
from tests.commands import command_line

pytestmark = pytest.mark.browser

QUICK, HEADS = "fisher", 30


@pytest.fixture(scope="module")
def expected() -> Proposal:
    """The proposal that the page has to show."""
    return propose(load_classifier(), sample_splits().calibration, QUICK, heads=HEADS)


def propose_view(app: Workbench) -> None:
    app.open()
    app.settle()
    app.go("Schemes", ".st-key-view")
    app.view("Propose")


def saved(app: Workbench, folder: Path) -> dict[str, Any]:
    """Save the scheme and unpack it; returns what its JSON holds, which lies in ``folder``."""
    with app.page.expect_download() as download:
        app.page.get_by_test_id("stSidebar").get_by_role("button", name="Save").click()
    folder.mkdir()
    download.value.save_as(folder / "saved.zip")
    with zipfile.ZipFile(folder / "saved.zip") as packed:
        packed.extractall(folder)
    (scheme,) = folder.glob("*.json")
    return dict(json.loads(scheme.read_text(encoding="utf-8")), file=scheme)


def test_propose_change_compensate_compare_go_back_and_branch(
    app: Workbench, expected: Proposal, tmp_path: Path
) -> None:
    page = app.page
    propose_view(app)
    app.propose(METHODS[QUICK].title, HEADS)

    # Look at reasons.
    names = page.locator(".st-key-reasons td.name")
    expect(names).to_have_text([str(head) for head in expected.heads])
    assert expected.removals[0].reason in app.text()
    assert "calibration sentences that it was learnt from" in app.text()

    # Change two heads by hand: one that would go stays, one that would stay goes.
    spared = expected.heads[0]
    added = next(head for head in expected.start if head not in expected.heads)
    app.click_head(spared.layer, spared.head, "proposal-map")
    app.click_head(added.layer, added.head, "proposal-map")
    expect(names.filter(has_text=re.compile(f"^{added}$"))).to_have_count(1)
    assert "added by hand" in app.text() and "kept by hand" in app.text()
    app.press("Take as a step")
    app.expect_fact("heads", f"{72 - HEADS} of 72 kept")
    masked = app.accuracy()

    # Compensate.
    page.get_by_role("button", name=re.compile("^Compensation of")).click()
    app.expect_fact("weights", "compensated at step 2")
    compensated = app.accuracy()
    assert f"{masked:.1f} → {compensated:.1f}%" in app.text()

    # Go back two steps, and branch with the importance-only proposal.
    app.press("Undo")
    app.expect_fact("heads", f"{72 - HEADS} of 72 kept")
    assert app.accuracy() == masked
    app.press("Undo")
    app.expect_fact("heads", "72 of 72 kept")
    app.propose(METHODS["importance"].title, HEADS)
    app.press("Take as a step")
    app.expect_fact("heads", f"{72 - HEADS} of 72 kept")
    by_importance = app.accuracy()

    # Compare the two.
    app.view("Compare")
    metrics = app.text()
    assert f"{compensated:.1f}%" in metrics and f"{by_importance:.1f}%" in metrics

    # The whole tree through a file, into a session that knows nothing of it.
    first = saved(app, tmp_path / "first")
    assert [(step["what"], step["parent"]) for step in first["steps"]] == [
        ("start", None),
        ("remove", 0),
        ("recover", 1),
        ("remove", 0),
    ]
    took = first["steps"][1]
    assert took["settings"]["by_hand"] == {"removed": [str(added)], "kept": [str(spared)]}
    assert took["method"] == QUICK and took["seed"] == 0
    assert sorted(took["heads"], key=HeadId.parse) == [
        str(head) for head in sorted({*expected.heads, added} - {spared})
    ]
    exact = command_line("evaluate", "--scheme", str(first["file"]))
    assert exact["accuracy"] == first["steps"][3]["metrics"]["accuracy"]

    page.reload()
    propose_view(app)
    app.expect_fact("heads", "72 of 72 kept")
    page.get_by_test_id("stSidebar").get_by_role("button", name="Load").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "first" / "saved.zip")
    app.expect_fact("heads", f"{72 - HEADS} of 72 kept")
    page.keyboard.press("Escape")
    assert app.accuracy() == by_importance
    second = saved(app, tmp_path / "second")
    assert {**first, "file": None} == {**second, "file": None}
    assert app.complaints() == []


def test_a_search_can_be_cancelled_and_leaves_the_scheme_as_it_was(app: Workbench) -> None:
    page = app.page
    propose_view(app)
    app.by_heads()
    page.get_by_label("Heads to remove").fill("60")
    page.keyboard.press("Enter")
    app.settle()
    box = page.locator(".st-key-method").get_by_role("combobox")
    box.click()
    box.fill(METHODS["shares"].title)
    page.get_by_role("option", name=METHODS["shares"].title, exact=True).click()
    app.settle()
    page.locator(".st-key-propose").get_by_role("button").click()
    cancel = page.get_by_role("button", name="Cancel")
    cancel.click()
    expect(cancel).to_have_count(0)
    expect(page.get_by_text("Stopped: Searching by")).to_be_visible()
    app.expect_fact("heads", "72 of 72 kept")
    assert page.locator("[data-testid=stAlert]").count() == 0


def test_proposals_fit_a_narrow_screen(app: Workbench) -> None:
    narrow = app.page
    narrow.set_viewport_size({"width": 390, "height": 844})
    propose_view(app)
    app.propose(CRITERIA["importance"].title, 20)
    app.press("Take as a step")
    expect(narrow.get_by_role("button", name="Compensation of 52 heads")).to_be_visible()
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
    app.view("Evidence")
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
