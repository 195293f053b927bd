"""The Samples page without a browser: what is selected, compared, sliced, filtered and opened."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from bhpvas.criteria import score
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.comparison import outcomes
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.evaluation.groups import compare_groups, importance_shares
from bhpvas.evaluation.slices import Grouping, slice_table, worst_hit
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import Classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.pages.samples import selection, sentence_map
from bhpvas.ui.pages.samples import table as sentences_table
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.state.session import Session
from tests.ui.driver import fine, open_app, press, said, session

PRUNED = "L0H0,L0H1,L0H2,L0H3"


@pytest.fixture
def data(dataset: Dataset) -> Splits:
    grouped = Dataset(
        **{
            **{name: getattr(dataset, name) for name in ("texts", "pairs", "labels", "tags")},
            "name": "tiny",
            "label_names": dataset.label_names,
            "groups": {"shelf": tuple("xyz"[row % 3] for row in range(len(dataset)))},
        }
    )
    return Splits(grouped.take(range(8)), grouped, "by hand")


def opened(data: Splits, classifier: Classifier, removed: str = "", **settings: Any) -> AppTest:
    """The page on the tiny model with some heads removed, settled."""
    scheme = Scheme.of(classifier)
    if removed:
        scheme = scheme.removing(parse_heads(removed))
    return open_app(
        Session(model=classifier.source, data=data, scheme=scheme, **settings), "samples"
    )


def table(app: AppTest) -> pd.DataFrame:
    (found,) = [one.value for one in app.dataframe if "sentence" in one.value]
    return found


def test_without_pruning_it_says_so_and_lists_every_sentence(
    data: Splits, classifier: Classifier
) -> None:
    app = opened(data, classifier)
    assert "Nothing is removed" in said(app)
    assert table(app)["sentence"].tolist() == list(data.evaluation.texts)
    assert "before" not in table(app)
    assert "change" not in app.selectbox(key="sentence-colour").options


def test_columns_named_like_those_of_the_table_are_shown_beside_them(
    data: Splits, classifier: Classifier
) -> None:
    cells = tuple("xyz"[row % 3] for row in range(len(data.evaluation)))
    named = replace(data.evaluation, groups=dict.fromkeys(("outcome", "label", "open"), cells))
    for removed in ("", "L0H1,L1H2"):
        shown = table(opened(replace(data, evaluation=named), classifier, removed))
        for name in named.groups:
            assert shown[f"column {name}"].tolist() == list(cells)


def test_the_answer_counts_and_names_the_worst_slice(data: Splits, classifier: Classifier) -> None:
    app = opened(data, classifier, PRUNED)
    before = evaluate(classifier, data.evaluation)
    after = evaluate(classifier, data.evaluation, HeadMask.parse(PRUNED, 2, 4))
    found = outcomes(before, after)
    changed, lost = int((found != "same").sum()), int((found == "lost").sum())
    assert changed > 0
    assert f"**{changed} of 12 predictions changed:** {lost} lost" in said(app)
    hit = worst_hit(slice_table(Grouping.of("Tag", data.evaluation.tags or ()), before, after))
    expected = "No tag lost accuracy" if hit is None else f"Worst hit by tag: **{hit['slice']}**"
    assert expected in said(app)
    assert table(app)["outcome"].tolist() == found.tolist()


@pytest.mark.parametrize("removed", ["", PRUNED])
@pytest.mark.parametrize(
    "colour", ["label", "prediction", "right", "confidence", "change", "tag", "column shelf"]
)
def test_every_colour_draws(
    data: Splits, classifier: Classifier, colour: str, removed: str
) -> None:
    app = opened(data, classifier, removed)
    if colour == "change" and not removed:
        return
    fine(app.selectbox(key="sentence-colour").set_value(colour).run())
    assert app.selectbox(key="sentence-colour").value == colour
    for show in ("unpruned", "pruned", "side by side", "moves") if removed else ():
        fine(app.segmented_control(key="show").set_value(show).run())


@pytest.mark.parametrize("removed", ["", PRUNED])
@pytest.mark.parametrize("measure", ["accuracy", "loss"])
@pytest.mark.parametrize("by", ["tag", "class", "length", "column shelf"])
def test_every_slicing_draws(
    data: Splits, classifier: Classifier, by: str, measure: str, removed: str
) -> None:
    app = opened(data, classifier, removed)
    fine(app.selectbox(key="slices-by").set_value(by).run())
    fine(app.segmented_control(key="slices-measure").set_value(measure).run())
    assert app.selectbox(key="slices-by").value == by


def test_the_keyboard_selects_a_slice(data: Splits, classifier: Classifier) -> None:
    app = opened(data, classifier, PRUNED)
    fine(app.selectbox(key="slices-by").set_value("column shelf").run())
    fine(app.selectbox(key="slice-column shelf").set_value("y").run())
    assert session(app).sentences == set(range(1, len(data.evaluation), 3))


def test_a_search_filters_and_what_is_left_can_be_selected(
    data: Splits, classifier: Classifier
) -> None:
    app = opened(data, classifier)
    fine(app.text_input(key="search").set_value("FILM long").run())
    expected = [
        row
        for row, text in enumerate(data.evaluation.texts)
        if "film" in text.lower() and "long" in text.lower()
    ]
    assert table(app)["sentence"].tolist() == [data.evaluation.texts[row] for row in expected]
    press(app, f"Select {len(expected)} sentences")
    assert session(app).sentences == set(expected)
    assert f"**{len(expected)} sentences selected:**" in said(app)
    press(app, "Clear")
    assert not session(app).sentences
    assert "**Select sentences**" in said(app)


@pytest.mark.parametrize("kind", ["share", "amount"])
def test_the_comparison_is_of_the_selected_with_the_rest(
    data: Splits, classifier: Classifier, kind: str
) -> None:
    places = [0, 2, 4, 6, 8]
    app = opened(data, classifier, sentences=frozenset(places))
    fine(app.segmented_control(key="panel-of-samples").set_value(selection.HEADS).run())
    fine(app.segmented_control(key="difference-kind").set_value(kind).run())
    chosen = np.isin(np.arange(12), places)
    full = np.ones((2, 4), dtype=bool)
    values = score(classifier, data.evaluation, ["importance"]).per_example["importance"]
    found = compare_groups(
        importance_shares(values, full) if kind == "share" else values, chosen, full
    )
    assert "more for these 5 than for the rest" in said(app)
    assert f"beyond chance, {int(found.found().sum())} of 8" in said(app)
    assert "must not choose heads" in said(app)


def test_roles_can_be_laid_over_the_difference(data: Splits, classifier: Classifier) -> None:
    app = opened(data, classifier, sentences=frozenset([0, 2, 4, 6, 8]))
    fine(app.segmented_control(key="panel-of-samples").set_value(selection.HEADS).run())
    fine(app.toggle(key="labels-difference-map").set_value(True).run())
    assert session(app).labelled
    assert "more for these 5 than for the rest" in said(app)


def test_a_few_sentences_are_not_tested(data: Splits, classifier: Classifier) -> None:
    app = opened(data, classifier, PRUNED, sentences=frozenset([1, 2]))
    fine(app.segmented_control(key="panel-of-samples").set_value(selection.HEADS).run())
    assert "Not tested: fewer than 5" in said(app)
    fine(app.segmented_control(key="difference-model").set_value("pruned").run())


def test_calibration_sentences_may_choose_heads(data: Splits, classifier: Classifier) -> None:
    app = opened(data, classifier, sentences=frozenset([1, 2]))
    fine(app.segmented_control(key="split").set_value("calibration").run())
    assert session(app).split == "calibration"
    assert not session(app).sentences
    assert len(table(app)) == 8
    fine(app.text_input(key="search").set_value("even").run())
    press(app, "Select 4 sentences")
    assert "must not choose heads" not in said(app)
    assert "more for these 4 than for the rest" in said(app)


def test_every_layer_has_a_map(data: Splits, classifier: Classifier) -> None:
    app = opened(data, classifier, PRUNED)
    for layer in (0, 1):
        fine(app.selectbox(key="map-layer").set_value(layer).run())
        assert f"alike to the model at L{layer} (PCA)" in said(app)


def test_a_map_that_was_stopped_promises_no_better_one(
    data: Splits, classifier: Classifier
) -> None:
    many = data.evaluation.take(list(range(12)) * 5)
    new = Session(classifier.source, replace(data, evaluation=many), Scheme.of(classifier))
    better = samples_tasks._umap(new, 1, np.zeros((60, 2)))
    assert better is not None
    app = open_app(new.cancelling(better.key), "samples")
    assert "alike to the model at L1 (PCA)" in said(app)
    press(app, "Continue")
    assert "alike to the model at L1 (UMAP)" in said(app)


def test_the_layer_of_the_map_stays_whatever_layer_is_looked_at_on_sentence(
    data: Splits, classifier: Classifier
) -> None:
    app = opened(data, classifier)
    assert "alike to the model at L1" in said(app)
    fine(app.switch_page("pages/sentence.py").run())
    fine(app.segmented_control(key="matrix-of").set_value("a layer").run())
    fine(app.selectbox(key="layer").set_value(0).run())
    fine(app.switch_page("pages/samples.py").run())
    assert "alike to the model at L1" in said(app)


def test_a_row_opens_its_sentence(
    data: Splits, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {
        "bhpvas": Session(model="tiny", data=data, scheme=Scheme.of(classifier)),
        "open-sentence": {"row": 1, "label": "Open"},
    }
    monkeypatch.setattr(st, "session_state", state)
    sentences_table._open((4, 7, 9))
    assert state["bhpvas"].opened.text == data.evaluation.texts[7]


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(
    ("pointer", "expected"), [("lasso", {1, 5}), ("box", {1, 5}), ("click", {3, 5})]
)
def test_a_lasso_selects_anew_and_a_click_toggles(
    data: Splits,
    classifier: Classifier,
    monkeypatch: pytest.MonkeyPatch,
    pointer: str,
    expected: set[int],
    marked: bool,
) -> None:
    chosen = Session(
        model="tiny", data=data, scheme=Scheme.of(classifier), sentences=frozenset([1, 3])
    )
    points = [{"customdata": 1}, {"customdata": 5}, {"x": 0.0}]
    event = SimpleNamespace(selection=SimpleNamespace(points=points))
    state: dict[str, Any] = {"bhpvas": chosen, "sentence-map": event}
    monkeypatch.setattr(st, "session_state", state)
    sentence_map._selected(pointer=pointer, marked=marked)
    assert state["bhpvas"].sentences == expected
    # What the browser does not mark by itself is drawn anew.
    assert (state["map-marks"] == expected) == (marked and pointer != "click")
    assert (state["rows"], state["panel-of-samples"]) == (selection.CHOSEN, selection.HEADS)


def test_the_map_is_drawn_anew_only_where_there_is_something_else_to_see(
    data: Splits, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(model="tiny", data=data, scheme=Scheme.of(classifier))
    lassoed = session.choosing_sentences({1, 5})
    state: dict[str, Any] = {"sentence-map": None}
    monkeypatch.setattr(st, "session_state", state)
    first = sentence_map._drawn(session, go.Figure, "look")
    assert sentence_map._drawn(session, go.Figure, "look") is first
    state["map-marks"] = {1, 5}
    assert sentence_map._drawn(lassoed, go.Figure, "look") is first
    cleared = sentence_map._drawn(session, go.Figure, "look")
    assert sentence_map._drawn(session, go.Figure, "other look") is not cleared
    del state["sentence-map"]  # the page was left
    sentence_map._drawn(session, go.Figure, "other look")
    # No two figures are equal, or the browser would show the earlier one's selection.
    assert (first.layout.meta, cleared.layout.meta, state["map-drawn"][1].layout.meta) == (0, 1, 3)


def test_every_view_has_a_definition_and_a_source(data: Splits, classifier: Classifier) -> None:
    app = opened(data, classifier, PRUNED)
    sources = [one.value for one in app.caption if one.value.startswith("Source: ")]
    assert len(sources) >= 5
    assert "!" not in said(app).replace("dull , long book !", "")
