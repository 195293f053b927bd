"""The page Workbench on a tiny model: every control, and what it does to the session."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.charts.head_map import size
from bhpvas.criteria import CRITERIA, combined, removal_order, score
from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask, format_heads, parse_heads
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence
from bhpvas.neurons import NeuronSet
from tests.ui.driver import (
    facts,
    fine,
    listed,
    press,
    said,
    select,
    session,
)


def test_the_numbers_of_every_figure_can_be_taken_along(app: AppTest) -> None:
    fine(select(app, "L0H1,L1H2"))
    shown = {one.key for one in app.get("plotly_chart")}
    assert shown == {"head-map", "scatter", "timeline-chart"}
    offered = {one.key.rsplit("-", 1)[0]: one.label for one in app.get("download_button")}
    for key in shown:
        assert len(offered[f"numbers-{key}"]) > 10


def head_map_of(app: AppTest, key: str = "head-map") -> Any:
    """The figure of a head map on the page, as JSON."""
    (found,) = [one for one in app.get("plotly_chart") if one.key == key]
    return json.loads(found.proto.spec)


def test_one_switch_hides_the_feed_forward_parts_on_every_page(app: AppTest) -> None:
    names = [one.get("name") for one in head_map_of(app)["data"]]
    assert "feed-forward" in names
    app.toggle(key="feed-forward-head-map").set_value(False)
    fine(app.run())
    assert session(app).heads_only
    alone = head_map_of(app)
    assert "feed-forward" not in [one.get("name") for one in alone["data"]]
    assert alone["layout"]["width"] == size(2, 4)[0]
    fine(app.switch_page("pages/roles.py").run())
    assert not app.toggle(key="feed-forward-role-map").value
    assert "feed-forward" not in [one.get("name") for one in head_map_of(app, "role-map")["data"]]


def test_a_feed_forward_part_says_its_width_and_what_it_holds(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    (column,) = [one for one in head_map_of(app)["data"] if one.get("name") == "feed-forward"]
    gone = NeuronSet.of_layers(2, 64, {0: range(64)})
    masks = HeadMask(2, 4), HeadMask(2, 4).without_neurons(gone)
    before, after = (
        flops_per_sentence(tiny.geometry, mask, tiny.lengths(dataset)) for mask in masks
    )
    numbers = 64 * (2 * 32 + 1)  # a row and a bias of the up projection, a column of the other
    # What was measured of it, by whoever asked first, is said behind that.
    assert column["text"][0].startswith(
        "<b>L0F</b> 64 of 64 neurons"
        f"<br>{100 * (1 - after / before):.1f}% of the unpruned model's FLOPs,"
        f"<br>{100 * numbers / tiny.geometry.parameters:.1f}% of its parameters"
    )


def test_lowest_k_follows_the_combined_priority(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    order = removal_order(combined(score(tiny, dataset)))
    fine(app.number_input(key="lowest").set_value(3).run())
    press(app, "Select lowest 3")
    assert session(app).selected == frozenset(order[:3])


def test_colour_and_selection_follow_the_chosen_criterion(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    values = score(tiny, dataset, ["entropy"]).values["entropy"]
    fine(app.selectbox(key="colour").set_value("entropy").run())
    press(app, "Select lowest 1")
    highest = np.unravel_index(values.argmax(), values.shape)
    assert session(app).selected == {HeadId(int(highest[0]), int(highest[1]))}


@pytest.mark.parametrize("name", list(CRITERIA))
def test_every_criterion_can_colour_the_map(app: AppTest, name: str) -> None:
    fine(app.selectbox(key="colour").set_value(name).run())
    colours = {"High": "Bright", "Above 0": "Red", "below 0": "blue"}
    summary = re.sub("|".join(colours), lambda word: colours[word[0]], CRITERIA[name].summary)
    assert any(one.value.startswith(summary) for one in app.caption)
    assert CRITERIA[name].misleads in said(app)


def test_weights_change_the_order(app: AppTest, tiny: Classifier, dataset: Dataset) -> None:
    scores = score(tiny, dataset)
    for name, weight in (("importance", 0.0), ("stability", 0.0), ("similarity", 1.0)):
        app.slider(key=f"weight-{name}").set_value(weight)
    fine(app.run())
    press(app, "Select lowest 1")
    assert session(app).selected == {removal_order(scores.values["similarity"], "remove")[0]}


def test_no_weight_at_all_is_said_and_the_page_goes_on(app: AppTest) -> None:
    for name in ("importance", "stability", "similarity"):
        app.slider(key=f"weight-{name}").set_value(0.0)
    fine(app.run())
    assert "Every weight is 0" in said(app)
    press(app, "Select lowest 1")


def test_which_way_stability_counts_is_a_setting(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    values = score(tiny, dataset).values["stability"]
    fine(app.selectbox(key="colour").set_value("stability").run())
    press(app, "Select lowest 1")
    assert session(app).selected == {removal_order(values, "keep")[0]}
    fine(app.segmented_control(key="stable").set_value("first to go").run())
    press(app, "Select lowest 1")
    assert session(app).selected == {removal_order(values, "remove")[0]}


def test_a_threshold_selects_what_lies_beyond(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    values = score(tiny, dataset).values["importance"]
    threshold = float(np.median(values))
    fine(app.selectbox(key="colour").set_value("importance").run())
    fine(app.number_input(key="threshold-importance").set_value(threshold).run())
    press(app, "Select 4")
    assert session(app).selected == {
        HeadId(int(la), int(he)) for la, he in np.argwhere(values < threshold)
    }


def test_a_whole_layer_and_clear(app: AppTest) -> None:
    press(app, "L1")
    assert format_heads(session(app).selected) == "L1H0,L1H1,L1H2,L1H3"
    assert list(listed(app, "heads").value) == ["L1H0", "L1H1", "L1H2", "L1H3"]
    press(app, "Clear")
    assert not session(app).selected


def test_the_list_selects(app: AppTest) -> None:
    select(app, "L0H1,L1H2")
    assert session(app).selected == frozenset(parse_heads("L0H1,L1H2"))


def test_the_cost_is_the_estimate_and_says_so(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H1,L1H2")
    press(app, "What would it cost?")
    model = Estimate.from_scores(score(tiny, dataset))
    loss = float(model.loss_change([HeadMask.parse("L0H1,L1H2", 2, 4)])[0])
    assert "**Estimate:**" in said(app)
    assert f"loss {loss:+.3f}".replace("-", "−") in said(app)
    # What it is of: the calibration sentences, before and after.
    accuracy = float(model.accuracy_change([HeadMask.parse("L0H1,L1H2", 2, 4)])[0])
    before, after = 100 * model.accuracy, 100 * (model.accuracy + accuracy)
    assert f"({before:.1f} → about {after:.1f})" in said(app)
    assert f"on {len(dataset)} calibration sentences, from gradients]" in said(app)
    select(app, "L0H1,L1H2,L1H3")
    assert "from gradients; weak from a third of the heads on]" in said(app)


def test_removing_measures_exactly_and_adds_a_step(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H1,L1H2")
    press(app, "Remove 2 heads")
    exact = evaluate(tiny, dataset, HeadMask.parse("L0H1,L1H2", 2, 4))
    scheme = session(app).scheme
    assert str(scheme.mask) == "L0H1,L1H2"
    assert scheme.step(scheme.current).metrics["accuracy"] == exact.accuracy
    assert facts(app)["Heads"] == "6 of 8 kept"
    assert f"{100 * exact.accuracy:.1f}% (" in facts(app)["Accuracy"]
    assert not session(app).selected


def test_criteria_are_measured_anew_after_a_step(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H1")
    press(app, "Remove 1 head")
    assert session(app).scored == session(app).now
    again = score(tiny, dataset, mask=HeadMask.parse("L0H1", 2, 4))
    press(app, "Select lowest 1")
    assert session(app).selected == {removal_order(combined(again))[0]}


def test_every_head_can_go(app: AppTest) -> None:
    press(app, "L0")
    press(app, "Remove 4 heads")
    press(app, "L1")
    press(app, "Remove 4 heads")
    assert facts(app)["Heads"] == "0 of 8 kept"
    press(app, "L1")
    press(app, "Restore 4 heads")
    assert facts(app)["Heads"] == "4 of 8 kept"


def test_flipped_sentences_stand_with_both_predictions(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    press(app, "L0")
    press(app, "Remove 4 heads")
    before, after = evaluate(tiny, dataset), evaluate(tiny, dataset, session(app).mask)
    changed = np.flatnonzero(before.predictions != after.predictions)
    assert len(changed) > 0
    assert f"**{len(changed)} of 12 predictions changed:**" in said(app)
    tables = "".join(html.value for html in app.html)
    for index in changed:
        assert f"<td>{dataset.texts[index]}</td>" in tables


def test_ablation_stands_beside_the_criteria_with_its_correlation(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    press(app, "Remove each of 8 heads alone and measure")
    assert "Ablation: loss" in app.selectbox(key="colour").options
    (agreement,) = [
        frame.value for frame in app.dataframe if "Criterion" in getattr(frame.value, "columns", ())
    ]
    loss = ablate(tiny, dataset).loss_change.ravel()
    values = score(tiny, dataset).values["importance"].ravel()
    ranks = [np.argsort(np.argsort(one)) for one in (loss, values)]
    expected = float(np.corrcoef(*ranks)[0, 1])
    row = agreement.set_index("Criterion").loc["Importance"].iloc[0]
    assert float(row.replace("−", "-")) == pytest.approx(expected, abs=0.005)


def test_the_ranked_table_holds_every_head(app: AppTest) -> None:
    (table,) = [one.value for one in app.dataframe if "head" in getattr(one.value, "columns", ())]
    assert sorted(table["head"]) == [f"L{layer}H{head}" for layer in range(2) for head in range(4)]
    assert {"combined", "importance", "stability", "similarity"} <= set(table.columns)


def test_every_view_has_a_reading_aid_and_a_source(app: AppTest) -> None:
    select(app, "L0H1")
    titles = [html.value for html in app.html if html.value.startswith(("<h1 class", "<h2 class"))]
    assert len(titles) == 6
    sources = [one.value for one in app.caption if one.value.startswith("Source: ")]
    assert len(sources) >= 8
    assert not re.search(r"!(\s|$)", said(app))
