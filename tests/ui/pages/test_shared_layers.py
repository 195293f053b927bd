"""Layers that share their weights on screen: the rows above the map, and what each page says."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.charts.head_columns import Weighing, columns
from bhpvas.charts.head_map import head_map, size
from bhpvas.charts.shared_rows import rows_of
from bhpvas.criteria import score
from bhpvas.data.dataset import Splits
from bhpvas.evaluation.ablation import ablate
from bhpvas.heads import HeadId, parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets.head_map import picking
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import facts, fine, open_app, press, said, session


@pytest.fixture(scope="module")
def albert(tmp_path_factory):
    return load_classifier(save_tiny(tmp_path_factory.mktemp("tiny-albert"), "albert"))


@pytest.fixture(scope="module", params=[1, 2], ids=["one group", "two groups"])
def deep(request, tmp_path_factory):
    """Six layers, of one or two groups."""
    folder = tmp_path_factory.mktemp("deep-albert")
    more = {"num_hidden_layers": 6, "num_hidden_groups": request.param}
    return load_classifier(save_tiny(folder, "albert", settings=more))


SENTENCE = "use the same weights, and L1H"


@pytest.fixture
def app(albert) -> AppTest:
    """The app on it, one head removed."""
    app = open_app(
        Session(
            model=albert.source,
            data=Splits(many_sentences(40), many_sentences(30, seed=1), "by hand"),
            scheme=Scheme.of(albert),
        )
    )
    press(app, "Select lowest 1")
    return press(app, "Remove 1 head")


@pytest.mark.parametrize("page", ["samples", "sentence", "roles", "learn"])
def test_a_page_works(app, page):
    fine(app.switch_page(f"pages/{page}.py").run())


def test_heads_can_be_proposed_and_taken_and_the_rest_says_why_not(app, albert):
    fine(app.switch_page("pages/schemes.py").run())
    # The sidebar says everywhere that the mask cannot leave the weights.
    refused = {"Propose": "a target is searched for in one layer after the other", "Fine-tune": ""}
    for view in ("Tree", "Propose", "Fine-tune", "Compare", "Evidence", "Shift"):
        fine(app.segmented_control(key="view").set_value(view).run())
        assert said(app).count(SENTENCE) == 1 + (view in refused), view
        assert refused.get(view, "") in said(app), view
    fine(app.segmented_control(key="view").set_value("Propose").run())
    press(app, "Propose")
    press(app, "Take as a step")
    assert app.session_state["bhpvas"].scheme.step(2).method == "importance"


@pytest.fixture(params=[1, 2], ids=["one group", "two groups"])
def workbench(request, tmp_path) -> AppTest:
    """The app on six layers of one or two groups."""
    more = {"num_hidden_layers": 6, "num_hidden_groups": request.param}
    source = str(save_tiny(tmp_path / "deep", "albert", settings=more))
    data = Splits(many_sentences(40), many_sentences(30, seed=1), "by hand")
    return open_app(Session(source, data, Scheme.of(load_classifier(source))))


def chosen(app: AppTest, row: int, head: int, pointer: str = "head") -> Session:
    """The session after a click on a row of the map: of a layer, or above them of a group."""
    at = picking(session(app), [HeadId(row, head)], pointer)
    app.session_state["bhpvas"] = at
    fine(app.run())
    return session(app)


def test_a_click_above_the_layers_is_the_head_in_all_of_them(workbench):
    app, classifier = workbench, load_classifier(session(workbench).model)
    group = classifier.geometry.groups[-1]
    row = 5 + len(classifier.geometry.groups)
    column = {HeadId(layer, 2) for layer in group}
    assert chosen(app, row, 2).selected == column
    assert f"L{group[0]}-{group[-1]}H2 ({len(group)} layers)" in said(app)
    assert not chosen(app, row, 2).selected
    assert chosen(app, row, 2, "layer").selected == column
    press(app, f"Remove {len(group)} heads")
    assert session(app).mask.removed == column
    before, after = facts(app)["Parameters"].split(" → ")
    assert before != after
    fine(app.switch_page("pages/export.py").run())
    assert not app.info
    press(app, "Make the files")


def test_a_head_that_left_all_layers_is_compensated_once_for_a_group(workbench):
    app = workbench
    group = load_classifier(session(app).model).geometry.groups[0]
    chosen(app, 6, 2)
    press(app, f"Remove {len(group)} heads")
    fine(app.switch_page("pages/schemes.py").run())
    fine(app.segmented_control(key="view").set_value("Propose").run())
    (button,) = [one for one in app.button if one.key == "recover"]
    fine(button.click().run())
    (step,) = [one for one in session(app).scheme.path() if one.what == "recover"]
    assert [one["layer"] for one in step.settings["layers"]] == [0]
    assert f"L0: layers 0 to {group[-1]}" in said(app)


def test_a_head_of_one_layer_is_masked_and_says_how_it_can_leave(workbench):
    app = workbench
    group = load_classifier(session(app).model).geometry.groups[0]
    chosen(app, 1, 3)
    press(app, "Select in all layers")
    assert session(app).selected == {HeadId(layer, 3) for layer in group}
    chosen(app, 0, 3)
    assert len(session(app).selected) == len(group) - 1
    press(app, f"Remove {len(group) - 1} heads")
    assert "→" not in facts(app)["Parameters"]
    assert any("is removed from some of them alone" in one.value for one in app.sidebar.caption)
    # In the row of its group what is left of it is selected, and completes it.
    chosen(app, 6, 3)
    press(app, "Remove 1 head")
    assert "→" in facts(app)["Parameters"]


def test_the_row_of_a_group_says_what_was_measured_there(deep):
    data = many_sentences(24)
    mask = deep.full_mask().without(parse_heads("L0-5H0,L1H1"))
    scores, found = score(deep, data, mask=mask), ablate(deep, data, mask)
    shown = columns(scores, found, Weighing())
    groups = deep.geometry.groups
    exact = rows_of(shown["ablation-loss"], mask, groups)
    np.testing.assert_array_equal(exact.values, found.group_loss_change)
    means = rows_of(shown["importance"], mask, groups)
    kept = [layer for layer in groups[0] if layer != 1]
    assert means.values[0, 1] == pytest.approx(scores.values["importance"][kept, 1].mean())
    assert f"kept in {len(kept)}: masked, not gone" in means.hover[0, 1]
    assert "removed from all" in means.hover[0, 0] and np.isnan(means.values[0, 0])
    figure = head_map(scores.values["importance"], mask, shared=means)
    marks = {trace.name: trace for trace in figure.data}
    assert list(marks["removed from groups"].x) == [0] * len(groups)
    assert list(marks["removed from some of a group"].x) == [1]
    data_of = marks["heads of groups"].customdata
    assert [list(one) for one in data_of[:4]] == [[6, head] for head in range(4)]
    assert figure.layout.height == size(6, 4, groups=len(groups))[1] > size(6, 4)[1]


def test_export_says_why_there_is_none_and_still_reports(app):
    fine(app.switch_page("pages/export.py").run())
    assert SENTENCE in app.info[0].value
    press(app, "Make the report")
