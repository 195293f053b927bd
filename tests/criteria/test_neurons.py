"""Criteria of neurons against one sentence at a time through plain modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.criteria import NEURON_CRITERIA, score, surgeon
from bhpvas.criteria.surgeon import spread
from bhpvas.data.sampling import Sample
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.batching import TOKENS_PER_BATCH
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import stream
from bhpvas.model.pruning import remove_heads
from bhpvas.neurons import NeuronSet
from bhpvas.search.surgeon import removal_order
from tests.conftest import TEXTS, tiny_dataset
from tests.tiny import SEPARATE, many_sentences, save_tiny, with_heads

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
        # A covariance of few tokens is inverted, and what is rounded away grows with it.
        rtol = 1e-2 if name == "surgeon" else 1e-4
        np.testing.assert_allclose(both.neurons[name], values, rtol=rtol, atol=1e-7)


def test_layers_that_share_weights_are_told_apart(tmp_path):
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


# --- how well the others make up for a neuron -----------------------------------------------------

MANY = many_sentences(120)


def made_up_for(covariance: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What is left of each input's part of the output by the best of all others, one at a time."""
    ridge = surgeon.DAMPING * covariance.diagonal().mean()
    damped = covariance + ridge * np.eye(len(covariance))
    left = []
    for one in range(len(damped)):
        others = np.arange(len(damped)) != one
        weights = np.linalg.solve(damped[others][:, others], damped[others, one])
        rest = damped[one, one] - weights @ damped[others, one]
        left.append(rest * (columns[one] ** 2).sum())
    return np.array(left)


@pytest.mark.parametrize("mask", [HeadMask(2, 4), MASK], ids=["whole", "masked"])
def test_a_refit_saliency_is_what_the_others_cannot_say(classifier, mask):
    found = score(classifier, MANY, (), neurons=["surgeon"], mask=mask).neurons["surgeon"]
    for layer in range(2):
        kept = np.ones(WIDTH, bool) if mask.neurons is None else ~mask.neurons.array[layer]
        counted = slice(1 if layer == 1 else None)
        each = surgeon.TOKENS_PER_NEURON * WIDTH // 120  # tokens of a sentence
        tokens = []
        for row, text in enumerate(MANY.texts):
            inner = activations(classifier, text, 0, mask)[layer][0][counted]
            tokens.append(inner[spread(np.array([len(inner)]), each, np.array([row]))[1]])
        covariance = np.cov(torch.cat(tokens).numpy().T, bias=True)
        columns = classifier.layers[layer].down.weight.double().numpy().T[kept]
        expected = made_up_for(covariance, columns)
        np.testing.assert_allclose(found[layer][kept], expected, rtol=2e-3)


def test_what_another_neuron_says_too_is_made_up_for(classifier):
    def change(layers):
        for part in (layers[0].up.weight, layers[0].up.bias):
            part.data[7] = part.data[3]

    copied = with_heads(classifier, change)
    before, after = (
        score(one, MANY, (), neurons=["surgeon"]).neurons["surgeon"][0]
        for one in (classifier, copied)
    )
    assert sorted(np.argsort(after)[:2]) == [3, 7]
    assert (after[[3, 7]] < 0.1 * before[[3, 7]]).all()


def test_the_order_of_a_search_begins_with_the_least(classifier):
    rng = np.random.default_rng(0)
    inputs = torch.from_numpy(rng.normal(size=(300, 40)) @ rng.normal(size=(40, 40)))
    covariance, columns = (
        torch.cov(inputs.T, correction=0),
        torch.from_numpy(rng.normal(size=(40, 5))),
    )
    values = surgeon.saliencies(covariance, columns)
    np.testing.assert_allclose(values, made_up_for(covariance.numpy(), columns.numpy()), rtol=1e-8)
    assert removal_order(covariance, columns, 1)[0] == int(values.argmin())


def test_of_many_sentences_some_tokens_are_enough(classifier, monkeypatch):
    """However they are batched they are the same, and no more than asked for."""
    monkeypatch.setattr(surgeon, "TOKENS_PER_NEURON", 1)
    collector = surgeon.TokenSamples(classifier, Sample.of(len(MANY), 10))
    stream(classifier, classifier.encode(MANY), MANY.labels, [collector])
    assert [len(one) for one in collector._tokens] == [64 * 32, 64 * 32]
    whole = collector.saliencies()
    monkeypatch.setitem(TOKENS_PER_BATCH, "cpu", 20)
    pieces = surgeon.TokenSamples(classifier, Sample.of(len(MANY), 10))
    stream(classifier, classifier.encode(MANY), MANY.labels, [pieces])
    for one, other in zip(whole, pieces.saliencies(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(1, 12), st.data())
def test_tokens_are_spread_over_their_sentences(lengths, each, data):
    offsets = data.draw(st.lists(st.integers(0, 99), min_size=len(lengths), max_size=len(lengths)))
    sentences, places = spread(np.array(lengths), each, np.array(offsets))
    for number, length in enumerate(lengths):
        here = places[sentences == number]
        assert len(set(here)) == len(here) == min(each, length)
        assert (here >= 0).all() and (here < length).all()
