"""Widths: the exact loss of each layer's feed-forward part as it is narrowed, one curve a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from bhpvas.criteria.neurons import leaving_order
from bhpvas.criteria.scoring import score
from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError, HeadError
from bhpvas.evaluation.ablation import TOKENS_AT_ONCE
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.heads import HeadMask
from bhpvas.model import distributed
from bhpvas.model.batching import Batch, each_batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import Layer
from bhpvas.model.layers import (
    after_attention,
    after_feed_forward,
    attend,
    gates_of,
    logits_from,
    neurons_of,
    project,
)
from bhpvas.model.pruning import narrowed
from bhpvas.neurons import NeuronSet
from bhpvas.progress import Progress, part, silent

#: Shares of a model's feed-forward neurons at which a layer is measured, unless told otherwise.
POINTS = (7 / 8, 3 / 4, 5 / 8, 1 / 2, 3 / 8, 1 / 4, 1 / 8, 0)
#: The criterion of neurons that says in which order they leave, unless told otherwise.
ORDER = "fisher"


@dataclass(frozen=True, eq=False)
class WidthCurves:
    """What each layer costs when its feed-forward part alone is narrowed from ``baseline.mask``.

    By layer, ``order`` are its kept neurons ``[n]`` as they leave, the first to go first, and
    ``kept`` is how many of them stay at each point, int64 ``[P]``, from all that the mask keeps
    down to the narrowest. ``loss_change`` and ``headline_change`` are float64 ``[P]`` against the
    baseline, 0 at the first point, the latter of the task's headline, for one label out of several
    the accuracy as a share of 1. Nothing is refitted. ``width`` is how many neurons a layer of the
    model has.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take([0, 1])
    >>> curves = bhpvas.ablate_widths(bhpvas.load_classifier(), data, points=[0.5, 0])
    >>> curves.kept[0].tolist(), float(curves.loss_change[0][0])
    ([1536, 768, 0], 0.0)
    >>> print(curves.at_width(0, 768))
    L0F 768/1536
    """

    baseline: Evaluation
    order: tuple[np.ndarray, ...]
    kept: tuple[np.ndarray, ...]
    loss_change: tuple[np.ndarray, ...]
    headline_change: tuple[np.ndarray, ...]
    width: int

    def at_width(self, layer: int, kept: int) -> NeuronSet:
        """The neurons of a layer that leave for so many to stay, those that go first.

        Raises :class:`HeadError` where the layer is not there or has fewer.
        """
        if not 0 <= layer < len(self.order):
            raise HeadError(f"There is no layer {layer}: the model has 0 to {len(self.order) - 1}.")
        order = self.order[layer]
        if not 0 <= kept <= len(order):
            raise HeadError(f"Layer {layer} keeps {len(order):,} neurons: {kept:,} cannot stay.")
        leaving = order[: len(order) - kept]
        return NeuronSet.of_layers(len(self.order), self.width, {layer: leaving.tolist()})


def ablate_widths(
    classifier: Classifier,
    dataset: Dataset,
    mask: HeadMask | None = None,
    *,
    points: Sequence[float] = POINTS,
    by: str = ORDER,
    progress: Progress = silent,
) -> WidthCurves:
    """Narrow each layer's feed-forward part alone and measure; exact, all layers in one job.

    Neurons leave from the least by a criterion on the same sentences; one pass measures it, another
    the curves. Below a layer nothing changes, and what the neurons of a step add is computed once:
    the widths of a layer go through the rest of the network as one stacked batch.

    - ``mask``: what the neurons are removed from (default: all that the model has is kept).
    - ``points``: shares of the model's neurons that a layer keeps; where it keeps fewer already,
      such a point is left out.
    - ``by``: a key of :data:`~bhpvas.criteria.NEURON_CRITERIA`.

    Raises :class:`BhpvasError` for another name or a share outside 0 to 1.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().calibration.take(range(8))
    >>> curves = bhpvas.ablate_widths(classifier, data, points=[0])
    >>> gone = classifier.full_mask().without_neurons(curves.at_width(5, 0))
    >>> lost = bhpvas.evaluate(classifier, data, gone).loss - curves.baseline.loss
    >>> bool(abs(lost - curves.loss_change[5][-1]) < 1e-5)
    True
    """
    for share in points:
        if not 0 <= share <= 1:
            raise BhpvasError(f"A layer cannot keep {share} of its neurons: take 0 to 1.")
    task = classifier.task
    dataset = dataset.for_task(task)
    mask = mask or classifier.full_mask()
    scores = score(classifier, dataset, (), neurons=(by,), mask=mask, progress=part(progress, 0, 2))
    order = tuple(leaving_order(values) for values in scores.neurons[by])
    width = classifier.geometry.intermediate_size
    kept = tuple(_widths(len(one), width, points) for one in order)
    smaller = narrowed(classifier, mask)
    steps = [
        _places(leaving, counts, mask, number)
        for number, (leaving, counts) in enumerate(zip(order, kept, strict=True))
    ]
    encoded = classifier.encode(dataset)
    base = np.zeros((len(encoded), classifier.geometry.labels), dtype=np.float32)
    losses = [np.zeros(len(one)) for one in kept]
    terms = task.terms(base[:1], dataset.labels[:1]).shape[-1]
    sums = [np.zeros((len(one), terms)) for one in kept]

    def run(batch: Batch) -> tuple[np.ndarray, list[np.ndarray]]:
        return logits_at_widths(smaller, batch, mask, steps)

    passed = each_batch(classifier, encoded, run, progress=part(progress, 1, 2))
    for batch, (whole, narrow) in passed:
        base[batch.rows] = whole
        labels = dataset.labels[batch.rows]
        for number, found in enumerate(narrow):
            every = np.concatenate([whole[None], found])  # [P, B, C]
            losses[number] += task.losses(every, labels).sum(-1)
            sums[number] += task.terms(every, labels).sum(-2)  # [P, K]
    distributed.add_up(base, *losses, *sums)
    return WidthCurves(
        baseline=Evaluation.of(classifier, dataset, mask, base),
        order=order,
        kept=kept,
        loss_change=tuple((one - one[0]) / len(dataset) for one in losses),
        headline_change=tuple(task.headline_changes(one, len(dataset)) for one in sums),
        width=width,
    )


def _widths(kept: int, width: int, points: Sequence[float]) -> np.ndarray:
    """How many neurons stay at each point, from the ``kept`` ones down."""
    fewer = {count for share in points if (count := round(share * width)) < kept}
    return np.array([kept, *sorted(fewer, reverse=True)])


def _places(order: np.ndarray, kept: np.ndarray, mask: HeadMask, number: int) -> list[Tensor]:
    """Where the neurons that each point has beyond the next narrower one stand among the kept.

    The first are those of the narrowest point, so each point is the sum of all up to its own.
    """
    if mask.neurons is not None:
        order = np.searchsorted(np.flatnonzero(~mask.neurons.array[number]), order)
    ends = len(order) - np.append(kept, 0)
    pieces = [torch.from_numpy(order[start:end]) for start, end in pairwise(ends)]
    return pieces[::-1]


@torch.inference_mode()
def logits_at_widths(
    classifier: Classifier, batch: Batch, mask: HeadMask, steps: Sequence[Sequence[Tensor]]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A batch's logits at a mask, ``[B, C]``, and at each narrower width of each layer.

    ``classifier`` lacks the neurons that the mask removes, and ``steps`` are of each layer the
    neurons that come with each width, the narrowest first. The latter logits are
    ``[P - 1, B, C]`` by layer, from the widest of its P widths but the first down.
    """
    found = []
    gates = gates_of(classifier, mask)
    keys = batch.attention_mask
    at_once = max(1, TOKENS_AT_ONCE[classifier.device.type] // batch.real.numel())
    states = classifier.embed(batch.input_ids, batch.token_type_ids)
    for number, layer in enumerate(classifier.layers):
        outputs, _ = attend(
            classifier, layer, states, keys, first_only=classifier.first_only(number)
        )
        attention = project(layer, outputs, None if gates is None else gates[:, number])
        added = attention + states[:, : outputs.shape[1]]
        attended = after_attention(layer, added)  # [B, T, D]
        neurons = neurons_of(layer, attended)  # [B, T, n]
        logits = np.zeros((len(steps[number]) - 1, len(batch.rows), classifier.geometry.labels))
        fed = torch.zeros_like(attended)
        if layer.down.bias is not None:
            fed = fed + layer.down.bias
        for start in range(0, len(logits), at_once):
            some = []
            for places in steps[number][:-1][start : start + at_once]:
                fed = fed + _added(layer, neurons, places)
                some.append(after_feed_forward(layer, fed + attended))
            variants = torch.cat(some)  # [k·B, T, D]
            mask_of_keys = None if keys is None else keys.repeat(len(some), 1, 1, 1)
            answered = logits_from(classifier, variants, mask_of_keys, gates, start=number + 1)
            logits[start : start + at_once] = (
                answered.float().view(len(some), len(batch.rows), -1).cpu().numpy()
            )
        found.append(logits[::-1])
        states = after_feed_forward(layer, layer.down(neurons) + attended)
    return classifier.classify(states, keys).float().cpu().numpy(), found


def _added(layer: Layer, neurons: Tensor, places: Tensor) -> Tensor:
    """What some neurons of ``[B, T, n]`` write: ``[B, T, D]``."""
    places = places.to(neurons.device)
    return neurons[:, :, places] @ layer.down.weight[:, places].T
