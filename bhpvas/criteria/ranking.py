"""Ranks of the heads: orders from values, how sure they are, and the combined priority."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bhpvas.criteria.base import Direction, weighted_statistic
from bhpvas.criteria.scoring import CRITERIA, Scores
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId
from bhpvas.stats import DRAWS, bootstrap_weights, percentile_interval

#: Weights of the combined priority, unless a person sets others. On the sample model and sentences
#: of SST-2's train part, a third of the heads can go by this order at little loss. With 0.3 or more
#: for similarity, which puts both heads of a pair first, the answers fall to chance.
DEFAULT_WEIGHTS: dict[str, float] = {"importance": 0.6, "stability": 0.3, "similarity": 0.1}


def ranks(values: np.ndarray, higher_means: Direction = "keep") -> np.ndarray:
    """Places of the heads: int64 ``[L, H]``, 1 = most worth keeping, the last = first to go.

    Heads with NaN (removed) get 0. Equal values keep the order of layers and heads.
    """
    flat = values.reshape(-1)
    signed = -flat if higher_means == "keep" else flat
    order = np.argsort(signed, kind="stable")  # NaN comes last
    places = np.empty(len(flat), dtype=np.int64)
    places[order] = np.arange(1, len(flat) + 1)
    return np.where(np.isnan(flat), 0, places).reshape(values.shape)


def removal_order(values: np.ndarray, higher_means: Direction = "keep") -> list[HeadId]:
    """Kept heads from the first to go to the last.

    ``values`` is ``[L, H]``, NaN at heads that are removed already; ``higher_means`` says whether a
    high value speaks for keeping a head or for removing it, as ``CRITERIA[name].higher_means`` does
    for a criterion.

    >>> import numpy as np
    >>> import bhpvas
    >>> importance = np.array([[0.3, 0.1], [0.2, np.nan]])
    >>> [str(head) for head in bhpvas.removal_order(importance, "keep")]
    ['L0H1', 'L1H0', 'L0H0']
    """
    places = ranks(values, higher_means)
    kept = [HeadId(int(la), int(he)) for la, he in zip(*np.nonzero(places), strict=True)]
    return sorted(kept, key=lambda head: -places[head.layer, head.head])


def rank_intervals(
    scores: Scores, name: str, *, draws: int = DRAWS
) -> tuple[np.ndarray, np.ndarray]:
    """How sure the rank of each head is: lower and upper place ``[L, H]`` at 95%.

    Sentences are drawn again with replacement, the criterion is recomputed from their per-example
    values, and the heads are ranked anew (percentile bootstrap, Efron 1979). Raises
    :class:`BhpvasError` for a criterion that compares heads: it is no statistic over sentences.
    """
    one = scores.measured[name]
    if one.per_example is None:
        raise BhpvasError(f"{name} has no values per sentence, so its ranks have no interval.")
    weights = bootstrap_weights(len(one.per_example), draws)  # [R, N]
    drawn = weighted_statistic(one.per_example, weights, one.statistic)  # [R, L, H]
    drawn = np.where(np.isnan(scores.values[name]), np.nan, drawn)
    places = np.stack([ranks(values, CRITERIA[name].higher_means) for values in drawn])
    low, high = percentile_interval(places, method="nearest")
    return low.astype(np.int64), high.astype(np.int64)


def combined(
    scores: Scores,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    directions: Mapping[str, Direction] | None = None,
) -> np.ndarray:
    """Weighted mean of rank-normalised criteria: ``[L, H]`` in 0 to 1, higher = keep.

    Each criterion gives 1 to the head most worth keeping and 0 to the first to go. ``directions``
    overrides what a high value means, criterion by criterion. Heads already removed are NaN.
    Raises :class:`BhpvasError` where a weight is negative or all are zero.
    """
    used = {name: weight for name, weight in weights.items() if weight != 0}
    if any(weight < 0 for weight in used.values()) or not used:
        raise BhpvasError("The weights of the combined priority must be 0 or more, and not all 0.")
    total = np.zeros_like(scores.mask.array, dtype=np.float64)
    for name, weight in used.items():
        direction = (directions or {}).get(name, CRITERIA[name].higher_means)
        places = ranks(scores.values[name], direction)  # 0 of a removed head
        share = 1.0 - (places - 1) / max(np.count_nonzero(places) - 1, 1)
        total += weight * np.where(places > 0, share, np.nan)
    return total / sum(used.values())
