"""Similarity of heads against Gram matrices written out, one pair at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bhpvas.criteria import CRITERIA, score, similarity_to_kept
from bhpvas.criteria.similarity import _LARGEST_TOKEN_WIDTH, OutputProducts
from bhpvas.data.sampling import Sample
from bhpvas.errors import DataError
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import load_classifier
from bhpvas.model.engine import Seen
from tests import reference
from tests.conftest import TEXTS, tiny_dataset
from tests.criteria.conftest import slow_jsd
from tests.tiny import save_tiny


def slow_unbiased_hsic(x, y):
    """Song et al. 2012, eq. 5, with Gram matrices written out."""
    n = len(x)
    gram, other = x @ x.T, y @ y.T
    np.fill_diagonal(gram, 0)
    np.fill_diagonal(other, 0)
    one = np.ones(n)
    return (
        np.trace(gram @ other)
        + one @ gram @ one * (one @ other @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ gram @ other @ one)
    ) / (n * (n - 3))


def test_similarity_is_the_unbiased_cka_of_all_tokens(scores, classifier):
    outputs = [reference.head_outputs(classifier, text) for text in TEXTS]
    samples = np.concatenate(outputs, axis=2).reshape(8, -1, classifier.geometry.head_size)
    samples = samples.astype(np.float64)
    hsic = np.array([[slow_unbiased_hsic(x, y) for y in samples] for x in samples])
    expected = hsic / np.sqrt(np.outer(np.diag(hsic), np.diag(hsic)))
    np.testing.assert_allclose(scores.similarity_matrix["similarity"], expected, atol=1e-4)
    np.fill_diagonal(expected, -np.inf)
    np.testing.assert_allclose(scores.values["similarity"].reshape(-1), expected.max(1), atol=1e-4)


def test_map_similarities_follow_from_eager_maps(scores, maps):
    flat = [one.reshape(8, *one.shape[2:]).astype(np.float64) for one in maps]
    hsic, overlap = np.zeros((8, 8)), np.zeros((8, 8))
    for one in flat:
        for i in range(8):
            for j in range(8):
                if one.shape[1] >= 4:
                    hsic[i, j] += slow_unbiased_hsic(one[i], one[j])
                rows = [1 - slow_jsd(a, b) for a, b in zip(one[i], one[j], strict=True)]
                overlap[i, j] += np.mean(rows) / len(flat)
    cka = hsic / np.sqrt(np.outer(np.diag(hsic), np.diag(hsic)))
    np.testing.assert_allclose(scores.similarity_matrix["similarity-maps"], cka, atol=1e-4)
    np.testing.assert_allclose(scores.similarity_matrix["similarity-js"], overlap, atol=1e-5)


def test_a_copied_head_has_similarity_one(tmp_path):
    classifier = load_classifier(save_tiny(tmp_path))
    size = classifier.geometry.head_size
    for part in ("query", "key", "value"):
        linear = getattr(classifier.layers[0], part)
        for parameter in (linear.weight, linear.bias):
            parameter.data[3 * size :] = parameter.data[size : 2 * size]
    found = score(classifier, tiny_dataset(), ["similarity", "similarity-maps", "similarity-js"])
    for name, matrix in found.similarity_matrix.items():
        assert matrix[1, 3] == pytest.approx(1, abs=1e-4), name
        assert found.values[name][0, 1] == pytest.approx(1, abs=1e-4), name


def feed(classifier, outputs: np.ndarray, sentence_length: int = 10) -> np.ndarray:
    """CKA of made-up head outputs ``[N, L, H, d_h]`` by the streaming collector."""
    collector = OutputProducts(classifier, Sample.of(1, 1))
    values = torch.tensor(outputs, dtype=torch.float32)
    for start in range(0, len(values), sentence_length):
        part = values[start : start + sentence_length]
        real = torch.ones(1, len(part), dtype=torch.bool)
        batch = Batch(np.zeros(1, int), real.long(), real.long(), real, padded=False)
        for layer in range(values.shape[1]):
            collector.see_layer(Seen(batch, layer, part[None, :, layer], None))
        collector.see_batch(batch, torch.zeros(1, 2), None)
    return collector.cka()


def test_independent_noise_has_similarity_zero(classifier):
    """The unbiased estimator has no floor: the biased one would read about 0.03 here."""
    rng = np.random.default_rng(0)
    found = feed(classifier, rng.standard_normal((300, 2, 4, 8)))
    off = found[~np.eye(8, dtype=bool)]
    assert abs(off.mean()) < 0.005 and np.abs(off).max() < 0.03
    np.testing.assert_allclose(np.diag(found), 1)


def test_similarity_survives_a_large_constant_offset(classifier):
    """Heads that rest on [SEP] put out nearly a constant; what varies still decides."""
    rng = np.random.default_rng(1)
    outputs = rng.standard_normal((400, 2, 4, 8))
    outputs[:, 1, 0] = outputs[:, 0, 0] * 0.5
    shifted = outputs + 1000 * rng.standard_normal((1, 2, 4, 8))
    np.testing.assert_allclose(feed(classifier, shifted), feed(classifier, outputs), atol=2e-3)
    assert feed(classifier, shifted)[0, 4] == pytest.approx(1, abs=1e-3)


def test_what_similarity_says_of_itself_is_what_is_computed():
    """The estimator by its name, and up to which width a token is a sample."""
    criterion = CRITERIA["similarity"]
    assert r"\mathrm{HSIC}_1(i,j)&=\frac1{n(n-3)}" in criterion.formula
    assert f"{_LARGEST_TOKEN_WIDTH:,}" in criterion.misleads


def test_wide_models_are_compared_by_sentence_means(classifier, dataset, monkeypatch):
    monkeypatch.setattr("bhpvas.criteria.similarity._LARGEST_TOKEN_WIDTH", 1)
    found = score(classifier, dataset, ["similarity"])
    assert found.similarity_unit == "sentence"
    means = [reference.head_outputs(classifier, text).mean(2) for text in TEXTS]  # [L, H, d_h]
    samples = np.stack(means).reshape(len(TEXTS), 8, -1).transpose(1, 0, 2).astype(np.float64)
    hsic = np.array([[slow_unbiased_hsic(x, y) for y in samples] for x in samples])
    expected = hsic / np.sqrt(np.outer(np.diag(hsic), np.diag(hsic)))
    np.testing.assert_allclose(found.similarity_matrix["similarity"], expected, atol=1e-3)


def test_similarity_counts_kept_heads_only():
    matrix = np.array([[1, 0.9, 0.2], [0.9, 1, 0.4], [0.2, 0.4, 1.0]])
    everyone = similarity_to_kept(matrix, np.ones((1, 3)))
    np.testing.assert_allclose(everyone, [[0.9, 0.9, 0.4]])
    np.testing.assert_allclose(similarity_to_kept(matrix, np.array([[1, 0, 1]])), [[0.2, 0.9, 0.2]])
    assert np.isnan(similarity_to_kept(matrix, np.array([[0, 0, 1]]))[0, 2])


def test_too_little_to_compare_heads_on_is_one_sentence(classifier, dataset):
    one = replace(dataset.take([0]), texts=("film",))  # with [CLS] and [SEP] three tokens
    with pytest.raises(DataError, match=r"at least 4 tokens .* there are 3: take more sentences"):
        score(classifier, one, ["similarity"])
