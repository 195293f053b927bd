"""Ridge regression from sums: no activation outlives its batch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

#: Ridges to choose from, as shares of the inputs' mean variance: from none to nearly no change.
RIDGES = tuple(10.0**power for power in range(-7, 3))


class Products(NamedTuple):
    """Second moments of inputs a and targets y: ``aᵀa``, ``aᵀy`` and the sum of y², in float64."""

    inputs: Tensor  # [p, p]
    cross: Tensor  # [p, q]
    targets: float


class CrossMoments:
    """Sums over samples of inputs ``[n, p]`` and targets ``[n, q]``, in float64 on the CPU.

    Without ``bias`` they are for a projection that has none: means stay 0, so that everything is
    about the origin, and what is fitted has a bias of 0.
    """

    def __init__(self, inputs: int, targets: int, *, bias: bool = True) -> None:
        self.count, self.bias = 0.0, bias
        self.inputs = torch.zeros(inputs, dtype=torch.float64)
        self.targets = torch.zeros(targets, dtype=torch.float64)
        self.inputs_inputs = torch.zeros(inputs, inputs, dtype=torch.float64)
        self.inputs_targets = torch.zeros(inputs, targets, dtype=torch.float64)
        self.targets_targets = 0.0

    def add(self, inputs: Tensor, targets: Tensor | None = None) -> None:
        """Add samples, a batch at a time; without targets where there are none to sum."""
        targets = inputs[:, :0] if targets is None else targets
        inputs, targets = inputs.float(), targets.float()
        self.count += len(inputs)
        if self.bias:
            self.inputs += inputs.sum(0).cpu()
            self.targets += targets.sum(0).cpu()
        self.inputs_inputs += (inputs.T @ inputs).cpu()
        self.inputs_targets += (inputs.T @ targets).cpu()
        self.targets_targets += float(targets.square().sum())

    def __add__(self, other: CrossMoments) -> CrossMoments:
        total = CrossMoments(len(self.inputs), len(self.targets), bias=self.bias)
        for name in vars(total).keys() - {"bias"}:
            setattr(total, name, getattr(self, name) + getattr(other, name))
        return total

    def of(self, inputs: Tensor) -> CrossMoments:
        """The moments of some inputs alone, by their places ``[k]``."""
        some = CrossMoments(0, 0, bias=self.bias)
        some.count, some.targets, some.targets_targets = (
            self.count, self.targets, self.targets_targets,
        )  # fmt: skip
        some.inputs, some.inputs_targets = self.inputs[inputs], self.inputs_targets[inputs]
        some.inputs_inputs = self.inputs_inputs[inputs][:, inputs]
        return some

    def means(self) -> tuple[Tensor, Tensor]:
        """The mean input ``[p]`` and the mean target ``[q]``."""
        return self.inputs / self.count, self.targets / self.count

    def covariance(self) -> Tensor:
        """The inputs' covariance ``[p, p]``, a mean over samples; without bias that of products."""
        return (
            self.inputs_inputs / self.count - torch.outer(self.inputs, self.inputs) / self.count**2
        )

    def about(self, inputs: Tensor, targets: Tensor) -> Products:
        """Products of the samples' distances from a point ``[p]`` and a point ``[q]``."""
        own = torch.outer(self.inputs, inputs)
        return Products(
            inputs=self.inputs_inputs - own - own.T + self.count * torch.outer(inputs, inputs),
            cross=self.inputs_targets
            - torch.outer(self.inputs, targets)
            - torch.outer(inputs, self.targets)
            + self.count * torch.outer(inputs, targets),
            targets=self.targets_targets
            - 2 * float(self.targets @ targets)
            + self.count * float(targets @ targets),
        )


class RidgeChoice(NamedTuple):
    """A chosen solution ``[p, q]``, its ridge, and its squared error on the held-out samples."""

    solution: Tensor
    ridge: float
    error: float


def squared_error(products: Products, solution: Tensor) -> float:
    """``‖y − a·solution‖²``, from products alone."""
    own = float((solution * (products.inputs @ solution)).sum())
    return max(products.targets - 2 * float((solution * products.cross).sum()) + own, 0.0)


def solve(products: Products, prior: Tensor, ridge: float) -> Tensor:
    """Minimise ``‖y − a·x‖² + ridge · mean diag(aᵀa) · ‖x − prior‖²`` over x ``[p, q]``."""
    scale = float(products.inputs.diagonal().mean()) if len(prior) else 0.0
    if scale <= 0 or math.isinf(ridge):
        return prior
    shifted = products.inputs + ridge * scale * torch.eye(len(prior), dtype=torch.float64)
    step: Tensor = torch.linalg.solve(shifted, products.cross - products.inputs @ prior)
    return prior + step


def choose(fitted: Products, held_out: Products, prior: Tensor) -> RidgeChoice:
    """The ridge whose solution on one part has the least error on the other; see :func:`solve`.

    Keeping the prior, an infinite ridge, is one of the choices.
    """
    best = RidgeChoice(prior, math.inf, squared_error(held_out, prior))
    scale = float(fitted.inputs.diagonal().mean()) if len(prior) else 0.0
    if scale <= 0:
        return best
    values, vectors = torch.linalg.eigh(fitted.inputs)
    pull = vectors.T @ (fitted.cross - fitted.inputs @ prior)
    for ridge in RIDGES:
        step = vectors @ (pull / (values.clamp(min=0) + ridge * scale)[:, None])
        error = squared_error(held_out, prior + step)
        if error < best.error:
            best = RidgeChoice(prior + step, ridge, error)
    return best
