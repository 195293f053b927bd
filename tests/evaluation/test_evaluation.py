"""Evaluations against answers worked out by hand and against the slow obvious way."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
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

MASK = HeadMask(2, 4)


def evaluation(labels, predictions, names=("no", "yes"), tags=None, part=None, **changes):
    logits = np.eye(len(names), dtype=np.float32)[np.asarray(predictions, dtype=int)]
    whole = Evaluation(MASK, "toy", logits, np.asarray(labels), tuple(names), tags, part)
    return replace(whole, **changes)


def random_evaluations(classes: st.SearchStrategy[int]) -> st.SearchStrategy[Evaluation]:
    @st.composite
    def draw_one(draw: Callable) -> Evaluation:
        c, n = draw(classes), draw(st.integers(1, 40))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        logits = (draw(st.sampled_from([0.1, 1, 30])) * rng.normal(size=(n, c))).astype(np.float32)
        names = tuple(f"label {number}" for number in range(c))
        return Evaluation(MASK, "random", logits, rng.integers(c, size=n), names)

    return draw_one()


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


def test_right_answers_alone_do_not_prove_a_perfect_f1():
    labels = [0, 1] * 10
    low, high = evaluation(labels, labels).f1_interval()
    assert high == 1 and 0.8 < low < 0.95
    three = evaluation([0, 1, 0, 1], [0, 1, 0, 1], ("a", "b", "never"))
    low, high = three.f1_interval()
    assert high == 1 and 0.4 < low < 0.95
    assert evaluation([0], [0], ("only",)).f1_interval() == (1, 1)


def test_f1_of_more_than_two_classes_is_the_mean_over_classes():
    result = evaluation([0, 0, 1, 2], [0, 1, 1, 0], names="abc")
    assert result.f1 == pytest.approx((2 / 4 + 2 / 3 + 0) / 3)


@given(random_evaluations(st.integers(2, 5)))
def test_metrics_equal_the_slow_way(result: Evaluation):
    losses, hits = [], 0
    for row, label in zip(result.logits.astype(float), result.labels, strict=True):
        top = max(row)
        losses.append(math.log(math.fsum(math.exp(x - top) for x in row)) + top - row[label])
        hits += max(range(len(row)), key=lambda k, row=row: row[k]) == label
    assert result.losses == pytest.approx(losses, abs=1e-12)
    assert result.loss == pytest.approx(math.fsum(losses) / result.n, abs=1e-12)
    assert result.accuracy == hits / result.n
    assert result.probabilities.sum(1) == pytest.approx(np.ones(result.n))
    assert np.exp(-result.losses) == pytest.approx(
        result.probabilities[np.arange(result.n), result.labels]
    )

    pairs = list(zip(result.labels.tolist(), result.predictions.tolist(), strict=True))
    f1 = {}
    for k in range(len(result.label_names)):
        both = sum(label == k == said for label, said in pairs)
        either = sum((label == k) + (said == k) for label, said in pairs)
        if either:
            f1[k] = 2 * both / either
    expected = f1.get(1, 0.0) if len(result.label_names) == 2 else sum(f1.values()) / len(f1)
    assert result.f1 == pytest.approx(expected)


@given(random_evaluations(st.integers(2, 5)))
def test_matthews_is_the_correlation_of_the_one_hot_codes(result: Evaluation):
    classes = len(result.label_names)
    labels, said = np.eye(classes)[result.labels], np.eye(classes)[result.predictions]

    def covariance(x: np.ndarray, y: np.ndarray) -> float:
        return float(((x - x.mean(0)) * (y - y.mean(0))).sum())

    scale = covariance(labels, labels) * covariance(said, said)
    expected = covariance(labels, said) / math.sqrt(scale) if scale > 1e-9 else 0.0
    assert result.matthews == pytest.approx(expected, abs=1e-9)


def test_loss_neither_overflows_nor_vanishes():
    logits = np.array([[0, 800], [0, 800], [0, 20]], dtype=np.float32)
    result = replace(evaluation([0, 1, 1], [1, 1, 1]), logits=logits)
    assert result.losses == pytest.approx([800, 0, math.log1p(math.exp(-20))], rel=1e-6)
    assert result.losses[2] > 0


def test_a_class_that_never_occurs_does_not_count_and_one_never_predicted_does():
    result = evaluation([0, 0, 1, 1], [0, 2, 0, 0], names="abcd")
    assert result.f1 == pytest.approx((2 / 5 + 0 + 0) / 3)
    assert evaluation([0, 0], [0, 0]).f1 == 0.0
    assert evaluation([0, 0], [0, 0]).matthews == 0.0


def test_logits_that_are_not_finite_are_refused():
    logits = np.array([[0, np.nan], [0, 1], [np.inf, 0]], dtype=np.float32)
    with pytest.raises(ModelError, match="2 of 3 sentences of toy"):
        Evaluation(MASK, "toy", logits, np.array([0, 1, 1]), ("no", "yes"))


# --- running --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToyDataset:
    """Labels and tags, and the promise that they are numbered as the model does."""

    labels: np.ndarray
    tags: tuple[str, ...] | None = None
    name: str = "toy"

    def __len__(self) -> int:
        return len(self.labels)

    def aligned(self, label_names):
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
        label_names=("no", "yes"), encode=lambda dataset: None, full_mask=lambda: MASK
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
