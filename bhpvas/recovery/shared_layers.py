"""Refit of layers that share their weights: one for each group, on all its layers together.

What the pruned network would feed the layers of a group depends on the refit itself, so each is
shown what the unpruned network feeds it: the moments of all of them are summed, and fitted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from torch import Tensor, nn

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import Layer
from bhpvas.model.layers import after_attention, neurons_of
from bhpvas.model.linear import bias_of
from bhpvas.model.pruning import prune_layer
from bhpvas.progress import Progress
from bhpvas.recovery.layerwise import (
    CalibrationPart,
    Fitter,
    LayerFit,
    Originals,
    as_linear,
    heads_of,
    moments_of,
)

#: What a projection is given, and what it is to say, ``[B, T, p]`` and ``[B, T, D]`` of a part.
Samples = Iterator[tuple[Tensor, Tensor]]


def shared_fits(
    classifier: Classifier,
    parts: Sequence[CalibrationPart],
    mask: HeadMask,
    fitter: Fitter,
    *,
    begin: int,
    feed_forward: bool,
    progress: Progress,
) -> tuple[dict[int, LayerFit], dict[int, LayerFit]]:
    """Fits of W_O of the groups that lost heads, and of the down projection of those that lost
    neurons, by a group's first layer.

    With ``feed_forward`` the down projection of every group from the layer ``begin`` up is fitted.
    """
    # Either keeps the states of one layer alone, and each goes through a group by itself.
    for_heads, for_neurons = Originals(classifier, parts), Originals(classifier, parts)
    size, layers = classifier.geometry.head_size, classifier.geometry.layers
    fits: dict[int, LayerFit] = {}
    feed_forward_fits: dict[int, LayerFit] = {}
    for group in classifier.geometry.groups:
        first = group[0]
        progress(first, layers)
        layer = prune_layer(for_heads.classifier, first, mask)
        if not mask.kept[first].all():
            seen = (_heads(for_heads, layer, number) for number in group)
            fits[first] = _fit(layer.output, size, fitter, parts, seen)
            layer = replace(layer, output=as_linear(classifier, fits[first], layer.output))
        narrowed = mask.neurons is not None and mask.neurons.counts[first]
        if narrowed or (feed_forward and begin in range(group[-1] + 1)):
            seen = (_neurons(for_neurons, layer, number) for number in group)
            feed_forward_fits[first] = _fit(layer.down, 1, fitter, parts, seen)
    progress(layers, layers)
    return fits, feed_forward_fits


def _fit(
    projection: nn.Linear,
    unit: int,
    fitter: Fitter,
    parts: Sequence[CalibrationPart],
    seen: Iterable[Samples],
) -> LayerFit:
    """Fit a projection to what is ``seen`` of each of its layers."""
    total = None
    for samples in seen:
        outputs, aims = zip(*samples, strict=True)
        found = moments_of(projection, parts, outputs, aims)
        total = found if total is None else (total[0] + found[0], total[1] + found[1])
    assert total is not None
    weight, bias = projection.weight.double().cpu(), bias_of(projection).double().cpu()
    return fitter(weight, bias, unit, *total)


def _heads(originals: Originals, layer: Layer, number: int) -> Samples:
    """Outputs of the kept heads of a layer, and what its attention is to say, part by part."""
    classifier, entering = originals.classifier, originals.entering(number)
    both = zip(entering, originals.attended(number), originals.parts, strict=True)
    for states, attended, part in both:
        first_only = classifier.first_only(number)
        outputs = heads_of(classifier, layer, states, part, first_only=first_only)
        yield outputs, attended - states[:, : attended.shape[1]]


def _neurons(originals: Originals, layer: Layer, number: int) -> Samples:
    """The kept neurons of a layer, and what its feed-forward part is to say, part by part."""
    classifier, entering = originals.classifier, originals.entering(number)
    both = zip(entering, originals.fed(number), originals.parts, strict=True)
    for states, fed, part in both:
        first_only = classifier.first_only(number)
        outputs = heads_of(classifier, layer, states, part, first_only=first_only)
        added = layer.output(outputs) + states[:, : fed.shape[1]]
        attended = after_attention(layer, added)
        yield neurons_of(layer, attended), fed - attended
