"""Evaluations against answers worked out by hand and against the slow obvious way."""

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import beta

import bhpvas.evaluation.evaluation
from bhpvas.data.dataset import Dataset
from bhpvas.errors import DataError, ModelError
from bhpvas.evaluation.evaluation import (
    Evaluation,
    evaluate,
    evaluate_progressively,
)
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.states import StateCache
from bhpvas.tasks.single_label import SingleLabel
from tests.evaluation.made import MASK, evaluation

# --- one evaluation -------------------------------------------------------------------------------


def test_binary_metrics_by_hand():
    # One true negative, one false positive, two true positives, one false negative.
    result = evaluation([0, 0, 1, 1, 1], [0, 1, 1, 1, 0])
    assert (result.n, result.total, result.complete) == (5, 5, True)
    assert result.predictions.tolist() == [0, 1, 1, 1, 0]
    assert result.confusion.tolist() == [[1, 1], [1, 2]]
    assert result.accuracy == pytest.approx(3 / 5)
    assert result.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert result.matthews == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    assert result.losses == pytest.approx([right, wrong, right, right, wrong])
    assert result.loss == pytest.approx((3 * right + 2 * wrong) / 5)


@pytest.mark.parametrize(
    "counts", [(10, 0, 0), (9, 1, 0), (40, 3, 7), (1, 0, 0), (0, 2, 3), (0, 0, 0)]
)
def test_the_interval_of_f1_is_that_of_a_share(counts):
    """Jeffreys' interval of the right ones among the sentences that have class 1 on either side."""
    right, missed, wrongly = counts
    labels = [1] * (right + missed) + [0] * (wrongly + 4)
    predictions = [1] * right + [0] * missed + [1] * wrongly + [0] * 4
    found = evaluation(labels, predictions)
    share = beta(right + 0.5, missed + wrongly + 0.5).ppf([0.025, 0.975])
    low, high = 2 * share / (1 + share)
    expected = min(low, found.f1), max(high, found.f1)
    assert found.f1_interval(draws=40_000) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("classes", "n", "accuracy"),
    [(2, 20, 0.9), (2, 100, 0.7), (2, 100, 0.985), (2, 100, 0.995), (3, 60, 0.98), (3, 60, 0.8)],
)
def test_the_interval_of_f1_holds_its_level(classes, n, accuracy):
    """In the middle and at the edge: wrong answers fall on all other classes alike."""
    rng = np.random.default_rng(0)
    names = [f"label {number}" for number in range(classes)]
    held = []
    for _ in range(300):
        labels = rng.integers(classes, size=n)
        astray = (labels + rng.integers(1, classes, size=n)) % classes
        predictions = np.where(rng.random(n) < accuracy, labels, astray)
        low, high = evaluation(labels, predictions, names).f1_interval(draws=400)
        held.append(low <= accuracy <= high)  # of equally frequent classes F1 is the accuracy
    assert np.mean(held) >= 0.92  # 0.95 less 2.4 standard errors


@pytest.mark.parametrize(
    ("labels", "names", "of", "title"),
    [
        ([0, 1], ("no", "yes"), "yes", "F1 of yes"),
        ([0, 1, 2], ("a", "b", "c"), "mean over 3 labels", "F1, mean over 3 labels"),
        ([0, 2, 2], ("a", "b", "c"), "mean over 2 of 3 labels", "F1, mean over 2 of 3 labels"),
    ],
)
def test_f1_says_what_it_is_of(labels, names, of, title):
    found = evaluation(labels, labels, names)
    assert (found.f1_of, found.f1_title) == (of, title)
    assert found.metrics()["f1_of"] == of
    assert found.f1 == 1  # labels that do not occur are left out


def test_right_answers_alone_do_not_prove_a_perfect_f1():
    labels = [0, 1] * 10
    low, high = evaluation(labels, labels).f1_interval()
    assert high == 1 and 0.8 < low < 0.95
    three = evaluation([0, 1, 0, 1], [0, 1, 0, 1], ("a", "b", "never"))
    low, high = three.f1_interval()
    assert high == 1 and 0.4 < low < 0.95
    assert evaluation([0], [0], ("only",)).f1_interval() == (1, 1)


def test_logits_that_are_not_finite_are_refused():
    logits = np.array([[0, np.nan], [0, 1], [np.inf, 0]], dtype=np.float32)
    with pytest.raises(ModelError, match="2 of 3 sentences of toy"):
        Evaluation(MASK, "toy", logits, np.array([0, 1, 1]), SingleLabel(("no", "yes")))


# --- running --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToyDataset:
    """Labels and tags, and the promise that they are numbered as the model does."""

    labels: np.ndarray
    tags: tuple[str, ...] | None = None
    name: str = "toy"

    def __len__(self) -> int:
        return len(self.labels)

    def for_task(self, task):
        return replace(self, labels=self.labels)


@pytest.fixture
def toy(monkeypatch):
    """A classifier whose logits are a function of the sentence's place, and who was asked what."""
    asked: list[int] = []

    def predict(classifier, encoded, mask, *, indices, cache, progress):
        progress(0, 2)
        asked.extend(indices)
        progress(2, 2)
        return np.stack([np.sin(indices), np.cos(indices)], axis=1).astype(np.float32)

    monkeypatch.setattr(bhpvas.evaluation.evaluation, "predict", predict)
    classifier = SimpleNamespace(
        task=SingleLabel(("no", "yes")), encode=lambda dataset: None, full_mask=lambda: MASK
    )
    return classifier, asked


def test_progressive_evaluation_ends_with_the_exact_one_and_asks_once(toy):
    classifier, asked = toy
    labels = np.random.default_rng(0).integers(2, size=50)
    dataset = ToyDataset(labels, tags=tuple("abcde" * 10))
    exact = evaluate(classifier, dataset)
    asked.clear()
    told = []
    first, last = evaluate_progressively(
        classifier, dataset, first=20, progress=lambda done, total: told.append((done, total))
    )
    assert sorted(asked) == list(range(50))
    assert (first.n, first.total, first.complete) == (20, 50, False)
    assert (first.logits == exact.logits[first.indices]).all()
    assert (first.labels == labels[first.indices]).all()
    assert first.tags == tuple("abcde"[index % 5] for index in first.indices)
    assert (last.complete, last.mask) == (True, MASK)
    assert (last.logits == exact.logits).all()
    assert last.tags == dataset.tags
    assert told == [(0, 50), (20, 50), (20, 50), (50, 50)]


def test_a_small_dataset_is_evaluated_at_once(toy):
    classifier, asked = toy
    mask = MASK.without([HeadId(0, 0)])
    (only,) = evaluate_progressively(classifier, ToyDataset(np.array([0, 1, 1])), mask, first=3)
    assert (only.complete, only.n, only.mask, asked) == (True, 3, mask, [0, 1, 2])


def test_evaluation_of_a_real_classifier_is_its_own_forward(
    classifier: Classifier, dataset: Dataset
):
    result = evaluate(classifier, dataset)
    for row, text in zip(result.logits, dataset.texts, strict=True):
        with torch.no_grad():
            logits = classifier.model(**classifier.tokenizer(text, return_tensors="pt")).logits
        assert row == pytest.approx(logits[0].numpy(), abs=1e-5)
    assert (result.dataset, result.tags) == (dataset.name, dataset.tags)
    assert result.label_names == classifier.label_names


def test_a_cache_changes_no_answer(classifier: Classifier, dataset: Dataset):
    cache = StateCache()
    for removed in ("", "L1H2", "L0H0,L1H2", "L1H3"):
        mask = HeadMask.parse(removed, 2, 4)
        plain = evaluate(classifier, dataset, mask)
        first, last = evaluate_progressively(classifier, dataset, mask, first=5, cache=cache)
        for cached in (evaluate(classifier, dataset, mask, cache=cache), last):
            assert cached.logits == pytest.approx(plain.logits, abs=1e-5)
        assert first.logits == pytest.approx(plain.logits[first.indices], abs=1e-5)


def test_labels_are_numbered_as_the_model_does(classifier: Classifier, dataset: Dataset):
    swapped = replace(dataset, label_names=("Positive", "Negative"), labels=1 - dataset.labels)
    assert evaluate(classifier, swapped).labels.tolist() == dataset.labels.tolist()
    unknown = replace(dataset, label_names=("negative", "neutral"))
    with pytest.raises(DataError, match="neutral"):
        evaluate(classifier, unknown)
