"""Rank shifts against orders worked out by hand and against drawing sentences one by one."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.criteria import rank_shift, ranks, rise_intervals, score
from bhpvas.heads import HeadMask, format_heads

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
    shift = rank_shift(values, np.where(MASK.array > 0, values, np.nan), MASK)
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
    kept = MASK.array > 0
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
