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
    if layer.pre_norm:
        states = layer.attention_norm(states)
    queries = states[:, :1] if first_only else states
    query = _split_heads(classifier, layer.query(queries))
    key = _split_heads(classifier, layer.key(states))
    value = _split_heads(classifier, layer.value(states))
    if layer.positions is not None:
        query, key, placed = layer.positions(layer, query, key)
        attention_mask = _together(attention_mask, placed)
    if not with_maps:
        outputs = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        return outputs.transpose(1, 2), None  # [B, T, H, d_h]
    scores = query @ key.transpose(2, 3) * (classifier.geometry.head_size**-0.5)  # [B, H, T, T]
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attention_mask, -math.inf)
        else:
            scores = scores + attention_mask
    maps = scores.softmax(-1)
    return (maps @ value).transpose(1, 2), maps


def _together(attention_mask: Tensor | None, placed: Tensor | None) -> Tensor | None:
    """Which keys may be attended, bool ``[B, 1, 1, T]``, with what positions add to scores.

    A token of padding may always attend to itself: with nothing at all to attend to it would be no
    number.
    """
    if attention_mask is None or placed is None:
        return placed if attention_mask is None else attention_mask
    if placed.dtype != torch.bool:
        return placed.masked_fill(~attention_mask, -math.inf)
    itself = torch.eye(placed.shape[-2], placed.shape[-1], dtype=torch.bool, device=placed.device)
    return attention_mask & placed | itself


def project(layer: Layer, outputs: Tensor, gates: Tensor | None) -> Tensor:
    """The attention's output ``[B, T, D]`` from Z ``[B, T, H, d_h]`` under gates ``[B, H]``."""
    if gates is not None:
        outputs = outputs * gates[:, None, :, None]
    return layer.output(outputs.flatten(2))


def after_attention(layer: Layer, added: Tensor) -> Tensor:
    """What a layer's attention leaves, of the states that entered and its output, ``added`` up."""
    return added if layer.pre_norm else layer.attention_norm(added)


def neurons_of(layer: Layer, attended: Tensor) -> Tensor:
    """A layer's feed-forward neurons ``[B, T, F]`` from what its attention leaves ``[B, T, D]``."""
    if layer.pre_norm:
        attended = layer.feed_forward_norm(attended)
    neurons: Tensor = layer.activation(layer.up(attended))
    return neurons if layer.gate is None else neurons * layer.gate(attended)


def after_feed_forward(layer: Layer, added: Tensor) -> Tensor:
    """What a layer leaves, of what its attention left and its feed-forward output, ``added`` up."""
    return added if layer.pre_norm else layer.feed_forward_norm(added)


def finish_layer(layer: Layer, states: Tensor, attention_output: Tensor) -> Tensor:
    """What a layer does after its attention."""
    attended = after_attention(layer, attention_output + states)
    return after_feed_forward(layer, layer.down(neurons_of(layer, attended)) + attended)


def run_layers(
    classifier: Classifier,
    states: Tensor,
    attention_mask: Tensor | None,
    gates: Tensor | None,
    *,
    start: int = 0,
) -> Iterator[tuple[int, Tensor]]:
    """Run the layers from ``start``; yields each layer's number and the states that enter it.

    After the last layer it yields ``(L, states)``, of a model that reads the first token alone with
    that token: ``[B, 1, D]``.
    """
    for number in range(start, len(classifier.layers)):
        yield number, states
        layer, first_only = classifier.layers[number], classifier.first_only(number)
        outputs, _ = attend(classifier, layer, states, attention_mask, first_only=first_only)
        attention_output = project(layer, outputs, None if gates is None else gates[:, number])
        states = finish_layer(layer, states[:, : outputs.shape[1]], attention_output)
    yield len(classifier.layers), states


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
    return classifier.classify(states, attention_mask)
