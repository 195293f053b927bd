"""Proposals within a drop of accuracy, taken in the app: the steps keep what was promised."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import propose
from bhpvas.ui.jobs import models
from bhpvas.ui.pages.schemes import propose as view
from bhpvas.ui.persistence.records import recorded, restored
from bhpvas.ui.state.session import Search, Session
from tests.folders import full_disk
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import fine, listed, open_app, press, said, session

CALIBRATION, EVALUATION = many_sentences(40), many_sentences(30, seed=1)
DROP = 0.1
COMPENSATED, MASKED = "reconstruction", "importance"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-limit"), seed=5)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def started(folder: Path, tiny: Classifier) -> Session:
    data = Splits(CALIBRATION, EVALUATION, "by hand")
    return Session(model=str(folder), data=data, scheme=Scheme.of(tiny))


def proposed(started: Session, method: str) -> AppTest:
    """The page with a proposal of a method within the drop."""
    asked = started.searching(Search(method, 8, max_drop=DROP))
    return open_app(
        asked,
        "schemes",
        view="Propose",
        **{"how-small": "heads", "how-many": "Accuracy drop", "max-drop": 100 * DROP},
    )


def loss_on_calibration(scheme: Scheme, tiny: Classifier) -> float:
    """How much accuracy the scheme's current step gives away on the calibration split."""
    now = scheme.on(tiny, models.weights_folder())
    after = evaluate(now, CALIBRATION, scheme.mask).accuracy
    return evaluate(tiny, CALIBRATION).accuracy - after


@pytest.mark.parametrize(
    ("method", "what"), [(COMPENSATED, ["remove", "recover"]), (MASKED, ["remove"])]
)
def test_what_is_taken_keeps_the_limit(
    started: Session, tiny: Classifier, method: str, what: list[str]
) -> None:
    app = proposed(started, method)
    both = len(what) == 2
    assert ("with compensation: taken, it makes two steps" in said(app)) == both
    assert ("as masked: taken, it makes one step" in said(app)) != both
    press(app, "Take as two steps" if both else "Take as a step")
    scheme = session(app).scheme
    found = propose(tiny, CALIBRATION, method, heads=8, max_drop=DROP)
    assert [step.what for step in scheme.steps[1:]] == what
    assert scheme.mask == found.mask
    assert scheme.weights == (found.recovered and found.recovered.weights.fingerprint)
    assert loss_on_calibration(scheme, tiny) <= DROP
    for step in scheme.steps:
        at = scheme.at(step.id)
        measured = evaluate(at.on(tiny, models.weights_folder()), EVALUATION, at.mask)
        assert step.metrics["accuracy"] == measured.accuracy
    assert {step.learnt_from for step in scheme.steps[1:]} == {found.learnt_from}


def test_a_proposal_that_was_changed_promises_nothing(started: Session, tiny: Classifier) -> None:
    app = proposed(started, COMPENSATED)
    kept = propose(tiny, CALIBRATION, COMPENSATED, heads=8, max_drop=DROP).heads[0]
    fine(listed(app, "turned").set_value([str(kept)]).run())
    assert "The limit of 10 points was of the proposal as it was, not of this change" in said(app)
    press(app, "Take as a step")
    scheme = session(app).scheme
    assert [step.what for step in scheme.steps] == ["start", "remove"]
    assert kept in scheme.mask


def test_the_way_of_measuring_is_said_before_it_is_asked_for(started: Session) -> None:
    app = proposed(started, COMPENSATED)
    fine(press(app, "Drop it"))
    assert "Measured with compensation, which this method is made for" in said(app)
    fine(app.selectbox(key="method").set_value(MASKED).run())
    assert "Measured as masked" in said(app)


def test_both_steps_are_made_by_whoever_comes_back_to_it(
    started: Session, folder: Path, tiny: Classifier
) -> None:
    search = Search(COMPENSATED, 8, max_drop=DROP)
    found = propose(tiny, CALIBRATION, COMPENSATED, heads=8, max_drop=DROP)
    asked = view.taking(started, search, found)
    app = open_app(restored(recorded(asked), started.data))
    scheme = session(app).scheme
    assert [step.what for step in scheme.steps] == ["start", "remove", "recover"]
    assert loss_on_calibration(scheme, tiny) <= DROP


def test_weights_without_room_are_a_sentence_and_no_step(started: Session) -> None:
    app = proposed(started, COMPENSATED)
    (button,) = [one for one in app.button if one.label == "Take as two steps"]
    with full_disk():
        fine(button.click().run())
    assert any("make room" in one.value for one in app.error)
    assert len(session(app).scheme.steps) == 1 and session(app).pending is None
