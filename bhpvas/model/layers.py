"""Layers: the forward pass of one encoder layer, and from any layer to the logits.

It is written out over the neutral parts of :class:`~bhpvas.model.families.base.Layer`, so a gate is
an argument, there is no hook and no global state, and any number of threads can run different masks
on one classifier. Written out, it can also do what a module's ``forward`` cannot: begin at any
layer, stack many variants of one attention output, and compute the last layer for the first token
only, which is all that a classifier reads.

Letters: B sentences, L layers, H heads, T tokens, D hidden size, d_h head size, F neurons, C
labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import Layer


def gates_of(classifier: Classifier, mask: HeadMask | None) -> Tensor | None:
    """A mask as gates ``[1, L, H]`` on the classifier's device; None where nothing is removed."""
    if mask is None or not mask.removed:
        return None
    return torch.tensor(mask.array, device=classifier.device, dtype=classifier.dtype)[None]


def _split_heads(classifier: Classifier, projected: Tensor) -> Tensor:
    shape = (*projected.shape[:-1], -1, classifier.geometry.head_size)
    return projected.view(shape).transpose(1, 2)  # [B, H, T, d_h]


def attend(
    classifier: Classifier,
    layer: Layer,
    states: Tensor,
    attention_mask: Tensor | None,
    *,
    first_only: bool = False,
    with_maps: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The heads' outputs Z ``[B, T, H, d_h]`` and, if asked for, their maps ``[B, H, T, T]``.

    With ``first_only`` the queries are those of the first token alone, so Z has T = 1.
    """
    queries = states[:, :1] if first_only else states
    query = _split_heads(classifier, layer.query(queries))
    key = _split_heads(classifier, layer.key(states))
    value = _split_heads(classifier, layer.value(states))
    if not with_maps:
        outputs = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        return outputs.transpose(1, 2), None  # [B, T, H, d_h]
    scores = query @ key.transpose(2, 3) * (classifier.geometry.head_size**-0.5)  # [B, H, T, T]
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, -math.inf)
    maps = scores.softmax(-1)
    return (maps @ value).transpose(1, 2), maps


def project(layer: Layer, outputs: Tensor, gates: Tensor | None) -> Tensor:
    """The attention's output ``[B, T, D]`` from Z ``[B, T, H, d_h]`` under gates ``[B, H]``."""
    if gates is not None:
        outputs = outputs * gates[:, None, :, None]
    return layer.output(outputs.flatten(2))


def neurons_of(layer: Layer, attended: Tensor) -> Tensor:
    """A layer's feed-forward neurons ``[B, T, F]`` from what its attention leaves ``[B, T, D]``."""
    neurons: Tensor = layer.activation(layer.up(attended))
    return neurons


def finish_layer(layer: Layer, states: Tensor, attention_output: Tensor) -> Tensor:
    """What a layer does after its attention: add & norm, feed-forward, add & norm."""
    attended = layer.attention_norm(attention_output + states)
    return layer.output_norm(layer.down(neurons_of(layer, attended)) + attended)


def run_layers(
    classifier: Classifier,
    states: Tensor,
    attention_mask: Tensor | None,
    gates: Tensor | None,
    *,
    start: int = 0,
) -> Iterator[tuple[int, Tensor]]:
    """Run the layers from ``start``; yields each layer's number and the states that enter it.

    After the last layer it yields ``(L, states)`` with the first token alone: ``[B, 1, D]``.
    """
    last = len(classifier.layers) - 1
    for number in range(start, last + 1):
        yield number, states
        layer = classifier.layers[number]
        outputs, _ = attend(classifier, layer, states, attention_mask, first_only=number == last)
        attention_output = project(layer, outputs, None if gates is None else gates[:, number])
        states = finish_layer(layer, states[:, : outputs.shape[1]], attention_output)
    yield last + 1, states


def logits_from(
    classifier: Classifier,
    states: Tensor,
    attention_mask: Tensor | None,
    gates: Tensor | None,
    *,
    start: int = 0,
) -> Tensor:
    """Logits ``[B, C]`` from the states that enter layer ``start``."""
    for _, entering in run_layers(classifier, states, attention_mask, gates, start=start):
        states = entering
    return classifier.classify(states[:, 0])
