"""Shares by layer: how many heads each gives, by what the compensated model's answers lose."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bhpvas import text
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.pruning import prune_layer
from bhpvas.progress import Progress
from bhpvas.recovery.compensation import compensate
from bhpvas.recovery.layerwise import (
    LayerFit,
    LayerwisePass,
    Originals,
    calibration_parts,
    heads_of,
    layerwise_pass,
)
from bhpvas.recovery.ridge import CrossMoments
from bhpvas.search.base import Removal, SearchMethod, SearchProblem, equal_to, least
from bhpvas.search.layer_statistics import LayerStatistics, measure_layers
from bhpvas.search.reconstruction import LayerError
from bhpvas.tasks.base import Task


def divergence(task: Task, original: Tensor, other: Tensor) -> float:
    """Mean KL divergence in nats of answers from the original ones, both as logits ``[n, C]``."""
    # Rounding can leave a hair below 0, which no divergence is.
    return max(float(task.divergence(original, other).mean()), 0.0)


class _Tried(NamedTuple):
    """What happens if a layer gives some heads: divergence, and the pass from that layer up.

    ``rise`` is that of the divergence by head, since a layer with few heads left can only give
    those.
    """

    heads: list[HeadId]
    divergence: float
    rise: float
    pruned: LayerwisePass


class _PrunedNetwork:
    """The pruned network as it stands, compensated, on the sentences of the search."""

    def __init__(self, originals: Originals, metrics: Sequence[Tensor], mask: HeadMask) -> None:
        self.originals, self.metrics, self.mask = originals, metrics, mask
        self._task, self._answers = originals.classifier.task, originals.logits
        self._fits: dict[int, LayerFit] = {}
        self._states: dict[int, Sequence[Tensor]] = {}
        self._errors: dict[int, LayerError] = {}
        self._take(layerwise_pass(originals, mask, compensate, keep=True), begin=0)

    def give(self, tried: _Tried) -> None:
        """Remove the heads of what was tried."""
        self.mask = self.mask.without(tried.heads)
        self._take(tried.pruned, begin=tried.heads[0].layer)

    def tried(self, heads: list[HeadId], progress: Progress) -> _Tried:
        """Remove some heads of one layer, and compensate from there up."""
        layer = heads[0].layer
        pruned = layerwise_pass(
            self.originals,
            self.mask.without(heads),
            compensate,
            begin=layer,
            entering=self._states[layer],
            keep=True,
            progress=progress,
        )
        found = divergence(self._task, self._answers, pruned.logits)
        return _Tried(heads, found, (found - self.divergence) / len(heads), pruned)

    def next_heads(self, layer: int, problem: SearchProblem, most: int) -> list[HeadId]:
        """The layer's heads that the others can best make up for, ``most`` at most."""
        error = copy.copy(self._errors[layer])
        error.kept = list(error.kept)
        heads: list[HeadId] = []
        while len(heads) < most:
            values, removable = error.added(), problem.removable(self.mask.without(heads))
            added = {head: values[head.head] for head in removable if head.layer == layer}
            if not added:
                break
            heads.append(least(added, added.__getitem__)[0])
            error.remove(heads[-1].head)
        return heads

    def _take(self, pruned: LayerwisePass, *, begin: int) -> None:
        self.divergence = divergence(self._task, self._answers, pruned.logits)
        self._fits |= pruned.fits
        self._states |= pruned.states
        self._errors |= {layer: self._error(layer) for layer in range(begin, len(self.metrics))}

    def _error(self, number: int) -> LayerError:
        """A layer's error on what the pruned network feeds it, from the columns fitted there."""
        classifier, kept = self.originals.classifier, self.mask.kept[number]
        layer = prune_layer(classifier, number, self.mask)
        moments = CrossMoments(layer.query.out_features, 0, bias=layer.output.bias is not None)
        first_only = classifier.first_only(number)
        for states, part in zip(self._states[number], self.originals.parts, strict=True):
            outputs = heads_of(classifier, layer, states, part, first_only=first_only)
            moments.add(part.samples(outputs))
        fit = self._fits.get(number)
        weight = layer.output.weight.cpu() if fit is None else fit.weight
        return LayerError(
            LayerStatistics(moments.covariance(), self.metrics[number]),
            weight,
            classifier.geometry.head_size,
            kept=[int(head) for head in np.flatnonzero(kept)],
        )


def search(problem: SearchProblem) -> list[Removal]:
    """Take the next few heads from the layer that can give them at the least divergence.

    A layer offers the heads whose absence the others can best make up for in its output, on what
    the network, as pruned and compensated so far, feeds it (:mod:`~bhpvas.search.reconstruction`).
    For every layer in turn they are removed, everything from that layer up is compensated, and the
    KL divergence to the unpruned model's answers is measured; the layer where it rises least, by
    head, gives them.
    """
    classifier = problem.classifier
    sample = problem.sample(problem.options["sentences"])
    parts = calibration_parts(classifier, classifier.encode(sample.calibration), seed=problem.seed)
    chosen: list[Removal] = []

    def here(done: int, total: int) -> None:
        """So that a cancelled search ends within a try, not within a step of many."""
        problem.progress(len(chosen), problem.count)

    measured = measure_layers(classifier, parts, seed=problem.seed, progress=here)
    with torch.inference_mode():
        originals = Originals(classifier, parts, keep=True)
        network = _PrunedNetwork(originals, [one.metric for one in measured], problem.mask)
        while len(chosen) < problem.count:
            # Few at a time where few are left: there each one matters more.
            most = max(1, round(problem.options["share"] * network.mask.kept_count))
            offers = [network.next_heads(layer, problem, most) for layer in problem.drawn_layers]
            tries = (network.tried(heads, here) for heads in offers if heads)
            best, others = least(tries, lambda one: one.rise)
            reason = (
                f"layer {best.heads[0].layer} can best spare it: compensated, the answers are then "
                f"{text.nats(best.divergence)} nats (KL) from the unpruned ones"
                f"{equal_to(others, 'other layer')}"
            )
            chosen += [Removal(head, reason) for head in best.heads[: problem.count - len(chosen)]]
            network.give(best)
    problem.progress(problem.count, problem.count)
    return chosen


METHOD = SearchMethod(
    name="shares",
    title="Shares by layer",
    summary="Each layer gives as many heads as it can spare, measured by how far the compensated "
    "model's answers move from the unpruned one's.",
    source="Ours",
    search=search,
    for_compensation=True,
    defaults={"share": 0.1, "sentences": 320},
)
