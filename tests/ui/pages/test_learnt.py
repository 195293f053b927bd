"""Learnt sentences in the app: every step keeps those that it learnt from."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhpvas.data.dataset import Splits
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.recovery.finetuning import TuningSettings
from bhpvas.scheme.bundle import SchemeFile, read_scheme_file, read_weights
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.jobs import models
from bhpvas.ui.persistence.records import recorded, restored
from bhpvas.ui.state.session import Search, Session
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import fine, listed, open_app, press, session

CALIBRATION, EVALUATION = many_sentences(40), many_sentences(60, seed=1)
TUNING = TuningSettings(epochs=0.5, evaluations=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-learnt"), seed=5)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def started(folder: Path, tiny: Classifier) -> Session:
    data = Splits(CALIBRATION, EVALUATION, "by hand")
    return Session(model=str(folder), data=data, scheme=Scheme.of(tiny))


def test_every_step_by_a_method_keeps_what_it_learnt_from_wherever_it_is_kept(
    started: Session, tiny: Classifier
) -> None:
    app = open_app(started.searching(Search("importance", 3)), "schemes", view="Propose")
    fine(listed(app, "turned").set_value(["L0H1"]).run())  # changed by hand, learnt all the same
    press(app, "Take as a step")
    fine(app.button(key="recover").click().run())
    app = open_app(session(app).asking("tuning", TUNING), "schemes", view="Fine-tune")
    now = session(app)
    learnt = LearntSentences.of(tiny.encode(CALIBRATION).fingerprints)
    expected = [("", None), ("importance", learnt), ("compensate", learnt), ("finetune", learnt)]
    weights = read_weights(now.scheme, models.weights_folder())
    file = SchemeFile(now.scheme, weights).to_bytes()
    for scheme in (
        now.scheme,
        now.scheme.undone().redone(),
        now.deleting(2).putting_back().scheme,
        restored(recorded(now), now.data).scheme,
        restored(recorded(now.deleting(2)), now.data).putting_back().scheme,
        read_scheme_file(file).scheme,
    ):
        assert [(step.method, step.learnt_from) for step in scheme.steps] == expected


def test_what_is_drawn_learns_from_nothing(started: Session) -> None:
    app = open_app(started.searching(Search("random", 3)), "schemes", view="Propose")
    press(app, "Take as a step")
    assert session(app).scheme.steps[-1].learnt_from == LearntSentences.of(())


def test_an_older_scheme_and_older_work_open(started: Session) -> None:
    scheme = started.scheme.removing(parse_heads("L0H1"), "importance")
    asked = started.moved(scheme).choosing(parse_heads("L1H1")).requesting("remove")
    record = recorded(asked)
    del record["wish"]["learnt_from"], record["wish"]["then"]
    app = open_app(restored(record, started.data))
    first, second = session(app).scheme.steps[1:]
    assert first.origin_unknown and not second.origin_unknown
