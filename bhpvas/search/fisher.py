"""Fisher information of heads and neurons: sums over sentences of products of gate gradients.

The gradients are those of each sentence's own loss, at gates of one (Kwon et al. 2022, section 4.1,
whose program takes those of batches instead). Labels are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bhpvas.model import distributed
from bhpvas.model.batching import Batch, each_batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.layers import attend, project
from bhpvas.progress import Progress, silent


class GateGradients(NamedTuple):
    """Gradients of each sentence's loss: for heads' gates ``[B, L, H]``, for neurons' by layer
    ``[B, F]``.
    """

    heads: Tensor
    neurons: tuple[Tensor, ...]


def gate_gradients(
    classifier: Classifier, encoded: Encoded, labels: np.ndarray, progress: Progress = silent
) -> Iterator[GateGradients]:
    """The gradients of every batch, none kept."""
    geometry = classifier.geometry

    def run(batch: Batch) -> GateGradients:
        count = len(batch.rows)
        heads = _gates(classifier, count, geometry.layers, geometry.heads)
        width = geometry.intermediate_size
        neurons = [_gates(classifier, count, width) for _ in classifier.layers]
        with torch.enable_grad():
            states = classifier.embed(batch.input_ids, batch.token_type_ids)
            for number, layer in enumerate(classifier.layers):
                last, mask = number == geometry.layers - 1, batch.attention_mask
                outputs, _ = attend(classifier, layer, states, mask, first_only=last)
                attention = project(layer, outputs, heads[:, number])
                attended = layer.attention_norm(attention + states[:, : outputs.shape[1]])
                inner = layer.activation(layer.up(attended)) * neurons[number][:, None]  # [B, T, F]
                states = layer.output_norm(layer.down(inner) + attended)
            logits = classifier.classify(states[:, 0]).float()
            target = torch.as_tensor(labels[batch.rows], device=classifier.device)
            loss = F.cross_entropy(logits, target, reduction="sum")
            found = torch.autograd.grad(loss, [heads, *neurons])
        return GateGradients(found[0], found[1:])

    for _, found in each_batch(classifier, encoded, run, progress=progress):
        yield found


def _gates(classifier: Classifier, *shape: int) -> Tensor:
    return torch.ones(shape, device=classifier.device, dtype=classifier.dtype, requires_grad=True)


class Fisher(NamedTuple):
    """Mean over sentences of products of gradients, float64.

    Of heads with the others of their layer ``[L, H, H]``, of each neuron with itself ``[L, F]``,
    and of neurons with the others of their layer ``[F, F]`` by layer, for some layers.
    """

    heads: np.ndarray
    neurons: np.ndarray
    blocks: dict[int, np.ndarray]


def fisher_information(
    classifier: Classifier,
    encoded: Encoded,
    labels: np.ndarray,
    layers: Collection[int] = (),
    progress: Progress = silent,
) -> Fisher:
    """The Fisher information of all heads and neurons, and of neurons of ``layers`` in pairs.

    ``labels`` are those of the sentences, as the model numbers them. Higher = keep.
    """
    geometry, n = classifier.geometry, len(encoded)
    width = geometry.intermediate_size
    heads = np.zeros((geometry.layers, geometry.heads, geometry.heads))
    neurons = np.zeros((geometry.layers, width))
    sums = {number: torch.zeros(width, width, dtype=torch.float64) for number in layers}
    for found in gate_gradients(classifier, encoded, labels, progress):
        wide = found.heads.double()
        heads += torch.einsum("blh,blk->lhk", wide, wide).cpu().numpy()
        for number, one in enumerate(found.neurons):
            wide = one.double()
            neurons[number] += wide.square().sum(0).cpu().numpy()
            if number in sums:
                sums[number].addmm_(wide.T.cpu(), wide.cpu())
    blocks = {number: one.numpy() for number, one in sums.items()}
    distributed.add_up(heads, neurons, *blocks.values())
    return Fisher(heads / n, neurons / n, {number: block / n for number, block in blocks.items()})
