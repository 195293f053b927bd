"""Rescaling: one factor a head, so that a layer's attention output stays as it was."""

from __future__ import annotations

import torch
from torch import Tensor

from bhpvas.recovery.base import Recovery
from bhpvas.recovery.layerwise import LayerFit
from bhpvas.recovery.ridge import CrossMoments, Products, choose, solve, squared_error


def rescale(
    weight: Tensor, bias: Tensor, head_size: int, fitted: CrossMoments, held_out: CrossMoments
) -> LayerFit:
    """The kept heads' columns of W_O, each head's times a factor of its own; the bias stays.

    Least squares in as many unknowns as heads (Kwon et al. 2022, section 4.3), with a ridge towards
    a factor of one that is chosen on the held-out sentences.
    """
    origin = torch.zeros(weight.shape[1], dtype=weight.dtype)
    checks = _by_head(held_out.about(origin, bias), weight, head_size)
    ones = torch.ones(weight.shape[1] // head_size, 1, dtype=weight.dtype)
    chosen = choose(_by_head(fitted.about(origin, bias), weight, head_size), checks, ones)
    together = _by_head((fitted + held_out).about(origin, bias), weight, head_size)
    factors = solve(together, ones, chosen.ridge)
    return LayerFit(
        weight=weight * factors.repeat_interleave(head_size, 0).T,
        bias=bias,
        ridge=chosen.ridge,
        error_before=squared_error(checks, ones),
        error_after=chosen.error,
        variance=held_out.about(*fitted.means()).targets,
    )


def _by_head(products: Products, weight: Tensor, head_size: int) -> Products:
    """Products of the heads' contributions ``Z_h W_h``, one input a head."""
    heads = weight.shape[1] // head_size
    columns = weight.T.reshape(heads, head_size, len(weight))  # [k, d_h, D]
    blocks = products.inputs.reshape(heads, head_size, heads, head_size)
    return Products(
        inputs=torch.einsum("ido,idje,jeo->ij", columns, blocks, columns),
        cross=(columns * products.cross.reshape(columns.shape)).sum((1, 2))[:, None],
        targets=products.targets,
    )


RECOVERY = Recovery(
    name="rescale",
    title="Rescaling",
    summary="Each kept head gets one factor so that its layer's attention output stays close to "
    "the original; weaker than compensation, and leaves every head's own words as they were.",
    source="Kwon et al. 2022, A Fast Post-Training Pruning Framework for Transformers",
    fitter=rescale,
)
