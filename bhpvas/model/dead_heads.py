"""Dead heads: those whose weights let nothing through, whatever they attend to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bhpvas.model.families.base import Layer
from bhpvas.model.linear import bias_of

# Of the largest that a head of the layer could put out: less than float32 adds to it.
_NOTHING = 1e-7


def dead_heads(layers: Sequence[Layer], head_size: int) -> np.ndarray:
    """Which heads of some layers put out nothing for any sentence: bool ``[L, H]``.

    What a head adds to its layer is a mean of ``W_O W_V x + W_O b_V`` over tokens, weighed by its
    attention: nothing, whatever the tokens, where ``W_O W_V`` and ``W_O b_V`` are zero over its
    columns of W_O and its rows of W_V. So is a head whose part of either is zero, and one whose two
    parts have nothing in common. A head that adds the same to every token is not among them.
    """
    return np.stack([_dead(layer, head_size) for layer in layers])


def _dead(layer: Layer, head_size: int) -> np.ndarray:
    def products(rows: Tensor) -> Tensor:
        """Of each head's rows with each other, from ``[H·d_h, n]``: ``[H, d_h, d_h]``."""
        by_head = rows.detach().cpu().double().view(-1, head_size, rows.shape[1])
        return by_head @ by_head.transpose(1, 2)

    value = torch.cat([layer.value.weight, bias_of(layer.value)[:, None]], 1)  # [H·d_h, D + 1]
    read, written = products(value), products(layer.output.weight.T)
    put_out = (read * written).sum((1, 2)).clamp(min=0).sqrt()  # ‖W_O [W_V b_V]‖ of each head
    most = (read.diagonal(dim1=1, dim2=2).sum(1) * written.diagonal(dim1=1, dim2=2).sum(1)).sqrt()
    found: np.ndarray = (put_out <= _NOTHING * most.max()).numpy()
    return found
