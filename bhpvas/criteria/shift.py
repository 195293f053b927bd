"""Rank shift: which heads became more important when others left, among those that stayed.

Places among 72 heads and among 40 do not compare, so both orders are of the heads that are kept
now: a head rises only by overtaking one that is still there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bhpvas import stats
from bhpvas.criteria.base import Direction, Statistic, steadiness, weighted_statistic
from bhpvas.criteria.ranking import ranks
from bhpvas.criteria.registry import CRITERIA
from bhpvas.criteria.scoring import Scores
from bhpvas.heads import HeadId, HeadMask

# Draws that are ranked together, which bounds the memory.
_AT_ONCE = 1000


@dataclass(frozen=True, eq=False)
class RankShift:
    """Places ``[L, H]`` of the heads that are kept now: 1 = most worth keeping, 0 = removed.

    ``before`` is their order in the unpruned model, ``after`` the one in the pruned model. Heads of
    equal value share the mean of their places.
    """

    mask: HeadMask
    before: np.ndarray
    after: np.ndarray

    @property
    def rise(self) -> np.ndarray:
        """Places won ``[L, H]``, NaN at removed heads; positive = more worth keeping now."""
        return np.where(self.mask.kept, self.before - self.after, np.nan)

    @property
    def risers(self) -> list[HeadId]:
        """The heads that rose, the largest rise first; of equals the now higher ranked."""
        return [head for head in self._by_rise if self.rise[head.layer, head.head] > 0]

    @property
    def fallers(self) -> list[HeadId]:
        """The heads that fell, the largest fall first."""
        return [head for head in self._by_rise[::-1] if self.rise[head.layer, head.head] < 0]

    @property
    def _by_rise(self) -> list[HeadId]:
        return sorted(
            self.mask,
            key=lambda head: (-self.rise[head.layer, head.head], self.after[head.layer, head.head]),
        )


def rank_shift(
    before: np.ndarray, after: np.ndarray, mask: HeadMask, higher_means: Direction = "keep"
) -> RankShift:
    """How values ``[L, H]`` of the unpruned model and of the one under ``mask`` rank its heads."""
    return RankShift(
        mask=mask,
        before=ranks(before, higher_means, kept=mask.kept),
        after=ranks(after, higher_means, kept=mask.kept),
    )


def rise_intervals(
    before: Scores, after: Scores, name: str, *, draws: int = stats.DRAWS, seed: int = stats.SEED
) -> tuple[np.ndarray, np.ndarray]:
    """How sure one head's rise is: lower and upper number of places ``[L, H]``, NaN where removed.

    They are to hold 95%, and hold less of few sentences (docs/benchmarks.md). The same sentences
    are drawn again with replacement for the unpruned model (``before``) and the pruned one
    (``after``), and both orders are ranked anew (percentile bootstrap, Efron 1979). Both scores are
    of the same sentences, and ``name`` of a criterion that has values per sentence. Each interval
    is of a head that was chosen beforehand:
    of many heads, some of their intervals exclude 0 by chance, so :func:`rise_p` is the test.
    """
    assert before.dataset == after.dataset and before.sentences == after.sentences
    kept = after.mask.kept
    weights = stats.bootstrap_weights(len(before.rows), draws, seed)  # [R, N]
    direction = CRITERIA[name].higher_means
    places = [
        _places(
            weighted_statistic(one.per_example[name], weights, one.measured[name].statistic)[
                :, kept
            ],
            direction,
        )
        for one in (before, after)
    ]
    low, high = np.full((2, *kept.shape), np.nan)
    low[kept], high[kept] = stats.percentile_interval(places[0] - places[1], method="nearest")
    return low, high


def rise_p(before: Scores, after: Scores, name: str, *, seed: int = stats.SEED) -> np.ndarray:
    """How probable so large a rise or fall is by chance, ``[L, H]`` in 0 to 1, NaN where removed.

    Corrected for the number of heads (:func:`bhpvas.stats.min_p`). If nothing changed, the two
    values of a sentence may as well change places between the models. They do at random, sentence
    by sentence, and both orders are ranked anew. Ranks know no scale, so the values of either model
    are first divided by their mean size. Scores as for :func:`rise_intervals`.
    """
    assert before.dataset == after.dataset and before.sentences == after.sentences
    n, kept = len(before.rows), after.mask.kept
    first, second = (_scaled(one.per_example[name][:, kept]) for one in (before, after))  # [N, K]
    statistic, direction = before.measured[name].statistic, CRITERIA[name].higher_means
    rng = np.random.default_rng(seed)
    draws = max(stats.PERMUTATIONS, stats.PERMUTATIONS_A_TEST * after.mask.kept_count)
    moves = []
    for start in range(0, draws, _AT_ONCE):
        stay = rng.integers(2, size=(min(_AT_ONCE, draws - start), n)).astype(float)
        if start == 0:
            stay[0] = 1  # what was observed is one of the draws
        here, there = (
            _places(drawn, direction) for drawn in _exchanged(first, second, stay, statistic)
        )
        moves.append(np.abs(here - there).astype(np.float32))
    p = np.full(kept.shape, np.nan)
    p[kept] = stats.min_p(np.concatenate(moves))
    return p


def _places(values: np.ndarray, higher_means: Direction) -> np.ndarray:
    """Places of K heads in every draw, from values ``[R, K]``; undefined ones stand last."""
    costs = -values if higher_means == "keep" else values
    return stats.mean_ranks(np.where(np.isnan(costs), np.inf, costs))


def _exchanged(
    first: np.ndarray, second: np.ndarray, stay: np.ndarray, statistic: Statistic
) -> tuple[np.ndarray, np.ndarray]:
    """A statistic of two ``[N, K]`` whose rows change places where ``stay`` ``[R, N]`` is 0."""

    def means(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = stay @ (one - other) / len(one) + other.mean(0)  # [R, K]
        return mean, one.mean(0) + other.mean(0) - mean

    here, there = means(first, second)
    if statistic == "steadiness":
        squares = means(first**2, second**2)
        here, there = steadiness(here, squares[0]), steadiness(there, squares[1])
    return here, there


def _scaled(values: np.ndarray) -> np.ndarray:
    """Values ``[N, K]`` divided by their mean size, float64."""
    values = values.astype(np.float64)
    size = np.abs(values).mean()
    return values / size if size > 0 else values
