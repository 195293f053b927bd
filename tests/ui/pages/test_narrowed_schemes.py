"""Schemes that lost heads and neurons on the pages Schemes and Export: both are told of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas import text
from bhpvas.data.dataset import Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.neurons import NeuronSet
from bhpvas.recovery import recover
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.pages.export import tasks as export_tasks
from bhpvas.ui.state.session import Curves, Session
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import fine, open_app, said, session

CALIBRATION, EVALUATION = many_sentences(40, seed=7), many_sentences(30, seed=8)
SOME = NeuronSet.of_layers(2, 64, {0: range(20), 1: range(5)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-narrowed"), seed=9)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def narrowed(folder: Path, tiny: Classifier) -> Session:
    """Two heads removed, then some neurons and a head."""
    scheme = Scheme.of(tiny).removing(parse_heads("L0H1,L1H2"))
    scheme = scheme.removing(parse_heads("L1H0"), neurons=SOME)
    return Session(str(folder), Splits(CALIBRATION, EVALUATION, "by hand"), scheme)


def shown(app: AppTest) -> str:
    return "".join(html.value for html in app.html)


def test_the_tree_counts_heads_and_neurons(narrowed: Session) -> None:
    app = open_app(replace(narrowed, measuring=True), "schemes", view="Tree")
    assert "Bold: heads kept of 8 + neurons kept of 128." in said(app)
    (table,) = app.dataframe
    assert list(table.value["kept"]) == [8, 6, 5]
    assert list(table.value["neurons"]) == [128, 128, 103]
    assert "removed 1 head, 25 neurons by hand: L1H0, 25 neurons" in said(app)
    heads_alone = replace(narrowed, scheme=narrowed.scheme.without_step(2))
    app = open_app(heads_alone, "schemes", view="Tree")
    assert "Bold: heads kept of 8. Then" in said(app)
    assert "neurons" not in app.dataframe[0].value


def test_compare_tells_what_each_keeps_and_costs(narrowed: Session, tiny: Classifier) -> None:
    app = open_app(narrowed, "schemes", view="Compare", compared=[1, 2])
    assert "step 1, 6 kept" in shown(app) and "step 2, 5 heads, 103 neurons kept" in shown(app)
    assert '<td class="name">Neurons kept</td>' in shown(app)
    left = text.big(parameters(tiny.geometry, narrowed.mask))
    assert f'<td class="nowrap">{left}</td>' in shown(app)


def test_curves_of_heads_leave_steps_without_neurons_out(narrowed: Session) -> None:
    curves = Curves(("importance",), (None,), 4, 20)
    app = open_app(
        replace(narrowed.asking("curves", curves), measuring=True), "schemes", view="Tree"
    )
    fine(app.segmented_control(key="view").set_value("Evidence").run())
    assert "1 step of yours also lost feed-forward neurons" in said(app)


def test_ranks_of_heads_move_where_neurons_alone_are_gone(narrowed: Session) -> None:
    alone = narrowed.moved(narrowed.scheme.at(0).removing((), neurons=SOME))
    app = open_app(alone, "schemes", view="Shift")
    assert "25 neurons left" in said(app)
    app = open_app(narrowed, "schemes", view="Shift")
    assert "3 heads and 25 neurons left" in said(app)


def test_what_is_left_by_hand_is_compensated_with_its_neurons(
    narrowed: Session, tiny: Classifier
) -> None:
    app = open_app(narrowed, "schemes", view="Propose")
    fine(app.button(key="recover").click().run())
    fitted = recover(tiny, CALIBRATION, narrowed.mask)
    scheme = session(app).scheme
    step = scheme.step(scheme.current)
    assert step.weights == fitted.weights.fingerprint
    assert [one["layer"] for one in step.settings["feed_forward"]] == [0, 1]
    after = evaluate(tiny.with_weights(fitted.weights), EVALUATION, narrowed.mask)
    assert step.metrics["accuracy"] == after.accuracy
    assert "L3F: what its feed-forward part does" in said(app)


def test_the_export_page_tells_of_both(narrowed: Session, tiny: Classifier) -> None:
    app = open_app(narrowed, "export")
    name = export_tasks.name(narrowed)
    assert name.endswith("-5-heads-103-neurons")
    assert (
        '<td class="name">Neurons</td><td class="nowrap">128</td><td class="nowrap">103</td>'
        in shown(app)
    )
    lengths = tiny.encode(EVALUATION).lengths
    left = text.big(flops_per_sentence(tiny.geometry, narrowed.mask, lengths))
    assert f'<td class="nowrap">{left}<small>' in shown(app)
    fine(app.button(key="export").click().run())
    assert "no logit differs from the masked model's" in said(app)
