"""Family: the schemes that one search to several targets finds, each with its weights by name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.model.runtimes import Timing
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.search.base import FREE, Constraints
from bhpvas.search.budget import Measure, Target
from bhpvas.search.latency import Milliseconds
from bhpvas.search.target import UNITS, Narrowed, Unit

#: How many times fewer FLOPs or parameters the members of a family need.
REDUCTIONS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
# Fewer than these are no curve: then shares are spread between all and the least.
_FEWEST, _SPREAD = 3, 6
# Of what all parts could save by arithmetic, the share that is not counted on in milliseconds.
_TIME_THAT_STAYS = 0.25


@dataclass(frozen=True)
class Recovery:
    """Fitted weights by the hash that names their file, and what a step keeps of the fit."""

    method: str
    weights: str
    settings: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Member:
    """What a search found for one target, as :class:`~bhpvas.search.target.Narrowed` is, without
    the weights themselves: so it is small enough to be kept.

    ``settings`` are what a step keeps of the search, ``recovery`` is None where nothing was fitted.
    """

    target: Target
    mask: HeadMask
    method: str
    settings: dict[str, Any] = field(hash=False)
    seed: int
    cost: float
    expected: float | None
    divergence: float
    reasons: tuple[str, ...]
    alone: tuple[float, ...] | None
    learnt: str
    recovery: Recovery | None
    milliseconds: Milliseconds | None = None

    @classmethod
    def of(cls, found: Narrowed) -> Member:
        """What is kept of one; saving its weights is the caller's work."""
        recovered = found.recovered
        return cls(
            target=found.target,
            mask=found.mask,
            method=found.method,
            settings=found.record(),
            seed=found.seed,
            cost=found.cost,
            expected=found.expected,
            divergence=found.divergence,
            reasons=found.reasons,
            alone=found.alone,
            learnt=found.learnt_from.to_text(),
            recovery=None
            if recovered is None
            else Recovery(recovered.method, recovered.weights.fingerprint, recovered.record()),
            milliseconds=found.milliseconds,
        )

    @property
    def learnt_from(self) -> LearntSentences:
        """The sentences that it learnt from."""
        return LearntSentences.from_text(self.learnt)

    @property
    def weights(self) -> str | None:
        """The hash of its weights; None where they are the model's own."""
        return None if self.recovery is None else self.recovery.weights


def family_targets(
    classifier: Classifier,
    measure: Measure,
    lengths: Sequence[int] | np.ndarray,
    *,
    units: Collection[Unit] = UNITS,
    constraints: Constraints = FREE,
    timing: Timing | None = None,
) -> tuple[Target, ...]:
    """The targets of a family: those of :data:`REDUCTIONS` that can be reached with some units.

    Where fewer than three can be, five shares in whole percent between all of the cost and the
    least of it that can stay. ``lengths`` are tokens a sentence. Of the time of a ``timing`` it is
    not known before it is measured what can be reached, so they go less far down than arithmetic
    does.

    >>> import bhpvas
    >>> [str(one) for one in family_targets(bhpvas.load_classifier(), "parameters", [16])]
    ['parameters=0.92', 'parameters=0.84', 'parameters=0.77', 'parameters=0.69', 'parameters=0.61']
    """
    given: Any = {"units": units, "constraints": constraints}
    if timing is None:
        least = least_share(classifier, measure, lengths, **given)
    else:
        least = least_share(classifier, "flops", [timing.length], **given)
        least += _TIME_THAT_STAYS * (1 - least)

    def target(share: float) -> Target:
        return Target(measure, share, timing=timing)

    reached = [target(1 / one) for one in REDUCTIONS if 1 / one > least]
    if len(reached) < _FEWEST:
        steps = np.arange(1, _SPREAD) / _SPREAD
        shares = (round(float(1 - step * (1 - least)), 2) for step in steps)
        reached = [target(one) for one in dict.fromkeys(shares) if least < one < 1]
    return tuple(reached)


def least_share(
    classifier: Classifier,
    measure: Measure,
    lengths: Sequence[int] | np.ndarray,
    *,
    units: Collection[Unit] = UNITS,
    constraints: Constraints = FREE,
) -> float:
    """The share of the unpruned model's cost that stays when all goes that may go."""
    geometry, whole = classifier.geometry, classifier.full_mask()
    least, sublayers = whole, "sublayers" in units
    if sublayers or "heads" in units:
        for layer in range(geometry.layers):
            heads = [head for head in whole if head.layer == layer]
            free = [head for head in heads if head not in constraints.protected]
            kept = max(constraints.min_per_layer, len(heads) - len(free))
            if "heads" in units or not kept:  # else a whole part goes or stays
                least = least.without(free[: len(heads) - kept])
    if sublayers or "neurons" in units:
        neurons = np.ones((geometry.layers, geometry.intermediate_size), dtype=bool)
        least = least.without_neurons(NeuronSet.of(neurons))

    def cost(mask: HeadMask) -> float:
        if measure == "parameters":
            return parameters(geometry, mask)
        return flops_per_sentence(geometry, mask, lengths)

    return cost(least) / cost(whole)
