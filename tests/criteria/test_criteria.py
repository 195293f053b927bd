"""Every criterion against its definition, computed one sentence, head or pair at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.criteria import (
    CRITERIA,
    DEFAULT_CRITERIA,
    PROFILE_PARTS,
    combined,
    rank_intervals,
    ranks,
    removal_order,
    score,
    similarity_to_kept,
)
from bhpvas.criteria.attention import jensen_shannon
from bhpvas.criteria.similarity import _LARGEST_TOKEN_WIDTH, OutputProducts
from bhpvas.data.sampling import Sample
from bhpvas.errors import BhpvasError, DataError
from bhpvas.evaluation.estimate import Estimate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import load_classifier
from bhpvas.model.engine import Seen
from tests import reference
from tests.conftest import TEXTS, tiny_dataset
from tests.tiny import SEPARATE, save_tiny


@pytest.fixture(scope="module")
def scores(classifier, dataset):
    return score(classifier, dataset, list(CRITERIA))


@pytest.fixture(scope="module")
def maps(classifier):
    return [reference.attention_maps(classifier, text) for text in TEXTS]  # N × [L, H, T, T]


def slow_jsd(p, q):
    middle = (p + q) / 2

    def divergence(a):
        return sum(x * math.log(x / y) for x, y in zip(a, middle, strict=True) if x > 0)

    return (divergence(p) + divergence(q)) / 2 / math.log(2)


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


# --- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", SEPARATE)
def test_gate_gradients_equal_those_of_a_batch_of_one(tmp_path, family):
    classifier = load_classifier(save_tiny(tmp_path, family, labels=3))
    dataset = tiny_dataset(3)
    found = score(classifier, dataset, ["importance"]).gate_gradients
    for row, text in enumerate(TEXTS):
        expected = reference.gate_gradients(classifier, text, int(dataset.labels[row]))
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-5)


def test_gradient_criteria_follow_from_single_sentences(scores, classifier, dataset):
    single = np.stack(
        [
            reference.gate_gradients(classifier, text, int(label))
            for text, label in zip(TEXTS, dataset.labels, strict=True)
        ]
    )
    importance = np.abs(single).mean(0)
    expected = {
        "importance": importance,
        "importance-normalised": importance / np.linalg.norm(importance, axis=1, keepdims=True),
        "fisher": (single**2).mean(0),
        "first-order": -single.mean(0),
        "stability-gradient": 1 / (1 + np.abs(single).std(0) / np.abs(single).mean(0)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores.values[name], values, atol=1e-5, err_msg=name)


def test_first_order_is_the_slope_of_the_loss(classifier, dataset, scores):
    """Turning one gate down a little changes the loss by that much of the first-order score."""
    step = 1e-3
    for layer, head in [(0, 1), (1, 3)]:
        change = []
        for sign in (+1, -1):
            model = reference.zeroed(classifier, HeadMask(2, 4))
            size = classifier.geometry.head_size
            weight = reference.output_layers(classifier, model)[layer].weight.data
            weight[:, head * size : (head + 1) * size] *= 1 - sign * step
            losses = [
                torch.nn.functional.cross_entropy(
                    model(**reference.inputs_of(classifier, text)).logits.double(),
                    torch.tensor([int(label)]),
                ).item()
                for text, label in zip(TEXTS, dataset.labels, strict=True)
            ]
            change.append(np.mean(losses))
        slope = (change[0] - change[1]) / (2 * step)
        assert scores.values["first-order"][layer, head] == pytest.approx(slope, abs=2e-3)


# --- attention ------------------------------------------------------------------------------------


def test_attention_criteria_follow_from_eager_maps(scores, classifier, maps):
    confidence, entropy = np.zeros((12, 2, 4)), np.zeros((12, 2, 4))
    for row, one in enumerate(maps):
        ids = classifier.encode_texts([TEXTS[row]]).input_ids(0)
        entropy[row] = -(one * np.log(one)).sum(-1).mean(-1)
        confidence[row] = one[..., ids != classifier.tokenizer.sep_token_id].max(-1).mean(-1)
    expected = {
        "confidence": confidence.mean(0),
        "entropy": entropy.mean(0),
        "stability-confidence": 1 / (1 + confidence.std(0) / confidence.mean(0)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores.values[name], values, atol=1e-5, err_msg=name)


def test_profile_and_stability_follow_from_eager_maps(scores, classifier, maps):
    profiles = np.zeros((12, 2, 4, 7))
    for row, one in enumerate(maps):
        tokens = classifier.tokenizer.convert_ids_to_tokens(
            classifier.encode_texts([TEXTS[row]]).input_ids(0).tolist()
        )
        for asking in range(len(tokens)):
            for answering, token in enumerate(tokens):
                if token in ("[CLS]", "[SEP]"):
                    part = token
                elif abs(answering - asking) <= 1:
                    part = {0: "itself", -1: "previous", 1: "next"}[answering - asking]
                else:
                    part = "punctuation" if token in ". , ! ? '".split() else "rest"
                mass = one[:, :, asking, answering] / len(tokens)
                profiles[row, :, :, PROFILE_PARTS.index(part)] += mass
    np.testing.assert_allclose(profiles.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(scores.profile, profiles.mean(0), atol=1e-5)
    for layer in range(2):
        for head in range(4):
            mean = profiles[:, layer, head].mean(0)
            alike = [1 - slow_jsd(one, mean) for one in profiles[:, layer, head]]
            assert scores.values["stability"][layer, head] == pytest.approx(
                np.mean(alike), abs=1e-5
            )


def test_a_head_that_never_changes_is_perfectly_stable(tmp_path):
    """A head whose queries are zero attends evenly: constant on sentences of one length."""
    classifier = load_classifier(save_tiny(tmp_path))
    size = classifier.geometry.head_size
    for parameter in (classifier.layers[1].query.weight, classifier.layers[1].query.bias):
        parameter.data[2 * size : 3 * size] = 0
    texts = ("good film", "awful book", "great hotel", "fine meal", "dull phone", "like you")
    dataset = tiny_dataset().take(range(6))
    found = score(
        classifier,
        replace(dataset, texts=texts),
        ["stability", "stability-confidence", "entropy"],
    )
    assert found.values["stability"][1, 2] == pytest.approx(1, abs=1e-6)
    assert found.values["stability-confidence"][1, 2] == pytest.approx(1, abs=1e-6)
    assert found.values["entropy"][1, 2] == pytest.approx(math.log(4), abs=1e-6)
    others = np.delete(found.values["stability"].reshape(-1), 6)
    assert (others < 1).all()


def test_jensen_shannon_has_its_known_values():
    p = np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]])
    q = np.array([[0.0, 1.0], [0.5, 0.5], [0.5, 0.5]])
    expected = [1.0, 0.0, slow_jsd(p[2], q[2])]
    np.testing.assert_allclose(jensen_shannon(p, q), expected, atol=1e-12)


# --- similarity -----------------------------------------------------------------------------------


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
    np.testing.assert_allclose(similarity_to_kept(matrix, np.array([[0, 0, 1]]))[0, 2], 0)


# --- under a mask, by class, ranks ----------------------------------------------------------------


def test_scores_under_a_mask_are_those_of_the_zeroed_model(classifier, dataset, tmp_path):
    mask = HeadMask.parse("L0H1,L1H2", 2, 4)
    pruned = reference.zeroed(classifier, mask)
    pruned.save_pretrained(tmp_path)
    classifier.tokenizer.save_pretrained(tmp_path)
    expected = score(load_classifier(tmp_path), dataset, list(CRITERIA))
    found = score(classifier, dataset, list(CRITERIA), mask=mask)
    for name in CRITERIA:
        assert np.isnan(found.values[name]).sum() == 2
        if found.measured[name].matrix is None:
            kept = mask.kept
            np.testing.assert_allclose(
                found.values[name][kept], expected.values[name][kept], atol=1e-5, err_msg=name
            )


def test_a_layer_s_norm_is_that_of_its_kept_heads(classifier, dataset):
    found = score(
        classifier,
        dataset,
        ["importance", "importance-normalised"],
        mask=HeadMask.parse("L0H0,L0H2", 2, 4),
    )
    importance, shown = (np.nan_to_num(one) for one in found.values.values())
    np.testing.assert_allclose(np.linalg.norm(shown, axis=1), 1)
    norm = np.linalg.norm(importance, axis=1)[:, None]
    raw, divided = found.per_example.values()
    np.testing.assert_allclose(divided[:, 0, [1, 3]], raw[:, 0, [1, 3]] / norm[0], rtol=1e-5)
    assert (divided[:, 0, [0, 2]] == 0).all()


def test_class_parts_average_to_the_whole(scores, dataset):
    counts = np.bincount(dataset.labels)
    for name in ("importance", "fisher", "confidence", "stability"):
        parts = scores.by_class(name)
        whole = np.tensordot(counts / counts.sum(), parts, 1)
        np.testing.assert_allclose(whole, scores.values[name], rtol=1e-5)
    with pytest.raises(BhpvasError, match="no part by class"):
        scores.by_class("similarity")


def test_one_pass_or_many_give_the_same(scores, classifier, dataset):
    for name in CRITERIA:
        alone = score(classifier, dataset, [name]).values[name]
        np.testing.assert_allclose(alone, scores.values[name], atol=1e-5, err_msg=name)


def test_of_many_sentences_a_sample_is_kept_and_all_are_counted(
    scores, classifier, dataset, monkeypatch
):
    monkeypatch.setattr("bhpvas.data.text_store.IN_MEMORY", 100)  # to disk
    found = score(classifier, dataset, tuple(CRITERIA), keep=5)
    assert found.sentences == len(dataset) and len(set(found.rows)) == 5
    assert (np.diff(found.rows) > 0).all()
    for name, values in scores.values.items():
        np.testing.assert_array_equal(found.values[name], values, err_msg=name)
    for name, kept in scores.per_example.items():
        np.testing.assert_array_equal(found.per_example[name], kept[found.rows], err_msg=name)
    np.testing.assert_array_equal(found.profile, scores.profile)
    np.testing.assert_array_equal(found.labels, dataset.labels[found.rows])
    np.testing.assert_array_equal(found.logits, scores.logits[found.rows])
    np.testing.assert_array_equal(found.gate_gradients, scores.gate_gradients[found.rows])
    part = score(classifier, dataset.take(found.rows), ["importance"])
    np.testing.assert_allclose(
        found.by_class("importance"), part.by_class("importance"), rtol=1e-4, atol=1e-6
    )
    change = [HeadMask.parse("L0H1,L1H2", 2, 4)]
    np.testing.assert_allclose(
        Estimate.from_scores(found).loss_change(change),
        Estimate.from_scores(part).loss_change(change),
        rtol=1e-4,
    )


@given(st.integers(1, 40), st.integers(1, 40), st.lists(st.integers(0, 39), unique=True))
def test_a_sample_knows_which_rows_it_holds(sentences, most, rows):
    rows = np.array([row for row in rows if row < sentences], dtype=np.int64)
    sample = Sample.of(sentences, most)
    assert len(sample) == min(sentences, most)
    here, places = sample.among(rows)
    np.testing.assert_array_equal(sample.rows[places], rows[here])
    assert set(rows[here]) == set(rows) & set(sample.rows)


def test_ranks_put_what_is_worth_keeping_first():
    values = np.array([[0.3, np.nan], [0.9, 0.1]])
    np.testing.assert_array_equal(ranks(values, "keep"), [[2, 0], [1, 3]])
    np.testing.assert_array_equal(ranks(values, "remove"), [[2, 0], [3, 1]])
    assert removal_order(values, "keep") == [HeadId(1, 1), HeadId(0, 0), HeadId(1, 0)]


def test_rank_intervals_hold_the_rank_and_close_on_a_certain_one(scores):
    for name, one in scores.measured.items():
        if one.per_example is None:
            with pytest.raises(BhpvasError, match="no interval"):
                rank_intervals(scores, name)
            continue
        low, high = rank_intervals(scores, name, draws=200)
        place = ranks(scores.values[name], CRITERIA[name].higher_means)
        assert (low <= place).mean() > 0.9 and (high >= place).mean() > 0.9
        assert (low >= 1).all() and (high <= 8).all()


def test_rank_intervals_are_exact_where_every_sentence_agrees(scores):
    one = scores.measured["importance"]
    certain = replace(one, per_example=np.repeat(one.values[None].astype(np.float32), 12, 0))
    same = replace(scores, measured={"importance": certain})
    low, high = rank_intervals(same, "importance")
    place = ranks(scores.values["importance"], "keep")
    np.testing.assert_array_equal(low, place)
    np.testing.assert_array_equal(high, place)


def test_combined_priority_is_a_weighted_mean_of_ranks(scores):
    only = combined(scores, {"importance": 1.0})
    assert ranks(only).tolist() == ranks(scores.values["importance"]).tolist()
    assert only.max() == 1 and only.min() == 0
    reverse = combined(scores, {"importance": 1.0}, {"importance": "remove"})
    np.testing.assert_allclose(only + reverse, 1)
    mixed = combined(scores, {"importance": 1.0, "similarity": 3.0})
    similar = combined(scores, {"similarity": 1.0})
    np.testing.assert_allclose(mixed, (only + 3 * similar) / 4)
    for weights in ({}, {"importance": 0.0}, {"importance": -1.0}):
        with pytest.raises(BhpvasError, match="weights"):
            combined(scores, weights)


def test_the_registry_explains_every_criterion():
    assert set(DEFAULT_CRITERIA) <= set(CRITERIA)
    for name, criterion in CRITERIA.items():
        assert criterion.name == name
        for text in (criterion.title, criterion.summary, criterion.source, criterion.misleads):
            assert len(text) > 3
        assert criterion.higher_means in ("keep", "remove")


def test_an_unknown_criterion_is_named(classifier, dataset):
    with pytest.raises(BhpvasError, match="'gradient-magic' is no criterion"):
        score(classifier, dataset, ["importance", "gradient-magic"])


def test_too_little_to_compare_heads_on_is_one_sentence(classifier, dataset):
    one = replace(dataset.take([0]), texts=("film",))  # with [CLS] and [SEP] three tokens
    with pytest.raises(DataError, match=r"at least 4 tokens .* there are 3: take more sentences"):
        score(classifier, one, ["similarity"])
