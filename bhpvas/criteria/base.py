"""Criteria and Measurement: a number for each head or neuron, and what it is computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from bhpvas.data.sampling import Sample
from bhpvas.model import distributed
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Collector

Direction = Literal["keep", "remove"]
Statistic = Literal["mean", "steadiness"]

#: Of which heads criteria are undefined that look at what a head attends to or puts out.
DEAD = "that puts out nothing"
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

    def if_several(self, values: np.ndarray) -> np.ndarray:
        """What says how much sentences differ: undefined, NaN, where there is only one."""
        return values if self.sample.total > 1 else np.full_like(values, np.nan)


@dataclass(frozen=True, eq=False)
class Measurement:
    """A criterion's value for every head, with what it was computed from.

    ``values`` is float64 ``[L, H]``, NaN where undefined. Where the value is a statistic over
    sentences, ``per_example`` holds what each sentence of a
    :class:`~bhpvas.data.sampling.Sample` contributes, float32 ``[n, L, H]``, and ``statistic``
    says which one: the mean, or the steadiness ``1 / (1 + σ/μ)``.
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
    """``1 / (1 + σ/μ)`` of what is never negative: 1 = never varies; NaN where all is zero."""
    spread = np.sqrt(np.maximum(mean_square - mean**2, 0.0))
    whole = mean + spread
    return np.where(whole > 0, mean / np.where(whole > 0, whole, 1), np.nan)


def weighted_statistic(
    per_example: np.ndarray, weights: np.ndarray, statistic: Statistic
) -> np.ndarray:
    """A statistic of ``[N, L, H]`` under each row of weights ``[R, N]`` (sum 1): ``[R, L, H]``."""
    flat = per_example.reshape(len(per_example), -1).astype(np.float64)
    mean = weights @ flat
    if statistic == "steadiness":
        mean = steadiness(mean, weights @ flat**2)
    return mean.reshape(len(weights), *per_example.shape[1:])


def jackknife_values(per_example: np.ndarray, statistic: Statistic) -> np.ndarray:
    """What each sentence adds to a statistic of ``[N, K]``: float64 ``[N, K]``.

    Of a mean these are the values themselves; of another statistic θ they are ``Nθ − (N − 1)θ₋ᵢ``
    with θ₋ᵢ that of all other sentences, and vary as the statistic does (Tukey 1958).
    """
    n = len(per_example)
    if statistic == "mean" or n < 2:
        return per_example
    sums = per_example.sum(0), (per_example**2).sum(0)
    whole = steadiness(sums[0] / n, sums[1] / n)
    rest = steadiness((sums[0] - per_example) / (n - 1), (sums[1] - per_example**2) / (n - 1))
    return n * whole - (n - 1) * np.where(np.isnan(rest), whole, rest)


class Gatherer(Collector, Protocol):
    """A collector whose sums can be joined with those of other processes."""

    def add_up(self) -> None:
        """Called by every process once its part of the pass is done."""


@dataclass(frozen=True)
class Explained:
    """What a person needs to read a criterion; ``higher_means`` is what a high value speaks for."""

    name: str
    title: str
    higher_means: Direction
    summary: str
    formula: str
    source: str
    misleads: str


@dataclass(frozen=True)
class Criterion(Explained):
    """A number per head and all that a person needs to read it.

    ``collector(classifier, sample)`` builds what gathers during the pass; ``measure`` turns it
    into values. Criteria that name the same collector share one. ``undefined`` says of which heads
    there is no value; without it every head has one, and that of a dead head, whose gate changes
    nothing, is a true 0.
    """

    collector: Callable[[Classifier, Sample], Gatherer]
    measure: Callable[[Any], Measurement]
    signed: bool = False
    undefined: str = ""


@dataclass(frozen=True)
class NeuronCriterion(Explained):
    """A number per feed-forward neuron and all that a person needs to read it.

    As of a :class:`Criterion`, but ``collector`` is given the classifier without the neurons that
    the mask removes, and ``measure`` gives the values of each layer's neurons, ``[F]``: sums over
    all sentences alone. Every kept neuron has a value; it is at least 0.
    """

    collector: Callable[[Classifier, Sample], Gatherer]
    measure: Callable[[Any], Sequence[np.ndarray]]
