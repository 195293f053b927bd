"""What an output answers, its loss and metrics, against the slow obvious way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.tasks import single_label
from tests.evaluation.made import evaluation, random_evaluations


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


@given(random_evaluations(st.integers(2, 5)))
def test_log_odds_give_the_loss_and_pass_a_threshold_where_the_answer_is_right(result: Evaluation):
    margins, thresholds = single_label.margins(result.logits, result.labels)
    np.testing.assert_array_equal(margins > thresholds, result.right)
    np.testing.assert_allclose(np.logaddexp(0, -margins), result.losses, atol=1e-9)
    logits = torch.from_numpy(result.logits).double()
    for label in range(len(result.label_names)):
        here = result.labels == label
        np.testing.assert_allclose(
            single_label.log_odds(logits[here], label), margins[here], atol=1e-9
        )


@given(random_evaluations(st.integers(2, 4)))
def test_a_divergence_is_summed_over_the_labels(result: Evaluation):
    after = np.roll(result.log_probabilities, 1, axis=0)
    found = single_label.kl_divergences(result.log_probabilities, after)
    for row, (one, other) in enumerate(zip(result.log_probabilities, after, strict=True)):
        slow = sum(math.exp(p) * (p - q) for p, q in zip(one, other, strict=True))
        assert found[row] == pytest.approx(slow, abs=1e-9) and found[row] >= 0
