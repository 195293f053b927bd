"""Sensitivity: how far the answers move when one attention or feed-forward part is narrowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import Layer, What
from bhpvas.model.layers import after_attention, logits_from, neurons_of
from bhpvas.model.linear import bias_of, linear
from bhpvas.progress import Progress, silent
from bhpvas.recovery.layerwise import CalibrationPart, Originals, heads_of
from bhpvas.recovery.ridge import CrossMoments
from bhpvas.search.shares import divergence
from bhpvas.search.surgeon import refitted, removal_order, rows_of


class Sublayer(NamedTuple):
    """The attention of a layer, made of heads, or its feed-forward part, made of neurons."""

    layer: int
    what: What


def sensitivities(
    classifier: Classifier,
    parts: Sequence[CalibrationPart],
    few: Sequence[CalibrationPart],
    widths: Mapping[What, Sequence[int]],
    *,
    progress: Progress = silent,
) -> dict[Sublayer, np.ndarray]:
    """How far the unpruned model's answers move when one sublayer alone keeps so many units.

    Mean KL divergence in nats over the sentences of ``few``, for each of the ``widths`` of its kind
    (all units are not among them). What is kept is chosen (:mod:`~bhpvas.search.surgeon`) and
    refitted on the sentences of ``parts``, on what the unpruned model feeds it.
    """
    layers = len(classifier.layers)
    with torch.inference_mode():
        originals, tried = Originals(classifier, parts), Originals(classifier, few, keep=True)
        answers, found = tried.logits, dict[Sublayer, np.ndarray]()
        for number in range(layers):
            progress(number, layers)
            for what, counts in widths.items():
                if not counts:
                    continue
                narrowed = _narrowed(originals, number, what, counts)
                moved = [
                    divergence(classifier.task, answers, _logits(classifier, tried, number, layer))
                    for layer in narrowed
                ]
                found[Sublayer(number, what)] = np.array(moved)
        progress(layers, layers)
    return found


def _narrowed(originals: Originals, number: int, what: What, counts: Sequence[int]) -> list[Layer]:
    """The layer with each number of kept units, refitted."""
    classifier = originals.classifier
    layer, first_only = classifier.layers[number], classifier.first_only(number)
    unit = classifier.geometry.head_size if what == "heads" else 1
    projection = layer.output if what == "heads" else layer.down
    moments = CrossMoments(projection.in_features, 0, bias=projection.bias is not None)
    if what == "heads":
        for states, part in zip(originals.entering(number), originals.parts, strict=True):
            heads = heads_of(classifier, layer, states, part, first_only=first_only)
            moments.add(part.samples(heads))
    else:
        for attended, part in zip(originals.attended(number), originals.parts, strict=True):
            inner = neurons_of(layer, after_attention(layer, attended))
            moments.add(part.samples(inner))
    covariance, (mean, _) = moments.covariance(), moments.means()
    columns = projection.weight.double().cpu().T
    target = mean @ columns + bias_of(projection).double().cpu()
    order = removal_order(covariance, columns, unit)
    layers = []
    for count in counts:
        rows = rows_of(order[len(order) - count :], unit)
        fitted = refitted(covariance, columns, rows)
        whole = torch.zeros_like(columns)
        whole[rows] = fitted
        bias = target - mean @ whole
        place, dtype = classifier.device, classifier.dtype
        fitted_bias = None if projection.bias is None else bias.to(place, dtype)
        made = linear(whole.T.to(place, dtype), fitted_bias)
        narrower = replace(layer, output=made) if what == "heads" else replace(layer, down=made)
        layers.append(narrower)
    return layers


def _logits(classifier: Classifier, tried: Originals, number: int, layer: Layer) -> Tensor:
    """Logits ``[n, C]`` where one layer is another, and all others are as they were."""
    layers = list(classifier.layers)
    layers[number] = layer
    changed = replace(classifier, layers=tuple(layers))
    found = [
        logits_from(changed, states, part.batch.attention_mask, None, start=number)
        for states, part in zip(tried.entering(number), tried.parts, strict=True)
    ]
    return torch.cat(found).float()
