"""From a family of smaller models to an export in a real browser, changed by hand on the way."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from bhpvas.data.reading import read_splits, sample_splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import load_classifier
from bhpvas.model.cost import neurons_kept
from bhpvas.scheme.bundle import read_scheme_file
from bhpvas.scheme.scheme import Scheme
from bhpvas.search.registry import TO_TARGET
from tests.browser.workbench import Workbench

pytestmark = pytest.mark.browser

LEARNT, MEASURED = 20, 40
#: A method that fits nothing, and so takes seconds.
QUICK = "magnitude"


def few_sentences(folder: Path) -> Path:
    """A file with so few calibration sentences that a search takes seconds."""
    lines = ["text\tlabel\tsplit"]
    parts = sample_splits()
    for data, count, name in (
        (parts.calibration, LEARNT, "calibration"),
        (parts.evaluation, MEASURED, "evaluation"),
    ):
        lines += [f"{data.texts[row]}\t{data.labels[row]}\t{name}" for row in range(count)]
    path = folder / "few.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def saved(app: Workbench) -> Scheme:
    """The scheme of the file that its button saves, which holds weights, too."""
    with app.page.expect_download() as download:
        app.page.get_by_test_id("stSidebar").get_by_role("button", name="Save").click()
    app.page.mouse.move(0, 0)  # the button's tooltip lies over others
    return read_scheme_file(Path(download.value.path()).read_bytes()).scheme


def test_a_third_is_taken_changed_by_hand_compensated_and_exported(
    app: Workbench, tmp_path: Path
) -> None:
    app.open()
    app.settle()
    page, file = app.page, few_sentences(tmp_path)
    app.press("Change model or data")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Upload", exact=True).click()
    dialog.locator("input[type=file]").set_input_files(file)
    dialog.get_by_role("button", name="Use these").click()
    expect(dialog).to_have_count(0)
    app.settle()

    # A family, and ÷ 3 of it.
    app.go("Schemes", ".st-key-view")
    app.view("Propose")
    page.get_by_role("button", name="Settings").click()
    method = page.locator(".st-key-target-method").get_by_role("combobox")
    method.click()
    page.get_by_role("option", name=TO_TARGET[QUICK].title, exact=True).click()
    app.settle()
    page.keyboard.press("Escape")
    page.locator(".st-key-narrow").get_by_role("button").click()
    page.locator(".st-key-family-map .main-svg").first.wait_for()
    app.settle()
    page.locator(".st-key-target-flops").get_by_text("÷ 3", exact=True).click()
    app.settle()
    assert re.search(r"÷ 3: \d+ of 72 heads and [\d,]+ of 9,216 neurons stay", app.text())
    app.press("Take ÷ 3 as a step")
    page.get_by_text("÷ 3 is the current step, 1.").wait_for()
    app.settle()
    scheme = saved(app)
    mask = scheme.mask
    assert [step.what for step in scheme.steps] == ["start", "remove"]

    # One layer narrower by hand, and two heads less.
    widths = [1536 - count for count in mask.neurons.counts] if mask.neurons else [1536] * 6
    layer = max(range(6), key=widths.__getitem__)
    left = widths[layer] // 2
    app.go("Workbench", ".st-key-head-map .nsewdrag")
    first, second, *_ = mask
    app.click_head(first.layer, first.head)
    app.click_head(second.layer, second.head)
    app.click_part(layer)
    kept = page.get_by_label(f"Neurons that L{layer}F keeps")
    kept.fill(str(left))
    kept.press("Enter")
    app.settle()
    app.press(f"Remove 2 heads and {widths[layer] - left} neurons")
    app.expect_fact("heads", f"{mask.kept_count - 2} of 72 kept")

    # Compensated anew.
    app.go("Schemes", ".st-key-view")
    app.view("Propose")
    page.get_by_role("button", name=re.compile("^Compensation of")).click()
    app.expect_fact("weights", "compensated at step 3")
    neurons, accuracy = app.fact("neurons"), app.accuracy()

    # The export answers as the screen says.
    app.go("Export", ".st-key-make")
    app.press("Make the files")
    read_back = page.get_by_text(f"Read back and run on {MEASURED} sentences")
    expect(read_back).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as zip").click()
    assert not app.complaints()
    with zipfile.ZipFile(download.value.path()) as made:
        made.extractall(tmp_path / "made")
    [folder] = (tmp_path / "made").iterdir()
    exported = load_classifier(folder)
    assert exported.full_mask().kept_count == mask.kept_count - 2
    counts = neurons_kept(exported.geometry, exported.full_mask())
    assert counts[layer] == left
    assert neurons == f"{sum(counts):,} of 9,216 kept"
    found = evaluate(exported, read_splits(file).evaluation)
    assert 100 * found.accuracy == pytest.approx(accuracy, abs=0.05)
