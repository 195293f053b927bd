"""Criteria of neurons against one sentence at a time through plain modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.criteria import NEURON_CRITERIA, score
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.pruning import remove_heads
from bhpvas.neurons import NeuronSet
from tests.conftest import TEXTS, tiny_dataset
from tests.tiny import CONFIGS, SEPARATE, save_tiny, with_heads

WIDTH = 64
MASK = (
    HeadMask(2, 4)
    .without(parse_heads("L0H1,L1H3"))
    .without_neurons(NeuronSet.of_layers(2, WIDTH, {0: range(0, 64, 3), 1: [1, 60]}))
)


def activations(classifier: Classifier, text: str, label: int, mask: HeadMask):
    """Of one sentence, what enters each down projection and its gradient, ``[T, F]`` each."""
    model = classifier.model if mask == HeadMask(2, 4) else remove_heads(classifier, mask)
    layers, kept = classifier.family.layers(model), []
    hooks = [
        layer.down.register_forward_pre_hook(
            lambda _, inputs: kept.append(inputs[0].requires_grad_()) or (kept[-1],)
        )
        for layer in layers
    ]
    try:
        logits = model(**classifier.tokenizer(text, return_tensors="pt")).logits
    finally:
        for hook in hooks:
            hook.remove()
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([label]))
    gradients = torch.autograd.grad(loss, kept)
    return [
        (one[0].detach().double(), gradient[0].double())
        for one, gradient in zip(kept, gradients, strict=True)
    ]


@pytest.mark.parametrize("mask", [HeadMask(2, 4), MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("family", SEPARATE)
def test_they_follow_from_single_sentences(tmp_path, family, mask):
    classifier = load_classifier(save_tiny(tmp_path, family, labels=3))
    dataset = tiny_dataset(3)
    found = score(classifier, dataset, (), neurons=tuple(NEURON_CRITERIA), mask=mask).neurons
    single = [
        activations(classifier, text, int(label), mask)
        for text, label in zip(TEXTS, dataset.labels, strict=True)
    ]
    for layer in range(2):
        kept = np.ones(WIDTH, bool) if mask.neurons is None else ~mask.neurons.array[layer]
        gates = torch.stack([(u * g).sum(0) for u, g in (one[layer] for one in single)])  # [N, F]
        lengths = classifier.layers[layer].down.weight.norm(dim=0)[kept]
        counted = slice(1 if layer == 1 else None)  # the last layer writes the first token alone
        sizes = torch.stack([one[layer][0][counted].abs().mean(0) for one in single])
        expected = {
            "importance": gates.abs().mean(0),
            "fisher": gates.square().mean(0),
            "activation": sizes.mean(0) * lengths,
        }
        for name, values in expected.items():
            assert np.isnan(found[name][layer][~kept]).all()
            np.testing.assert_allclose(found[name][layer][kept], values, rtol=1e-4, atol=1e-6)


def test_a_dead_neuron_is_worth_nothing(classifier, dataset):
    def change(layers):
        layers[0].down.weight.data[:, 5] = 0
        layers[1].down.weight.data[:, 63] = 0

    dead = with_heads(classifier, change)
    found = score(dead, dataset, (), neurons=tuple(NEURON_CRITERIA)).neurons
    for name, values in found.items():
        assert abs(values[0, 5]) < 1e-9 and abs(values[1, 63]) < 1e-9, name
        assert (values.argmin(1) == [5, 63]).all(), name
        assert (values > -1e-9).all(), name


def test_one_pass_gives_what_two_would(classifier, dataset):
    both = score(classifier, dataset, neurons=tuple(NEURON_CRITERIA), mask=MASK)
    heads = score(classifier, dataset, mask=MASK)
    for name, values in heads.values.items():
        np.testing.assert_allclose(both.values[name], values, rtol=1e-5, atol=1e-7)
    alone = score(classifier, dataset, (), neurons=tuple(NEURON_CRITERIA), mask=MASK)
    assert not alone.values and alone.gate_gradients is None
    for name, values in alone.neurons.items():
        np.testing.assert_allclose(both.neurons[name], values, rtol=1e-4, atol=1e-7)


def test_layers_that_share_weights_are_told_apart(tmp_path):
    assert "albert" in CONFIGS
    albert = load_classifier(save_tiny(tmp_path, "albert"))
    found = score(albert, tiny_dataset(), (), neurons=tuple(NEURON_CRITERIA)).neurons
    for name, values in found.items():
        assert np.isfinite(values).all() and not np.allclose(*values), name


def test_a_layer_without_neurons_has_no_values(classifier, dataset):
    mask = HeadMask(2, 4).without_neurons(NeuronSet.of_layers(2, WIDTH, {0: range(WIDTH)}))
    found = score(classifier, dataset, (), neurons=tuple(NEURON_CRITERIA), mask=mask).neurons
    for name, values in found.items():
        assert np.isnan(values[0]).all() and np.isfinite(values[1]).all(), name


def test_another_name_is_refused(classifier, dataset):
    with pytest.raises(BhpvasError, match="'stability' is no criterion of neurons; choose from i"):
        score(classifier, dataset, (), neurons=["stability"])
