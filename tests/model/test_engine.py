"""The engine against the model's own forward pass, zeroed weights and removed heads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from bhpvas.criteria import CRITERIA, score
from bhpvas.data.dataset import Dataset
from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model import batching
from bhpvas.model.batching import batches
from bhpvas.model.classifier import _device, load_classifier
from bhpvas.model.engine import first_states, predict, stream
from bhpvas.model.layers import finish_layer
from bhpvas.model.states import StateCache
from bhpvas.progress import Cancelled
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


def test_long_sentences_are_cut_and_counted(classifier):
    limit = classifier.geometry.max_length
    encoded = classifier.encode_texts(["good " * (limit - 2), "good " * (limit - 1), "good"])
    assert list(encoded.lengths) == [limit, limit, 3]
    assert encoded.truncated == 1


def test_state_cache_gives_the_same_numbers_and_skips_layers(classifier, monkeypatch):
    encoded = classifier.encode_texts(TEXTS)
    cache = StateCache()
    masks = [HeadMask.parse(text, 2, 4) for text in ["", "L1H0", "L0H1", "L0H1,L1H3", ""]]
    expected = [predict(classifier, encoded, mask) for mask in masks]
    embedded = []
    embed = type(classifier).embed
    monkeypatch.setattr(
        type(classifier), "embed", lambda self, *args: embedded.append(1) or embed(self, *args)
    )
    runs = []
    for mask, wanted in zip(masks, expected, strict=True):
        embedded.clear()
        np.testing.assert_allclose(
            predict(classifier, encoded, mask, cache=cache), wanted, atol=1e-6
        )
        runs.append(len(embedded))
    # Only the first mask and the one that changes layer 0 need the embeddings.
    assert [count > 0 for count in runs] == [True, False, True, False, False]


def test_two_models_may_share_one_state_cache(tmp_path):
    cache = StateCache()
    models = [load_classifier(save_tiny(tmp_path / str(seed), seed=seed)) for seed in (0, 1)]
    for model in models:
        encoded = model.encode_texts(TEXTS)
        np.testing.assert_allclose(
            predict(model, encoded, cache=cache), predict(model, encoded), atol=1e-6
        )


def test_a_deeper_model_gets_fewer_tokens_at_once(classifier, monkeypatch):
    encoded = classifier.encode_texts(TEXTS * 50)
    per_token = classifier.geometry.layers * classifier.geometry.hidden_size
    monkeypatch.setattr(batching, "NUMBERS_PER_BATCH", 64 * per_token)
    sizes = [int(encoded.lengths[rows].max()) * len(rows) for rows in batches(classifier, encoded)]
    assert 32 < max(sizes) <= 64


def test_state_cache_stays_within_its_limit(classifier):
    encoded = classifier.encode_texts(TEXTS)
    cache = StateCache(limit_bytes=4000)
    for text in ["", "L0H0", "L0H1", "L0H2"]:
        mask = HeadMask.parse(text, 2, 4)
        np.testing.assert_allclose(
            predict(classifier, encoded, mask, cache=cache),
            predict(classifier, encoded, mask),
            atol=1e-6,
        )
        assert cache.used_bytes <= 4000


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


def test_a_progress_callback_sees_every_batch_and_can_stop(classifier):
    encoded = classifier.encode_texts(TEXTS * 50)
    calls: list[tuple[int, int]] = []
    predict(classifier, encoded, progress=lambda done, total: calls.append((done, total)))
    total = calls[0][1]
    assert total > 1 and calls == [(done, total) for done in range(total + 1)]

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict(classifier, encoded, progress=stop)
    with pytest.raises(Cancelled):
        stream(classifier, encoded, np.zeros(len(encoded), dtype=int), [], progress=stop)


@pytest.fixture
def little_memory(classifier, monkeypatch):
    """The last layer has room for three sentences; what was seen below it is seen again."""
    tried: list[int] = []

    def finish(layer, states, attention_output):
        if layer is classifier.layers[-1]:
            tried.append(len(states))
            if len(states) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return finish_layer(layer, states, attention_output)

    for module in ("engine", "layers"):
        monkeypatch.setattr(f"bhpvas.model.{module}.finish_layer", finish)
    return tried


def test_a_batch_that_does_not_fit_is_halved_like_all_that_follow(classifier, little_memory):
    encoded = classifier.encode_texts(TEXTS[:1] * 240)  # all batches but the last are of one size
    calls: list[tuple[int, int]] = []
    stream(classifier, encoded, np.zeros(240, dtype=int), [], progress=lambda *at: calls.append(at))
    assert calls == [(done, len(calls) - 1) for done in range(len(calls))]
    failed = [size for size in little_memory if size > 3]
    assert failed == sorted(failed, reverse=True) and len(set(failed)) == len(failed)
    assert sum(size for size in little_memory if size <= 3) == 240
    # The lesson is learnt in the first batch.
    assert max(map(little_memory.index, failed)) < len(failed)


def test_halved_batches_change_no_result(classifier, dataset, request):
    def everything():
        encoded = classifier.encode(dataset)
        scores = score(classifier, dataset, tuple(CRITERIA))
        return [
            predict(classifier, encoded),
            first_states(classifier, encoded),
            scores.logits,
            scores.gate_gradients,
            *scores.values.values(),
            *scores.similarity_matrix.values(),
        ]

    expected = everything()
    tried = request.getfixturevalue("little_memory")
    for found, wanted in zip(everything(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert max(tried) == len(dataset)


def test_no_room_for_one_sentence_is_one_sentence(classifier, monkeypatch):
    def never(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    encoded = classifier.encode_texts(TEXTS)
    monkeypatch.setattr("bhpvas.model.layers.finish_layer", never)
    with pytest.raises(ModelError, match=r"^A sentence of 17 tokens does not fit .* of cpu: "):
        predict(classifier, encoded)
    monkeypatch.setattr("bhpvas.model.layers.finish_layer", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        predict(classifier, encoded)


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


def test_texts_are_tokenised_in_parts(tmp_path, monkeypatch):
    for family in CONFIGS:
        classifier = load_classifier(save_tiny(tmp_path / family, family))
        for pairs in (None, TEXTS[::-1]):
            whole = classifier.encode_texts(TEXTS, pairs)
            for bound in ("_TEXTS_AT_ONCE", "_CHARACTERS_AT_ONCE"):
                monkeypatch.setattr(f"bhpvas.model.encoding.{bound}", 5)
                parts = classifier.encode_texts(TEXTS, pairs)
                monkeypatch.undo()
                assert (parts.fingerprint, parts.truncated) == (whole.fingerprint, whole.truncated)
            for row, text in enumerate(TEXTS):
                one = classifier.tokenizer(
                    text, pairs and pairs[row], truncation=True, max_length=40
                )
                np.testing.assert_array_equal(parts.input_ids(row), one["input_ids"])
                kinds = one.get("token_type_ids", [0] * len(one["input_ids"]))
                np.testing.assert_array_equal(parts.token_type_ids(row), kinds)


class Counting:
    """A tokenizer that writes down how many characters it is given at once."""

    def __init__(self, tokenizer):
        self.tokenizer, self.given = tokenizer, []

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def __call__(self, texts, pairs, **settings):
        self.given.append(sum(map(len, texts)) + sum(map(len, pairs or ())))
        return self.tokenizer(texts, pairs, **settings)


def test_long_texts_are_tokenised_a_few_at_once(classifier):
    counting = Counting(classifier.tokenizer)
    long = replace(classifier, tokenizer=counting)
    for pairs, at_once in ((None, 6), (("! " * 10_000,) * 14, 3)):
        counting.given.clear()
        found = long.encode_texts(("! " * 10_000,) * 14, pairs)
        assert found.truncated == 14
        one = 20_000 if pairs is None else 40_000
        assert max(counting.given) == at_once * one <= 2**17
        assert sum(counting.given) == 14 * one


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("side", ["right", "left"])
def test_texts_are_cut_as_the_tokenizer_cuts(tmp_path, family, side):
    """Against its own truncation, of short and long texts, singly and in pairs."""
    classifier = load_classifier(save_tiny(tmp_path, family))
    classifier.tokenizer.truncation_side = side
    most = classifier.geometry.max_length
    words = " ".join(TEXTS).split()
    texts = [" ".join((words * 9)[start : start + n]) for start, n in enumerate(range(1, 90, 4))]
    every = [(text, None) for text in texts] + [(a, b) for a in texts for b in texts]
    for single in (True, False):
        some = [pair for pair in every if (pair[1] is None) == single]
        found = classifier.encode_texts(
            [text for text, _ in some], None if single else [other for _, other in some]
        )
        assert 0 < found.truncated < len(some)
        for row, (text, other) in enumerate(some):
            one = classifier.tokenizer(text, other, truncation=True, max_length=most)
            assert found.input_ids(row).tolist() == one["input_ids"]
            kinds = one.get("token_type_ids") or [0] * len(one["input_ids"])
            assert found.token_type_ids(row).tolist() == kinds
            assert found.lengths[row] == len(one["input_ids"])


def test_tokens_are_counted_up_to_a_bound(classifier):
    counting = Counting(classifier.tokenizer)
    counted = replace(classifier, tokenizer=counting)
    data = Dataset("long", ("! " * 10_000,) * 14, None, [0, 1] * 7, ("no", "yes"))
    whole = classifier.encode(data).lengths  # 40 tokens each
    np.testing.assert_array_equal(counted.lengths(data), whole)
    np.testing.assert_array_equal(counted.lengths(data, int(whole.sum())), whole)
    counting.given.clear()
    found = counted.lengths(data, 6 * 40)
    np.testing.assert_array_equal(found, whole[:12])
    assert len(counting.given) == 2


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
    logits = classifier.classify(torch.tensor(every[1])).detach().numpy()
    np.testing.assert_allclose(logits, predict(classifier, encoded, mask), atol=1e-5)
