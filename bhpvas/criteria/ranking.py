"""Ranks of the heads: orders from values, how sure they are, and the combined priority.

Equal values have the same place, the mean of theirs, and where one has to go first a seed draws
which: where a head stands in the model says nothing of its worth. Heads whose value is undefined
stand behind all others, since nothing speaks for them, and dead heads behind these.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bhpvas.criteria.base import Direction, jackknife_values
from bhpvas.criteria.registry import CRITERIA
from bhpvas.criteria.scoring import Scores
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId
from bhpvas.stats import SEED, mean_ranks, rank_bounds

#: Weights of the combined priority, unless a person sets others. On the sample model and sentences
#: of SST-2's train part, a third of the heads can go by this order at little loss. With 0.3 or more
#: for similarity, which puts both heads of a pair first, the answers fall to chance.
DEFAULT_WEIGHTS: dict[str, float] = {"importance": 0.6, "stability": 0.3, "similarity": 0.1}


def ranks(
    values: np.ndarray,
    higher_means: Direction = "keep",
    *,
    kept: np.ndarray | None = None,
    dead: np.ndarray | None = None,
) -> np.ndarray:
    """Places of the heads: float64 ``[L, H]``, 1 = most worth keeping, the last = first to go.

    Equal values share the mean of their places. ``kept`` heads (default: those with a value) that
    have none, NaN, share the last places, and ``dead`` ones the very last. All others get 0.

    >>> ranks(np.array([[0.3, 0.1], [0.3, np.nan]])).tolist()
    [[1.5, 3.0], [1.5, 0.0]]
    """
    kept = ~np.isnan(values) if kept is None else kept
    costs = (-values if higher_means == "keep" else values)[kept]
    found = mean_ranks(np.where(np.isnan(costs), np.inf, costs))
    if dead is not None and dead[kept].any():
        found = mean_ranks(np.where(dead[kept], np.inf, found))
    places = np.zeros(values.shape)
    places[kept] = found
    return places


def removal_order(
    values: np.ndarray,
    higher_means: Direction = "keep",
    *,
    kept: np.ndarray | None = None,
    dead: np.ndarray | None = None,
    seed: int = SEED,
) -> list[HeadId]:
    """Kept heads from the first to go to the last; the order of equals is drawn by the ``seed``.

    ``values`` is ``[L, H]``; ``higher_means`` says whether a high value speaks for keeping a head
    or for removing it, as ``CRITERIA[name].higher_means`` does for a criterion. NaN is a head that
    is removed already, unless ``kept`` (bool ``[L, H]``) has it: then its value is undefined, and
    it goes before those that have one. ``dead`` heads go first of all.

    >>> import numpy as np
    >>> import bhpvas
    >>> importance = np.array([[0.3, 0.1], [0.2, np.nan]])
    >>> [str(head) for head in bhpvas.removal_order(importance, "keep")]
    ['L0H1', 'L1H0', 'L0H0']
    """
    places = ranks(values, higher_means, kept=kept, dead=dead)
    layers, heads = values.shape
    return sorted(
        (one for one in drawn_order(layers, heads, seed) if places[one.layer, one.head] > 0),
        key=lambda head: -places[head.layer, head.head],
    )


def drawn_order(layers: int, heads: int, seed: int = SEED) -> list[HeadId]:
    """All heads in an order drawn by a seed, in which equals go: the same for every mask."""
    drawn = np.random.default_rng(seed).permutation(layers * heads)
    return [HeadId(*divmod(int(place), heads)) for place in drawn]


def places(scores: Scores, name: str, higher_means: Direction | None = None) -> np.ndarray:
    """Places of the kept heads by a criterion, as :func:`ranks` has them: ``[L, H]``."""
    direction = higher_means or CRITERIA[name].higher_means
    return ranks(scores.values[name], direction, kept=scores.mask.kept, dead=scores.dead)


def rank_intervals(scores: Scores, name: str) -> tuple[np.ndarray, np.ndarray]:
    """How sure the rank of each head is: best and worst place ``[L, H]`` at 95%, 0 for none.

    They follow from comparing each two heads on the same sentences
    (:func:`bhpvas.stats.rank_bounds`); heads with an undefined value, and dead ones, stand behind
    these and have no interval. Raises :class:`BhpvasError` for a criterion that compares heads: it
    is no statistic over sentences.
    """
    one = scores.measured[name]
    if one.per_example is None:
        raise BhpvasError(f"{name} has no values per sentence, so its ranks have no interval.")
    known = ~np.isnan(scores.values[name]) & ~scores.dead
    sign = 1 if CRITERIA[name].higher_means == "keep" else -1
    values = jackknife_values(one.per_example[:, known].astype(np.float64), one.statistic)
    low, high = np.zeros((2, *known.shape), dtype=np.int64)
    low[known], high[known] = rank_bounds(sign * scores.values[name][known], sign * values)
    return low, high


def combined(
    scores: Scores,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    directions: Mapping[str, Direction] | None = None,
) -> np.ndarray:
    """Weighted mean of rank-normalised criteria: ``[L, H]`` in 0 to 1, higher = keep.

    Each criterion gives 1 to the head most worth keeping and 0 to the first to go, and heads of
    equal value the same. ``directions`` overrides what a high value means, criterion by criterion.
    Heads already removed are NaN; dead ones have less than any other. Raises :class:`BhpvasError`
    where a weight is negative or all are zero.
    """
    used = {name: weight for name, weight in weights.items() if weight != 0}
    if any(weight < 0 for weight in used.values()) or not used:
        raise BhpvasError("The weights of the combined priority must be 0 or more, and not all 0.")
    total = np.zeros_like(scores.mask.array, dtype=np.float64)
    for name, weight in used.items():
        place = places(scores, name, (directions or {}).get(name))
        total += weight * (1.0 - (place - 1) / max(scores.mask.kept_count - 1, 1))
    return np.where(scores.mask.kept, total / sum(used.values()), np.nan)
