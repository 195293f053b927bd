"""The registry of criteria, and one pass under a mask, by class and of a sample."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.criteria import CRITERIA, DEFAULT_CRITERIA, score
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.estimate import Estimate
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from tests import reference


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
