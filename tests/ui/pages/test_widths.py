"""Widths of feed-forward parts on the Workbench: chosen, measured, removed and brought back."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.criteria import score
from bhpvas.criteria.neurons import leaving_order
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.evaluation.widths import ORDER, ablate_widths
from bhpvas.export import export_model
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import flops_per_sentence
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import feed_forward
from bhpvas.ui.widgets.head_map import picking
from tests.tiny import save_tiny
from tests.ui.driver import facts, fine, listed, open_app, press, said, select, session

WIDTH = 64


def trace(app: AppTest, chart: str, name: str) -> dict[str, Any]:
    """A trace of a figure on the page, as JSON."""
    (figure,) = [one for one in app.get("plotly_chart") if one.key == chart]
    (found,) = [one for one in json.loads(figure.proto.spec)["data"] if one.get("name") == name]
    found["marker"] = _plain(found.get("marker", {}))
    return dict(_plain(found))


def _plain(known: dict[str, Any]) -> dict[str, Any]:
    """Arrays, which travel as bytes, as lists."""

    def one(value: Any) -> Any:
        if not isinstance(value, dict) or "bdata" not in value:
            return value
        return np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).tolist()

    return {name: one(value) for name, value in known.items()}


def measure(app: AppTest) -> AppTest:
    """Ask what every width costs, below the map, where no test of this server did before."""
    asking = [one for one in app.button if one.key == "measure-head-map"]
    return fine(asking[0].click().run()) if asking else app


def choose_parts(app: AppTest, *names: str) -> AppTest:
    """Select feed-forward parts in the list, which is the keyboard's way."""
    return fine(listed(app, "parts").set_value(list(names)).run())


def keep(app: AppTest, layer: int, neurons: int) -> AppTest:
    """Type how many neurons a selected layer is to keep."""
    return fine(app.number_input(key=f"width-number-{layer}").set_value(neurons).run())


def first_to_go(
    tiny: Classifier, dataset: Dataset, layer: int, count: int, mask: HeadMask | None = None
) -> NeuronSet:
    scores = score(tiny, dataset, (), neurons=(ORDER,), mask=mask)
    order = leaving_order(scores.neurons[ORDER][layer])
    return NeuronSet.of_layers(2, WIDTH, {layer: order[:count].tolist()})


def test_a_part_is_narrowed_measured_exactly_and_a_step(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    choose_parts(app, "L0F")
    assert session(app).widths == ((0, 32),), "half of what is kept, to begin with"
    keep(app, 0, 40)
    assert app.slider(key="width-slider-0").value == 40
    fine(app.slider(key="width-slider-0").set_value(24).run())
    assert app.number_input(key="width-number-0").value == 24
    assert "40 go" in said(app)
    press(app, "Remove 40 neurons")
    gone = first_to_go(tiny, dataset, 0, 40)
    scheme = session(app).scheme
    step = scheme.step(scheme.current)
    assert scheme.mask.neurons == gone and step.heads == ()
    exact = evaluate(tiny, dataset, HeadMask(2, 4).without_neurons(gone))
    assert step.metrics["accuracy"] == exact.accuracy and step.metrics["loss"] == exact.loss
    assert (step.method, step.settings) == (
        "by hand",
        {"neurons_by": "fisher", "widths": {"L0F": 24}},
    )
    assert step.learnt_from == LearntSentences.of(tiny.encode(dataset).fingerprints)
    assert facts(app)["Heads"] == "8 of 8 kept" and facts(app)["Neurons"] == "88 of 128 kept"
    assert session(app).widths == ()
    assert trace(app, "head-map", "neurons kept")["x"] != [2.1, 2.1]


def test_heads_and_neurons_of_several_layers_go_together(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H1,L1H2")
    choose_parts(app, "L0F", "L1F")
    keep(app, 1, 0)
    assert "Selected: L0H1, L1H2, L0F to 32, L1F to 0" in said(app)
    press(app, "Remove 2 heads and 96 neurons")
    mask = session(app).mask
    assert str(mask) == "L0H1,L1H2"
    both = first_to_go(tiny, dataset, 0, 32) | first_to_go(tiny, dataset, 1, 64)
    assert mask.neurons == both
    assert list(trace(app, "head-map", "removed feed-forward")["y"]) == [1]
    press(app, "Undo")
    assert session(app).mask == HeadMask(2, 4)


def test_what_comes_back_is_what_would_have_gone_last(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    choose_parts(app, "L1F")
    keep(app, 1, 0)
    press(app, "Remove 64 neurons")
    choose_parts(app, "L1F")
    assert session(app).widths == ((1, 64),), "one that is gone comes back whole, as a head"
    keep(app, 1, 20)
    assert "20 come back, those worth most; *Restore* measures it." in said(app)
    press(app, "Restore 20 neurons")
    assert session(app).mask.neurons == first_to_go(tiny, dataset, 1, 44)
    assert session(app).scheme.path()[-1].settings["widths"] == {"L1F": 20}
    choose_parts(app, "L1F")
    assert session(app).widths == ((1, 10),)
    keep(app, 1, 30)
    press(app, "Restore 10 neurons")
    assert session(app).mask.neurons == first_to_go(tiny, dataset, 1, 34)


def test_a_box_selects_parts_as_it_does_heads(app: AppTest, monkeypatch: Any) -> None:
    """Each once, however many marks of it lie within."""
    at = session(app)
    geometry = SimpleNamespace(intermediate_size=WIDTH, groups=())
    models = SimpleNamespace(geometry=geometry)
    monkeypatch.setattr(feed_forward.models, "classifier_named", lambda source: models)
    first = picking(at, [HeadId(0, 3), HeadId(0, 4), HeadId(0, 4)], "box")
    assert (first.selected, first.widths) == ({HeadId(0, 3)}, ((0, 32),))
    both = picking(first, [HeadId(0, 4), HeadId(1, 4)], "box")
    assert both.widths == ((0, 32), (1, 32))
    assert picking(both, [HeadId(0, 4), HeadId(1, 4)], "box").widths == ()


def test_a_width_that_is_kept_already_changes_nothing(app: AppTest) -> None:
    choose_parts(app, "L0F")
    keep(app, 0, 64)
    assert "64 are kept now: choose another width." in said(app)
    (button,) = [one for one in app.button if one.label == "Remove heads"]
    assert button.disabled
    press(app, "What would it cost?")
    press(app, "Clear")
    assert session(app).widths == ()


def test_curves_are_measured_once_asked_for_and_colour_the_column(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    assert trace(app, "head-map", "neurons kept")["y"] == [0, 1], "neutral before"
    assert "*Measure widths* says what they are worth" in said(app)
    choose_parts(app, "L0F")
    assert app.button(key="measure-widths").label == "Measure widths", "where the curve will be"
    measure(app)
    curves = ablate_widths(tiny, dataset)
    costs = [one[-1] for one in curves.loss_change]
    coloured = trace(app, "head-map", "neurons kept, by cost")
    assert coloured["marker"]["color"] == pytest.approx(costs)
    drawn = trace(app, "width-curves", "L0F")
    assert drawn["x"] == curves.kept[0].tolist()
    assert drawn["y"] == pytest.approx(curves.loss_change[0])
    at = curves.kept[0].tolist().index(32)
    loss = f"{curves.loss_change[0][at]:+.3f}".replace("-", "−")
    accuracy = f"{100 * curves.headline_change[0][at]:+.1f}".replace("-", "−").replace(
        "+0.0", "0.0"
    )
    exact = f"loss {loss}, accuracy {accuracy} points"
    assert f"32 go: {exact}, this layer alone." in said(app)
    press(app, "What would it cost?")
    assert f"**L0F to 32:** {exact} :small[each alone, measured on 12" in said(app)
    keep(app, 0, 33)
    assert "**L0F to 33:** about loss " in said(app)
    assert not [one for one in app.button if one.label == "Measure widths"]
    fine(app.segmented_control(key="width-measure").set_value("accuracy").run())
    drawn = trace(app, "width-curves", "L0F")
    assert drawn["y"] == pytest.approx(100 * curves.headline_change[0])
    coloured = trace(app, "head-map", "neurons kept, by cost")
    assert coloured["marker"]["color"] == pytest.approx(
        [-one[-1] for one in curves.headline_change]
    )


def test_the_neurons_that_go_are_those_of_the_curve(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    choose_parts(app, "L1F")
    measure(app)
    curves = ablate_widths(tiny, dataset)
    press(app, "Remove 32 neurons")
    assert session(app).mask.neurons == curves.at_width(1, 32)
    assert trace(app, "head-map", "neurons kept")["y"] == [0, 1], "of the smaller model nothing yet"


def test_the_timeline_counts_flops_once_neurons_are_gone(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H1")
    press(app, "Remove 1 head")
    assert trace(app, "timeline-chart", "steps")["x"] == [8, 7]
    choose_parts(app, "L0F")
    press(app, "Remove 32 neurons")
    scheme = session(app).scheme
    flops = [
        flops_per_sentence(tiny.geometry, scheme.mask_at(step), tiny.lengths(dataset))
        for step in range(3)
    ]
    steps = trace(app, "timeline-chart", "steps")
    assert steps["x"] == pytest.approx([100 * one / flops[0] for one in flops])
    assert f"7 of 8 heads kept, {100 * flops[2] / flops[0]:.1f}% of the FLOPs" in steps["text"][2]


def test_without_the_column_there_is_nothing_of_it(app: AppTest) -> None:
    app.toggle(key="feed-forward-head-map").set_value(False)
    fine(app.run())
    assert "feed-forward" not in said(app).split("**When it misleads.**")[0]
    assert not [one for one in app.button if one.label == "Measure widths"]
    assert not [one for one in app.multiselect if str(one.key).startswith("parts-")]


def test_other_pages_count_the_neurons(app: AppTest) -> None:
    choose_parts(app, "L0F")
    press(app, "Remove 32 neurons")
    fine(app.switch_page("pages/sentence.py").run())
    assert "Scheme, 8 of 8 heads and 96 of 128 neurons" in "".join(one.value for one in app.html)
    assert trace(app, "contribution-map", "neurons kept, in numbers")["text"] == ["32", "64"]
    fine(app.switch_page("pages/roles.py").run())
    assert "**32 neurons removed.**" in said(app)


def test_where_layers_share_their_weights_no_part_can_be_narrowed(
    tmp_path: Path, dataset: Dataset
) -> None:
    folder = save_tiny(tmp_path, "albert")
    shared = load_classifier(folder)
    app = open_app(Session(str(folder), Splits(dataset, dataset, "by hand"), Scheme.of(shared)))
    assert "parameters" not in trace(app, "head-map", "feed-forward")["text"][0]
    assert not [one for one in app.button if one.label == "Measure widths"]
    assert not [one for one in app.multiselect if str(one.key).startswith("parts-")]
    assert "layers share these, so none is narrowed alone" in said(app)
    at = session(app)
    assert picking(at, [HeadId(0, 4)], "box") == at


def test_what_a_smaller_model_lacks_is_part_of_its_start(
    tmp_path: Path, tiny: Classifier, dataset: Dataset
) -> None:
    lacking = NeuronSet.of_layers(2, WIDTH, {0: range(16)})
    scheme = Scheme.of(tiny).removing([], neurons=lacking)
    export_model(tiny, scheme, tmp_path / "smaller", dataset=dataset)
    smaller = load_classifier(tmp_path / "smaller")
    app = open_app(
        Session(str(tmp_path / "smaller"), Splits(dataset, dataset, "by hand"), Scheme.of(smaller))
    )
    assert facts(app)["Neurons"] == "112 of 128 kept, 16 not in this model"
    choose_parts(app, "L0F")
    assert session(app).widths == ((0, 24),)
    assert app.slider(key="width-slider-0").max == 48
    keep(app, 0, 12)
    press(app, "Remove 36 neurons")
    neurons = session(app).mask.neurons
    assert neurons is not None and (neurons & lacking) == lacking
    assert np.array(neurons.counts).tolist() == [52, 0]
