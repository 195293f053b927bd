"""The Export page in a real browser: remove heads, measure, make the files, load what comes."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bhpvas.data.reading import sample_splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import load_classifier
from tests.browser.workbench import Workbench

pytestmark = pytest.mark.browser


def test_a_scheme_is_taken_along(page: Page, address: str, tmp_path: Path) -> None:
    workbench = Workbench(page, address)
    workbench.open()
    workbench.choose("layer")
    workbench.click_head(2, 0)
    workbench.remove()
    accuracy = workbench.fact("accuracy")
    workbench.go("Export", ".st-key-make")
    workbench.press("Measure 2 models")
    expect(page.get_by_text("Medians of 21 rounds")).to_be_visible()
    workbench.press("Make the files")
    expect(page.get_by_text(re.compile("Read back and run on 480 sentences"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as zip").click()
    assert not workbench.complaints()
    with zipfile.ZipFile(download.value.path()) as packed:
        packed.extractall(tmp_path)
    [folder] = tmp_path.iterdir()
    assert json.loads((folder / "config.json").read_text())["constant_attention"] == [2]
    found = evaluate(load_classifier(folder), sample_splits().evaluation)
    assert accuracy.startswith(f"{100 * found.accuracy:.1f}%")
