"""The engine against the model's own forward pass, zeroed weights and removed heads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bhpvas.criteria import CRITERIA, score
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import _device, load_classifier
from bhpvas.model.engine import first_states, predict
from bhpvas.model.states import StateCache
from tests import reference
from tests.conftest import TEXTS
from tests.tiny import CONFIGS, SEPARATE, save_tiny

MASKS = ["", "L0H1", "L1H0,L1H2", "L0H0,L0H1,L0H2,L0H3", "L1H0,L1H1,L1H2,L1H3", "L0H3,L1H1"]


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("labels", [2, 5])
def test_mask_of_ones_is_the_plain_model(tmp_path, family, labels):
    classifier = load_classifier(save_tiny(tmp_path, family, labels=labels))
    expected = reference.plain_logits(classifier, TEXTS)
    for mask in (None, classifier.full_mask()):
        found = predict(classifier, classifier.encode_texts(TEXTS), mask)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("removed", MASKS)
def test_mask_equals_zeroed_weights_equals_removed_heads(classifier, removed):
    mask = HeadMask.parse(removed, 2, 4)
    found = predict(classifier, classifier.encode_texts(TEXTS), mask)
    padded = classifier.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    for change in (reference.zeroed, reference.sliced):
        with torch.no_grad():
            expected = change(classifier, mask)(**padded).logits.numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", SEPARATE)
def test_mask_equals_zeroed_weights_in_every_family(tmp_path, family):
    classifier = load_classifier(save_tiny(tmp_path, family))
    mask = HeadMask.parse("L0H2,L1H0,L1H3", 2, 4)
    model = reference.zeroed(classifier, mask)
    for text in TEXTS[:3]:
        with torch.no_grad():
            expected = model(**reference.inputs_of(classifier, text)).logits.numpy()
        found = predict(classifier, classifier.encode_texts([text]), mask)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_batching_and_padding_change_nothing(classifier):
    encoded = classifier.encode_texts(TEXTS)
    mask = HeadMask.parse("L0H1,L1H2", 2, 4)
    together = predict(classifier, encoded, mask)
    alone = [predict(classifier, classifier.encode_texts([text]), mask)[0] for text in TEXTS]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    some = [7, 0, 3]
    np.testing.assert_allclose(
        predict(classifier, encoded, mask, indices=some), together[some], atol=1e-5
    )


def test_pairs_of_sentences_reach_the_model_as_pairs(classifier):
    encoded = classifier.encode_texts(TEXTS[:3], TEXTS[3:6])
    both = classifier.tokenizer(
        list(TEXTS[:3]), list(TEXTS[3:6]), padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected = classifier.model(**both).logits.numpy()
    np.testing.assert_allclose(predict(classifier, encoded), expected, atol=1e-5)


def test_eight_threads_with_different_masks_get_their_own_answers(classifier):
    encoded = classifier.encode_texts(TEXTS)
    masks = [HeadMask.parse(text, 2, 4) for text in (*MASKS, "L0H2,L1H3", "L0H0,L1H0")]
    expected = [predict(classifier, encoded, mask) for mask in masks]
    cache = StateCache()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            found = pool.map(lambda mask: predict(classifier, encoded, mask, cache=cache), masks)
            for got, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_mixed_is_close_to_float32_and_leaves_the_weights(tmp_path, dataset):
    folder = save_tiny(tmp_path)
    mixed, full = load_classifier(folder, dtype="mixed"), load_classifier(folder)
    assert {one.dtype for one in mixed.model.parameters()} == {torch.float32}
    found, wanted = (score(one, dataset, tuple(CRITERIA)) for one in (mixed, full))
    assert found.logits.dtype == np.float32 and (found.logits != wanted.logits).any()
    np.testing.assert_allclose(found.logits, wanted.logits, atol=0.1 * np.abs(wanted.logits).max())
    for name in ("importance", "stability", "similarity", "entropy"):
        assert np.corrcoef(found.values[name].ravel(), wanted.values[name].ravel())[0, 1] > 0.99


def test_auto_takes_a_card_where_there_is_one(tmp_path, monkeypatch):
    found = load_classifier(save_tiny(tmp_path), device="auto", dtype="auto")
    assert torch.cuda.is_available() or (found.device.type, found.mixed) == ("cpu", False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert _device("auto") == torch.device("cuda")


def test_bfloat16_is_close_to_float32(tmp_path):
    folder = save_tiny(tmp_path)
    half, full = load_classifier(folder, dtype="bfloat16"), load_classifier(folder)
    mask = HeadMask.parse("L0H1", 2, 4)
    found = predict(half, half.encode_texts(TEXTS), mask)
    expected = predict(full, full.encode_texts(TEXTS), mask)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())


def test_the_shared_model_is_left_as_it_was(classifier):
    before = {name: value.clone() for name, value in classifier.model.state_dict().items()}
    predict(classifier, classifier.encode_texts(TEXTS), HeadMask.parse("L0H1,L1H2", 2, 4))
    for name, value in classifier.model.state_dict().items():
        assert torch.equal(before[name], value), name
    assert not any(parameter.requires_grad for parameter in classifier.model.parameters())


def test_first_states_are_what_the_plain_model_has_at_cls(classifier, dataset):
    encoded = classifier.encode(dataset)
    found = first_states(classifier, encoded)
    assert found.shape == (2, 12, 32)
    for row in range(len(dataset)):
        ids = torch.tensor(encoded.input_ids(row))[None]
        with torch.no_grad():
            states = classifier.model(ids, output_hidden_states=True).hidden_states
        for layer in range(2):
            expected = states[layer + 1][0, 0].numpy()
            np.testing.assert_allclose(found[layer, row], expected, atol=2e-5)


def test_first_states_of_one_layer_under_a_mask(classifier, dataset):
    encoded, mask = classifier.encode(dataset), HeadMask.parse("L0H1,L1H2", 2, 4)
    every = first_states(classifier, encoded, mask)
    for layer in range(2):
        (one,) = first_states(classifier, encoded, mask, layers=[layer])
        np.testing.assert_array_equal(one, every[layer])
    logits = classifier.classify(torch.tensor(every[1])[:, None], None).detach().numpy()
    np.testing.assert_allclose(logits, predict(classifier, encoded, mask), atol=1e-5)
