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
    covariance: Tensor, columns: Tensor, unit: int, *, stay: Collection[int] = ()
) -> list[int]:
    """Every unit but those that ``stay``, first to go first.

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
    left = [one for one in range(count) if one not in set(stay)]
    at_once, order = max(1, round(_AT_ONCE * count)), list[int]()
    while left:
        alive = torch.tensor(left)
        rows = _rows(alive, unit).view(len(left), unit)
        blocks = inverse[rows[:, :, None], rows[:, None, :]]  # [n, u, u]
        weights = columns[rows]  # [n, u, D]
        added = (torch.linalg.solve(blocks, weights) * weights).sum((1, 2))
        least = torch.topk(added, min(at_once, len(left)), largest=False).indices
        gone = _rows(alive[least], unit)
        pull = inverse[:, gone] @ torch.linalg.inv(inverse[gone][:, gone])
        columns -= pull @ columns[gone]
        inverse -= pull @ inverse[gone]
        removed = {left[place] for place in least.tolist()}
        order += [left[place] for place in least.tolist()]
        left = [one for one in left if one not in removed]
    return order


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
