"""Latency of a search: what widths take on this machine, and the time of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.config import Geometry
from bhpvas.model.cost import neurons_kept
from bhpvas.model.families.base import What
from bhpvas.model.latency import Latencies, time_passes
from bhpvas.model.latency_table import LatencyTable, latency_table, steady_clock
from bhpvas.model.runtimes import Pass, Timing, pass_of
from bhpvas.neurons import NeuronSet
from bhpvas.progress import Progress, silent
from bhpvas.search.budget import Costs, Target
from bhpvas.search.sensitivity import Sublayer
from bhpvas.stats import Median
from bhpvas.storage.results import Results
from bhpvas.text import plural

# Of models between which a target is looked for, the cost of neighbours differs by a fiftieth.
_STEPS = 50
# Rounds of a first look, which only corrects the table.
_LOOK = 9


@dataclass(frozen=True)
class Milliseconds:
    """The time of one pass of what a search found, as it was expected, and as it is.

    ``predicted`` is what the table said before anything was narrowed. ``measured`` is the narrowed
    model with its weights, on the engine of ``timing``, in turns with the ``unpruned`` one;
    ``speed_up`` how many times faster it is, from the ratios of these turns, and
    ``predicted_speed_up`` what the table said of that, which no drift of the machine since then
    touches.
    """

    timing: Timing
    threads: int
    predicted: float
    measured: Median
    unpruned: Median
    predicted_speed_up: float
    speed_up: Median

    def record(self) -> dict[str, Any]:
        """Ready for JSON; times in milliseconds."""
        return {
            "predicted": self.predicted,
            "measured": self.measured.value,
            "interval": [self.measured.low, self.measured.high],
            "unpruned": self.unpruned.value,
            "speed_up": {
                "predicted": self.predicted_speed_up,
                "measured": self.speed_up.value,
                "interval": [self.speed_up.low, self.speed_up.high],
            },
            **self.timing._asdict(),
            "threads": self.threads,
        }

    def line(self) -> str:
        """A sentence of it."""
        return (
            f"{self.timing}: {self.measured.value:.2f} ms (95% interval "
            f"{self.measured.low:.2f} to {self.measured.high:.2f}; predicted "
            f"{self.predicted:.2f}), the unpruned model in turns with it {self.unpruned.value:.2f} "
            f"ms: {self.speed_up.value:.2f} times as fast (predicted "
            f"{self.predicted_speed_up:.2f}), on this machine with "
            f"{plural(self.threads, 'thread')}."
        )


class Stopwatch:
    """Times of the models that are made from one, on one engine; the unpruned one is made once."""

    def __init__(
        self, classifier: Classifier, timing: Timing, results: Results | None = None
    ) -> None:
        timing.check(classifier)
        self.classifier, self.timing, self.results = classifier, timing, results

    @cached_property
    def unpruned(self) -> Pass:
        """The pass that all others are compared with."""
        return pass_of(self.classifier, self.classifier.full_mask(), self.timing)

    def table(self, progress: Progress = silent) -> LatencyTable:
        """What parts of each width take: kept, or measured now."""
        return latency_table(self.classifier, self.timing, results=self.results, progress=progress)

    def beside(self, classifier: Classifier, mask: HeadMask, **settings: Any) -> Latencies:
        """``unpruned`` and ``pruned`` in turns."""
        passes = {"unpruned": self.unpruned, "pruned": pass_of(classifier, mask, self.timing)}
        device = str(classifier.device) if self.timing.engine == "torch" else "cpu"
        return time_passes(passes, self.timing, device, **settings)

    def costs(
        self,
        target: Target,
        choices: Mapping[What, Sequence[int]],
        progress: Progress = silent,
    ) -> Costs:
        """Costs in seconds, by the table, corrected on this machine as it is now.

        A model of about the wanted time, with layers all alike, is timed beside the unpruned one:
        ``a + b · Σ parts``, parts by the table, is made to hold for these two.
        """
        table, layers = self.table(progress), self.classifier.geometry.layers
        plans = [_alike(layers, choices, step / _STEPS) for step in range(_STEPS + 1)]
        together = np.array([_together(table, plan) for plan in plans])
        alone = time_passes({"unpruned": self.unpruned}, self.timing, rounds=_LOOK)
        whole = alone.milliseconds("unpruned").value / 1000
        share = target.share or (target.milliseconds or 0) / 1000 / whole
        slope, rest = 0.0, whole
        # Where it is nearly the unpruned model, two points would be too near for a line.
        if len(enough := np.flatnonzero(together < 0.9 * together[-1])):
            shares = (table.rest + together) / table.whole
            near = enough[np.argmin(np.abs(shares - share)[enough])]
            mask = _mask(self.classifier, plans[near])
            clock = steady_clock(self.classifier, self.timing)
            found = self.beside(self.classifier, mask, rounds=_LOOK, clock=clock)
            fastest = found.seconds.min(axis=0)  # other work makes a pass slower, never faster
            gone = whole * max(1 - fastest[1] / fastest[0], 0.0)
            slope = gone / (together[-1] - together[near])
            rest = whole - slope * together[-1]
        return Costs(
            lambda one, counts: slope * table.price(one.layer, one.what, counts),
            rest,
            whole,
            share * whole,
        )

    def timed(
        self, narrowed: Classifier, mask: HeadMask, costs: Costs, plan: Mapping[Sublayer, int]
    ) -> Milliseconds:
        """The time of what was found: the classifier with its weights, and what it lacks."""
        found, share = self.beside(narrowed, mask), costs.share_of(plan)
        return Milliseconds(
            timing=self.timing,
            threads=found.threads,
            predicted=1000 * share * costs.whole,
            measured=found.milliseconds("pruned"),
            unpruned=found.milliseconds("unpruned"),
            predicted_speed_up=1 / share,
            speed_up=found.speed_up("pruned"),
        )


def predicted_share(table: LatencyTable, geometry: Geometry, mask: HeadMask) -> float:
    """The share of the unpruned model's time that a mask leaves, by the table alone."""
    widths: dict[What, Sequence[int]] = {
        "heads": mask.kept_per_layer,
        "neurons": neurons_kept(geometry, mask),
    }
    plan = {
        Sublayer(layer, what): count
        for what, counts in widths.items()
        for layer, count in enumerate(counts)
    }
    return (table.rest + _together(table, plan)) / table.whole


def _together(table: LatencyTable, plan: Mapping[Sublayer, int]) -> float:
    """Seconds of all parts of a plan, by the table."""
    return sum(float(table.price(one.layer, one.what, [count])[0]) for one, count in plan.items())


def _alike(layers: int, choices: Mapping[What, Sequence[int]], share: float) -> dict[Sublayer, int]:
    """Widths of layers that are all alike, about so far between the least and the most."""
    return {
        Sublayer(layer, what): counts[round(share * (len(counts) - 1))]
        for layer in range(layers)
        for what, counts in choices.items()
    }


def _mask(classifier: Classifier, plan: Mapping[Sublayer, int]) -> HeadMask:
    """The first heads and neurons of each layer, as many as a plan says."""
    geometry = classifier.geometry
    gone = [
        HeadId(one.layer, head)
        for one, count in plan.items()
        if one.what == "heads"
        for head in range(count, geometry.heads)
    ]
    narrow = {
        one.layer: range(count, geometry.intermediate_size)
        for one, count in plan.items()
        if one.what == "neurons"
    }
    neurons = NeuronSet.of_layers(geometry.layers, geometry.intermediate_size, narrow)
    return classifier.full_mask().without(gone).without_neurons(neurons)
