"""Surgeon: in which order units of a projection go, so that the refitted rest says most of it.

A unit is a head, with its d_h columns of W_O, or a neuron, with its column of the down projection.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from bhpvas.criteria.surgeon import damping

# Units that go at once, as a share of all: one head, 16 of 1,536 neurons.
_AT_ONCE = 1 / 96


def removal_order(
    covariance: Tensor,
    columns: Tensor,
    unit: int,
    *,
    stay: Collection[int] = (),
    most: int | None = None,
) -> list[int]:
    """Every unit but those that ``stay``, first to go first; the first ``most``, if given.

    Always those go next whose absence adds least to the squared error of the output once all others
    are refitted, ``tr(W_uᵀ (P_uu)⁻¹ W_u)`` with P the inverse of the kept inputs' covariance and W
    their refitted columns: the optimal brain surgeon (Hassibi, Stork 1993) for blocks of inputs.

    - ``covariance``: of the inputs, float64 ``[p, p]``.
    - ``columns``: the projection's weights ``[p, D]``, float64.
    - ``unit``: inputs of a unit; ``p`` is a multiple of it.
    """
    count = len(covariance) // unit
    inverse = torch.linalg.inv(covariance + damping(covariance))
    columns = columns.clone()
    held = torch.arange(count)  # the units whose inputs the matrices have
    may_go, gone = torch.ones(count, dtype=torch.bool), torch.zeros(count, dtype=torch.bool)
    may_go[list(stay)] = False
    wanted = int(may_go.sum()) if most is None else min(most, int(may_go.sum()))
    at_once, order = max(1, round(_AT_ONCE * count)), list[int]()
    while len(order) < wanted:
        left = may_go.nonzero().flatten()
        added = _added(inverse, columns, _rows(left, unit).view(-1, unit))
        next_ones = left[torch.topk(added, min(at_once, len(left)), largest=False).indices]
        order += held[next_ones].tolist()
        rows = _rows(next_ones, unit)
        pull = inverse[:, rows] @ torch.linalg.inv(inverse[rows][:, rows])
        columns.addmm_(pull, columns[rows], alpha=-1)
        inverse.addmm_(pull, inverse[rows], alpha=-1)
        may_go[next_ones], gone[next_ones] = False, True
        if 8 * int(gone.sum()) > len(gone):  # smaller matrices now and then: copies cost, too
            there = (~gone).nonzero().flatten()
            rows = _rows(there, unit)
            inverse, columns = inverse[rows][:, rows], columns[rows]
            held, may_go, gone = held[there], may_go[there], gone[there]
    return order[:wanted]


def _added(inverse: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """What the absence of each unit, of inputs ``rows [n, u]``, adds to the squared error."""
    weights = columns[rows]  # [n, u, D]
    if rows.shape[1] == 1:
        return weights.square().sum((1, 2)) / inverse.diagonal()[rows[:, 0]]
    blocks = inverse[rows[:, :, None], rows[:, None, :]]  # [n, u, u]
    return (torch.linalg.solve(blocks, weights) * weights).sum((1, 2))


def refitted(covariance: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """The columns ``[k, D]`` of the kept ``rows`` that say most of what all of them said."""
    added = damping(covariance)[rows][:, rows]
    wanted = covariance[rows] @ columns + added @ columns[rows]
    solved: Tensor = torch.linalg.solve(covariance[rows][:, rows] + added, wanted)
    return solved


def rows_of(units: Collection[int], unit: int) -> Tensor:
    """The places of the inputs that belong to some units, ascending: int64."""
    return _rows(torch.tensor(sorted(units), dtype=torch.int64), unit)


def _rows(units: Tensor, unit: int) -> Tensor:
    return (units[:, None] * unit + torch.arange(unit)).flatten()
