"""Statistics against scipy, published examples and the slow obvious way."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize_scalar
from scipy.stats import binom, binomtest, rankdata, ttest_1samp, ttest_ind

from bhpvas.stats import (
    Median,
    band,
    bootstrap_weights,
    holm,
    mcnemar,
    mean_change,
    min_p,
    paired_bootstrap,
    percentile_interval,
    rank_correlation,
    share_change,
    sign_test,
    tango_interval,
    welch,
    wilson_interval,
)

# --- intervals ------------------------------------------------------------------------------------


@given(st.integers(1, 2000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_interval_is_that_of_scipy(n: int, share: float, level: float):
    right = round(share * n)
    expected = binomtest(right, n).proportion_ci(level, method="wilson")
    assert wilson_interval(right, n, level) == pytest.approx(tuple(expected), abs=1e-9)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 60))
def test_mcnemar_is_the_exact_binomial_test(lost: int, gained: int, same: int):
    was = np.repeat([True, False, True], [lost, gained, same])
    found = mcnemar(was, np.repeat([False, True, True], [lost, gained, same]))
    assert found[:2] == (lost, gained)
    expected = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert found.p == pytest.approx(expected)


def test_paired_interval_of_a_published_example():
    # Airway responsiveness before and after transplantation (Bentur et al. 2009), in Fagerland,
    # Lydersen, Laake (2014), "Recommended tests and confidence intervals for paired binomial
    # proportions", Statistics in Medicine 33.
    assert tango_interval(7, 1, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 400))
def test_paired_interval_inverts_the_score_test(lost: int, gained: int, same: int):
    n = lost + gained + same
    assume(n > 0)
    low, high = tango_interval(lost, gained, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    mirrored = tango_interval(gained, lost, n)
    assert (-mirrored[1], -mirrored[0]) == (low, high)
    for limit, score in ((low, 1.959964), (high, -1.959964)):
        if abs(limit) < 1:
            assert slow_score(lost, gained, n, limit) == pytest.approx(score, abs=2e-3)


def slow_score(lost: int, gained: int, n: int, change: float) -> float:
    """The score statistic with the most likely share of losses found by search."""

    def unlikelihood(share_lost: float) -> float:
        shares = [share_lost, share_lost + change, 1 - 2 * share_lost - change]
        counts = [lost, gained, n - lost - gained]
        return -sum(c * math.log(max(s, 1e-300)) for c, s in zip(counts, shares, strict=True) if c)

    bounds = (max(0, -change), (1 - change) / 2)
    share_lost = minimize_scalar(
        unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    ).x
    # A bounded search never looks at the ends themselves.
    share_lost = min([share_lost, *bounds], key=unlikelihood)
    variance = n * (2 * share_lost + change * (1 - change))
    return (gained - lost - n * change) / math.sqrt(variance)


@pytest.mark.parametrize(
    ("share_lost", "share_gained", "n"),
    [(0.01, 0.005, 480), (0.005, 0.0, 480), (0.05, 0.05, 100), (0.2, 0.1, 60), (0.02, 0.02, 60)],
)
def test_paired_interval_holds_its_level(share_lost: float, share_gained: float, n: int):
    rng = np.random.default_rng(0)
    shares = [share_lost, share_gained, 1 - share_lost - share_gained]
    tables, draws = np.unique(rng.multinomial(n, shares, size=4000), axis=0, return_counts=True)
    change = share_gained - share_lost
    covered = 0
    for (lost, gained, _), times in zip(tables, draws, strict=True):
        low, high = tango_interval(lost, gained, n)
        covered += times * (low <= change <= high)
    assert 0.94 <= covered / 4000 <= 0.99


def test_paired_interval_does_not_vanish_where_nothing_or_everything_changed():
    z_squared = 1.959963984540054**2
    nothing = tango_interval(0, 0, 480)
    assert nothing == pytest.approx((-z_squared / (480 + z_squared), z_squared / (480 + z_squared)))
    low, high = tango_interval(0, 10, 10)
    assert 0 < low < 1
    assert high == 1


def test_the_interval_of_a_change_of_means_is_students():
    random = np.random.default_rng(3)
    one, other = random.exponential(size=25), random.exponential(size=25)
    found = mean_change(one, other)
    expected = ttest_1samp(other - one, 0).confidence_interval(0.95)
    assert found.change == pytest.approx((other - one).mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    alone = mean_change(one[:1], other[:1])
    assert np.isnan(alone.low) and np.isnan(alone.high)


def test_a_change_of_shares_is_paired():
    was, is_ = np.array([1, 1, 1, 0, 1], dtype=bool), np.array([0, 0, 1, 1, 1], dtype=bool)
    found = share_change(was, is_)
    assert found.change == pytest.approx(is_.mean() - was.mean())
    assert found[1:] == tango_interval(2, 1, 5)
    assert mcnemar(was, is_) == (2, 1, 1.0)


@pytest.mark.parametrize("n", [6, 7, 15, 21, 40])
def test_the_interval_of_a_median_covers_it_in_95_of_100_samples_and_could_not_be_narrower(n):
    values = np.arange(1.0, n + 1)
    found = Median.of(values)
    rank = int(found.low)
    assert found.high == n + 1 - rank
    coverage = 1 - 2 * binom.cdf(rank - 1, n, 0.5)
    assert coverage >= 0.95
    narrower = 1 - 2 * binom.cdf(rank, n, 0.5)
    assert narrower < 0.95


def test_few_values_have_no_interval():
    assert math.isnan(Median.of(np.arange(5.0)).low)


def test_drawing_sentences_again_gives_the_interval_of_their_mean():
    values = np.random.default_rng(0).normal(size=400)
    weights = bootstrap_weights(400)
    assert weights.shape == (1000, 400)
    np.testing.assert_allclose(weights.sum(1), 1)
    low, high = percentile_interval(weights @ values)
    reach = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.02)


def test_a_band_leaves_out_a_tail_on_either_side():
    values = np.random.default_rng(0).random((41, 3))
    ordered = np.sort(values, axis=0)
    np.testing.assert_allclose(band(values), ordered[[2, 20, 38]])
    np.testing.assert_allclose(percentile_interval(values, 0.9), ordered[[2, 38]])


# --- tests ----------------------------------------------------------------------------------------


@given(st.integers(0, 400), st.integers(0, 400))
def test_sign_test_is_the_one_sided_binomial_test(wins, losses):
    found = float(sign_test(np.array(wins), np.array(losses)))
    if wins + losses == 0:
        assert found == 1
    else:
        expected = binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
        assert found == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_rank_correlation_is_pearson_s_of_the_ranks(pairs):
    one, other = np.array(pairs, dtype=float).reshape(-1, 2).T
    found = rank_correlation(np.append(one, np.nan), np.append(other, 1.0))
    if len(pairs) < 3 or len(set(one)) == 1 or len(set(other)) == 1:
        assert math.isnan(found)
    else:
        expected = np.corrcoef(rankdata(one), rankdata(other))[0, 1]
        assert found == pytest.approx(expected, abs=1e-12)


# --- corrections for the number of tests ----------------------------------------------------------


@given(arrays(float, st.integers(0, 12), elements=st.floats(0, 1)))
def test_holm_rejects_what_the_step_down_procedure_rejects(p):
    """Holm 1979: from the smallest on, reject while p ≤ level / tests left, then stop."""
    corrected = holm(p)
    for level in (0.01, 0.05, 0.3):
        rejected = np.zeros(len(p), dtype=bool)
        for step, place in enumerate(np.argsort(p, kind="stable")):
            if p[place] * (len(p) - step) > level:
                break
            rejected[place] = True
        np.testing.assert_array_equal(corrected <= level, rejected)


def test_holm_leaves_out_what_was_not_tried_and_keeps_the_shape():
    p = np.array([[0.01, np.nan], [0.04, 0.02]])
    np.testing.assert_allclose(holm(p), [[0.03, np.nan], [0.04, 0.04]])
    assert np.isnan(holm(np.full(3, np.nan))).all()


def test_the_statistic_of_a_division_is_welchs():
    values, chosen = np.random.default_rng(0).exponential(size=(60, 8)), np.arange(60) < 20
    expected = ttest_ind(values[:20], values[20:], equal_var=False).statistic
    found = welch(values - values.mean(0), chosen[None].astype(float))[0]
    assert found == pytest.approx(expected)


def test_min_p_is_counted_as_the_slow_way_does():
    drawn = np.array([*product(range(4), range(3), range(2))]) ** 2
    drawn[0] = 9, 1, 0
    shares = np.array([np.mean(drawn >= row, axis=0) for row in drawn])
    expected = [np.mean(shares.min(1) <= share) for share in shares[0]]
    np.testing.assert_allclose(min_p(drawn), expected)
    assert min_p(drawn)[2] == 1


def test_a_few_sentences_that_all_change_one_way_prove_nothing() -> None:
    """Drawn again they always do; exchanged, one time in four of three sentences."""
    before = np.zeros((3, 1))
    found = paired_bootstrap(before, before + 1, lambda means: means[..., 0])
    assert (found.change, found.p) == (1.0, 0.25)
    many = np.zeros((30, 1))
    assert paired_bootstrap(many, many + 1, lambda means: means[..., 0]).p == 2 / 1001
