"""Ablation against one evaluation a head."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.evaluation.ablation import TOKENS_AT_ONCE, ablate, logits_without_each
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask
from bhpvas.model.batching import load_batch
from bhpvas.model.classifier import load_classifier
from tests.tiny import CONFIGS, save_tiny


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("removed", ["", "L0H2,L1H0", "L1H0,L1H1,L1H2,L1H3"])
def test_ablation_equals_one_evaluation_per_head(tmp_path, dataset, family, removed):
    classifier = load_classifier(save_tiny(tmp_path, family))
    mask = HeadMask.parse(removed, 2, 4)
    found = ablate(classifier, dataset, mask)
    baseline = evaluate(classifier, dataset, mask)
    np.testing.assert_allclose(found.baseline.logits, baseline.logits, atol=1e-5)
    everything = load_batch(classifier, classifier.encode(dataset), np.arange(len(dataset)))
    whole, without = logits_without_each(classifier, everything, mask)
    np.testing.assert_allclose(whole, baseline.logits, atol=1e-5)
    for head in mask.every_head():
        place = (head.layer, head.head)
        if head in mask.removed:
            assert np.isnan(found.loss_change[place]) and np.isnan(found.headline_change[place])
            assert np.isnan(without[place]).all()
            continue
        alone = evaluate(classifier, dataset, mask.without([head]))
        np.testing.assert_allclose(without[place], alone.logits, atol=1e-5)
        assert found.loss_change[place] == pytest.approx(alone.loss - baseline.loss, abs=1e-5)
        assert found.headline_change[place] == alone.accuracy - baseline.accuracy


def test_ablation_is_the_same_in_small_pieces(classifier, dataset, monkeypatch):
    whole = ablate(classifier, dataset).loss_change
    monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", 1)
    np.testing.assert_allclose(ablate(classifier, dataset).loss_change, whole, atol=1e-6)
