"""Rescaling: one factor a head, or neuron, so that a layer's output stays as it was."""

from __future__ import annotations

import torch
from torch import Tensor

from bhpvas.recovery.base import Recovery
from bhpvas.recovery.layerwise import LayerFit
from bhpvas.recovery.ridge import CrossMoments, Products, choose, solve, squared_error


def rescale(
    weight: Tensor, bias: Tensor, unit: int, fitted: CrossMoments, held_out: CrossMoments
) -> LayerFit:
    """The kept columns of a projection, those of each head or neuron times a factor of its own; the
    bias stays.

    Least squares in as many unknowns as heads, or neurons (Kwon et al. 2022, section 4.3), with a
    ridge towards a factor of one that is chosen on the held-out sentences.
    """
    origin = torch.zeros(weight.shape[1], dtype=weight.dtype)
    checks = _by_unit(held_out.about(origin, bias), weight, unit)
    ones = torch.ones(weight.shape[1] // unit, 1, dtype=weight.dtype)
    chosen = choose(_by_unit(fitted.about(origin, bias), weight, unit), checks, ones)
    together = _by_unit((fitted + held_out).about(origin, bias), weight, unit)
    factors = solve(together, ones, chosen.ridge)
    return LayerFit(
        weight=weight * factors.repeat_interleave(unit, 0).T,
        bias=bias,
        ridge=chosen.ridge,
        error_before=squared_error(checks, ones),
        error_after=chosen.error,
        variance=held_out.about(*fitted.means()).targets,
    )


def _by_unit(products: Products, weight: Tensor, unit: int) -> Products:
    """Products of what each head or neuron adds, such as ``Z_h W_h``: one input each."""
    units = weight.shape[1] // unit
    both = products.inputs * (weight.T @ weight)  # [p, p]
    return Products(
        inputs=both.reshape(units, unit, units, unit).sum((1, 3)),
        cross=(weight.T * products.cross).sum(1).reshape(units, unit).sum(1, keepdim=True),
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
