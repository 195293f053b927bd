"""Fisher information of heads and neurons in pairs: sums over sentences, none of them kept.

The gradients are those of each sentence's own loss, at gates of one (Kwon et al. 2022, section 4.1,
whose program takes those of batches instead). Labels are read.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bhpvas.model import distributed
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.engine import Gradients, stream
from bhpvas.progress import Progress, silent


class Fisher(NamedTuple):
    """Mean over sentences of products of gate gradients, float64.

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
    sums, n = _Sums(classifier, layers), len(encoded)
    stream(classifier, encoded, labels, [sums], progress=progress)
    blocks = {number: block.numpy() for number, block in sums.blocks.items()}
    arrays = [sums.heads, sums.neurons, *blocks.values()]
    distributed.add_up(*arrays)
    for one in arrays:
        one /= n
    return Fisher(sums.heads, sums.neurons, blocks)


class _Sums:
    """The sums during a pass."""

    needs = frozenset({"neuron gradients"})

    def __init__(self, classifier: Classifier, layers: Collection[int]) -> None:
        geometry = classifier.geometry
        width = geometry.intermediate_size
        self.heads = np.zeros((geometry.layers, geometry.heads, geometry.heads))
        self.neurons = np.zeros((geometry.layers, width))
        self.blocks = {one: torch.zeros(width, width, dtype=torch.float64) for one in layers}

    def see_layer(self, seen: object) -> None:
        """Gradients are complete only at the end of a batch."""

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        assert gradients is not None
        heads = gradients.heads.double().cpu()
        self.heads += torch.einsum("blh,blk->lhk", heads, heads).numpy()
        for number, found in enumerate(gradients.neurons):
            neurons = found.double().cpu()  # [B, F]
            self.neurons[number] += neurons.square().sum(0).numpy()
            if number in self.blocks:
                self.blocks[number].addmm_(neurons.T, neurons)
