"""Tasks: which take turns, and what a cancelled one leaves behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.ui.jobs import measuring
from bhpvas.ui.pages.samples import tasks as samples_tasks
from tests.ui.driver import (
    fine,
    press,
    select,
    session,
)


def test_only_brief_scoring_waits_for_the_end_of_another(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = session(app)
    assert measuring.scoring(here, here.now, ("importance",)).bulky
    assert samples_tasks._weighing(here, here.now).bulky
    assert not measuring.evaluating(here, here.now).bulky
    monkeypatch.setattr(measuring, "MANY", len(here.data.calibration) - 1)
    assert not measuring.scoring(here, here.now, ("importance",)).bulky


def test_a_removal_asked_for_again_after_cancel_is_measured(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L0H0,L1H1")
    asked = session(app).requesting("remove")
    assert asked.pending is not None
    job = measuring.evaluating(asked, asked.pending.applied_to(asked.now)).key
    app.session_state["bhpvas"] = asked.cancelling(job)
    fine(app.run())
    press(app, "Remove 2 heads")
    exact = evaluate(tiny, dataset, HeadMask.parse("L0H0,L1H1", 2, 4))
    step = session(app).scheme.step(session(app).scheme.current)
    assert (step.what, step.metrics["loss"]) == ("remove", pytest.approx(exact.loss, abs=1e-6))


def test_a_stopped_wish_is_not_granted_with_the_result_of_another_job(
    app: AppTest, dataset: Dataset
) -> None:
    select(app, "L0H0")
    asked = replace(session(app), data=Splits(dataset.take(range(6)), dataset.take(range(7)), ""))
    asked = asked.requesting("remove")
    assert asked.pending is not None
    job = measuring.evaluating(asked, asked.pending.applied_to(asked.now)).key
    app.session_state["bhpvas"] = replace(asked, cancelled=frozenset({job}))
    fine(app.run())
    assert [step.what for step in session(app).scheme.steps] == ["start"]
    assert measuring.is_measured(session(app), session(app).scheme.step(0))
