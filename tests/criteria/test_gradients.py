"""Gradient criteria against the gradient of one sentence, and one gate, at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.criteria import score
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from tests import reference
from tests.conftest import TEXTS, tiny_dataset
from tests.tiny import SEPARATE, save_tiny


@pytest.mark.parametrize("family", SEPARATE)
def test_gate_gradients_equal_those_of_a_batch_of_one(tmp_path, family):
    classifier = load_classifier(save_tiny(tmp_path, family, labels=3))
    dataset = tiny_dataset(3)
    found = score(classifier, dataset, ["importance"]).gate_gradients
    for row, text in enumerate(TEXTS):
        expected = reference.gate_gradients(classifier, text, int(dataset.labels[row]))
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-5)


def test_gradient_criteria_follow_from_single_sentences(scores, classifier, dataset):
    single = np.stack(
        [
            reference.gate_gradients(classifier, text, int(label))
            for text, label in zip(TEXTS, dataset.labels, strict=True)
        ]
    )
    importance = np.abs(single).mean(0)
    expected = {
        "importance": importance,
        "importance-normalised": importance / np.linalg.norm(importance, axis=1, keepdims=True),
        "fisher": (single**2).mean(0),
        "first-order": -single.mean(0),
        "stability-gradient": 1 / (1 + np.abs(single).std(0) / np.abs(single).mean(0)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores.values[name], values, atol=1e-5, err_msg=name)


def test_first_order_is_the_slope_of_the_loss(classifier, dataset, scores):
    """Turning one gate down a little changes the loss by that much of the first-order score."""
    step = 1e-3
    for layer, head in [(0, 1), (1, 3)]:
        change = []
        for sign in (+1, -1):
            model = reference.zeroed(classifier, HeadMask(2, 4))
            size = classifier.geometry.head_size
            weight = reference.output_layers(classifier, model)[layer].weight.data
            weight[:, head * size : (head + 1) * size] *= 1 - sign * step
            losses = [
                torch.nn.functional.cross_entropy(
                    model(**reference.inputs_of(classifier, text)).logits.double(),
                    torch.tensor([int(label)]),
                ).item()
                for text, label in zip(TEXTS, dataset.labels, strict=True)
            ]
            change.append(np.mean(losses))
        slope = (change[0] - change[1]) / (2 * step)
        assert scores.values["first-order"][layer, head] == pytest.approx(slope, abs=2e-3)


def test_a_layer_s_norm_is_that_of_its_kept_heads(classifier, dataset):
    found = score(
        classifier,
        dataset,
        ["importance", "importance-normalised"],
        mask=HeadMask.parse("L0H0,L0H2", 2, 4),
    )
    importance, shown = (np.nan_to_num(one) for one in found.values.values())
    np.testing.assert_allclose(np.linalg.norm(shown, axis=1), 1)
    norm = np.linalg.norm(importance, axis=1)[:, None]
    raw, divided = found.per_example.values()
    np.testing.assert_allclose(divided[:, 0, [1, 3]], raw[:, 0, [1, 3]] / norm[0], rtol=1e-5)
    assert (divided[:, 0, [0, 2]] == 0).all()
