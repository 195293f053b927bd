"""The view Fine-tune without a browser: what is trained, shown, taken as a step, and stopped."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bhpvas import text
from bhpvas.charts.training_curves import training_curves
from bhpvas.data.dataset import Splits
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.recovery import recover
from bhpvas.recovery.finetuning import TuningSettings, finetune
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.jobs import models, runner
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.state.session import Session
from tests.tiny import many_sentences, save_tiny
from tests.ui.driver import facts, fine, press, said, session
from tests.ui.pages.test_propose import opened

CALIBRATION, EVALUATION = many_sentences(80), many_sentences(30, seed=1)
SETTINGS = TuningSettings(epochs=2.0, learning_rate=5e-4, batch_size=8)


class Untouchable:
    """An evaluation split that cannot be read."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"the evaluation split was read: {name}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-finetune"), seed=5)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def compensated(folder: Path, tiny: Classifier) -> Session:
    scheme = Scheme.of(tiny).removing(parse_heads("L0H1,L0H2,L1H3"))
    weights = models.keep_weights(recover(tiny, CALIBRATION, scheme.mask).weights)
    return Session(
        model=str(folder),
        data=Splits(CALIBRATION, EVALUATION, "by hand"),
        scheme=scheme.recovered(weights, "compensate"),
    )


def test_a_training_becomes_a_step_measured_on_the_evaluation_split(
    compensated: Session, tiny: Classifier
) -> None:
    app = opened(compensated, "Fine-tune")
    assert "not fine-tuned yet" in said(app)
    assert "compensated at step 2; learns from 80 calibration sentences" in said(app)
    app.number_input(key="tune-epochs").set_value(SETTINGS.epochs)
    app.select_slider(key="tune-rate").set_value(SETTINGS.learning_rate)
    fine(app.number_input(key="tune-batch").set_value(SETTINGS.batch_size).run())
    press(app, "Fine-tune")
    start = compensated.scheme.on(tiny, models.weights_folder())
    with ThreadPoolExecutor(1) as pool:  # as on the page: threads differ in how they add up
        expected = pool.submit(finetune, start, CALIBRATION, compensated.mask, SETTINGS).result()
    step = session(app).scheme.steps[-1]
    assert (step.what, step.method, step.weights) == (
        "recover",
        "finetune",
        expected.weights.fingerprint,
    )
    assert step.settings.items() >= expected.record().items()
    after = evaluate(tiny.with_weights(expected.weights), EVALUATION, compensated.mask)
    assert step.metrics["loss"] == pytest.approx(after.loss, abs=1e-6)
    assert session(app).tuning is None
    shown = said(app)
    assert f"**{text.percent(after.accuracy)}%** :small[on 30 evaluation sentences]" in shown
    assert f"Best after step {expected.best.step} of 18: held-out loss" in shown
    assert facts(app)["Weights"] == "fine-tuned at step 3"
    # Undone, it is gone from the view; nothing of it is lost.
    press(app, "Undo")
    assert "not fine-tuned yet" in said(app)
    assert len(session(app).scheme.steps) == 4


def test_stopped_it_becomes_a_step_with_the_best_so_far(compensated: Session) -> None:
    long = replace(SETTINGS, epochs=50.0, evaluations=450)
    asked = compensated.asking("tuning", long)
    task = schemes_tasks.tuning(asked, long)
    with runner.shared().watching(task.key, task.work) as job:
        while job.partial is None or job.partial.best is None:
            time.sleep(0.01)
    runner.shared().stop(task.key)
    app = opened(replace(asked, cancelled=frozenset({task.key})), "Fine-tune")
    step = session(app).scheme.steps[-1]
    assert step.method == "finetune"
    assert 1 <= step.settings["best"]["step"] <= step.settings["stopped_at"] < 450
    assert f"Stopped after step {step.settings['stopped_at']}." in said(app)


def test_stopped_before_anything_is_measured_it_is_off(compensated: Session) -> None:
    other = replace(SETTINGS, seed=1)
    asked = compensated.asking("tuning", other)
    app = opened(asked.cancelling(schemes_tasks.tuning(asked, other).key), "Fine-tune")
    assert session(app).tuning is None
    assert "nothing of it is kept" in app.info[0].value
    assert "**Training.**" not in said(app)
    (again,) = [one for one in app.button if one.label == "Fine-tune"]
    assert not again.disabled
    assert not [one for one in app.button if one.label == "Continue"]


def test_a_training_never_reads_the_evaluation_split(compensated: Session) -> None:
    blind = replace(compensated, data=Splits(CALIBRATION, Untouchable(), "by hand"))  # type: ignore[arg-type]
    job = type("Silent", (), {"__call__": lambda *_: None})()
    found = schemes_tasks.tuning(blind, SETTINGS).work(job)
    assert found.settings["calibration"] == {"name": "many", "sentences": 80}


def test_what_cannot_be_trained_says_why(compensated: Session) -> None:
    def button(at: Session) -> tuple[bool, str]:
        app = opened(at, "Fine-tune")
        (found,) = [one for one in app.button if one.label == "Fine-tune"]
        return found.disabled, said(app)

    unpruned = replace(compensated, scheme=compensated.scheme.at(0))
    few = replace(compensated, data=Splits(CALIBRATION.take(range(9)), EVALUATION, "by hand"))
    for at, why in ((unpruned, "Nothing is removed"), (few, "16 are the least")):
        disabled, shown = button(at)
        assert disabled and why in shown


def test_the_command_line_is_offered_with_these_settings(compensated: Session) -> None:
    app = opened(compensated, "Fine-tune")
    (command,) = [one.value for one in app.code]
    assert command.startswith("bhpvas recover --scheme main.zip --method finetune")
    assert f"--model {compensated.model}" in command


def test_the_figure_marks_the_best_state_and_spans_what_is_planned() -> None:
    points = [
        {"step": step, "training_loss": trained, "loss": loss, "accuracy": 0.9}
        for step, trained, loss in ((0, None, 0.5), (10, 0.4, 0.3), (20, 0.3, 0.35))
    ]
    figure = training_curves(points, steps=40, best=10)
    trained, held_out, accuracy = figure.data
    assert list(trained.x) == [10, 20] and list(trained.y) == [0.4, 0.3]
    assert list(held_out.y) == [0.5, 0.3, 0.35] and list(accuracy.y) == [90.0] * 3
    assert list(held_out.marker.symbol) == ["circle", "diamond", "circle"]
    assert figure.layout.xaxis.range[1] > 40
