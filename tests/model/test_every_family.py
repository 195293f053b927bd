"""Every family and variant against its own module of transformers: passes, gradients, removal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import parameters
from bhpvas.model.engine import Gradients, predict, stream
from bhpvas.model.pruning import remove_heads
from bhpvas.model.states import StateCache
from bhpvas.neurons import NeuronSet
from tests import reference
from tests.conftest import TEXTS, tiny_dataset
from tests.tiny import SEPARATE, VARIANTS, WORDS, save_tiny

#: A pair of texts, and texts up to the longest input and beyond it.
PAIR = ("the film is good .", "we like it , and they hate it !")
LONG = (" ".join(WORDS[:36]), " ".join(WORDS[3:]), " ".join((WORDS * 2)[:70]))
MASKS = ["L0H1", "L0H0,L0H2,L1H3", "L1H0,L1H1,L1H2,L1H3", "L0H0,L0H1,L0H2,L0H3,L1H2"]

variants = pytest.mark.parametrize("variant", VARIANTS)
#: Those whose layers have weights of their own; of the others there are tests of their own.
separate = pytest.mark.parametrize(
    "variant", [name for name, (family, _) in VARIANTS.items() if family in SEPARATE]
)


def tiny(folder, variant: str, **how) -> Classifier:
    family, settings = VARIANTS[variant]
    return load_classifier(save_tiny(folder, family, settings=settings), **how)


def padded_logits(classifier: Classifier, model, texts, pairs=None) -> np.ndarray:
    """What a module of transformers says of texts that are padded to the longest."""
    inputs = classifier.tokenizer(
        list(texts),
        None if pairs is None else list(pairs),
        padding=True,
        truncation=True,
        max_length=classifier.geometry.max_length,
        return_tensors="pt",
    )
    with torch.no_grad():
        return model(**inputs).logits.float().numpy()


@variants
def test_padding_pairs_and_long_inputs_answer_as_the_module_does(tmp_path, variant):
    classifier = tiny(tmp_path, variant)
    texts = (*TEXTS, *LONG)
    found = predict(classifier, classifier.encode_texts(texts))
    expected = padded_logits(classifier, classifier.model, texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found, reference.plain_logits(classifier, texts), atol=1e-5)
    firsts, seconds = zip(PAIR, PAIR[::-1], (LONG[0], "not good"), strict=True)
    encoded = classifier.encode_texts(firsts, seconds)
    expected = padded_logits(classifier, classifier.model, firsts, seconds)
    np.testing.assert_allclose(predict(classifier, encoded), expected, atol=1e-5)


@separate
@pytest.mark.parametrize("removed", MASKS)
def test_masked_zeroed_and_sliced_are_the_same(tmp_path, variant, removed):
    classifier = tiny(tmp_path, variant)
    texts, mask = (*TEXTS, *LONG), HeadMask.parse(removed, 2, 4)
    found = predict(classifier, classifier.encode_texts(texts), mask)
    zeroed = padded_logits(classifier, reference.zeroed(classifier, mask), texts)
    np.testing.assert_allclose(found, zeroed, atol=1e-5)
    for shared in (False, True):
        sliced = remove_heads(classifier, mask, shared=shared)
        np.testing.assert_allclose(found, padded_logits(classifier, sliced, texts), atol=1e-5)


@separate
def test_heads_and_neurons_gone_together(tmp_path, variant):
    classifier = tiny(tmp_path, variant)
    neurons = NeuronSet.of_layers(2, 64, {0: range(5, 64), 1: range(0, 64, 2)})
    mask = HeadMask.parse("L0H1,L1H0,L1H2", 2, 4).without_neurons(neurons)
    found = predict(classifier, classifier.encode_texts(TEXTS), mask)
    model = reference.zeroed(classifier, mask)
    for layer, gone in zip(classifier.family.layers(model), neurons.array, strict=True):
        layer.down.weight.data[:, torch.tensor(gone)] = 0
    np.testing.assert_allclose(found, padded_logits(classifier, model, TEXTS), atol=1e-5)
    sliced = remove_heads(classifier, mask)
    np.testing.assert_allclose(found, padded_logits(classifier, sliced, TEXTS), atol=1e-5)
    held = sum(parameter.numel() for parameter in sliced.parameters())
    assert held == parameters(classifier.geometry, mask)


class _Kept:
    """The gradients of every sentence's gates, as they pass."""

    def __init__(self, needs: set[str]) -> None:
        self.needs, self.found = frozenset(needs), dict[int, list[np.ndarray]]()

    def see_layer(self, seen) -> None:
        assert seen.neurons is None or seen.neurons.shape[2] == 64

    def see_batch(self, batch: Batch, logits, gradients: Gradients | None) -> None:
        assert gradients is not None
        for place, row in enumerate(batch.rows):
            every = (gradients.heads, *gradients.neurons)
            self.found[int(row)] = [one[place].numpy() for one in every]


@variants
def test_gradients_of_gates_are_those_of_each_sentence_alone(tmp_path, variant):
    classifier, data = tiny(tmp_path, variant), tiny_dataset()
    kept = _Kept({"gradients", "neuron gradients"})
    stream(classifier, classifier.encode(data), data.labels, [kept])
    for row, text in enumerate(TEXTS):
        heads = kept.found[row][0]
        expected = reference.gate_gradients(classifier, text, int(data.labels[row]))
        if classifier.geometry.groups:  # a module's gate is that of all its layers together
            heads, expected = heads.sum(0), expected[0]
        np.testing.assert_allclose(heads, expected, atol=2e-5, rtol=1e-5)
        alone = _Kept({"gradients", "neuron gradients"})
        one = data.take([row])
        stream(classifier, classifier.encode(one), one.labels, [alone])
        for together, single in zip(kept.found[row], alone.found[0], strict=True):
            np.testing.assert_allclose(together, single, atol=2e-5)
    # Of a neuron: what the loss says of its column times the column is that of its gate.
    if not classifier.geometry.groups:
        model = classifier.family.layers(classifier.model)
        downs = [layer.down.weight for layer in model]
        for weight in downs:
            weight.requires_grad_(True)
        logits = classifier.model(**reference.inputs_of(classifier, TEXTS[-1])).logits
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([int(data.labels[-1])]))
        columns = torch.autograd.grad(loss, downs)
        for weight, column, found in zip(downs, columns, kept.found[11][1:], strict=True):
            weight.requires_grad_(False)
            np.testing.assert_allclose(found, (weight * column).sum(0).detach(), atol=2e-5)


@variants
def test_ablation_and_reused_states_are_exact(tmp_path, variant):
    classifier, data = tiny(tmp_path, variant), tiny_dataset()
    base = HeadMask.parse("L0H3", 2, 4)
    found, cache = ablate(classifier, data, base), StateCache()
    plain = evaluate(classifier, data, base)
    for head in base:
        one = evaluate(classifier, data, base.without([head]), cache=cache)
        change = found.loss_change[head.layer, head.head]
        np.testing.assert_allclose(change, one.loss - plain.loss, atol=1e-5)
        np.testing.assert_allclose(
            one.logits, evaluate(classifier, data, base.without([head])).logits, atol=1e-5
        )


@variants
def test_in_bfloat16_it_answers_as_the_module_does(tmp_path, variant):
    classifier = tiny(tmp_path, variant, dtype="bfloat16")
    found = predict(classifier, classifier.encode_texts(TEXTS))
    np.testing.assert_allclose(
        found, padded_logits(classifier, classifier.model, TEXTS), atol=0.15, rtol=0.05
    )
    mixed = replace(tiny(tmp_path, variant), mixed=True)
    exact = predict(tiny(tmp_path, variant), mixed.encode_texts(TEXTS))
    np.testing.assert_allclose(
        predict(mixed, mixed.encode_texts(TEXTS)), exact, atol=0.15, rtol=0.05
    )
