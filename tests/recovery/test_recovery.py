"""Recovery where the right answer is known, and against least squares on stacked activations."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bhpvas.criteria import score
from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError, DataError
from bhpvas.heads import HeadMask
from bhpvas.model import batching
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import predict
from bhpvas.model.pruning import remove_heads
from bhpvas.recovery import RECOVERIES, Recovered, layerwise, recover
from bhpvas.recovery.ridge import CrossMoments, RidgeChoice, choose, solve, squared_error
from tests import reference
from tests.conftest import TEXTS
from tests.tiny import SEPARATE, WORDS, save_tiny


def many_sentences(count: int = 120, seed: int = 0) -> Dataset:
    """Random sentences in the tiny vocabulary, enough for the last layer's one token each."""
    rng = np.random.default_rng(seed)
    texts = tuple(" ".join(rng.choice(WORDS[:20], rng.integers(2, 12))) for _ in range(count))
    return Dataset("many", texts, None, rng.integers(0, 2, count), ("negative", "positive"))


def with_heads(classifier: Classifier, change) -> Classifier:
    """A classifier whose model was changed by ``change(parts of every layer)``."""
    model = copy.deepcopy(classifier.model)
    layers = classifier.family.layers(model)
    change(layers)
    return replace(classifier, model=model, layers=layers)


def with_copied_head(classifier: Classifier, layer: int, source: int, target: int) -> Classifier:
    """A classifier in which a head attends and reads as another does, but writes its own."""

    def change(layers):
        size = classifier.geometry.head_size
        here, there = (slice(head * size, (head + 1) * size) for head in (target, source))
        for name in ("query", "key", "value"):
            part = getattr(layers[layer], name)
            part.weight.data[here] = part.weight.data[there]
            part.bias.data[here] = part.bias.data[there]

    return with_heads(classifier, change)


def projection_of(classifier: Classifier, recovered: Recovered, layer: int) -> nn.Linear:
    """A layer's refitted output projection."""
    return classifier.with_weights(recovered.weights).layers[layer].output


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


def test_rescaling_makes_the_removal_of_a_twin_exact(classifier):
    """A head that also writes as another does: the other one's factor becomes two."""
    twins = with_copied_head(classifier, 0, 1, 3)

    def same_columns(layers):
        layers[0].output.weight.data[:, 24:] = layers[0].output.weight.data[:, 8:16]

    twins = with_heads(twins, same_columns)
    mask = HeadMask.parse("L0H3", 2, 4)
    projection = projection_of(twins, recover(twins, many_sentences(), mask, "rescale"), 0)
    expected = twins.layers[0].output.weight.clone()
    expected[:, 8:16] *= 2
    expected[:, 24:] = 0
    np.testing.assert_allclose(projection.weight, expected, atol=1e-4)
    assert torch.equal(projection.bias, twins.layers[0].output.bias)


@pytest.mark.parametrize("method", RECOVERIES)
@pytest.mark.parametrize("removed", ["L0H1", "L0H0,L0H2,L1H3", "L0H0,L0H1,L0H2,L0H3,L1H1"])
def test_recovered_masked_and_physically_pruned_models_agree(classifier, method, removed):
    mask = HeadMask.parse(removed, 2, 4)
    weights = recover(classifier, many_sentences(), mask, method).weights
    changed = classifier.with_weights(weights)
    encoded = classifier.encode_texts(TEXTS)
    masked = predict(changed, encoded, mask)
    np.testing.assert_allclose(predict(changed, encoded), masked, atol=1e-5)
    padded = classifier.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        pruned = remove_heads(changed, mask)(**padded).logits.numpy()
    np.testing.assert_allclose(pruned, masked, atol=1e-4)


def slow_moments(classifier: Classifier, texts: tuple[str, ...], mask: HeadMask, layer: int):
    """Inputs ``[n, k·d_h]`` and aims ``[n, D]`` of a layer, sentence by sentence with hooks.

    The lowest changed layer only, whose inputs are those of the unpruned model.
    """
    outputs, aims = [], []
    kept = mask.kept[layer].repeat(classifier.geometry.head_size)
    for text in texts:
        found = reference.head_outputs(classifier, text)[layer]  # [H, T, d_h]
        flat = found.transpose(1, 0, 2).reshape(found.shape[1], -1)
        flat = flat[:1] if layer == 1 else flat
        projection = classifier.layers[layer].output
        aims.append(flat @ projection.weight.numpy().T + projection.bias.numpy())
        outputs.append(flat[:, kept])
    return np.concatenate(outputs), np.concatenate(aims)


@pytest.mark.parametrize("removed", ["L0H1,L0H2", "L1H0,L1H3"])
def test_compensation_equals_least_squares_on_stacked_activations(classifier, removed, monkeypatch):
    # One ridge to choose from, next to none, so that plain least squares is the answer.
    monkeypatch.setattr("bhpvas.recovery.ridge.choose.__defaults__", ((1e-12,),))
    mask = HeadMask.parse(removed, 2, 4)
    layer = int(removed[1])
    sentences = many_sentences(200)
    projection = projection_of(classifier, recover(classifier, sentences, mask), layer)
    inputs, aims = slow_moments(classifier, sentences.texts, mask, layer)
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
    _, aims = slow_moments(classifier, sentences.texts, mask, 0)
    np.testing.assert_allclose(projection.bias, aims.mean(0), atol=1e-4)
    assert not projection.weight.any()


@pytest.mark.parametrize("removed", ["L0H1,L0H2", "L0H0,L1H1,L1H2", "L0H1,L0H3,L1H0"])
def test_fresh_sentences_gain_too_and_compensation_beats_rescaling(classifier, removed):
    mask = HeadMask.parse(removed, 2, 4)
    sentences, fresh = many_sentences(400), many_sentences(200, seed=1)
    encoded = classifier.encode(fresh)
    plain = predict(classifier, encoded)

    def distance(changed: Classifier) -> float:
        return float(np.square(predict(changed, encoded, mask) - plain).mean())

    by_name = {method: recover(classifier, sentences, mask, method) for method in RECOVERIES}
    changed = {name: classifier.with_weights(one.weights) for name, one in by_name.items()}
    assert distance(changed["thorough"]) < distance(classifier)
    assert distance(changed["compensate"]) < distance(classifier)
    for recovered in by_name.values():
        assert all(layer.error_after < layer.error_before for layer in recovered.layers)
    compensated, rescaled = (by_name[name].layers[0] for name in ("compensate", "rescale"))
    assert compensated.error_after < rescaled.error_after
    assert compensated.error_before == pytest.approx(rescaled.error_before, rel=1e-4)


def test_labels_are_never_read(classifier):
    sentences, mask = many_sentences(40), HeadMask.parse("L0H1,L1H2", 2, 4)
    turned = replace(sentences, labels=1 - sentences.labels)
    first, second = (recover(classifier, one, mask).weights for one in (sentences, turned))
    assert first == second


def test_a_recovered_classifier_is_recovered_anew_from_the_unpruned_one(classifier):
    sentences, mask = many_sentences(40), HeadMask.parse("L0H1,L1H2", 2, 4)
    once = recover(classifier, sentences, mask).weights
    again = recover(classifier.with_weights(once), sentences, mask).weights
    assert once == again


def test_a_recovered_classifier_can_be_scored_and_is_not_shared(classifier, dataset):
    before = copy.deepcopy(classifier.model.state_dict())
    mask = HeadMask.parse("L0H1,L1H2", 2, 4)
    recovered = recover(classifier, many_sentences(40), mask)
    changed = classifier.with_weights(recovered.weights)
    scores = score(changed, dataset, ["importance"], mask=mask)
    assert np.isfinite(scores.values["importance"][mask.kept]).all()
    for name, value in classifier.model.state_dict().items():
        assert torch.equal(before[name], value), name


def test_batches_padding_and_memory_change_nothing_but_how_many_sentences_count(
    classifier, monkeypatch
):
    sentences, mask = many_sentences(60), HeadMask.parse("L0H1,L1H2", 2, 4)
    whole = recover(classifier, sentences, mask)
    assert whole.sentences == 60
    monkeypatch.setitem(batching.TOKENS_PER_BATCH, "cpu", 1)
    alone = recover(classifier, sentences, mask)
    for number in (0, 1):
        np.testing.assert_allclose(
            projection_of(classifier, alone, number).weight,
            projection_of(classifier, whole, number).weight,
            atol=1e-3,
        )
    monkeypatch.setattr(layerwise, "STATE_BYTES", 4 * 32 * 100)  # room for 100 tokens
    assert 5 < recover(classifier, sentences, mask).sentences < 40


def test_half_precision_is_recovered(tmp_path):
    classifier = load_classifier(save_tiny(tmp_path), dtype="bfloat16")
    mask = HeadMask.parse("L0H1,L1H0,L1H1,L1H2,L1H3", 2, 4)
    recovered = recover(classifier, many_sentences(60), mask)
    changed = classifier.with_weights(recovered.weights)
    assert np.isfinite(predict(changed, changed.encode_texts(TEXTS), mask)).all()
    assert all(one.error_after < one.error_before for one in recovered.layers)


def test_refusals_say_what_to_do(classifier, dataset):
    mask = HeadMask.parse("L0H1", 2, 4)
    with pytest.raises(BhpvasError, match="'magic' is no recovery; choose from compensate"):
        recover(classifier, dataset, mask, "magic")
    with pytest.raises(BhpvasError, match="nothing to recover: remove some first"):
        recover(classifier, dataset, classifier.full_mask())
    with pytest.raises(DataError, match="at least 2 calibration sentences"):
        recover(classifier, dataset.take([0]), mask)


# --- ridge ----------------------------------------------------------------------------------------


def moments_of(inputs: np.ndarray, targets: np.ndarray) -> CrossMoments:
    made = CrossMoments(inputs.shape[1], targets.shape[1])
    for start in range(0, len(inputs), 7):
        batch = slice(start, start + 7)
        made.add(torch.from_numpy(inputs[batch]), torch.from_numpy(targets[batch]))
    return made


def test_moments_about_any_point_equal_those_of_shifted_samples():
    rng = np.random.default_rng(0)
    inputs, targets = rng.standard_normal((50, 4)) + 3, rng.standard_normal((50, 3)) - 1
    at, to = rng.standard_normal(4), rng.standard_normal(3)
    found = (moments_of(inputs[:20], targets[:20]) + moments_of(inputs[20:], targets[20:])).about(
        torch.from_numpy(at), torch.from_numpy(to)
    )
    np.testing.assert_allclose(found.inputs, (inputs - at).T @ (inputs - at), rtol=1e-4)
    np.testing.assert_allclose(found.cross, (inputs - at).T @ (targets - to), rtol=1e-3, atol=1e-3)
    assert found.targets == pytest.approx(np.square(targets - to).sum(), rel=1e-5)
    solution = torch.from_numpy(rng.standard_normal((4, 3)))
    error = np.square(targets - to - (inputs - at) @ solution.numpy()).sum()
    assert squared_error(found, solution) == pytest.approx(error, rel=1e-4)


def test_the_ridge_grows_with_the_noise_and_never_does_harm():
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((60, 20))
    truth = rng.standard_normal((20, 3))
    checks = rng.standard_normal((400, 20))
    prior = torch.zeros(20, 3, dtype=torch.float64)
    origin = torch.zeros(20).double(), torch.zeros(3).double()
    chosen = []
    for noise in (0.0, 3.0, 300.0):
        fitted, held_out = (
            moments_of(one, one @ truth + noise * rng.standard_normal((len(one), 3))).about(*origin)
            for one in (inputs, checks)
        )
        found = choose(fitted, held_out, prior)
        assert found.error <= squared_error(held_out, prior)
        if math.isfinite(found.ridge):
            again = solve(fitted, prior, found.ridge)
            np.testing.assert_allclose(found.solution, again, atol=1e-8)
        chosen.append(found.ridge)
    assert chosen[0] < 1e-6 < chosen[1] < chosen[2]


def test_inputs_that_never_vary_leave_the_prior():
    origin = torch.zeros(3).double(), torch.zeros(2).double()
    products = moments_of(np.zeros((5, 3)), np.ones((5, 2))).about(*origin)
    prior = torch.ones(3, 2, dtype=torch.float64)
    assert choose(products, products, prior).ridge == math.inf
    assert torch.equal(solve(products, prior, 0.1), prior)
