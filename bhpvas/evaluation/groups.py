"""Which heads matter more for some sentences than for the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: A group of fewer sentences is described and not tested.
FEWEST_TO_TEST = 5
#: Random divisions of the sentences that a difference is held against; the least p is 1/1,001.
PERMUTATIONS = 1_000
# Divisions drawn at once.
_BLOCK = 200


@dataclass(frozen=True, eq=False)
class Comparison:
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

    def found(self, level: float = 0.05) -> np.ndarray:
        """The heads whose difference the test bears out: bool ``[L, H]``."""
        return np.nan_to_num(self.p, nan=1.0) <= level


def shares(per_example: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Each kept head's part of a sentence's importance: float64 ``[N, L, H]``, summing to 1 a row.

    Gradients of a sentence that the model gets wrong are larger in every head; a share says which
    heads matter, whatever the sentence's loss. A sentence without any gradient has shares of 0.
    """
    amounts = per_example * (kept > 0)
    whole = amounts.sum((1, 2), keepdims=True, dtype=np.float64)
    return amounts / np.where(whole > 0, whole, 1.0)


def compare(
    values: np.ndarray,
    chosen: np.ndarray,
    kept: np.ndarray,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """Compare the ``chosen`` sentences (bool ``[N]``) with the rest in ``values`` ``[N, L, H]``.

    A head's statistic is Welch's t. Its p-value is the share of random divisions of the same
    sentences into groups of the same sizes in which the largest ``|t|`` of *any* kept head reaches
    this head's (maxT, Westfall and Young 1993). So the chance of marking even one head where the
    groups do not differ is at most the level, whatever the distribution of the values, and heads
    that vary together cost no more than one.
    """
    size, shape = int(chosen.sum()), values.shape[1:]
    assert 0 < size < len(chosen), "both groups need a sentence"
    family = np.flatnonzero(kept.reshape(-1) > 0)
    flat = values.reshape(len(values), -1)[:, family].astype(np.float64)  # [N, kept]
    flat = flat - flat.mean(0)  # so that no variance below is lost in a square of the mean
    p = np.full(len(family), np.nan)
    if min(size, len(chosen) - size) >= FEWEST_TO_TEST:
        observed = np.abs(_welch(flat, chosen[None].astype(np.float64)))[0]
        random = np.random.default_rng(seed)
        reached = np.zeros(len(family))
        for begin in range(0, permutations, _BLOCK):
            rows = min(_BLOCK, permutations - begin)
            draws = random.random((rows, len(chosen)))
            last = np.partition(draws, size - 1, axis=1)[:, size - 1 : size]
            division = (draws <= last).astype(np.float64)
            largest = np.abs(_welch(flat, division)).max(1, initial=0.0)  # [rows]
            # A division that equals ours up to rounding reaches it.
            reached += (largest[:, None] >= observed * (1 - 1e-9)).sum(0)
        p = (1 + reached) / (1 + permutations)

    def placed(column: np.ndarray) -> np.ndarray:
        whole = np.full(shape[0] * shape[1], np.nan)
        whole[family] = column
        return whole.reshape(shape)

    of_kept = values.reshape(len(values), -1)[:, family]
    return Comparison(
        chosen=size,
        rest=len(chosen) - size,
        chosen_mean=placed(of_kept[chosen].mean(0, dtype=np.float64)),
        rest_mean=placed(of_kept[~chosen].mean(0, dtype=np.float64)),
        p=placed(p),
    )


def _welch(flat: np.ndarray, division: np.ndarray) -> np.ndarray:
    """Welch's t of columns ``[N, K]`` under divisions ``[R, N]`` of 1 (chosen) and 0: ``[R, K]``.

    Where neither group varies it is 0 for equal means and infinite for others.
    """
    count = division.sum(1, keepdims=True)  # [R, 1]
    rest = len(flat) - count
    total, squares = flat.sum(0), (flat**2).sum(0)
    # One product reads the divisions once, which takes most of the time.
    inside, inside_squares = np.hsplit(division @ np.hstack([flat, flat**2]), 2)  # [R, K]
    mean, rest_mean = inside / count, (total - inside) / rest
    variance = (inside_squares - count * mean**2) / (count - 1)
    rest_variance = (squares - inside_squares - rest * rest_mean**2) / (rest - 1)
    error = np.sqrt(np.maximum(variance / count + rest_variance / rest, 0.0))
    apart = mean - rest_mean
    tiny = 1e-9 * np.sqrt(squares / len(flat))  # what rounding leaves of a variance of 0
    certain = np.where(np.abs(apart) > tiny, np.copysign(np.inf, apart), 0.0)
    return np.where(error > tiny, apart / np.where(error > tiny, error, 1.0), certain)
