"""The views Tree, Compare and Shift without a browser, on a tiny model."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.criteria import rank_shift, score
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.comparison import (
    accuracy_change_interval,
    flip_patterns,
    flip_table,
    mcnemar,
)
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.recovery import recover
from bhpvas.scheme.bundle import SchemeFile
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.jobs import models
from bhpvas.ui.pages.schemes.compare import suggested
from bhpvas.ui.state.session import Session
from tests.tiny import save_tiny
from tests.ui.driver import facts, fine, open_app, press, said, session


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-schemes"), seed=3)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


def branched(tiny: Classifier) -> Scheme:
    """Steps 0-1-2 with a branch 1-3-4; at step 2."""
    scheme = Scheme.of(tiny, name="mine").removing(parse_heads("L0H1"))
    scheme = scheme.removing(parse_heads("L1H0,L1H1"), method="importance")
    return scheme.at(1).removing(parse_heads("L0H2")).restoring(parse_heads("L0H1")).at(2)


def opened(folder: Path, tiny: Classifier, data: Dataset) -> AppTest:
    """The page Schemes on the tiny model."""
    return open_app(
        Session(model=str(folder), data=Splits(data, data, "by hand"), scheme=branched(tiny)),
        "schemes",
    )


@pytest.fixture
def app(folder: Path, tiny: Classifier, dataset: Dataset) -> AppTest:
    """The page with every step measured, by this test or by one before it."""
    app = opened(folder, tiny, dataset)
    if any(one.label == "Measure 3 steps" for one in app.button):
        press(app, "Measure 3 steps")
    return app


def view(app: AppTest, name: str) -> AppTest:
    return fine(app.segmented_control(key="view").set_value(name).run())


def frame(app: AppTest, column: str) -> pd.DataFrame:
    """The table that has this column."""
    (found,) = [one.value for one in app.dataframe if column in getattr(one.value, "columns", ())]
    return found


# --- the tree -------------------------------------------------------------------------------------


def test_every_step_is_measured_and_stands_in_the_table(
    folder: Path, tiny: Classifier, dataset: Dataset
) -> None:
    dataset = dataset.take(range(10))  # which nobody else measures
    app = press(opened(folder, tiny, dataset), "Measure 3 steps")
    table = frame(app, "did").set_index("step")
    assert list(table.index) == [0, 1, 2, 3, 4]
    for step in session(app).scheme.steps:
        found = evaluate(tiny, dataset, session(app).scheme.mask_at(step.id))
        assert table.loc[step.id, "accuracy"] == pytest.approx(100 * found.accuracy)
        assert table.loc[step.id, "loss"] == pytest.approx(found.loss, abs=1e-6)
        assert table.loc[step.id, "kept"] == found.mask.kept_count
    assert not any(one.label.startswith("Measure") for one in app.button)
    assert list(table["go"]) == ["Go", "Go", "", "Go", "Go"]


def test_what_is_typed_is_not_overwritten_by_a_page_that_runs_again(app: AppTest) -> None:
    """A result that arrives draws the page anew, and a note may be half written then."""
    fine(app.run())
    assert not app.text_area(key="note").proto.set_value
    assert not app.text_input(key="scheme-name").proto.set_value


def test_name_and_note_are_kept_in_the_scheme(app: AppTest) -> None:
    fine(app.text_input(key="scheme-name").set_value("  another \n name ").run())
    fine(app.text_area(key="note").set_value("because").run())
    assert session(app).scheme.name == "another name"
    assert session(app).scheme.step(2).note == "because"
    assert facts(app)["Scheme"] == "another name"
    fine(app.text_input(key="scheme-name").set_value("").run())
    assert app.text_input(key="scheme-name").value == "another name"


def test_delete_and_put_back(app: AppTest) -> None:
    before = session(app).scheme
    press(app, "Undo")
    press(app, "Delete this step and 3 later steps")
    assert [step.id for step in session(app).scheme.steps] == [0]
    assert facts(app)["Heads"] == "8 of 8 kept"
    (button,) = [one for one in app.button if one.label == "Delete this step"]
    assert button.disabled
    press(app, "Put back 4 deleted steps")
    assert set(session(app).scheme.steps) == set(before.steps)
    assert session(app).scheme.current == 1
    press(app, "Redo")
    assert session(app).scheme == replace(before, steps=session(app).scheme.steps)


def test_a_long_chain_can_be_folded(app: AppTest, tiny: Classifier) -> None:
    scheme = branched(tiny)
    for place in range(12):
        change = scheme.restoring if place % 2 else scheme.removing
        scheme = change(parse_heads("L0H3"))
    app.session_state["bhpvas"] = replace(session(app), scheme=scheme)
    fine(app.run())
    fine(app.toggle(key="fold").set_value(True).run())
    assert len(frame(app, "did")) == 17


# --- one file -------------------------------------------------------------------------------------


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    return fine(app.file_uploader(key="scheme-file").set_value((name, content, "")).run())


def test_a_scheme_with_weights_opens_from_one_file(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    scheme = branched(tiny)
    found = recover(tiny, dataset, scheme.mask)
    scheme = scheme.recovered(found.weights.fingerprint, "compensate").renamed("with weights")
    path = found.weights.save(models.weights_folder())
    content = path.read_bytes()
    path.unlink()
    file = SchemeFile(scheme, {found.weights.fingerprint: content})
    upload(app, "mine.zip", file.to_bytes())
    assert not app.error
    assert session(app).scheme.name == "with weights"
    assert path.read_bytes() == content
    exact = evaluate(tiny.with_weights(found.weights), dataset, scheme.mask)
    step = session(app).scheme.step(scheme.current)
    assert step.metrics["loss"] == pytest.approx(exact.loss, abs=1e-6)


def spoiled(scheme: Scheme, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scheme.json", scheme.to_json())
        archive.writestr(f"{'a' * 16}.safetensors", content)
    return packed.getvalue()


@pytest.mark.parametrize("kind", ["changed weights", "missing weights", "another model"])
def test_a_bad_file_is_one_sentence_and_the_scheme_stays(
    app: AppTest, tiny: Classifier, dataset: Dataset, kind: str
) -> None:
    before = session(app).scheme
    scheme = branched(tiny).recovered("a" * 16, "compensate")
    if kind == "changed weights":
        weights = recover(tiny, dataset, scheme.mask).weights
        path = weights.save(models.weights_folder())
        content = spoiled(scheme, path.read_bytes())  # real weights under a name not theirs
    elif kind == "missing weights":
        content = scheme.to_json().encode()
    else:
        model = {"id": "other", "revision": None, "fingerprint": "x"}
        content = Scheme.started(model, 2, 4).to_json().encode()
    upload(app, "bad.zip", content)
    (error,) = app.error
    assert str(models.weights_folder()) not in error.value
    assert "bhpvas-" not in error.value
    assert error.value.endswith(".")
    assert session(app).scheme == before


# --- compare --------------------------------------------------------------------------------------


def test_what_is_suggested_is_where_the_branches_lead(tiny: Classifier) -> None:
    scheme = branched(tiny)
    assert suggested(scheme) == [2, 4]
    assert suggested(scheme.at(1)) == [1, 2, 4]
    assert suggested(scheme.without_step(3)) == [1, 2]
    assert suggested(scheme.at(2).undone().undone()) == [0, 2, 4]
    alone = Scheme.of(tiny)
    assert suggested(alone) == [0]
    for head in ("L0H0", "L0H1", "L0H2", "L0H3", "L1H0"):
        alone = alone.at(0).removing(parse_heads(head))
    assert suggested(alone) == [2, 3, 4, 5]


def test_two_steps_are_compared_as_the_library_says(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    view(app, "Compare")
    assert list(app.multiselect(key="compared").value) == [2, 4]
    unpruned = evaluate(tiny, dataset)
    one, other = (evaluate(tiny, dataset, session(app).scheme.mask_at(step)) for step in (2, 4))
    change, test = accuracy_change_interval(one, other), mcnemar(one, other)
    text = said(app).replace("−", "-")
    assert f"{100 * change.change:+.1f} points" in text or "**A → B:** 0.0 points" in text
    assert f"{test.lost} lost, {test.gained} gained" in text
    tables = "".join(html.value for html in app.html)
    for found in (unpruned, one, other):
        assert f'<td class="nowrap">{100 * found.accuracy:.1f}%' in tables
        assert f"{found.loss:.3f}" in tables
    flipped = flip_table(unpruned, {"A": one, "B": other})
    assert len(flipped) > 0
    assert f"{len(flipped)} sentence" in said(app)
    for place in flipped.index:
        assert dataset.texts[place] in tables
    assert flip_patterns(flipped)["count"].sum() == len(flipped)


def test_the_keyboard_lists_the_sentences_of_a_bar(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    view(app, "Compare")
    unpruned = evaluate(tiny, dataset)
    steps = {"A": 2, "B": 4}
    found = {
        name: evaluate(tiny, dataset, session(app).scheme.mask_at(at)) for name, at in steps.items()
    }
    patterns = flip_patterns(flip_table(unpruned, found))
    bars = app.selectbox(key="flips-of")
    assert bars.value is None and len(bars.options) == len(patterns)
    for place, count in enumerate(patterns["count"]):
        fine(app.selectbox(key="flips-of").select_index(place).run())
        assert f"{count} sentence" in said(app) and "alone; the number" in said(app)
    fine(app.selectbox(key="flips-of").select(None).run())
    assert f"{patterns['count'].sum()} sentence" in said(app)


def test_slices_are_those_of_this_file_whatever_another_with_its_sentences_said(
    folder: Path, tiny: Classifier, dataset: Dataset
) -> None:
    for cells in (("film", "food"), ("north", "south")):
        column = tuple(cells[place % 3 == 0] for place in range(len(dataset)))
        app = opened(folder, tiny, replace(dataset, groups={"topic": column}))
        if any(one.label == "Measure 3 steps" for one in app.button):
            press(app, "Measure 3 steps")
        view(app, "Compare")
        fine(app.selectbox(key="compare-by").set_value("column topic").run())
        (grid,) = [one for one in app.get("plotly_chart") if one.key == "slice-grid"]
        assert all(cell in grid.proto.spec for cell in cells)


def test_fewer_than_two_steps_say_what_to_do(app: AppTest) -> None:
    view(app, "Compare")
    fine(app.multiselect(key="compared").set_value([2]).run())
    view(app, "Tree")
    view(app, "Compare")
    assert len(app.multiselect(key="compared").value) >= 1
    alone = Scheme.started(session(app).scheme.model, 2, 4)
    app.session_state["bhpvas"] = replace(session(app), scheme=alone)
    fine(app.run())
    assert "only the start" in said(app)


def test_a_deleted_step_leaves_the_comparison(app: AppTest) -> None:
    view(app, "Compare")
    fine(app.multiselect(key="compared").set_value([1, 2, 4]).run())
    app.session_state["bhpvas"] = session(app).deleting(4)
    fine(app.run())
    assert list(app.multiselect(key="compared").value) == [1, 2]


def test_latency_is_measured_when_asked(app: AppTest) -> None:
    view(app, "Compare")
    assert "Medians of" not in said(app)
    fine(app.number_input(key="latency-length").set_value(5).run())
    press(app, "Measure 3 models")
    assert "Medians of 21 rounds" in said(app)
    assert "of 5 tokens" in said(app)
    fine(app.number_input(key="latency-length").set_value(6).run())
    assert "Medians of" not in said(app)


# --- shift ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["importance", "similarity"])
def test_the_shift_is_that_of_both_models_scored(
    app: AppTest, tiny: Classifier, dataset: Dataset, name: str
) -> None:
    view(app, "Shift")
    fine(app.selectbox(key="shift-by").set_value(name).run())
    mask: HeadMask = session(app).mask
    before, after = score(tiny, dataset, [name]), score(tiny, dataset, [name], mask=mask)
    direction: Any = "keep" if name == "importance" else "remove"
    shift = rank_shift(before.values[name], after.values[name], mask, direction)
    table = frame(app, "rise").set_index("head")
    assert set(table.index) == {str(head) for head in mask}
    for head in mask:
        assert table.loc[str(head), "rise"] == shift.rise[head.layer, head.head]
        assert table.loc[str(head), "now"] == shift.after[head.layer, head.head]
    assert ("low" in table) == ("p" in table) == (name == "importance")
    assert np.all(np.diff(table["rise"]) <= 0)


def test_without_a_removal_nothing_has_shifted(app: AppTest) -> None:
    press(app, "Undo")
    press(app, "Undo")
    view(app, "Shift")
    assert "no head has moved" in said(app)
