"""Statistics: intervals, tests, corrections for how much was tried, and their default numbers.

Distributions are those of :mod:`scipy.special`: the numbers of :mod:`scipy.stats`, for whole arrays
and without the third of a second that its import takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr, bdtrc, ndtri, stdtrit

#: What every interval holds, unless told otherwise.
LEVEL = 0.95
#: A p-value of at most this is a finding.
SIGNIFICANT = 0.05
#: What lies between the ends of a band of random masks or orders.
BAND = 0.9
#: Random masks, or orders, that a scheme is held against.
RANDOM_ORDERS = 20
#: Times that the sentences are drawn again for a bootstrap interval.
DRAWS = 1_000
#: Confusion matrices drawn for the interval of a statistic of one.
MATRIX_DRAWS = 2_000
#: Random divisions or exchanges that a difference is held against; the least p is 1/1,001.
PERMUTATIONS = 1_000
#: With as many tests, one of their statistics often moves in a draw as it does in no other: minP is
#: then hardly below tests / draws, so the draws grow with the tests.
PERMUTATIONS_A_TEST = 50
#: Seed of everything that is drawn here.
SEED = 0
# Divisions drawn at once, and cells of what is drawn again, which bounds the memory.
_BLOCK, _CELLS = 200, 2_000_000


# --- intervals ------------------------------------------------------------------------------------


class Change(NamedTuple):
    """A change of a mean or a share with its interval."""

    change: float
    low: float
    high: float


class Median(NamedTuple):
    """A median with an interval that holds for any distribution."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray, level: float = LEVEL) -> Median:
        """The median, and the order statistics that bound it (a binomial count lies below it).

        With too few values, fewer than six at 95%, there is no such interval: its ends are NaN.

        >>> Median.of(np.arange(1.0, 22.0))
        Median(value=11.0, low=6.0, high=16.0)
        """
        ordered, n = np.sort(values), len(values)
        # The rank-th smallest, counted from 1.
        rank = int(np.searchsorted(bdtr(np.arange(n + 1.0), n, 0.5), (1 - level) / 2))
        if rank == 0:
            return cls(float(np.median(ordered)), np.nan, np.nan)
        return cls(float(np.median(ordered)), float(ordered[rank - 1]), float(ordered[n - rank]))


def wilson_interval(right: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a share, right out of n (Wilson 1927), within [0, 1].

    Without any trial it is 0 to 1.

    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 4), round(high, 4)
    (0.5958, 0.9821)
    """
    z = float(ndtri((1 + level) / 2))
    centre = (right + z**2 / 2) / (n + z**2)
    reach = z / (n + z**2) * sqrt(right * (n - right) / max(n, 1) + z**2 / 4)
    return 0.0 if right == 0 else centre - reach, 1.0 if right == n else centre + reach


def mean_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Student's interval of a mean; without a second value its ends are NaN.

    >>> low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    >>> round(low, 2), round(high, 2)
    (-0.48, 4.48)
    """
    n = len(values)
    if n < 2:
        return np.nan, np.nan
    reach = float(stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) / sqrt(n))
    return float(values.mean()) - reach, float(values.mean()) + reach


def mean_change(before: np.ndarray, after: np.ndarray, level: float = LEVEL) -> Change:
    """How the mean of paired values changed: Student's interval of the mean difference.

    >>> [round(float(x), 2) for x in mean_change(np.zeros(3), np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.48, 4.48]
    """
    differences = np.asarray(after) - before
    return Change(float(differences.mean()), *mean_interval(differences, level))


def share_change(was: np.ndarray, is_: np.ndarray, level: float = LEVEL) -> Change:
    """How the share of what is right (bool ``[N]``) changed: Tango's interval of the difference.

    Pairing makes it far narrower than the intervals of the two shares.
    """
    lost, gained = _lost_and_gained(was, is_)
    return Change((gained - lost) / len(was), *tango_interval(lost, gained, len(was), level))


def tango_interval(lost: int, gained: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of (gained - lost) / n, from counts out of n pairs.

    Of Tango (1998), "Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design", Statistics in Medicine 17: the paired relative of Wilson's. It holds
    its level when few or no answers change, which is where pruning lives and where the textbook
    (Wald) interval shrinks to nothing.

    >>> low, high = tango_interval(lost=7, gained=1, n=21)
    >>> round(low, 3), round(high, 3)
    (-0.517, -0.026)
    """
    z = float(ndtri((1 + level) / 2))
    return -_highest_change(gained, lost, n, z), _highest_change(lost, gained, n, z)


def _highest_change(lost: int, gained: int, n: int, z: float) -> float:
    def excess(change: float) -> float:
        # The likelihood under share_gained = share_lost + change is highest where
        # 2n share_lost² + linear share_lost + constant = 0 (Tango 1998, equations 24 to 26).
        linear = (2 * n - gained + lost) * change - gained - lost
        constant = -lost * change * (1 - change)
        share_lost = (sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
        variance = max(0.0, n * (2 * share_lost + change * (1 - change)))
        return n * change - (gained - lost) - z * sqrt(variance)

    if gained == n:
        return 1.0
    # Where every pair changes alike the observed change itself is a root, but not the limit.
    start = (gained - lost) / n + 1e-9
    return float(brentq(excess, start, 1.0, xtol=1e-12))


def bootstrap_weights(n: int, draws: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """How often each of n sentences is drawn of n, with replacement, as a share: ``[R, N]``.

    A statistic under these weights varies as it would for other sentences (Efron 1979).
    """
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws) / n


def bootstrap_means(terms: np.ndarray, *, draws: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """Means of rows ``[N, K]`` that are drawn again with replacement: float64 ``[R, K]``.

    Of two arrays of as many rows the same ones are drawn.
    """
    return np.concatenate([weights @ terms for weights in _drawn_weights(len(terms), draws, seed)])


def _drawn_weights(n: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """The rows of :func:`bootstrap_weights`, a bounded number of cells at once."""
    random, at_once = np.random.default_rng(seed), max(1, _CELLS // n)
    for begin in range(0, draws, at_once):
        size = min(at_once, draws - begin)
        yield random.multinomial(n, np.full(n, 1 / n), size=size) / n


def bootstrap_rank_correlations(
    one: np.ndarray, other: np.ndarray, *, draws: int = DRAWS, seed: int = SEED
) -> np.ndarray:
    """Spearman's rank correlation ``[R]`` of pairs ``[N]`` that are drawn again.

    NaN where one of the two does not vary. Ranks are those among the pairs that are drawn.
    """
    found = []
    for weights in _drawn_weights(len(one), draws, seed):
        ranks = [_ranks_of(values, weights) for values in (one, other)]
        centred = [rank - (weights * rank).sum(1, keepdims=True) for rank in ranks]
        both, *each = (
            (weights * first * second).sum(1)
            for first, second in (centred, centred[:1] * 2, centred[1:] * 2)
        )
        scale = np.sqrt(each[0] * each[1])
        found.append(np.where(scale > 1e-12, both / np.where(scale > 1e-12, scale, 1.0), np.nan))
    return np.concatenate(found)


def _ranks_of(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The middle rank, from 0 to 1, that each value ``[N]`` has under weights ``[R, N]``."""
    distinct, code = np.unique(values, return_inverse=True)
    order = np.argsort(code, kind="stable")
    ends = np.append(np.searchsorted(code[order], np.arange(1, len(distinct))), len(code)) - 1
    up_to = np.cumsum(weights[:, order], axis=1)[:, ends]  # [R, G]
    below = np.concatenate([np.zeros((len(weights), 1)), up_to[:, :-1]], axis=1)
    return np.asarray(((below + up_to) / 2)[:, code])


def drawn_interval(value: float, drawn: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of a statistic that was drawn again ``[R]``, and holds its value.

    NaN where the value is; draws without a value are left out.
    """
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not drawn.size:
        return np.nan, np.nan
    low, high = percentile_interval(drawn, level)
    return min(float(low), value), max(float(high), value)


class PairedChange(NamedTuple):
    """How a statistic changed on the same sentences, its interval, and p of no change."""

    change: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    before: np.ndarray,
    after: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    draws: int = DRAWS,
    seed: int = SEED,
) -> PairedChange:
    """How a statistic of means of rows ``[N, K]`` changed: the same sentences are drawn of both.

    ``statistic`` gives ``[…]`` for means ``[…, K]``. The interval is the percentile one; p is twice
    the share of draws, with the observed one, on the rarer side of no change, at most 1 (Efron and
    Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 15). It is never below what
    exchanging before and after within the m rows that differ can give, two of 2^m: a few rows that
    are drawn again all fall on one side, and prove nothing. NaN where the statistic is not defined.

    >>> rows = np.arange(8.0)[:, None]
    >>> paired_bootstrap(rows, rows, lambda means: means[..., 0])
    PairedChange(change=0.0, low=0.0, high=0.0, p=1.0)
    """
    change = float(statistic(after.mean(0)) - statistic(before.mean(0)))
    drawn_before, drawn_after = (
        statistic(bootstrap_means(one, draws=draws, seed=seed)) for one in (before, after)
    )
    drawn = drawn_after - drawn_before
    if not np.isfinite(change):
        return PairedChange(np.nan, np.nan, np.nan, np.nan)
    known = drawn[np.isfinite(drawn)]
    rarer = min((known <= 0).sum(), (known >= 0).sum())
    differing = int((before != after).any(axis=1).sum())
    p = min(1.0, max(2 * (1 + float(rarer)) / (1 + len(known)), 2.0 ** (1 - differing)))
    return PairedChange(change, *drawn_interval(change, known), p)


def percentile_interval(
    drawn: np.ndarray, level: float = LEVEL, method: Literal["linear", "nearest"] = "linear"
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of what lies in the middle of values ``[R, …]`` that were drawn, each ``[…]``."""
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0, method=method)
    return low, high


def band(drawn: np.ndarray, level: float = BAND) -> np.ndarray:
    """Low end, median and high end of the band that values ``[R, …]`` lie in: ``[3, …]``.

    >>> [round(float(end), 2) for end in band(np.arange(21.0))]
    [1.0, 10.0, 19.0]
    """
    tail = (1 - level) / 2
    return np.quantile(drawn, [tail, 0.5, 1 - tail], axis=0)


def rank_bounds(
    estimates: np.ndarray, influence: np.ndarray, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """The best and the worst place, int64 ``[K]``, that each of K estimates may truly have.

    The largest has place 1. ``influence`` ``[N, K]`` has the estimates' covariance times N: the
    values themselves, where an estimate is their mean, or its jackknife values. Another one may
    stand on either side of an estimate unless a paired t test of the two, at 1 - ``level``, tells
    which (places from pairwise tests: Mogstad, Romano, Shaikh, Wilhelm 2024, "Inference for ranks
    with applications to mobility across neighbourhoods and academic achievement across countries";
    theirs hold for all places together, these for each by itself). Ranks of means that are drawn
    again, as a bootstrap has them, lie closer to the middle than the true ones and closer together.
    With a single sentence, every place is possible. How often they hold, by number of sentences,
    stands in docs/benchmarks.md.

    >>> values = np.array([[5.0, 2.0, 1.0], [5.0, 1.0, 2.0], [5.0, 2.1, 2.0]])
    >>> best, worst = rank_bounds(values.mean(0), values)
    >>> best.tolist(), worst.tolist()
    ([1, 2, 2], [1, 3, 3])
    """
    n, count = influence.shape
    if n < 2:
        return np.ones(count, dtype=np.int64), np.full(count, count, dtype=np.int64)
    centred = influence - influence.mean(0)
    covariance = centred.T @ centred / (n - 1)
    variance = np.diag(covariance)
    both = variance[:, None] + variance
    # What rounding leaves of two columns that do not differ.
    apart = np.where((both - 2 * covariance) > 1e-12 * both, both - 2 * covariance, 0.0)
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * np.sqrt(apart / n)  # [K, K]
    ahead = estimates[:, None] - estimates  # [K, K]
    surely_above, surely_below = ahead > reach, ahead < -reach
    return 1 + surely_below.sum(1), count - surely_above.sum(1)


def confusion_interval(
    confusion: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    draws: int = MATRIX_DRAWS,
) -> tuple[float, float]:
    """The interval of a statistic of counts ``[C, C]``: of what they may well have come from.

    ``statistic`` gives ``[…]`` for matrices ``[…, C, C]``, and the same for all multiples of one.
    The cells are drawn from a Dirichlet distribution, so that a cell that happened to stay empty is
    not taken for impossible: where every answer is right, sentences drawn again with replacement
    would say that F1 is 1 beyond doubt. Before any sentence is seen, the right cells together count
    as one sentence and the wrong ones as half of one. With two classes that is Jeffreys' interval
    (Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion") of J, the share
    of right sentences among those that have class 1 as label or prediction, for F1 is 2J / (1 + J).
    As theirs it ends at 0 or 1 where the statistic does.
    """
    classes = len(confusion)
    unseen = np.full((classes, classes), 0.5 / max(classes * (classes - 1), 1))
    np.fill_diagonal(unseen, 1 / classes)
    drawn = np.random.default_rng(SEED).standard_gamma(
        confusion + unseen, size=(draws, classes, classes)
    )
    low, high = percentile_interval(statistic(drawn))
    observed = float(statistic(confusion))
    return min(float(low), observed), max(float(high), observed)


# --- ranks ----------------------------------------------------------------------------------------


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 = smallest; equals share the mean of theirs: float64.

    >>> mean_ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist()
    [3.5, 1.0, 3.5, 2.0]
    """
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, -1)
    starts = np.ones(values.shape, dtype=bool)  # of a run of equals
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    ends = np.roll(starts, -1, -1)
    place, last = np.arange(values.shape[-1]), values.shape[-1]
    first = np.maximum.accumulate(np.where(starts, place, 0), -1)
    final = np.minimum.accumulate(np.where(ends, place, last)[..., ::-1], -1)[..., ::-1]
    found = np.empty(values.shape)
    np.put_along_axis(found, order, (first + final) / 2 + 1, -1)
    return found


# --- tests ----------------------------------------------------------------------------------------


def sign_test(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Probability of at least ``wins`` out of ``wins + losses`` fair coin tosses, in their shape.

    The exact one-sided sign test; 1 where nothing was tossed.

    >>> sign_test(np.array([3, 0, 0]), np.array([0, 3, 0])).tolist()
    [0.125, 1.0, 1.0]
    """
    wins = np.asarray(wins, dtype=np.int64)
    # bdtrc(k, n, p) is P(X > k); at n = 0 it is not defined.
    tosses = np.maximum(wins + losses, 1)
    return np.where(wins > 0, bdtrc(wins - 1.0, tosses, 0.5), 1.0)


class McNemar(NamedTuple):
    """What was right only before, right only after, and how probable so uneven a split is."""

    lost: int
    gained: int
    p: float


def mcnemar(was: np.ndarray, is_: np.ndarray) -> McNemar:
    """The exact two-sided McNemar test (1947) of equal shares of what is right, bool ``[N]`` twice.

    If a change were as likely to help as to hurt, ``lost`` would be binomial with probability ½;
    p is the chance of a split at least as uneven. 1 where nothing changed.

    >>> mcnemar(np.array([True, True, True, False]), np.array([False, False, False, False]))
    McNemar(lost=3, gained=0, p=0.25)
    """
    lost, gained = _lost_and_gained(was, is_)
    tail = sign_test(np.array(max(lost, gained)), np.array(min(lost, gained)))
    return McNemar(lost, gained, min(1.0, 2 * float(tail)))


def _lost_and_gained(was: np.ndarray, is_: np.ndarray) -> tuple[int, int]:
    return int((was & ~is_).sum()), int((~was & is_).sum())


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of the pairs without NaN, −1 to 1.

    NaN for fewer than three pairs, or where one of the two does not vary.

    >>> rank_correlation(np.array([1.0, 2.0, np.nan, 3.0]), np.array([10.0, 30.0, 0.0, 20.0]))
    0.5
    """
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3 or np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
        return float("nan")
    from scipy.stats import spearmanr

    return float(spearmanr(one[both], other[both]).statistic)


# --- corrections for the number of tests ----------------------------------------------------------


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for the number of tests (Holm 1979), in the same shape; NaN is no test.

    A corrected value of at most 0.05 bounds the chance of any false finding among all by 5%.

    >>> holm(np.array([0.01, np.nan, 0.03, 0.02])).tolist()
    [0.03, nan, 0.04, 0.04]
    """
    flat = np.asarray(p, dtype=np.float64).reshape(-1)
    order = np.argsort(flat, kind="stable")[: np.count_nonzero(~np.isnan(flat))]
    stepped = flat[order] * np.arange(len(order), 0, -1)
    corrected = np.full_like(flat, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected.reshape(np.shape(p))


def max_t(
    values: np.ndarray, chosen: np.ndarray, *, permutations: int = PERMUTATIONS, seed: int = SEED
) -> np.ndarray:
    """P-values ``[K]``: do ``chosen`` rows (bool ``[N]``) of ``values`` ``[N, K]`` differ in mean?

    A column's statistic is Welch's t. Its p is the share of random divisions of the same rows into
    groups of the same sizes in which the largest ``|t|`` of *any* column reaches this column's
    (maxT, Westfall and Young 1993). So the chance of finding even one where the groups do not
    differ is at most the level, whatever the distribution of the values, and columns that vary
    together cost no more than one.
    """
    size = int(chosen.sum())
    values = values - values.mean(0)  # so that no variance below is lost in a square of the mean
    observed = np.abs(welch(values, chosen[None].astype(np.float64)))[0]
    random = np.random.default_rng(seed)
    reached = np.zeros(values.shape[1])
    for begin in range(0, permutations, _BLOCK):
        draws = random.random((min(_BLOCK, permutations - begin), len(chosen)))
        last = np.partition(draws, size - 1, axis=1)[:, size - 1 : size]
        division = (draws <= last).astype(np.float64)
        largest = np.abs(welch(values, division)).max(1, initial=0.0)  # [R]
        # A division that equals ours up to rounding reaches it.
        reached += (largest[:, None] >= observed * (1 - 1e-9)).sum(0)
    return (1 + reached) / (1 + permutations)


def welch(values: np.ndarray, divisions: np.ndarray) -> np.ndarray:
    """Welch's t of columns ``[N, K]`` under divisions ``[R, N]`` of 1 (chosen) and 0: ``[R, K]``.

    Where neither group varies it is 0 for equal means and infinite for others.
    """
    count = divisions.sum(1, keepdims=True)  # [R, 1]
    rest = len(values) - count
    total, squares = values.sum(0), (values**2).sum(0)
    # One product reads the divisions once, which takes most of the time.
    inside, inside_squares = np.hsplit(divisions @ np.hstack([values, values**2]), 2)  # [R, K]
    mean, rest_mean = inside / count, (total - inside) / rest
    variance = (inside_squares - count * mean**2) / (count - 1)
    rest_variance = (squares - inside_squares - rest * rest_mean**2) / (rest - 1)
    error = np.sqrt(np.maximum(variance / count + rest_variance / rest, 0.0))
    apart = mean - rest_mean
    tiny = 1e-9 * np.sqrt(squares / len(values))  # what rounding leaves of a variance of 0
    certain = np.where(np.abs(apart) > tiny, np.copysign(np.inf, apart), 0.0)
    return np.where(error > tiny, apart / np.where(error > tiny, error, 1.0), certain)


def min_p(drawn: np.ndarray) -> np.ndarray:
    """P-values ``[K]`` of statistics ``[R, K]``, the first row observed, the others drawn.

    Draws are as if nothing were to find. A statistic's share of draws in which it is at least as
    large as observed is compared with the smallest such share in each draw (single-step minP:
    Westfall and Young 1993, Resampling-Based Multiple Testing), so that where nothing is to find
    the smallest p of all is at most 0.05 in 5% of cases.
    """
    shares = np.empty(drawn.shape)
    for column, ordered in enumerate(np.sort(drawn, axis=0).T):
        shares[:, column] = 1 - np.searchsorted(ordered, drawn[:, column]) / len(drawn)
    return np.searchsorted(np.sort(shares.min(1)), shares[0], side="right") / len(drawn)
