"""Rank intervals: exact where nothing varies, and how often they hold the true place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_rel

from bhpvas.criteria import Measurement, Scores, rank_intervals, ranks
from bhpvas.criteria.base import Statistic, jackknife_values, steadiness
from bhpvas.heads import HeadMask
from bhpvas.stats import rank_bounds
from bhpvas.tasks.single_label import SingleLabel


def scored(values: np.ndarray, statistic: Statistic = "mean") -> Scores:
    """Importance of each sentence and head, ``[N, 1, K]``, as if it had been measured."""
    n, mean = len(values), values.mean(0)
    whole = mean if statistic == "mean" else steadiness(mean, (values**2).mean(0))
    return Scores(
        mask=HeadMask(1, values.shape[2]),
        dataset="drawn",
        task=SingleLabel(("a", "b")),
        sentences=n,
        rows=np.arange(n),
        logits=np.zeros((n, 2)),
        labels=np.zeros(n, dtype=int),
        dead=np.zeros(mean.shape, dtype=bool),
        values={"importance": whole},
        measured={"importance": Measurement(whole, values, statistic)},
    )


def test_a_place_is_open_to_every_head_that_a_paired_t_test_does_not_tell_apart():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(15, 6)) * [1, 1, 2, 1, 1, 1] + np.arange(6) / 2
    best, worst = rank_bounds(values.mean(0), values)
    for one in range(6):
        above = below = 0
        for other in set(range(6)) - {one}:
            test = ttest_rel(values[:, one], values[:, other])
            above += test.pvalue < 0.05 and test.statistic < 0
            below += test.pvalue < 0.05 and test.statistic > 0
        assert (best[one], worst[one]) == (1 + above, 6 - below)
    assert (best > 1).any() and (worst < 6).any() and (worst > best).any()


def test_what_never_varies_has_one_place_and_equals_have_theirs_between_them():
    same = np.repeat(np.array([[3.0, 7.0, 3.0, 1.0]]), 5, 0)
    best, worst = rank_bounds(same[0], same)
    assert best.tolist() == [2, 1, 2, 4] and worst.tolist() == [3, 1, 3, 4]
    rng = np.random.default_rng(1)
    copied = rng.normal(size=(30, 3))[:, [0, 1, 2, 1]] + [0, 1e6, 5, 1e6]
    best, worst = rank_bounds(copied.mean(0), copied)
    assert best[[1, 3]].tolist() == [1, 1] and worst[[1, 3]].tolist() == [2, 2]


def test_of_one_sentence_every_place_is_possible():
    best, worst = rank_bounds(np.arange(3.0), np.arange(3.0)[None])
    assert best.tolist() == [1, 1, 1] and worst.tolist() == [3, 3, 3]


def test_heads_without_a_value_and_dead_ones_have_no_interval_and_count_in_no_other():
    rng = np.random.default_rng(2)
    found = scored(rng.normal(size=(40, 1, 5)) + np.arange(5.0))
    values = found.values["importance"].copy()
    values[0, 1] = np.nan
    dead = np.zeros((1, 5), dtype=bool)
    dead[0, 3] = True
    low, high = rank_intervals(
        replace(found, values={"importance": values}, dead=dead), "importance"
    )
    assert low[0, [1, 3]].tolist() == high[0, [1, 3]].tolist() == [0, 0]
    alone = rank_intervals(scored(found.per_example["importance"][:, :, [0, 2, 4]]), "importance")
    np.testing.assert_array_equal((low[0, [0, 2, 4]], high[0, [0, 2, 4]]), np.array(alone)[:, 0])


def test_jackknife_values_are_those_of_leaving_out_one_sentence_after_the_other():
    values = np.random.default_rng(3).uniform(size=(6, 4))

    def steady(part: np.ndarray) -> np.ndarray:
        return 1 / (1 + part.std(0) / part.mean(0))

    rest = np.stack([steady(np.delete(values, row, 0)) for row in range(6)])
    np.testing.assert_allclose(
        jackknife_values(values, "steadiness"), 6 * steady(values) - 5 * rest
    )
    assert jackknife_values(values, "mean") is values
    values[1:, 2] = 0  # all of what is left is zero without the first
    assert np.isfinite(jackknife_values(values, "steadiness")).all()


def bootstrapped(values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What lies in the middle 95% of the ranks of means that are drawn again (Efron 1979)."""
    drawn = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=200) / len(
        values
    )
    places = np.stack([ranks(one) for one in drawn @ values])
    low, high = np.quantile(places, [0.025, 0.975], axis=0, method="nearest")
    return low, high


@pytest.mark.parametrize("n", [5, 20])
def test_of_few_sentences_they_hold_the_true_place_and_the_bootstrap_does_not(n):
    """Heads of importances drawn once, sentences easy or hard for all; 40 draws of n of them."""
    rng = np.random.default_rng(4)
    typical = np.exp(0.5 * rng.normal(size=24))
    true = ranks(typical)
    held, drawn_again = [], []
    for _ in range(40):
        hard = np.exp(rng.normal(size=(n, 1)))
        values = typical * hard * np.abs(rng.normal(size=(n, 24)))
        low, high = rank_intervals(scored(values[:, None]), "importance")
        held.append(np.mean((low[0] <= true) & (true <= high[0])))
        low, high = bootstrapped(values, rng)
        drawn_again.append(np.mean((low <= true) & (true <= high)))
    error = np.std(held, ddof=1) / np.sqrt(len(held))
    assert np.mean(held) - 2 * error > 0.95
    assert np.mean(drawn_again) < 0.93
