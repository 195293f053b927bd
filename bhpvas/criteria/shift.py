"""Which heads became important when others left: ranks before and after, among those that stayed.

Places among 72 heads and among 40 do not compare, so both orders are of the heads that are kept
now: a head rises only by overtaking one that is still there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bhpvas.criteria.base import Direction, weighted_statistic
from bhpvas.criteria.ranking import ranks
from bhpvas.criteria.scoring import CRITERIA, Scores
from bhpvas.heads import HeadId, HeadMask


@dataclass(frozen=True, eq=False)
class RankShift:
    """Places ``[L, H]`` of the heads that are kept now: 1 = most worth keeping, 0 = removed.

    ``before`` is their order in the unpruned model, ``after`` the one in the pruned model.
    """

    mask: HeadMask
    before: np.ndarray
    after: np.ndarray

    @property
    def rise(self) -> np.ndarray:
        """Places won ``[L, H]``, NaN at removed heads; positive = more worth keeping now."""
        return np.where(self.mask.array > 0, (self.before - self.after).astype(float), np.nan)

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
            key=lambda head: (
                -self.rise[head.layer, head.head],
                self.after[head.layer, head.head],
            ),
        )


def rank_shift(
    before: np.ndarray, after: np.ndarray, mask: HeadMask, higher_means: Direction = "keep"
) -> RankShift:
    """How values ``[L, H]`` of the unpruned model and of the one under ``mask`` rank its heads."""
    kept = mask.array > 0
    return RankShift(
        mask=mask,
        before=ranks(np.where(kept, before, np.nan), higher_means),
        after=ranks(np.where(kept, after, np.nan), higher_means),
    )


def rise_intervals(
    before: Scores,
    after: Scores,
    name: str,
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    """How sure each rise is: lower and upper number of places ``[L, H]``, NaN at removed heads.

    The same sentences are drawn again with replacement for both models, and both orders are ranked
    anew (percentile bootstrap, Efron 1979). Both scores are of the same sentences, and of a
    criterion that has values per sentence.
    """
    assert before.dataset == after.dataset and before.sentences == after.sentences
    n, kept = len(before.rows), after.mask.array > 0
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n  # [R, N]
    direction = CRITERIA[name].higher_means
    places = [
        [
            ranks(np.where(kept, values, np.nan), direction)
            for values in weighted_statistic(
                one.per_example[name], weights, one.measured[name].statistic
            )
        ]
        for one in (before, after)
    ]
    rises = np.array(places[0]) - np.array(places[1])  # [R, L, H]
    tail = (1 - level) / 2
    low, high = np.quantile(rises, [tail, 1 - tail], axis=0, method="nearest")
    return np.where(kept, low, np.nan), np.where(kept, high, np.nan)
