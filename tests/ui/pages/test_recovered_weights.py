"""Steps with weights of their own in the app: every number is that of the recovered model."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.criteria import combined, removal_order, score
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import predict
from bhpvas.model.weights import weights_file
from bhpvas.recovery import recover
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.jobs import measuring, models, runner
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.pages.sentence import tasks as sentence_tasks
from bhpvas.ui.state.session import Curves, Opened, Search, Session, Variant
from tests.tiny import save_tiny
from tests.ui.driver import facts, fine, listed, open_app, press, said, select, session


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny-weights"), seed=3)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Classifier:
    return load_classifier(folder)


@pytest.fixture
def recovered(folder: Path, tiny: Classifier, dataset: Dataset) -> Session:
    """A session whose scheme removed three heads and compensated for them."""
    scheme = Scheme.of(tiny).removing(parse_heads("L0H1,L0H2,L1H3"))
    found = recover(tiny, dataset, scheme.mask)
    scheme = scheme.recovered(models.keep_weights(found.weights), "compensate")
    return Session(model=str(folder), data=Splits(dataset, dataset, "by hand"), scheme=scheme)


@pytest.fixture
def app(recovered: Session) -> AppTest:
    return open_app(recovered)


def by_the_library(app: AppTest, tiny: Classifier, dataset: Dataset) -> str:
    """The accuracy that the sidebar has to say, by evaluating the scheme without the app."""
    scheme = session(app).scheme
    found = evaluate(scheme.on(tiny, models.weights_folder()), dataset, scheme.mask)
    assert scheme.step(scheme.current).metrics["loss"] == pytest.approx(found.loss, abs=1e-6)
    return f"{100 * found.accuracy:.1f}%"


def test_each_step_is_measured_with_the_weights_that_hold_there(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    assert facts(app)["Weights"] == "compensated at step 2"
    assert "compensated at step 2" in said(app)
    assert facts(app)["Accuracy"].startswith(by_the_library(app, tiny, dataset))
    with_weights = session(app).scheme.step(2).metrics["loss"]
    press(app, "Undo")
    assert "Weights" not in facts(app)
    assert facts(app)["Accuracy"].startswith(by_the_library(app, tiny, dataset))
    assert session(app).scheme.step(1).metrics["loss"] != pytest.approx(with_weights, abs=1e-4)


def test_removing_and_restoring_keep_the_weights_in_force(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    select(app, "L1H0")
    press(app, "Remove 1 head")
    assert facts(app)["Weights"] == "compensated at step 2"
    assert facts(app)["Accuracy"].startswith(by_the_library(app, tiny, dataset))
    fine(listed(app, "heads").set_value(["L0H1", "L0H2", "L1H0", "L1H3"]).run())
    press(app, "Restore 4 heads")
    scheme = session(app).scheme
    assert not scheme.mask.removed
    assert facts(app)["Accuracy"].startswith(by_the_library(app, tiny, dataset))
    # What was fitted for five heads is not the unpruned model, though all eight are there.
    unpruned = evaluate(tiny, dataset)
    assert scheme.step(scheme.current).metrics["loss"] != pytest.approx(unpruned.loss, abs=1e-4)
    assert "At start" in facts(app)


def test_criteria_and_ablation_are_those_of_the_changed_weights(
    app: AppTest, tiny: Classifier, dataset: Dataset
) -> None:
    now = session(app)
    changed = now.scheme.on(tiny, models.weights_folder())
    press(app, "Select lowest 1")
    expected = removal_order(combined(score(changed, dataset, mask=now.mask)))[0]
    assert session(app).selected == {expected}
    task = measuring.ablating(now, now.now)
    press(app, "Remove each of 5 heads alone and measure")
    found, exact = runner.shared().result(task.key), ablate(changed, dataset, now.mask)
    np.testing.assert_allclose(found.loss_change, exact.loss_change, atol=1e-6)
    plain = ablate(tiny, dataset, now.mask)
    assert not np.allclose(found.loss_change, plain.loss_change, atol=1e-3, equal_nan=True)


def test_a_sentence_is_read_with_the_changed_weights(
    recovered: Session, tiny: Classifier, dataset: Dataset
) -> None:
    from bhpvas.ui.jobs.runner import Job
    from bhpvas.ui.pages.sentence import tasks as sentence_tasks

    switched = recovered.switching([HeadId(1, 0)])
    changed = recovered.scheme.on(tiny, models.weights_folder())
    encoded = changed.encode_texts([dataset.texts[0]])
    expected = predict(changed, encoded, switched.mask_here)[0]
    task = sentence_tasks.prediction(switched, switched.here)
    np.testing.assert_allclose(task.work(Job()), expected, atol=1e-6)
    with_map = sentence_tasks.reading(switched).work(Job())
    assert with_map.mask == switched.mask_here


def test_results_of_different_weights_have_different_names(recovered: Session) -> None:
    plain = Variant(recovered.mask)
    for task in (measuring.evaluating, measuring.ablating):
        assert task(recovered, plain).key != task(recovered, recovered.now).key
    assert recovered.at(1) == plain
    assert recovered.start == Variant(recovered.scheme.mask_at(0))


def test_the_same_weights_with_another_tokenizer_have_results_of_their_own(
    folder: Path, tiny: Classifier, dataset: Dataset, tmp_path: Path
) -> None:
    cased = tmp_path / "cased"
    shutil.copytree(folder, cased)
    file = cased / "tokenizer.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["normalizer"]["lowercase"] = False
    file.write_text(json.dumps(settings), encoding="utf-8")
    assert load_classifier(cased).fingerprint == tiny.fingerprint
    loud, data = Opened("GREAT FILM"), Splits(dataset, dataset, "by hand")
    one, other = (
        Session(model=str(model), data=data, scheme=Scheme.of(tiny), opened=loud)
        for model in (folder, cased)
    )
    for task in (
        lambda here: sentence_tasks.prediction(here, here.start),
        lambda here: schemes_tasks.proposing(here, Search("random", 2)),
        lambda here: schemes_tasks.measuring(here, Curves(("random",), (None,), 4, 0)),
    ):
        assert task(one).key != task(other).key
    assert schemes_tasks.store(one) is not schemes_tasks.store(other)


def test_a_wish_keeps_weights_or_brings_its_own(recovered: Session) -> None:
    from bhpvas.ui.state.session import PendingStep

    weights = recovered.scheme.weights
    gone = PendingStep("remove", parse_heads("L1H0")).applied_to(recovered.now)
    assert gone == Variant(recovered.mask.without(parse_heads("L1H0")), weights)
    pending = PendingStep("recover", method="rescale", settings={"a": 1}, seed=4, weights="0" * 16)
    assert pending.applied_to(recovered.now) == Variant(recovered.mask, "0" * 16)
    done = replace(recovered, pending=pending).completed({"accuracy": 0.5})
    step = done.scheme.step(done.scheme.current)
    assert (step.what, step.method, step.weights) == ("recover", "rescale", "0" * 16)
    assert (step.settings, step.seed, step.metrics) == ({"a": 1}, 4, {"accuracy": 0.5})


def test_missing_weights_are_one_sentence(recovered: Session) -> None:
    lost = recovered.moved(recovered.scheme.recovered("0123456789abcdef", "compensate"))
    app = open_app(lost)
    (error,) = app.error
    assert "0123456789abcdef.safetensors cannot be read" in error.value
    press(app, "Undo")
    assert not app.error
    assert facts(app)["Weights"] == "compensated at step 2"


def test_the_folder_stays_within_its_bound(
    recovered: Session, tiny: Classifier, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = models.weights_folder()
    old = weights_file(folder, recovered.now.weights or "")
    os.utime(old, (0, 0))
    mask = tiny.full_mask().without(parse_heads("L0H0,L1H1"))
    monkeypatch.setattr(models, "MOST_WEIGHTS", old.stat().st_size)
    kept = models.keep_weights(recover(tiny, dataset, mask).weights)
    assert [file.name for file in folder.glob("*.safetensors")] == [weights_file(folder, kept).name]
