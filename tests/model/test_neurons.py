"""Removed neurons: masked, with zero weights and really gone, every family answers alike."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from bhpvas.criteria import DEFAULT_CRITERIA, score
from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.saliency import saliency
from bhpvas.interpret.sentence import contributions
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import parameters
from bhpvas.model.engine import first_states, predict
from bhpvas.model.pruning import remove_heads, weights_of
from bhpvas.model.states import StateCache
from bhpvas.neurons import NeuronSet
from tests.tiny import SEPARATE, many_sentences, save_tiny, with_heads

WIDTH = 64
DATA = many_sentences(24)


def some_neurons(seed: int, share: float = 0.5, layers: tuple[int, ...] = (0, 1)) -> NeuronSet:
    drawn = np.random.default_rng(seed).random((2, WIDTH)) < share
    return NeuronSet.of(drawn & np.isin(np.arange(2), layers)[:, None])


MASKS = {
    "some of each layer": HeadMask(2, 4).without_neurons(some_neurons(0)),
    "beside heads": HeadMask.parse("L0H1,L1H0,L1H1,L1H2,L1H3", 2, 4).without_neurons(
        some_neurons(1)
    ),
    "all of one layer": HeadMask(2, 4).without_neurons(some_neurons(0, 1.0, (1,))),
    "all": HeadMask(2, 4).without_neurons(some_neurons(0, 1.0)),
}


def zeroed(classifier: Classifier, mask: HeadMask) -> Classifier:
    """The classifier in which removed heads and neurons write nothing, by zeros alone."""

    def change(layers):
        for number, layer in enumerate(layers):
            size = classifier.geometry.head_size
            gone = np.repeat(~mask.kept[number], size)
            layer.output.weight.data[:, torch.from_numpy(gone)] = 0
            removed = torch.from_numpy(mask.neurons.array[number].copy())
            layer.down.weight.data[:, removed] = 0

    return with_heads(classifier, change)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("family", SEPARATE)
def test_masked_equals_zeros_equals_really_gone(tmp_path, family, mask):
    classifier = load_classifier(save_tiny(tmp_path, family))
    encoded = classifier.encode(DATA)
    found = predict(classifier, encoded, mask)
    np.testing.assert_allclose(found, predict(zeroed(classifier, mask), encoded), atol=1e-5)
    model = remove_heads(classifier, mask)
    padded = classifier.tokenizer(list(DATA.texts), padding=True, return_tensors="pt")
    with torch.no_grad():
        np.testing.assert_allclose(model(**padded).logits.numpy(), found, atol=1e-4)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == parameters(classifier.geometry, mask)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_whatever_runs_the_network_leaves_the_neurons_out(classifier, mask):
    """Against the same with zeros in the weights and the heads of the mask."""
    heads, other = HeadMask(2, 4, mask.removed), zeroed(classifier, mask)
    encoded = classifier.encode(DATA)
    pairs = [
        (first_states(classifier, encoded, mask), first_states(other, encoded, heads)),
        (ablate(classifier, DATA, mask).loss_change, ablate(other, DATA, heads).loss_change),
        (
            contributions(classifier, DATA.texts[0], mask=mask, label=1).removal,
            contributions(other, DATA.texts[0], mask=heads, label=1).removal,
        ),
        (
            saliency(classifier, DATA.texts[0], label=1, mask=mask).values["gradient-input"],
            saliency(other, DATA.texts[0], label=1, mask=heads).values["gradient-input"],
        ),
    ]
    scores = score(classifier, DATA, DEFAULT_CRITERIA, mask=mask)
    expected = score(other, DATA, DEFAULT_CRITERIA, mask=heads)
    pairs += [(scores.values[name], expected.values[name]) for name in scores.values]
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-5)


def test_a_cache_of_states_tells_neurons_apart(classifier):
    encoded, cache = classifier.encode(DATA), StateCache()
    masks = [
        HeadMask(2, 4).without_neurons(some_neurons(seed, 0.7, layers))
        for seed in range(3)
        for layers in ((0,), (1,), (0, 1))
    ]
    for mask in [HeadMask(2, 4), *masks, *reversed(masks)]:
        expected = predict(classifier, encoded, mask)
        np.testing.assert_allclose(
            predict(classifier, encoded, mask, cache=cache), expected, atol=1e-6
        )


def test_a_layer_without_neurons_adds_the_bias_of_its_down_projection(classifier):
    def change(layers):
        layers[1].down.weight.data.zero_()

    gone = HeadMask(2, 4).without_neurons(some_neurons(0, 1.0, (1,)))
    encoded = classifier.encode(DATA)
    np.testing.assert_allclose(
        predict(classifier, encoded, gone), predict(with_heads(classifier, change), encoded),
        atol=1e-5,
    )  # fmt: skip


def test_the_original_is_left_alone(tmp_path):
    classifier = load_classifier(save_tiny(tmp_path))
    before = copy.deepcopy(classifier.model.state_dict())
    for mask in MASKS.values():
        model = remove_heads(classifier, mask)
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.zero_()
    for name, value in classifier.model.state_dict().items():
        assert torch.equal(before[name], value), name


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_trained_on_weights_come_back_at_their_places(classifier, mask):
    """What a smaller model learnt, put into the whole one, answers as the smaller one."""
    model = remove_heads(classifier, mask)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    changed = classifier.with_weights(weights_of(classifier, mask, model))
    padded = classifier.tokenizer(list(DATA.texts), padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**padded).logits.numpy()
    encoded = classifier.encode(DATA)
    np.testing.assert_allclose(predict(changed, encoded, mask), expected, atol=1e-5)
    # What is removed writes nothing, whether it is masked or not.
    np.testing.assert_allclose(predict(changed, encoded), expected, atol=1e-5)


def test_an_evaluation_says_which_neurons_are_gone(classifier):
    mask = MASKS["beside heads"]
    assert evaluate(classifier, DATA, mask).mask == mask
    assert HeadId(0, 1) in mask.removed


def test_layers_that_share_their_weights_lose_neurons_together(tmp_path):
    classifier, mask = load_classifier(save_tiny(tmp_path, "albert")), MASKS["all"]
    found, expected = evaluate(classifier, DATA, mask), evaluate(zeroed(classifier, mask), DATA)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)


def test_pairs_are_read_without_them_too(classifier):
    pairs = Dataset("pairs", DATA.texts[:8], DATA.texts[8:16], DATA.labels[:8], DATA.label_names)
    mask = MASKS["some of each layer"]
    found, expected = evaluate(classifier, pairs, mask), evaluate(zeroed(classifier, mask), pairs)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
