"""The estimate against slopes, a linear toy and what really happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bhpvas.criteria import removal_order, score
from bhpvas.data.reading import sample_splits
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.model.engine import predict
from bhpvas.neurons import NeuronSet
from tests.tiny import save_tiny


def masks_near(mask: HeadMask, step: float) -> np.ndarray:
    """Gates ``[M, L, H]``, each with one gate turned down by ``step``."""
    gates = np.repeat(mask.array[None].astype(np.float64), mask.layers * mask.heads, 0)
    for index, head in enumerate(mask.every_head()):
        gates[index, head.layer, head.head] -= step
    return gates


def test_estimate_has_the_slope_of_the_loss(classifier, dataset):
    scores = score(classifier, dataset, ["importance"])
    small = 0.5  # first order has one slope everywhere
    slope = Estimate.from_scores(scores).loss_change(masks_near(scores.mask, small)) / small
    first = score(classifier, dataset, ["first-order"]).values["first-order"]
    np.testing.assert_allclose(slope, first.reshape(-1), atol=1e-5)


def test_estimate_of_a_linear_toy_is_its_true_first_order_change(classifier, dataset):
    """Where each loss is linear in the gates, the estimate is exact."""
    scores = score(classifier, dataset, ["importance"])
    rng = np.random.default_rng(0)
    linear = rng.standard_normal(scores.gate_gradients.shape).astype(np.float32)
    estimate = Estimate.from_scores(replace(scores, gate_gradients=linear))
    masks = [HeadMask.parse(text, 2, 4) for text in ("", "L0H1", "L0H1,L1H2,L1H3")]
    losses = [(linear * mask.array).sum((1, 2)) for mask in masks]  # loss_b = Σ a · gate
    true = np.array([loss.mean() - losses[0].mean() for loss in losses])
    np.testing.assert_allclose(estimate.loss_change(masks), true, atol=1e-5)
    assert estimate.loss_change(masks)[0] == 0


def test_estimate_moves_the_margin_of_each_sentence(classifier, dataset):
    """The margin's gradient equals the finite difference of log-odds under a scaled head."""
    scores = score(classifier, dataset, ["importance"])
    estimate = Estimate.from_scores(scores)
    logits = scores.logits.astype(np.float64)
    rows = np.arange(len(dataset))
    margins = logits[rows, dataset.labels] - logits[rows, 1 - dataset.labels]
    np.testing.assert_allclose(estimate.margins, margins, atol=1e-6)
    p = 1 / (1 + np.exp(-margins))
    expected = -scores.gate_gradients.reshape(12, -1) / (1 - p)[:, None]
    np.testing.assert_allclose(estimate.margin_gradient, expected, rtol=1e-4, atol=1e-7)
    assert estimate.accuracy_change([scores.mask])[0] == 0


def test_estimate_counts_wins_of_many_labels(tmp_path, dataset):
    classifier = load_classifier(save_tiny(tmp_path, labels=4))
    many = replace(dataset, labels=np.arange(12) % 4, label_names=("0", "1", "2", "3"), tags=None)
    estimate = Estimate.from_scores(score(classifier, many, ["importance"]))
    right = predict(classifier, classifier.encode(many)).argmax(1) == many.labels
    np.testing.assert_array_equal(estimate.margins > estimate.thresholds, right)


def test_estimate_works_from_a_pruned_mask_in_both_directions(classifier, dataset):
    mask = HeadMask.parse("L0H1,L1H2", 2, 4)
    estimate = Estimate.from_scores(score(classifier, dataset, ["importance"], mask=mask))
    masks = [mask, HeadMask(2, 4), mask.without([next(iter(mask))])]
    changes = estimate.loss_change(masks)
    assert changes[0] == 0 and np.isfinite(changes).all() and (changes[1:] != 0).all()


def test_what_unimportant_heads_cost_is_nearer_to_the_estimate_than_to_nothing():
    """A small form of benchmarks/estimate.py, whose figures stand in docs/benchmarks.md."""
    classifier, data = load_classifier(), sample_splits().calibration.take(range(0, 240, 5))
    scores = score(classifier, data, ["importance"])
    estimate, plain = Estimate.from_scores(scores), evaluate(classifier, data)
    assert estimate.accuracy == plain.accuracy
    order = removal_order(scores.values["importance"], "keep")
    rng, full = np.random.default_rng(0), classifier.full_mask()
    masks = [full.without(order[place] for place in rng.permutation(48)[:24]) for _ in range(6)]
    true = np.array([evaluate(classifier, data, mask).loss for mask in masks]) - plain.loss
    assert np.abs(estimate.loss_change(masks) - true).mean() < 0.8 * np.abs(true).mean()


def test_from_a_third_of_the_heads_on_it_is_weak(classifier, dataset):
    start = HeadMask.parse("L0H1", 2, 4)
    estimate = Estimate.from_scores(score(classifier, dataset, ["importance"], mask=start))
    weak = {
        text: estimate.weak(HeadMask.parse(text, 2, 4))
        for text in ("L0H1", "", "L0H1,L0H2,L1H0", "L0H1,L0H2,L1H0,L1H1", "L0H2,L1H0")
    }
    assert list(weak.values()) == [False, False, False, True, True]  # 0, 1, 2, 3, 3 of 8 changed


def test_estimate_needs_gradients(classifier, dataset):
    with pytest.raises(BhpvasError, match="score 'importance' first"):
        Estimate.from_scores(score(classifier, dataset, ["entropy"]))


def test_masks_that_differ_in_neurons_are_refused(classifier, dataset):
    """Heads around a mask without neurons are estimated; the neurons themselves are not."""
    narrow = HeadMask(2, 4).without_neurons(NeuronSet.of_layers(2, 64, {0: range(30)}))
    estimate = Estimate.from_scores(score(classifier, dataset, ["importance"], mask=narrow))
    fewer = narrow.without(parse_heads("L0H1"))
    first = score(classifier, dataset, ["first-order"], mask=narrow).values["first-order"]
    assert estimate.loss_change([fewer])[0] == pytest.approx(first[0, 1], abs=1e-6)
    for other in (HeadMask(2, 4), narrow.without_neurons(NeuronSet.of_layers(2, 64, {1: [3]}))):
        for change in (estimate.loss_change, estimate.accuracy_change):
            with pytest.raises(BhpvasError, match="of heads alone, and this mask differs in feed"):
                change([fewer, other])
