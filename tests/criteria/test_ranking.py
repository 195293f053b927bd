"""Ranks of heads worked out by hand, how sure they are, and the combined priority."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bhpvas.criteria import CRITERIA, combined, rank_intervals, ranks, removal_order
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId


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
        low, high = rank_intervals(scores, name)
        place = ranks(scores.values[name], CRITERIA[name].higher_means)
        assert (low <= place).all() and (high >= place).all()
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
