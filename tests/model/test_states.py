"""State cache: the same numbers from fewer layers, for any number of models."""

from __future__ import annotations

import numpy as np

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.model.engine import predict
from bhpvas.model.states import StateCache
from tests.conftest import TEXTS
from tests.tiny import save_tiny


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
        assert cache._entries.used <= 4000
