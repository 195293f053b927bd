"""Cost of a model once parts are really removed: parameters, arithmetic, bound of its speed.

Per layer with k kept heads and n kept feed-forward neurons, a sentence of T tokens costs, counting
a multiply-add as two floating-point operations (FLOPs):

====================================  =========================================
queries, keys and values              3 · 2 · T · D · k d_h
scores QKᵀ                            2 · T · T · k d_h
weighted sum of values                2 · T · T · k d_h
output projection W_O                 2 · T · k d_h · D
feed-forward                          2 · 2 · T · D · n (gated: 2 · 3 · T · D · n)
====================================  =========================================

and once, for the first token, the dense layer below the classifier (2 · D · D) and the classifier
(2 · D · C). Biases, softmax, normalisation, activation functions and embeddings are left out, as is
usual: together they are about one percent.

Where distances have scores of their own, each kind of them adds 2 · T · min(2T - 1, R) · k d_h, of
R distances that are told apart. Their projections (2 · R · D · k d_h) depend on no sentence, so
they are left out: our engine does as many as the longest sentence of a batch needs, once a batch
(of a base model and 32 sentences of 32 tokens 1% of what is counted, of one alone a third), and
ONNX Runtime all of them once, when it opens a graph. A module of transformers does all of them for
each batch and scores every token for all R distances, which :func:`speed_bound` counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bhpvas.heads import HeadMask

if TYPE_CHECKING:
    from bhpvas.model.config import Geometry


def parameters(geometry: Geometry, mask: HeadMask) -> int:
    """How many parameters the physically pruned model has.

    Each removed head takes its d_h rows and biases of queries, keys and values and its d_h columns
    of W_O, each removed neuron its row and bias of the up projection and its column of the down
    projection; of layers that share their weights, once, and where all of them lose it. What the
    model's files lack is not counted in the first place.

    >>> import bhpvas
    >>> geometry = bhpvas.load_classifier().geometry
    >>> mask = bhpvas.HeadMask.parse("L0H3,L5H11", layers=6, heads=12)
    >>> geometry.parameters - bhpvas.parameters(geometry, mask)
    98496
    """
    left, lacking = geometry.removable(mask), geometry.pruned_neurons
    heads = sum(head.layer in geometry.firsts for head in left.removed - geometry.pruned)
    kept = neurons_kept(geometry, left if lacking is None else left.without_neurons(lacking))
    neurons = len(geometry.firsts) * geometry.intermediate_size - sum(
        kept[layer] + (0 if lacking is None else lacking.counts[layer]) for layer in geometry.firsts
    )
    saved = heads * geometry.head_parameters + neurons * geometry.neuron_parameters
    return geometry.parameters - saved


def removed_neurons(geometry: Geometry, mask: HeadMask) -> int:
    """How many feed-forward neurons the physically pruned model lacks, with those that the model's
    files lack.
    """
    lacking, removed = geometry.pruned_neurons, mask.neurons
    if lacking is None or removed is None:
        return len(lacking or removed or ())
    return len(lacking | removed)


def neurons_kept(geometry: Geometry, mask: HeadMask) -> list[int]:
    """How many feed-forward neurons each layer keeps."""
    removed = (0,) * geometry.layers if mask.neurons is None else mask.neurons.counts
    return [geometry.intermediate_size - count for count in removed]


def flops_per_sentence(
    geometry: Geometry, mask: HeadMask, lengths: Sequence[int] | np.ndarray
) -> float:
    """Mean FLOPs of one sentence through the physically pruned model, without padding.

    ``lengths`` are tokens a sentence, special tokens included; at least one. What is counted stands
    at the top of :mod:`bhpvas.model.cost`. Of layers that share their weights, only what all of
    them lose is really removed.

    >>> import bhpvas
    >>> geometry = bhpvas.load_classifier().geometry
    >>> mask = bhpvas.HeadMask.parse("L0H3,L5H11", layers=6, heads=12)
    >>> f"{bhpvas.flops_per_sentence(geometry, mask, [16, 32]) / 1e6:.1f} million"
    '510.9 million'
    """
    return _flops(geometry, mask, lengths, every_distance=False)


def _flops(
    geometry: Geometry,
    mask: HeadMask,
    lengths: Sequence[int] | np.ndarray,
    *,
    every_distance: bool,
) -> float:
    """As :func:`flops_per_sentence`; with ``every_distance`` as a module of transformers takes of a
    sentence alone: all distances are projected, and scored for every token.
    """
    tokens = np.asarray(lengths, dtype=np.float64)
    mask = geometry.removable(mask)
    heads = mask.without(geometry.pruned).kept_count
    hidden, kept = geometry.hidden_size, heads * geometry.head_size
    projections = 8 * hidden * kept
    neurons = geometry.intermediate_size * geometry.layers - removed_neurons(geometry, mask)
    feed_forward = 2 * (2 + geometry.gated) * hidden * neurons
    top = 2 * hidden * (hidden + geometry.labels)
    quadratic = 4 * kept
    mean, mean_square = tokens.mean(), (tokens**2).mean()
    found = (projections + feed_forward) * mean + quadratic * mean_square + top
    rows = geometry.distances
    if every_distance:
        scored = rows * (mean + hidden)
    else:
        scored = (tokens * np.minimum(2 * tokens - 1, rows)).mean()
    return float(found + 2 * geometry.distance_scores * kept * scored)


def speed_bound(geometry: Geometry, mask: HeadMask, lengths: Sequence[int] | np.ndarray) -> float:
    """How many times faster the pruned model can be at most, by its arithmetic; at least 1.

    What no implementation that is equally busy before and after can exceed; smaller matrices
    usually keep a processor a little less busy. ``lengths`` are tokens a sentence. Where distances
    have scores of their own, the bound is that of a module of transformers with one sentence at a
    time, in which they take the largest share.

    >>> import bhpvas
    >>> geometry = bhpvas.load_classifier().geometry
    >>> none_left = bhpvas.HeadMask(6, 12).without(bhpvas.HeadMask(6, 12))
    >>> round(bhpvas.speed_bound(geometry, none_left, [32]), 2)
    1.52
    """
    whole = _flops(geometry, HeadMask(mask.layers, mask.heads), lengths, every_distance=True)
    return whole / _flops(geometry, mask, lengths, every_distance=True)
