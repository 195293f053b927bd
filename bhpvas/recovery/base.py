"""Parts of a recovery: what a way to recover is, and what it gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from bhpvas.heads import HeadMask
from bhpvas.model.weights import Weights
from bhpvas.recovery.layerwise import Fitter, LayerFit
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme


class LayerReport(NamedTuple):
    """How well a layer's attention, or feed-forward, output is met on held-out sentences.

    ``error_before`` and ``error_after`` are squared errors as shares of the output's variance: 0 =
    as in the unpruned model, 1 = no better than its mean. ``ridge`` is the chosen one, infinite
    where the layer was left as it was.
    """

    layer: int
    ridge: float
    error_before: float
    error_after: float

    @classmethod
    def of(cls, layer: int, fit: LayerFit) -> LayerReport:
        """The report on a fit. What does not vary at all is met by its mean."""
        whole = fit.variance or 1.0
        return cls(layer, fit.ridge, fit.error_before / whole, fit.error_after / whole)

    def record(self) -> dict[str, Any]:
        """The report ready for JSON; a ridge of null is an infinite one."""
        return {**self._asdict(), "ridge": self.ridge if math.isfinite(self.ridge) else None}


@dataclass(frozen=True)
class Recovered:
    """New projections for one mask, and the sentences that they were fitted on.

    ``layers`` report on the attention of layers that lost heads, ``feed_forward`` on the
    feed-forward part of those that lost neurons. Of the ``sentences``, ``held_out`` ones chose each
    layer's ridge and measured its errors; the weights are then fitted on all of them.
    """

    method: str
    mask: HeadMask
    weights: Weights
    layers: tuple[LayerReport, ...]
    calibration: str
    sentences: int
    held_out: int
    learnt_from: LearntSentences
    feed_forward: tuple[LayerReport, ...] = ()

    def on(self, scheme: Scheme, seed: int) -> Scheme:
        """A scheme with these weights, drawn with a seed, in one more step; saving them is not its
        work.
        """
        return scheme.recovered(
            self.weights.fingerprint,
            self.method,
            self.record(),
            seed=seed,
            learnt_from=self.learnt_from,
        )

    def record(self) -> dict[str, Any]:
        """What a scheme step keeps of it, ready for JSON."""
        found = {
            "calibration": {"name": self.calibration, "sentences": self.sentences},
            "held_out": self.held_out,
            "layers": [one.record() for one in self.layers],
        }
        if self.feed_forward:
            found["feed_forward"] = [one.record() for one in self.feed_forward]
        return found


@dataclass(frozen=True)
class Recovery:
    """A way to win back what removal cost, and what a person needs to know of it."""

    name: str
    title: str
    summary: str
    source: str
    fitter: Fitter
    #: Whether the feed-forward layers' second matrix is refitted as well.
    feed_forward: bool = False
