"""Batches of about equal length, and of fewer sentences where memory is short."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.criteria import CRITERIA, score
from bhpvas.errors import ModelError
from bhpvas.model import batching
from bhpvas.model.batching import batches, length_sorted_batches
from bhpvas.model.engine import first_states, predict, stream
from bhpvas.model.layers import neurons_of
from bhpvas.progress import Cancelled
from tests.conftest import TEXTS


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 200))
def test_batches_hold_every_index_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = length_sorted_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch.tolist()) == [*range(len(lengths))]
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
    for batch, following in pairwise(batches):
        # One more sentence would not have fitted.
        assert following.size
        assert (len(batch) + 1) * max(lengths[batch[0]], 1) > budget


def test_a_deeper_model_gets_fewer_tokens_at_once(classifier, monkeypatch):
    encoded = classifier.encode_texts(TEXTS * 50)
    per_token = classifier.geometry.layers * classifier.geometry.hidden_size
    monkeypatch.setattr(batching, "NUMBERS_PER_BATCH", 64 * per_token)
    sizes = [int(encoded.lengths[rows].max()) * len(rows) for rows in batches(classifier, encoded)]
    assert 32 < max(sizes) <= 64


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

    def feed(layer, attended):
        if layer is classifier.layers[-1]:
            tried.append(len(attended))
            if len(attended) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return neurons_of(layer, attended)

    for module in ("engine", "layers"):
        monkeypatch.setattr(f"bhpvas.model.{module}.neurons_of", feed)
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
    monkeypatch.setattr("bhpvas.model.layers.neurons_of", never)
    with pytest.raises(ModelError, match=r"^A sentence of 17 tokens does not fit .* of cpu: "):
        predict(classifier, encoded)
    monkeypatch.setattr("bhpvas.model.layers.neurons_of", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        predict(classifier, encoded)
