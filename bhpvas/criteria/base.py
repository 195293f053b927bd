"""What a criterion is, and what it measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bhpvas.classifier import Classifier
from bhpvas.engine import Collector

Direction = Literal["keep", "remove"]
Statistic = Literal["mean", "steadiness"]


@dataclass(frozen=True, eq=False)
class Measured:
    """A criterion's value for every head, with what it was computed from.

    ``values`` is float64 ``[L, H]``. Where the value is a statistic over sentences, ``per_example``
    holds what each contributes, float32 ``[N, L, H]``, and ``statistic`` says which one: the mean,
    or the steadiness ``1 / (1 + σ/μ)``. ``matrix`` holds pairwise values ``[L·H, L·H]``, and
    ``profile`` the mean attention profile ``[L, H, 7]``.
    """

    values: np.ndarray
    per_example: np.ndarray | None = None
    statistic: Statistic = "mean"
    matrix: np.ndarray | None = None
    profile: np.ndarray | None = None

    @classmethod
    def mean_of(cls, per_example: np.ndarray) -> Measured:
        """The mean over sentences of ``[N, L, H]``."""
        return cls(values=per_example.mean(0, dtype=np.float64), per_example=per_example)

    @classmethod
    def steadiness_of(cls, per_example: np.ndarray) -> Measured:
        """``1 / (1 + σ/μ)`` over sentences of non-negative ``[N, L, H]``: 1 = never varies."""
        weights = np.full((1, len(per_example)), 1 / len(per_example))
        return cls(
            values=weighted_statistic(per_example, weights, "steadiness")[0],
            per_example=per_example,
            statistic="steadiness",
        )


def weighted_statistic(
    per_example: np.ndarray, weights: np.ndarray, statistic: Statistic
) -> np.ndarray:
    """A statistic of ``[N, L, H]`` under each row of weights ``[R, N]`` (sum 1): ``[R, L, H]``.

    A head whose values are all zero does not vary, so its steadiness is 1.
    """
    flat = per_example.reshape(len(per_example), -1).astype(np.float64)
    mean = weights @ flat
    if statistic == "steadiness":
        # Deviations from the overall mean keep the variance free of cancellation.
        overall = flat.mean(0)
        variance = weights @ (flat - overall) ** 2 - (mean - overall) ** 2
        spread = np.sqrt(np.maximum(variance, 0.0))
        mean = np.where(mean + spread > 0, mean / np.where(mean + spread > 0, mean + spread, 1), 1)
    return mean.reshape(len(weights), *per_example.shape[1:])


@dataclass(frozen=True)
class Criterion:
    """A number per head and all that a person needs to read it.

    ``collector(classifier, sentences)`` builds what gathers during the pass; ``measure`` turns it
    into values. Criteria that name the same collector share one.
    """

    name: str
    title: str
    higher_means: Direction
    summary: str
    formula: str
    source: str
    misleads: str
    collector: Callable[[Classifier, int], Collector]
    measure: Callable[[Any], Measured]
    signed: bool = False
