"""Linear maps from given weights, and several that lie in one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A frozen linear map with weight ``[out, in]`` and bias ``[out]``; either may be empty."""
    outputs, inputs = weight.shape
    made = nn.Linear.__new__(nn.Linear)  # its own way of being made would draw values
    nn.Module.__init__(made)
    made.in_features, made.out_features, made.training = inputs, outputs, False
    made.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    # Without one nn.Linear has a None in its place, too.
    made.register_parameter("bias", None)
    if bias is not None:
        made.bias = nn.Parameter(bias, requires_grad=False)
    return made


def pieces_of(whole: nn.Linear, count: int) -> list[nn.Linear]:
    """A linear map as so many of equal height; their weights are views of its own."""
    biases: Sequence[Tensor | None] = [None] * count
    if whole.bias is not None:
        biases = whole.bias.detach().chunk(count)
    return [
        linear(weight, bias)
        for weight, bias in zip(whole.weight.detach().chunk(count), biases, strict=True)
    ]


def joined(pieces: Sequence[nn.Linear]) -> nn.Linear:
    """One linear map that answers as all of them do, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    biases: list[Tensor] = [piece.bias for piece in pieces if piece.bias is not None]
    return linear(
        torch.cat([piece.weight for piece in pieces]), torch.cat(biases) if biases else None
    )


def bias_of(projection: nn.Linear) -> Tensor:
    """The bias of a projection, ``[D]``; zeros where it has none."""
    if projection.bias is None:
        return projection.weight.new_zeros(projection.out_features)
    return projection.bias
