"""Two groups of sentences: which heads matter more for one than for the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bhpvas.stats import PERMUTATIONS, SEED, SIGNIFICANT, max_t

#: A group of fewer sentences is described and not tested.
FEWEST_TO_TEST = 5


@dataclass(frozen=True, eq=False)
class GroupComparison:
    """Two groups of sentences, head by head; arrays are ``[L, H]``, NaN at removed heads.

    ``difference`` is the mean of the ``chosen`` sentences minus that of the ``rest``; positive: the
    head matters more for the chosen ones. ``p`` is corrected for the number of heads, NaN where a
    group was too small to test.
    """

    chosen: int
    rest: int
    chosen_mean: np.ndarray
    rest_mean: np.ndarray
    p: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """Mean of the chosen sentences minus the mean of the rest."""
        return self.chosen_mean - self.rest_mean

    @property
    def tested(self) -> bool:
        """Whether both groups were large enough for a test."""
        return min(self.chosen, self.rest) >= FEWEST_TO_TEST

    def found(self, level: float = SIGNIFICANT) -> np.ndarray:
        """The heads whose difference the test bears out: bool ``[L, H]``."""
        return np.nan_to_num(self.p, nan=1.0) <= level


def importance_shares(per_example: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The part of a sentence's importance of each ``kept`` head (bool ``[L, H]``).

    Float64 ``[N, L, H]``, as ``per_example``; a sentence's parts sum to 1. Gradients of a sentence
    that the model gets wrong are larger in every head; a share says which heads matter, whatever
    the sentence's loss. A sentence without any gradient has shares of 0.
    """
    amounts = per_example * kept
    whole = amounts.sum((1, 2), keepdims=True, dtype=np.float64)
    return amounts / np.where(whole > 0, whole, 1.0)


def compare_groups(
    values: np.ndarray,
    chosen: np.ndarray,
    kept: np.ndarray,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
) -> GroupComparison:
    """Compare the ``chosen`` sentences (bool ``[N]``) with the rest in ``values`` ``[N, L, H]``.

    P-values are those of :func:`bhpvas.stats.max_t` over the ``kept`` heads (bool ``[L, H]``).
    """
    size = int(chosen.sum())
    assert 0 < size < len(chosen), "both groups need a sentence"
    of_kept = values[:, kept]  # [N, K]
    p = np.full(of_kept.shape[1], np.nan)
    if min(size, len(chosen) - size) >= FEWEST_TO_TEST:
        p = max_t(of_kept.astype(np.float64), chosen, permutations=permutations, seed=seed)

    def placed(column: np.ndarray) -> np.ndarray:
        whole = np.full(kept.shape, np.nan)
        whole[kept] = column
        return whole

    return GroupComparison(
        chosen=size,
        rest=len(chosen) - size,
        chosen_mean=placed(of_kept[chosen].mean(0, dtype=np.float64)),
        rest_mean=placed(of_kept[~chosen].mean(0, dtype=np.float64)),
        p=placed(p),
    )
