"""Rank shifts against orders worked out by hand and against drawing sentences one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bhpvas.criteria import Measurement, Scores, rank_shift, ranks, rise_intervals, rise_p, score
from bhpvas.heads import HeadId, HeadMask, format_heads
from bhpvas.tasks.single_label import SingleLabel

MASK = HeadMask.parse("L0H0,L1H3", 2, 4)


def test_places_are_among_the_heads_that_stayed():
    before = np.array([[9.0, 8.0, 7.0, 6.0], [5.0, 4.0, 3.0, 2.0]])
    after = np.array([[np.nan, 1.0, 2.0, 3.0], [9.0, 0.5, 0.4, np.nan]])
    shift = rank_shift(before, after, MASK)
    assert shift.before.tolist() == [[0, 1, 2, 3], [4, 5, 6, 0]]
    assert shift.after.tolist() == [[0, 4, 3, 2], [1, 5, 6, 0]]
    np.testing.assert_array_equal(shift.rise, [[np.nan, -3, -1, 1], [3, 0, 0, np.nan]])
    assert [str(head) for head in shift.risers] == ["L1H0", "L0H3"]
    assert [str(head) for head in shift.fallers] == ["L0H1", "L0H2"]


def test_a_removal_alone_moves_nobody():
    values = np.random.default_rng(0).normal(size=(2, 4))
    shift = rank_shift(values, np.where(MASK.kept, values, np.nan), MASK)
    assert np.nansum(np.abs(shift.rise)) == 0
    assert shift.risers == shift.fallers == []


def test_the_direction_turns_the_order_around_and_equals_stand_by_their_rank():
    before = np.array([[1.0, 2.0, 3.0, 4.0]])
    after = np.array([[2.0, 1.0, 4.0, 3.0]])
    keep, remove = (
        rank_shift(before, after, HeadMask(1, 4), direction) for direction in ("keep", "remove")
    )
    np.testing.assert_array_equal(keep.rise, -remove.rise)
    assert format_heads(keep.risers) == "L0H0,L0H2"
    assert [str(head) for head in keep.risers] == ["L0H2", "L0H0"]


@pytest.mark.parametrize("name", ["importance", "stability"])
def test_intervals_are_those_of_drawing_the_same_sentences_for_both(classifier, dataset, name):
    before = score(classifier, dataset, [name])
    after = score(classifier, dataset, [name], mask=MASK)
    low, high = rise_intervals(before, after, name, draws=4000, seed=1)
    rng = np.random.default_rng(2)
    kept = MASK.kept
    rises = []
    for _ in range(4000):
        rows = rng.integers(len(dataset), size=len(dataset))
        places = []
        for one in (before, after):
            values = one.per_example[name][rows].astype(float)
            statistic = values.mean(0)
            if name == "stability":
                spread = values.std(0)
                total = statistic + spread
                if one.measured[name].statistic == "steadiness":
                    statistic = np.where(total > 0, statistic / np.where(total > 0, total, 1), 1)
            places.append(ranks(np.where(kept, statistic, np.nan)))
        rises.append(places[0] - places[1])
    expected = np.quantile(rises, [0.025, 0.975], axis=0, method="nearest")
    assert np.abs(low[kept] - expected[0][kept]).max() <= 1
    assert np.abs(high[kept] - expected[1][kept]).max() <= 1
    assert np.isnan(low[~kept]).all() and np.isnan(high[~kept]).all()
    rise = rank_shift(before.values[name], after.values[name], MASK).rise
    assert (low[kept] <= rise[kept]).all() and (rise[kept] <= high[kept]).all()


def scores(values: np.ndarray, mask: HeadMask) -> Scores:
    """Importance of each sentence and head, ``[N, L, H]``, as if it had been measured."""
    n, mean = len(values), np.where(mask.kept, values.mean(0), np.nan)
    return Scores(
        mask=mask,
        dataset="drawn",
        task=SingleLabel(("a", "b")),
        sentences=n,
        rows=np.arange(n),
        logits=np.zeros((n, 2)),
        labels=np.zeros(n, dtype=int),
        dead=np.zeros(mean.shape, dtype=bool),
        values={"importance": mean},
        measured={"importance": Measurement(mean, values.astype(np.float32))},
    )


def drawn(rng: np.random.Generator, typical: np.ndarray, n: int) -> np.ndarray:
    """Sentences that are easy or hard for all heads, ``[N, L, H]``, around what is typical."""
    difficulty = np.exp(rng.normal(size=(n, 1, 1)))
    return typical * difficulty * np.abs(1 + rng.normal(size=(n, *typical.shape)))


def test_a_rise_is_tested_against_every_way_to_exchange_the_sentences():
    rng = np.random.default_rng(3)
    kept = MASK.kept
    typical = rng.uniform(1, 2, size=(2, 4))
    before, after = drawn(rng, typical, 8), 3 * drawn(rng, typical[::-1], 8)
    found = rise_p(scores(before, HeadMask(2, 4)), scores(after, MASK), "importance")
    one, other = before[:, kept], after[:, kept]
    one, other = one / one.mean(), other / other.mean()
    moved = []
    for stay in product((True, False), repeat=8):
        which = np.array(stay)[:, None]
        here, there = np.where(which, one, other), np.where(which, other, one)
        moved.append(np.abs(ranks(here.mean(0)) - ranks(there.mean(0))))
    shares = np.array([np.mean(moved >= row, axis=0) for row in moved])
    expected = [np.mean(shares.min(1) <= share) for share in shares[0]]
    np.testing.assert_allclose(found[kept], expected, atol=0.05)
    assert 0 < min(expected) < 1
    assert np.isnan(found[~kept]).all()


def test_where_nothing_changed_hardly_ever_any_head_rose():
    mask, wrong, alone = HeadMask(3, 8).without([HeadId(0, 0)]), 0, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        typical = np.exp(0.3 * rng.normal(size=(3, 8)))
        before, after = (scores(drawn(rng, typical, 100), mask) for _ in range(2))
        wrong += bool(np.nanmin(rise_p(before, after, "importance", seed=seed)) <= 0.05)
        low, high = rise_intervals(before, after, "importance", draws=200, seed=seed)
        alone += bool(((low > 0) | (high < 0)).any())
    # 5 are expected; more than 10 have probability 0.01. The intervals of single heads do not know
    # of each other.
    assert wrong <= 10 < 25 < alone


def test_a_true_rise_is_found_among_many_heads():
    rng = np.random.default_rng(0)
    typical = np.exp(0.5 * rng.normal(size=(6, 12)))
    head = np.unravel_index(np.argsort(typical, axis=None)[20], typical.shape)
    now = typical.copy()
    now[head] *= 3
    before, after = (scores(drawn(rng, one, 240), HeadMask(6, 12)) for one in (typical, now))
    p = rise_p(before, after, "importance")
    assert p[head] < 0.03
    assert np.sum(p <= 0.05) == 1


@pytest.mark.parametrize("n", [1, 3])
def test_a_few_sentences_prove_no_rise(n):
    rng = np.random.default_rng(0)
    before, after = (scores(rng.uniform(size=(n, 2, 4)), HeadMask(2, 4)) for _ in range(2))
    assert np.min(rise_p(before, after, "importance")) > 0.05
