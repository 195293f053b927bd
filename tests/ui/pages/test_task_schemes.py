"""The page Schemes and Export on models of one score and of several labels: their own words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Splits
from bhpvas.evaluation.comparison import change_text, flips, headline_change
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import propose
from bhpvas.search.curves import measure_curve
from bhpvas.tasks.base import measured_text
from bhpvas.ui.state.session import Session
from tests.tiny import TASKS, save_tiny, sentences_for
from tests.ui.driver import fine, open_app, press, said, session

FIRST, SECOND = "L0H0,L0H1", "L1H2"


@pytest.fixture(scope="module", params=list(TASKS))
def classifier(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return load_classifier(
        save_tiny(tmp_path_factory.mktemp(request.param), **TASKS[request.param])
    )


@pytest.fixture(scope="module")
def data(classifier: Classifier) -> Splits:
    parts = (sentences_for(classifier.task, 40, seed) for seed in (1, 2))
    return Splits(*parts, "by hand")


@pytest.fixture(scope="module")
def both(classifier: Classifier, data: Splits) -> tuple[Evaluation, Evaluation]:
    mask = classifier.full_mask().without(parse_heads(f"{FIRST},{SECOND}"))
    return evaluate(classifier, data.evaluation), evaluate(classifier, data.evaluation, mask)


def opened(page: str, classifier: Classifier, data: Splits, **state: Any) -> AppTest:
    scheme = Scheme.of(classifier).removing(parse_heads(FIRST)).removing(parse_heads(SECOND))
    return open_app(Session(model=classifier.source, data=data, scheme=scheme), page, **state)


def words(app: AppTest) -> str:
    """All that stands on the page, in prose and in tables."""
    assert [box.value for box in app.error] == []
    return said(app) + re.sub("<[^>]+>", " ", "".join(one.value for one in app.html))


def of_one_label(text: str) -> list[str]:
    """Words that are true of one label out of several only."""
    return re.findall(r"(?i)[^ ]* ?accurac[^ ]*|McNemar|\bpoints\b|\bnan\b", text)


def test_the_tree_holds_the_headline_of_every_step(classifier, data, both) -> None:
    app = opened("schemes", classifier, data, view="Tree")
    for label in [one.label for one in app.button if one.label.startswith("Measure")]:
        app = press(app, label)
    metric = classifier.task.headline
    (table,) = [one.value for one in app.dataframe if "did" in one.value]
    assert table[metric.name].tolist()[::2] == pytest.approx([one.headline_value for one in both])
    assert of_one_label(words(app)) == []
    assert session(app).scheme.step(2).headline == pytest.approx(both[1].headline)


def test_compare_says_the_change_with_its_test(classifier, data, both) -> None:
    app, task = opened("schemes", classifier, data, view="Compare"), classifier.task
    shown, (start, now) = words(app), both
    for one in both:
        assert task.headline.value_text(one.headline_value) in shown
    change = headline_change(start, now)
    assert task.headline.change_text(change.change) in shown
    assert f" {task.test_in_brackets}" in shown
    assert re.search(rf"Answers changed.*\b{len(flips(start, now))} ", shown)
    assert of_one_label(shown) == []
    for title in ("Pearson correlation", "Mean squared error"):
        assert (title in shown) == (task.name == "regression")


def test_a_drop_is_one_of_the_headline(classifier, data) -> None:
    app = opened("schemes", classifier, data, view="Propose", **{"how-small": "heads"})
    metric = classifier.task.headline
    fine(app.segmented_control(key="how-many").set_value("Accuracy drop").run())
    fine(app.number_input(key="max-drop-of-a-number").set_value(0.2).run())
    fine(app.selectbox(key="method").set_value("importance").run())
    app = press(app, "Propose")
    mask = session(app).mask
    found = propose(classifier, data.calibration, "importance", heads=5, mask=mask, max_drop=0.2)
    assert [str(head) for head in found.heads] == re.findall(
        r"L\dH\d", "".join(one.value for one in app.html if "Why" in one.value)
    )
    assert f"{metric.title} that may be lost" in [one.label for one in app.number_input]
    if found.heads:
        assert f"Within 0.2 of the {metric.title_in_text}" in words(app)
    assert of_one_label(words(app)) == []


def test_evidence_is_of_the_headline(classifier, data) -> None:
    state = {"curve-methods": ["importance", "fisher"], "curve-recoveries": [None]}
    app = opened("schemes", classifier, data, view="Evidence", **state)
    app = press(app, "Measure")
    shown, metric = words(app), classifier.task.headline
    curve = measure_curve(
        classifier, data.calibration, data.evaluation, "importance", tuple(range(9))
    )
    assert metric.value_text(curve.area) in shown
    assert ("is not defined, as it is where" in shown) == (metric.name == "pearson")
    assert of_one_label(shown) == []


def test_export_says_what_it_costs(classifier, data, both) -> None:
    app, metric = opened("export", classifier, data), classifier.task.headline
    shown = words(app)
    for one in both:
        assert measured_text(metric, one.headline).partition(" (")[0] in shown
    assert change_text(*both) in shown
    assert of_one_label(shown) == []
