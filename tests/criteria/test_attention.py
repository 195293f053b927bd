"""Attention criteria against eager maps, row by row."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bhpvas.criteria import PROFILE_PARTS, score
from bhpvas.criteria.attention import jensen_shannon
from bhpvas.model.classifier import load_classifier
from tests.conftest import TEXTS, tiny_dataset
from tests.criteria.conftest import slow_jsd
from tests.tiny import save_tiny


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
