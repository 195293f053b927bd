"""Recovery in closed form: what all ways have in common."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from bhpvas.criteria import score
from bhpvas.errors import BhpvasError, DataError
from bhpvas.heads import HeadMask
from bhpvas.model import batching
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import predict
from bhpvas.model.pruning import remove_heads
from bhpvas.recovery import RECOVERIES, kept_states, recover
from bhpvas.recovery.layerwise import calibration_parts
from tests.conftest import TEXTS
from tests.recovery.refitted import projection_of
from tests.tiny import many_sentences, save_tiny


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


def test_batches_and_padding_change_nothing(classifier, monkeypatch):
    sentences, mask = many_sentences(60), HeadMask.parse("L0H1,L1H2", 2, 4)
    whole = recover(classifier, sentences, mask)
    monkeypatch.setitem(batching.TOKENS_PER_BATCH, "cpu", 1)
    alone = recover(classifier, sentences, mask)
    for number in (0, 1):
        np.testing.assert_allclose(
            projection_of(classifier, alone, number).weight,
            projection_of(classifier, whole, number).weight,
            atol=1e-3,
        )


@pytest.mark.parametrize("method", RECOVERIES)
def test_every_sentence_counts_however_little_memory_its_states_may_take(
    classifier, monkeypatch, method
):
    sentences, mask = many_sentences(60), HeadMask.parse("L0H1,L1H2", 2, 4)
    monkeypatch.setitem(batching.TOKENS_PER_BATCH, "cpu", 30)
    whole = recover(classifier, sentences, mask, method)
    assert (whole.sentences, whole.held_out) == (60, 15)
    assert whole.record()["held_out"] == 15
    monkeypatch.setattr(kept_states, "IN_MEMORY", 4 * 32 * 100)  # 100 tokens, of about 500
    assert recover(classifier, sentences, mask, method) == whole


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
    with pytest.raises(DataError, match="at least 2 different calibration sentences"):
        recover(classifier, dataset.take([0]), mask)


def test_copies_are_held_out_together(classifier):
    """What a held-out sentence says of a fit is nothing where its copy was fitted."""
    data = many_sentences(24)
    copied = data.take(np.arange(96) % 24)
    copied = replace(copied, texts=tuple(text.upper() for text in copied.texts))
    encoded = classifier.encode(copied)
    held_out = np.concatenate(
        [part.held_out.numpy() for part in calibration_parts(classifier, encoded)]
    )
    rows = np.concatenate(batching.batches(classifier, encoded))
    by_row = np.zeros(96, bool)
    by_row[rows] = held_out
    assert (by_row == by_row[:24][np.arange(96) % 24]).all() and by_row[:24].sum() == 6
    mask = HeadMask.parse("L0H1", 2, 4)
    assert recover(classifier, copied, mask).held_out == 24
    with pytest.raises(DataError, match="one to check, and there is 1: take more"):
        recover(classifier, data.take([3, 3, 3]), mask)
