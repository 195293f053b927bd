"""Budget: a share of the cost that may stay, and the widths that spend it best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.neurons import NeuronSet
from bhpvas.search.sensitivity import Sublayer, What

Measure = Literal["flops", "parameters"]

# Steps in which a budget is spent.
_BINS = 4000


class Target(NamedTuple):
    """The share of the unpruned model's FLOPs or parameters that may stay.

    >>> Target.parse("flops=0.33")
    Target(measure='flops', share=0.33)
    """

    measure: Measure
    share: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``flops=0.33``; raises :class:`BhpvasError` for anything else."""
        measure, _, share = text.partition("=")
        try:
            found = cls(measure.strip(), float(share))  # type: ignore[arg-type]
        except ValueError:
            found = cls("flops", 0)
        if measure.strip() not in get_args(Measure) or not 0 < found.share <= 1:
            raise BhpvasError(
                f"{text!r} is no target: give the share that may stay, such as flops=0.33 or "
                "parameters=0.5."
            )
        return found

    def __str__(self) -> str:
        return f"{self.measure}={self.share:g}"


@dataclass(frozen=True)
class Costs:
    """What a head, a neuron and everything else cost, all of it, and what may stay of that."""

    each: dict[What, float]
    rest: float
    whole: float
    budget: float

    @classmethod
    def of(cls, classifier: Classifier, target: Target, lengths: np.ndarray) -> Costs:
        geometry, full = classifier.geometry, classifier.full_mask()
        neuron = NeuronSet.of_layers(geometry.layers, geometry.intermediate_size, {0: [0]})

        def cost(mask: HeadMask) -> float:
            if target.measure == "parameters":
                return parameters(geometry, mask)
            return flops_per_sentence(geometry, mask, lengths)

        whole = cost(full)
        each: dict[What, float] = {
            "heads": whole - cost(full.without([HeadId(0, 0)])),
            "neurons": whole - cost(full.without_neurons(neuron)),
        }
        units = {"heads": geometry.heads, "neurons": geometry.intermediate_size}
        rest = whole - geometry.layers * sum(each[what] * units[what] for what in each)
        return cls(each, rest, whole, target.share * whole)

    def share_of(self, plan: Mapping[Sublayer, int]) -> float:
        """The share of the whole that widths leave."""
        return (self.rest + sum(self.each[one.what] * count for one, count in plan.items())) / (
            self.whole
        )

    def allotted(
        self, choices: Mapping[What, Sequence[int]], moves: Mapping[Sublayer, np.ndarray]
    ) -> dict[Sublayer, int]:
        """The width of each part for which least is lost in all, within the budget.

        One of several choices each, by dynamic programming over what is spent so far. ``moves`` say
        what is lost with each, infinite where it may not be chosen; with the least finite ones of
        all parts the budget must be kept (:meth:`check`).
        """
        whole = {one: choices[one.what][-1] for one in moves}
        if self.share_of(whole) * self.whole <= self.budget:
            return whole
        unit = max(self.budget - self.rest, 0.0) / _BINS or 1.0
        best = np.full(_BINS + 1, np.inf)
        best[0], chosen = 0.0, dict[Sublayer, np.ndarray]()
        spent = {
            what: [math.ceil(count * self.each[what] / unit - 1e-9) for count in counts]
            for what, counts in choices.items()
        }
        for one, moved in moves.items():
            after, choice = np.full(_BINS + 1, np.inf), np.full(_BINS + 1, -1)
            for place, price in enumerate(spent[one.what]):
                if price <= _BINS:
                    total = np.full(_BINS + 1, np.inf)
                    total[price:] = best[: _BINS + 1 - price] + moved[place]
                    better = total < after
                    after[better], choice[better] = total[better], place
            best, chosen[one] = after, choice
        if np.isinf(best).all():  # as good as no room, once prices are rounded up
            first = {one: int(np.argmax(np.isfinite(moved))) for one, moved in moves.items()}
            return {one: choices[one.what][place] for one, place in first.items()}
        left, plan = int(np.argmin(best)), dict[Sublayer, int]()
        for one, choice in reversed(chosen.items()):
            place = int(choice[left])
            plan[one] = choices[one.what][place]
            left -= spent[one.what][place]
        return dict(reversed(plan.items()))

    def check(self, target: Target, fewest: Mapping[Sublayer, int]) -> None:
        """Raise :class:`BhpvasError` where even the fewest units that must stay cost more."""
        least = self.share_of(fewest)
        if least * self.whole > self.budget:
            raise BhpvasError(
                f"{target} cannot be reached: {least:.3f} of it stays when all goes that may go. "
                "Give a larger share, or more units."
            )
