"""One sentence: its maps, rollout and contributions against the slow way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.sentence import attention_maps, contributions, read, rollout
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

    np.testing.assert_allclose(found.logits, logits(mask), atol=1e-5)
    for head in mask:
        gone = logits(mask.without([head]))
        np.testing.assert_allclose(found.removed_logits[head.layer, head.head], gone, atol=1e-5)
    assert np.isnan(found.removal[~mask.kept]).all()
    assert np.isnan(found.slope[~mask.kept]).all()


def test_without_a_label_it_is_the_predicted_class(classifier):
    found = contributions(classifier, TEXTS[4])
    assert found.label == found.logits.argmax()
    pair = contributions(classifier, TEXTS[4], pair=TEXTS[1], label=0)
    assert pair.label == 0 and np.abs(pair.logits - found.logits).max() > 1e-4
    with pytest.raises(BhpvasError, match="no class 2: it has 0 to 1"):
        contributions(classifier, TEXTS[4], label=2)


def test_contributions_in_log_odds(classifier):
    """The exact one is a difference of log-odds; the slope is that of the log-odds at the gate."""
    found = contributions(classifier, TEXTS[2], label=1)
    now = found.logits[1] - found.logits[0]
    without = found.removed_logits[..., 1] - found.removed_logits[..., 0]
    np.testing.assert_allclose(found.removal, now - without, atol=1e-5)
    other = contributions(classifier, TEXTS[2], label=0)
    np.testing.assert_allclose(found.removal, -other.removal, atol=1e-5)
    # For two classes both labels see the same slope, with the sign turned.
    np.testing.assert_allclose(found.slope, -other.slope, atol=1e-4)
    expected = reference.gate_gradients(classifier, TEXTS[2], 1)
    chance = 1 / (1 + np.exp(-now))
    np.testing.assert_allclose(found.slope, -expected / (1 - chance), rtol=1e-3)


def test_a_line_of_words_or_pieces(classifier):
    found = read(classifier, "good films , not bad .")
    assert found.sentence.tokens[:4] == ("[CLS]", "good", "film", "##s")
    pieces = found.units(words=False, special_tokens=True)
    assert pieces.names == found.sentence.tokens
    np.testing.assert_array_equal(pieces.attention(found.maps), found.maps)
    line = found.units(words=True, special_tokens=False)
    assert line.names == ("good", "films", ",", "not", "bad", ".")
    whole = found.units(words=True, special_tokens=True).attention(found.maps)
    np.testing.assert_allclose(whole.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(line.attention(found.maps), whole[..., 1:-1, 1:-1])
    values = np.arange(len(found.sentence), dtype=float)
    assert line.sums(values).tolist() == [1, 2 + 3, 4, 5, 6, 7]
    assert [line.place_of(word) for word in range(6)] == list(range(6))
    assert found.units(words=False, special_tokens=False).place_of(1) == 1  # the first of film ##s
    assert line.place_of(99) is None


def test_a_reading_is_cut_where_a_screen_ends(classifier, monkeypatch):
    whole = read(classifier, TEXTS[2], mask=HeadMask.parse("L0H1", 2, 4))
    monkeypatch.setattr("bhpvas.interpret.sentence.MOST_TOKENS", 4)
    cut = read(classifier, TEXTS[2], mask=HeadMask.parse("L0H1", 2, 4))
    assert (len(cut.sentence), cut.length) == (4, len(whole.sentence))
    np.testing.assert_array_equal(cut.maps, whole.maps[..., :4, :4])
    np.testing.assert_allclose(cut.rollout, whole.rollout[:, :4, :4])
    line = cut.units(words=True, special_tokens=False)
    assert len(line.names) == 3
    assert len(line.sums(np.ones(whole.length))) == 3
