"""Compensation: W_O of the kept heads refitted so that the layer's output stays as it was."""

from __future__ import annotations

from torch import Tensor

from bhpvas.recovery.base import Recovery
from bhpvas.recovery.layerwise import LayerFit
from bhpvas.recovery.ridge import CrossMoments, choose, solve, squared_error


def compensate(
    weight: Tensor, bias: Tensor, unit: int, fitted: CrossMoments, held_out: CrossMoments
) -> LayerFit:
    """Weight and bias of what is kept by ridge regression towards the columns that it had.

    The bias is not shrunk: with nothing left, it is the mean of what is aimed at. The ridge is
    chosen on the held-out sentences; the solution then uses all of them.
    """
    means = fitted.means()
    checks = held_out.about(*means)
    chosen = choose(fitted.about(*means), checks, weight.T)
    together = fitted + held_out
    inputs, targets = together.means()
    solution = solve(together.about(inputs, targets), weight.T, chosen.ridge)
    as_it_was = squared_error(held_out.about(0 * inputs, bias), weight.T)
    return LayerFit(
        weight=solution.T,
        bias=targets - inputs @ solution,
        ridge=chosen.ridge,
        error_before=as_it_was,
        error_after=chosen.error,
        variance=checks.targets,
    )


RECOVERY = Recovery(
    name="compensate",
    title="Compensation",
    summary="What is kept is refitted so that each layer's output on the calibration sentences "
    "stays close to the original: the attention's output projection where heads are gone, the "
    "feed-forward part's where neurons are. No labels, no gradient.",
    source="Ours; relatives are Kwon et al. 2022 and the optimal brain surgeon (Hassibi 1993)",
    fitter=compensate,
)
THOROUGH = Recovery(
    name="thorough",
    title="Thorough compensation",
    summary="As compensation, and then the second matrix of each feed-forward layer is refitted so "
    "that the layer's output stays close to the original. Loses less where few heads are left; "
    "takes several times as long and changes far more weights.",
    source="Ours",
    fitter=compensate,
    feed_forward=True,
)
