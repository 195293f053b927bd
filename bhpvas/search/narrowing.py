"""Narrowing: a network with the widths that it is to have, layer by layer, refitted on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.layers import after_attention, after_feed_forward, neurons_of
from bhpvas.model.linear import bias_of
from bhpvas.model.pruning import narrowed_layer
from bhpvas.neurons import NeuronSet
from bhpvas.progress import Progress, silent
from bhpvas.recovery.compensation import compensate
from bhpvas.recovery.kept_states import KeptStates
from bhpvas.recovery.layerwise import (
    LayerFit,
    LayerwisePass,
    Originals,
    as_linear,
    heads_of,
    logits_of,
    moments_of,
)
from bhpvas.recovery.ridge import CrossMoments, solve
from bhpvas.search.base import FREE, Constraints
from bhpvas.search.sensitivity import Sublayer
from bhpvas.search.surgeon import removal_order, rows_of

# Of the fit before anything goes: enough against inputs that vary alike.
_LIGHT_RIDGE = 1e-3


def narrow(
    originals: Originals,
    plan: Mapping[Sublayer, int],
    constraints: Constraints = FREE,
    *,
    progress: Progress = silent,
) -> tuple[HeadMask, LayerwisePass]:
    """The mask of some widths, and what was fitted for it, layer by layer from the lowest up.

    Which heads and neurons stay is chosen on what the narrowed layers below feed them.
    """
    classifier, parts = originals.classifier, originals.parts
    geometry, layers = classifier.geometry, len(classifier.layers)
    states: Sequence[Tensor] = originals.entering(0)
    fits, feed_forward_fits = dict[int, LayerFit](), dict[int, LayerFit]()
    gone, narrow = list[HeadId](), np.zeros((layers, geometry.intermediate_size), dtype=bool)
    for number, layer in enumerate(classifier.layers):
        progress(number, layers)
        first_only = classifier.first_only(number)
        counted = slice(1 if first_only else None)  # the tokens that the rest of the layer reads
        outputs = KeptStates(
            heads_of(classifier, layer, one, part, first_only=first_only)
            for one, part in zip(states, parts, strict=True)
        )
        output, count = layer.output, plan[Sublayer(number, "heads")]
        rows = torch.arange(output.in_features)
        if count < geometry.heads:
            both = zip(originals.attended(number), states, strict=True)
            aims = (attended - one[:, counted] for attended, one in both)
            stay = {head.head for head in constraints.protected if head.layer == number}
            kept, fits[number] = _chosen(
                output, geometry.head_size, count, stay, moments_of(output, parts, outputs, aims)
            )
            gone += [HeadId(number, head) for head in range(geometry.heads) if head not in kept]
            output = as_linear(classifier, fits[number], output)
            rows = rows_of(kept, geometry.head_size)
        normed = KeptStates(
            after_attention(layer, output(out[:, :, rows.to(out.device)]) + one[:, counted])
            for one, out in zip(states, outputs, strict=True)
        )
        count = plan[Sublayer(number, "neurons")]
        if count < geometry.intermediate_size:
            inner = (neurons_of(layer, one) for one in normed)
            fed = (aim - one for aim, one in zip(originals.fed(number), normed, strict=True))
            found = moments_of(layer.down, parts, inner, fed)
            kept, fit = _chosen(layer.down, 1, count, set(), found)
            feed_forward_fits[number], down = fit, as_linear(classifier, fit, layer.down)
            narrow[number] = True
            narrow[number, sorted(kept)] = False
            layer = replace(narrowed_layer(classifier, layer, narrow[number]), down=down)
        states = KeptStates(
            after_feed_forward(layer, layer.down(neurons_of(layer, one)) + one) for one in normed
        )
    progress(layers, layers)
    mask = classifier.full_mask().without(gone).without_neurons(NeuronSet.of(narrow))
    return mask, LayerwisePass(fits, feed_forward_fits, {}, logits_of(classifier, parts, states))


def _chosen(
    projection: torch.nn.Linear,
    unit: int,
    count: int,
    stay: set[int],
    moments: tuple[CrossMoments, CrossMoments],
) -> tuple[set[int], LayerFit]:
    """Which units of a projection stay, so many, and the fit of their columns."""
    fitted, held_out = moments
    together = fitted + held_out
    weight, bias = projection.weight.double().cpu(), bias_of(projection).double().cpu()
    # The order is by what the units would say at their best, refitted with all of them there.
    best = solve(together.about(*together.means()), weight.T, _LIGHT_RIDGE)
    units = len(weight.T) // unit
    order = removal_order(together.covariance(), best, unit, stay=stay, most=units - count)
    kept = set(range(units)) - set(order)
    rows = rows_of(kept, unit)
    return kept, compensate(weight[:, rows], bias, unit, fitted.of(rows), held_out.of(rows))
