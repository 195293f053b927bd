"""One sentence: its maps, rollout and contributions against the slow way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.sentence import attention_maps, contributions, rollout
from tests import reference
from tests.conftest import TEXTS


def test_maps_are_the_models_own(classifier):
    for text in TEXTS[:3]:
        found = attention_maps(classifier, text)
        np.testing.assert_allclose(found, reference.attention_maps(classifier, text), atol=1e-5)
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_a_mask_changes_the_maps_above_it_only(classifier):
    mask = HeadMask.parse("L0H0,L0H2", 2, 4)
    plain = attention_maps(classifier, TEXTS[0])
    masked = attention_maps(classifier, TEXTS[0], mask=mask)
    np.testing.assert_array_equal(plain[0], masked[0])
    assert np.abs(plain[1] - masked[1]).max() > 1e-3
    pair = attention_maps(classifier, TEXTS[0], TEXTS[3])
    assert pair.shape[-1] == classifier.encode_texts([TEXTS[0]], [TEXTS[3]]).lengths[0]


def test_rollout_by_hand():
    """Two tokens; the first layer swaps them, the second looks at the first token only."""
    swap, first = np.array([[0.0, 1], [1, 0]]), np.array([[1.0, 0], [1, 0]])
    maps = np.stack([[swap, swap], [first, first]])
    np.testing.assert_allclose(rollout(maps), np.full((2, 2, 2), 0.5))
    maps = np.stack([[np.eye(2), np.eye(2)], [np.eye(2), first]])
    np.testing.assert_allclose(rollout(maps)[1], np.array([[1, 0], [0.25, 0.75]]))
    without = HeadMask(2, 2, frozenset([HeadId(1, 1)]))
    np.testing.assert_allclose(rollout(maps, without)[1], np.eye(2))
    nothing = HeadMask.parse("L1H0,L1H1", 2, 2)
    np.testing.assert_allclose(rollout(maps, nothing)[1], np.eye(2))


def test_rollout_rows_sum_to_one_and_follow_all_paths(classifier):
    maps = attention_maps(classifier, TEXTS[1])
    found = rollout(maps)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
    tokens = maps.shape[-1]

    def step(layer, i, j):
        return 0.5 * np.mean(maps[layer, :, i, j]) + 0.5 * (i == j)

    paths = sum(step(1, 2, middle) * step(0, middle, 4) for middle in range(tokens))
    assert found[1, 2, 4] == pytest.approx(paths, abs=1e-6)


@pytest.mark.parametrize("removed", ["", "L0H1,L1H2"])
def test_contributions_are_gradients_and_exact_removals(classifier, removed):
    mask = HeadMask.parse(removed, 2, 4)
    text = TEXTS[2]
    found = contributions(classifier, text, label=1, mask=mask)

    def logits(heads: HeadMask) -> torch.Tensor:
        with torch.no_grad():
            model = reference.zeroed(classifier, heads)
            return model(**reference.inputs_of(classifier, text)).logits[0]

    def loss(values: torch.Tensor) -> float:
        return float(torch.nn.functional.cross_entropy(values[None], torch.tensor([1])))

    np.testing.assert_allclose(found.logits, logits(mask), atol=1e-5)
    for head in mask:
        gone = logits(mask.without([head]))
        np.testing.assert_allclose(found.removed_logits[head.layer, head.head], gone, atol=1e-5)
        change = loss(gone) - loss(logits(mask))
        assert found.loss_change[head.layer, head.head] == pytest.approx(change, abs=1e-5)
    assert np.isnan(found.loss_change[mask.array == 0]).all()
    assert np.isnan(found.gradient[mask.array == 0]).all()
    if not removed:
        expected = reference.gate_gradients(classifier, text, 1)
        np.testing.assert_allclose(found.gradient, expected, atol=1e-5)


def test_without_a_label_it_is_the_predicted_class(classifier):
    found = contributions(classifier, TEXTS[4])
    assert found.label == found.logits.argmax()
    pair = contributions(classifier, TEXTS[4], pair=TEXTS[1], label=0)
    assert pair.label == 0 and np.abs(pair.logits - found.logits).max() > 1e-4
    with pytest.raises(BhpvasError, match="no class 2: it has 0 to 1"):
        contributions(classifier, TEXTS[4], label=2)
