"""Criterion and Measurement: a number for each head, and what it is computed from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from bhpvas.data.sampling import Sample
from bhpvas.model import distributed
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Collector

Direction = Literal["keep", "remove"]
Statistic = Literal["mean", "steadiness"]

#: Sentences whose own values are kept: of more, as many are drawn. The rank intervals from them are
#: as narrow as a screen can show, and memory does not grow beyond.
MOST_KEPT = 8192


class SentenceMoments:
    """Mean and spread over all sentences of what each gives a head, and the values of some.

    ``kept`` is float32 ``[n, L, H]`` for the n sentences of ``sample``.
    """

    def __init__(self, sample: Sample, layers: int, heads: int) -> None:
        self.sample = sample
        self.sums = np.zeros((2, layers, heads))  # of the values and of their squares
        self.kept = np.zeros((len(sample), layers, heads), dtype=np.float32)

    def add(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Count values ``[B, L, H]`` of the sentences at ``rows``."""
        wide = values.astype(np.float64)
        self.sums += wide.sum(0), (wide**2).sum(0)
        here, places = self.sample.among(rows)
        self.kept[places] = values[here]

    def add_up(self) -> None:
        """Join what several processes have counted."""
        distributed.add_up(self.sums, self.kept)

    @property
    def mean(self) -> np.ndarray:
        """Mean over sentences: float64 ``[L, H]``."""
        return self.sums[0] / self.sample.total

    @property
    def mean_square(self) -> np.ndarray:
        """Mean over sentences of the square: float64 ``[L, H]``."""
        return self.sums[1] / self.sample.total


@dataclass(frozen=True, eq=False)
class Measurement:
    """A criterion's value for every head, with what it was computed from.

    ``values`` is float64 ``[L, H]``. Where the value is a statistic over sentences, ``per_example``
    holds what each sentence of a :class:`~bhpvas.data.sampling.Sample` contributes, float32
    ``[n, L, H]``, and ``statistic`` says which one: the mean, or the steadiness ``1 / (1 + σ/μ)``.
    ``matrix`` holds pairwise values ``[L·H, L·H]``, and ``profile`` the mean attention profile
    ``[L, H, 7]``. ``per_layer`` says that both count relative to the L2 norm of the layer's kept
    heads.
    """

    values: np.ndarray
    per_example: np.ndarray | None = None
    statistic: Statistic = "mean"
    matrix: np.ndarray | None = None
    profile: np.ndarray | None = None
    per_layer: bool = False


def steadiness(mean: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    """``1 / (1 + σ/μ)`` of what is never negative: 1 = never varies, also where all is zero."""
    spread = np.sqrt(np.maximum(mean_square - mean**2, 0.0))
    whole = mean + spread
    return np.where(whole > 0, mean / np.where(whole > 0, whole, 1), 1.0)


def weighted_statistic(
    per_example: np.ndarray, weights: np.ndarray, statistic: Statistic
) -> np.ndarray:
    """A statistic of ``[N, L, H]`` under each row of weights ``[R, N]`` (sum 1): ``[R, L, H]``."""
    flat = per_example.reshape(len(per_example), -1).astype(np.float64)
    mean = weights @ flat
    if statistic == "steadiness":
        mean = steadiness(mean, weights @ flat**2)
    return mean.reshape(len(weights), *per_example.shape[1:])


class Gatherer(Collector, Protocol):
    """A collector whose sums can be joined with those of other processes."""

    def add_up(self) -> None:
        """Called by every process once its part of the pass is done."""


@dataclass(frozen=True)
class Criterion:
    """A number per head and all that a person needs to read it.

    ``collector(classifier, sample)`` builds what gathers during the pass; ``measure`` turns it
    into values. Criteria that name the same collector share one.
    """

    name: str
    title: str
    higher_means: Direction
    summary: str
    formula: str
    source: str
    misleads: str
    collector: Callable[[Classifier, Sample], Gatherer]
    measure: Callable[[Any], Measurement]
    signed: bool = False
