"""Recovery where neurons are gone: where the answer is known, and by the slow obvious way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import predict
from bhpvas.model.pruning import remove_heads
from bhpvas.neurons import NeuronSet
from bhpvas.recovery import RECOVERIES, recover
from bhpvas.recovery.finetuning import TuningSettings, finetune
from tests import reference
from tests.conftest import TEXTS
from tests.tiny import SEPARATE, many_sentences, save_tiny, tensors_of, with_heads

WIDTH = 64
SENTENCES = many_sentences(150)


def without(layer: int, *neurons: int) -> HeadMask:
    return HeadMask(2, 4).without_neurons(NeuronSet.of_layers(2, WIDTH, {layer: neurons}))


def with_copied_neuron(classifier: Classifier, layer: int, same_column: bool = False) -> Classifier:
    """A classifier whose neuron 5 is active as neuron 2 is, and writes its own, or the same."""

    def change(layers):
        down = layers[layer].down
        for part in (layers[layer].up, layers[layer].gate):
            for tensor in [] if part is None else tensors_of(part):
                tensor[5] = tensor[2]
        if same_column:
            down.weight.data[:, 5] = down.weight.data[:, 2]

    return with_heads(classifier, change)


@pytest.mark.parametrize("family", SEPARATE)
@pytest.mark.parametrize("layer", [0, 1])
def test_the_removal_of_a_copied_neuron_is_made_up_for(tmp_path, family, layer):
    classifier = with_copied_neuron(load_classifier(save_tiny(tmp_path, family)), layer)
    recovered = recover(classifier, many_sentences(800), mask := without(layer, 5))
    changed = classifier.with_weights(recovered.weights)
    encoded = classifier.encode_texts(TEXTS)
    plain = predict(classifier, encoded)
    assert np.abs(predict(classifier, encoded, mask) - plain).max() > 1e-3
    np.testing.assert_allclose(predict(changed, encoded, mask), plain, atol=1e-4)
    (report,) = recovered.feed_forward
    assert (report.layer, recovered.layers) == (layer, ())
    assert report.error_after < 1e-6 < report.error_before


def test_rescaling_doubles_the_twin_of_a_removed_neuron(classifier):
    twins = with_copied_neuron(classifier, 0, same_column=True)
    recovered = recover(twins, SENTENCES, without(0, 5), "rescale")
    down = twins.layers[0].down
    expected = down.weight.clone()
    expected[:, 2] *= 2
    expected[:, 5] = 0
    found = recovered.weights.tensors[twins.name_of(down.weight)]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_layer_without_neurons_says_what_it_said_on_average(classifier):
    recovered = recover(classifier, SENTENCES, without(1, *range(WIDTH)))
    layer, aims = classifier.layers[1], []
    for text in SENTENCES.texts:  # the last layer, so the first token alone
        inputs = reference.inputs_of(classifier, text)
        states = classifier.model(**inputs, output_hidden_states=True).hidden_states[1][0, :1]
        heads = reference.head_outputs(classifier, text)[1].transpose(1, 0, 2)
        flat = torch.from_numpy(heads.reshape(len(heads), -1)[:1])
        attended = layer.attention_norm(layer.output(flat) + states)
        aims.append(layer.down(layer.activation(layer.up(attended))))
    tensors = recovered.weights.tensors
    mean = torch.cat(aims).mean(0)
    np.testing.assert_allclose(tensors[classifier.name_of(layer.down.bias)], mean, atol=1e-4)
    assert not tensors[classifier.name_of(layer.down.weight)].any()


@pytest.mark.parametrize("method", RECOVERIES)
def test_masked_and_really_pruned_models_agree_after_it(classifier, method):
    """Whatever was fitted, zeros stand in the columns of what is gone."""
    chosen = np.random.default_rng(3).random((2, WIDTH)) < 0.6
    mask = HeadMask.parse("L0H1,L1H0,L1H2", 2, 4).without_neurons(NeuronSet.of(chosen))
    changed = classifier.with_weights(recover(classifier, SENTENCES, mask, method).weights)
    encoded = classifier.encode(SENTENCES)
    masked = predict(changed, encoded, mask)
    np.testing.assert_allclose(predict(changed, encoded), masked, atol=1e-5)
    model = remove_heads(changed, mask)
    padded = classifier.tokenizer(list(SENTENCES.texts), padding=True, return_tensors="pt")
    with torch.no_grad():
        np.testing.assert_allclose(model(**padded).logits.numpy(), masked, atol=3e-4)


def test_heads_and_neurons_together_end_nearer_than_masked(classifier):
    """On sentences that were not fitted, too."""
    chosen = np.random.default_rng(1).random((2, WIDTH)) < 0.5
    mask = HeadMask.parse("L0H1,L1H2", 2, 4).without_neurons(NeuronSet.of(chosen))
    recovered = recover(classifier, many_sentences(400), mask)
    encoded = classifier.encode(many_sentences(100, seed=9))
    plain = predict(classifier, encoded)
    changed = predict(classifier.with_weights(recovered.weights), encoded, mask)
    masked = predict(classifier, encoded, mask)
    assert np.square(changed - plain).mean() < 0.7 * np.square(masked - plain).mean()
    assert [one.layer for one in recovered.feed_forward] == [0, 1]
    assert all(one.error_after <= one.error_before for one in recovered.feed_forward)
    assert [one["layer"] for one in recovered.record()["feed_forward"]] == [0, 1]


def test_a_narrower_model_is_trained_on(classifier):
    chosen = np.random.default_rng(1).random((2, WIDTH)) < 0.5
    mask = HeadMask(2, 4).without_neurons(NeuronSet.of(chosen))
    settings = TuningSettings(evaluations=2, learning_rate=0.01, batch_size=8)
    tuned = finetune(classifier, SENTENCES, mask, settings)
    down = classifier.layers[0].down
    found = tuned.weights.tensors[classifier.name_of(down.weight)]
    assert not found[:, torch.from_numpy(chosen[0])].any()
    assert tuned.best.loss < tuned.course.start.loss
