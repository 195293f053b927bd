"""Every page on models of one score and of several labels: the task's own words and numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.comparison import flips, headline_change
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import parse_heads
from bhpvas.interpret.sentence import contributions
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import predict
from bhpvas.scheme.scheme import Scheme
from bhpvas.tasks.base import measured_text
from bhpvas.ui.state.session import Session
from tests.tiny import TASKS, save_tiny, sentences_for
from tests.ui.driver import facts, fine, open_app, press, said, session

PRUNED = "L0H0,L0H1,L1H2"


@pytest.fixture(scope="module", params=list(TASKS))
def classifier(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return load_classifier(
        save_tiny(tmp_path_factory.mktemp(request.param), **TASKS[request.param])
    )


@pytest.fixture(scope="module")
def data(classifier: Classifier) -> Dataset:
    return sentences_for(classifier.task)


@pytest.fixture(scope="module")
def both(classifier: Classifier, data: Dataset) -> tuple[Evaluation, Evaluation]:
    mask = classifier.full_mask().without(parse_heads(PRUNED))
    return evaluate(classifier, data), evaluate(classifier, data, mask)


def opened(
    page: str, classifier: Classifier, data: Dataset, removed: str = PRUNED, **settings: Any
) -> AppTest:
    scheme = Scheme.of(classifier)
    if removed:
        scheme = scheme.removing(parse_heads(removed))
    at = Session(
        model=classifier.source, data=Splits(data, data, "by hand"), scheme=scheme, **settings
    )
    return fine(open_app(at, page))


@pytest.mark.parametrize("page", ["workbench", "samples", "sentence", "roles", "learn"])
@pytest.mark.parametrize("removed", ["", PRUNED])
def test_every_page_opens(classifier, data, page, removed) -> None:
    app = opened(page, classifier, data, removed)
    assert [box.value for box in app.error] == []
    text = said(app) + "".join(one.value for one in app.html)
    assert "accuracy" not in text.lower() or page in ("learn", "roles")


def test_the_sidebar_and_the_workbench_say_the_headline(classifier, data, both) -> None:
    app, (start, now) = opened("workbench", classifier, data), both
    metric, change = classifier.task.headline, headline_change(start, now)
    shown = facts(app)
    assert shown[metric.title] == measured_text(metric, now.headline)
    assert shown["At start"] == measured_text(metric, start.headline)
    assert shown["Change"].startswith(metric.change_text(change.change))
    changed = flips(start, now)
    assert f"**{len(changed):,} of 60" in said(app) or not len(changed)
    table = next(one.value for one in app.html if "<th>Before</th>" in one.value)
    row = (
        int(changed[np.argmax(np.abs(now.predictions - start.predictions)[changed])])
        if (now.predictions.ndim == 1)
        else int(changed[0])
    )
    for one in (start, now):
        assert classifier.task.words(one.predictions[[row]])[0] in table
    assert session(app).scheme.steps[1].headline == pytest.approx(now.headline)


def test_samples_hold_both_answers(classifier, data, both) -> None:
    app, (start, now) = opened("samples", classifier, data), both
    table: pd.DataFrame = next(one.value for one in app.dataframe if "sentence" in one.value)
    words = classifier.task.words
    if table["after"].dtype == float:
        np.testing.assert_allclose(table["before"], start.predictions)
        np.testing.assert_allclose(table["error"], now.predictions - data.labels)
        assert set(table["outcome"]) <= {"farther", "nearer", "as far", "same"}
    else:
        assert table["after"].tolist() == words(now.predictions)
        assert table["label"].tolist() == words(data.labels)
    for colour in app.selectbox(key="sentence-colour").options:
        names = app.selectbox(key="sentence-colour")
        fine(names.select(colour).run())
    chosen = replace(session(app), sentences=frozenset(range(20)))
    app.session_state["bhpvas"] = chosen
    fine(app.run())
    task, part = classifier.task, slice(0, 20)
    value = task.headline.value_text(task.headline_value(now.logits[part], data.labels[part]))
    assert f"{value}, " in said(app)


def test_a_sentence_shows_its_answer_and_how_it_moves(classifier, data) -> None:
    app, task = opened("sentence", classifier, data), classifier.task
    html = "".join(one.value for one in app.html)
    encoded = classifier.encode_texts([data.texts[0]])
    mask = classifier.full_mask().without(parse_heads(PRUNED))
    was, is_ = (predict(classifier, encoded, one)[0] for one in (None, mask))
    for logits in (was, is_):
        assert f"<b>{task.words(task.answers(logits)[None])[0]}" in html
    assert task.words(data.labels[:1])[0] in html
    found = contributions(classifier, data.texts[0], mask=mask)
    assert found.label == task.label_to_explain(is_)
    strongest = np.unravel_index(np.nanargmax(np.abs(found.removal)), found.removal.shape)
    assert f"L{strongest[0]}H{strongest[1]}, which contributes most here" in said(app)


def test_which_label_is_explained_is_a_choice(classifier, data) -> None:
    if len(classifier.label_names) == 1:
        return
    app = opened("sentence", classifier, data)
    box = app.selectbox(key="explained-label")
    other = next(name for name in classifier.label_names if name != box.value)
    fine(box.set_value(other).run())
    assert f"up speaks for {other}, down against" in said(app)
    assert f"Blue: speaks for {other}" in said(app)


def test_removing_goes_from_the_estimate_to_a_measured_step(classifier, data) -> None:
    app = opened("workbench", classifier, data, "", selected=frozenset(parse_heads("L0H2")))
    press(app, "What would it cost?")
    assert "**Estimate:** loss" in said(app)
    press(app, "Remove 1 head")
    step = session(app).scheme.steps[-1]
    mask = classifier.full_mask().without(parse_heads("L0H2"))
    expected = evaluate(classifier, data, mask)
    assert step.headline == pytest.approx(expected.headline)
    assert step.metrics["task"] == classifier.task.name
