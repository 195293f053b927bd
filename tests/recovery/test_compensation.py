"""Compensation where the answer is known, and against least squares on stacked activations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.model.engine import predict
from bhpvas.recovery import recover
from bhpvas.recovery.ridge import RidgeChoice
from tests import reference
from tests.conftest import TEXTS
from tests.recovery.refitted import projection_of
from tests.tiny import SEPARATE, many_sentences, save_tiny, with_copied_head


@pytest.mark.parametrize("family", SEPARATE)
@pytest.mark.parametrize("layer", [0, 1])
def test_compensation_makes_the_removal_of_a_copied_head_exact(tmp_path, family, layer):
    classifier = with_copied_head(load_classifier(save_tiny(tmp_path, family)), layer, 1, 3)
    mask = HeadMask.parse(f"L{layer}H3", 2, 4)
    recovered = recover(classifier, many_sentences(), mask)
    changed = classifier.with_weights(recovered.weights)
    encoded = classifier.encode_texts(TEXTS)
    plain = predict(classifier, encoded)
    assert np.abs(predict(classifier, encoded, mask) - plain).max() > 1e-2
    np.testing.assert_allclose(predict(changed, encoded, mask), plain, atol=1e-4)
    (report,) = recovered.layers
    assert report.layer == layer
    assert report.error_after < 1e-6 < report.error_before


@pytest.mark.parametrize("removed", ["L0H1,L0H2", "L1H0,L1H3"])
def test_compensation_equals_least_squares_on_stacked_activations(classifier, removed, monkeypatch):
    # One ridge to choose from, next to none, so that plain least squares is the answer.
    monkeypatch.setattr("bhpvas.recovery.ridge.RIDGES", (1e-12,))
    mask = HeadMask.parse(removed, 2, 4)
    layer = int(removed[1])
    sentences = many_sentences(200)
    projection = projection_of(classifier, recover(classifier, sentences, mask), layer)
    inputs, aims = reference.moments(classifier, sentences.texts, mask, layer)
    stacked = np.hstack([inputs, np.ones((len(inputs), 1))]).astype(np.float64)
    solution = np.linalg.lstsq(stacked, aims, rcond=None)[0]
    kept = mask.kept[layer].repeat(8)
    np.testing.assert_allclose(projection.weight[:, kept], solution[:-1].T, atol=1e-3)
    np.testing.assert_allclose(projection.bias, solution[-1], atol=1e-3)
    assert not projection.weight[:, ~kept].any()


def test_thorough_compensation_refits_the_feed_forward_layer_by_least_squares(
    classifier, monkeypatch
):
    # Next to no ridge, whatever the held-out sentences say, so that least squares is the answer.
    monkeypatch.setattr(
        "bhpvas.recovery.compensation.choose", lambda *_: RidgeChoice(torch.zeros(0), 1e-12, 0.0)
    )
    mask = HeadMask.parse("L1H0,L1H3", 2, 4)
    sentences = many_sentences(300)
    weights = recover(classifier, sentences, mask, "thorough").weights
    attention = recover(classifier, sentences, mask).weights
    layer, changed = classifier.layers[1], classifier.with_weights(attention).layers[1]
    inner, aims = [], []
    for text in sentences.texts:  # the last layer, so the first token alone
        inputs = reference.inputs_of(classifier, text)
        states = classifier.model(**inputs, output_hidden_states=True).hidden_states[1][0, :1]
        heads = reference.head_outputs(classifier, text)[1].transpose(1, 0, 2)
        flat = torch.from_numpy(heads.reshape(len(heads), -1)[:1])
        whole = layer.attention_norm(layer.output(flat) + states)
        pruned = layer.attention_norm(
            changed.output(flat * torch.from_numpy(mask.array[1].repeat(8)).float()) + states
        )
        aims.append(layer.down(layer.activation(layer.up(whole))) + whole - pruned)
        inner.append(layer.activation(layer.up(pruned)))
    stacked = torch.cat([torch.cat(inner), torch.ones(len(inner), 1)], 1).double()
    solution = torch.linalg.lstsq(stacked, torch.cat(aims).double()).solution
    fitted = weights.tensors[classifier.name_of(layer.down.weight)]
    bias = weights.tensors[classifier.name_of(layer.down.bias)]
    answers = stacked @ torch.cat([fitted.T, bias[None]]).double()
    np.testing.assert_allclose(answers, stacked @ solution, atol=1e-3)


def test_a_layer_without_heads_says_what_it_said_on_average(classifier):
    mask = HeadMask.parse("L0H0,L0H1,L0H2,L0H3", 2, 4)
    sentences = many_sentences(30)
    projection = projection_of(classifier, recover(classifier, sentences, mask), 0)
    _, aims = reference.moments(classifier, sentences.texts, mask, 0)
    np.testing.assert_allclose(projection.bias, aims.mean(0), atol=1e-4)
    assert not projection.weight.any()
