"""Saliency of tokens: what captum is asked is what the formulas say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.interpret.saliency import SALIENCIES, saliency
from bhpvas.model.classifier import load_classifier
from bhpvas.tasks.single_label import log_odds
from tests import reference
from tests.conftest import TEXTS
from tests.tiny import CONFIGS, save_tiny


def test_log_odds_of_two_classes_are_the_difference_of_their_logits():
    logits = torch.tensor([[1.0, 3.0], [0.5, -0.5]])
    assert log_odds(logits, 1).tolist() == [2, -1]
    three = torch.tensor([[1.0, 3.0, 2.0]])
    chance = three.softmax(1)[0, 1]
    assert float(log_odds(three, 1)) == pytest.approx(float(torch.log(chance / (1 - chance))))


@pytest.mark.parametrize("removed", ["", "L0H1,L1H2"])
def test_integrated_gradients_sum_to_what_the_words_add(classifier, removed):
    mask = HeadMask.parse(removed, 2, 4)
    found = saliency(classifier, TEXTS[4], label=1, mask=mask, steps=300)
    with torch.no_grad():
        model = reference.zeroed(classifier, mask)
        logits = model(**reference.inputs_of(classifier, TEXTS[4])).logits
    assert found.explained == pytest.approx(float(log_odds(logits, 1)), abs=1e-4)
    added = found.explained - found.baseline
    assert found.values["integrated-gradients"].sum() == pytest.approx(added, abs=0.02)
    assert abs(found.values["integrated-gradients"].sum() - added - found.gap) < 1e-3


@pytest.mark.parametrize("family", CONFIGS)
def test_tokens_that_the_baseline_shares_add_nothing(tmp_path, family):
    classifier = load_classifier(save_tiny(tmp_path, family))
    found = saliency(classifier, TEXTS[0], label=0)
    assert found.values["integrated-gradients"][[0, -1]] == pytest.approx([0, 0], abs=1e-6)


def test_padding_stands_at_the_places_of_the_tokens(tmp_path):
    """RoBERTa counts places without padding, and so by the tokens of a sentence."""
    classifier = load_classifier(save_tiny(tmp_path, "roberta"))
    embeddings = classifier.model.roberta.embeddings
    ids = torch.tensor([[2, 7, 0, 8, 3]])
    with torch.no_grad():
        plain = classifier.embed(ids, torch.zeros_like(ids))
        assert torch.equal(classifier.embed(ids, torch.zeros_like(ids), ids), plain)
        blank = torch.tensor([[2, 0, 0, 0, 3]])
        found = classifier.embed(blank, torch.zeros_like(ids), ids)
        expected = embeddings(
            input_ids=blank,
            token_type_ids=torch.zeros_like(ids),
            position_ids=torch.tensor([[1, 2, 0, 3, 4]]),
        )
    assert torch.equal(found, expected)


def test_gradient_times_input_is_the_slope_of_scaling_one_embedding(classifier):
    found = saliency(classifier, TEXTS[0], label=1)
    encoded = classifier.encode_texts([TEXTS[0]])
    ids, types = (
        torch.from_numpy(one[None]) for one in (encoded.input_ids(0), encoded.token_type_ids(0))
    )
    from bhpvas.model.layers import logits_from

    with torch.no_grad():
        embedded = classifier.embed(ids, types)
        for token in range(ids.shape[1]):
            ends = []
            for scale in (0.999, 1.001):
                scaled = embedded.clone()
                scaled[:, token] *= scale
                ends.append(float(log_odds(logits_from(classifier, scaled, None, None), 1)))
            slope = (ends[1] - ends[0]) / 0.002
            assert found.values["gradient-input"][token] == pytest.approx(slope, abs=0.02)


def test_two_classes_mirror_each_other_and_pairs_are_read(classifier):
    one, other = (saliency(classifier, TEXTS[3], label=label) for label in (0, 1))
    for name in SALIENCIES:
        np.testing.assert_allclose(one.values[name], -other.values[name], atol=1e-4)
    pair = saliency(classifier, TEXTS[3], pair=TEXTS[0], label=0)
    assert len(pair.values["gradient-input"]) > len(one.values["gradient-input"])
    with pytest.raises(BhpvasError, match="no class 2"):
        saliency(classifier, TEXTS[3], label=2)
