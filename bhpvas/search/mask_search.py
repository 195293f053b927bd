"""Fisher mask search with rearrangement (Kwon et al. 2022, sections 4.1 and 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bhpvas.criteria import removal_order
from bhpvas.heads import HeadId
from bhpvas.search.base import Constraints, Removal, SearchMethod, SearchProblem, equal_to


def search(problem: SearchProblem) -> list[Removal]:
    """First the heads with the least Fisher information; then, layer by layer, better exchanges.

    The second step looks at pairs: the loss of removing a set of heads is ``½ 1ᵀ F 1`` over the
    layer's block of the Fisher matrix. Each removed head in turn is exchanged for the kept one that
    lowers it most, until none does.
    """
    scores = problem.scores(["fisher"], progress=problem.progress)
    assert scores.gate_gradients is not None
    diagonal = scores.values["fisher"]
    order = removal_order(diagonal, seed=problem.seed)
    warm = problem.in_order([Removal(head, "") for head in order])
    chosen = list[Removal]()
    may_go = replace(problem, constraints=Constraints(problem.constraints.protected))
    for layer in problem.classifier.geometry.firsts:
        begun = [removal.head.head for removal in warm if removal.head.layer == layer]
        gradients = scores.gate_gradients[:, layer].astype(np.float64)  # [N, H]
        block = gradients.T @ gradients / len(gradients)  # [H, H]
        free = [
            one.head for one in order if one.layer == layer and may_go.allows(problem.mask, one)
        ]
        for head in rearranged(block, begun, free):
            how = "least Fisher information" if head in begun else "exchanged in its layer"
            others = int((diagonal == diagonal[layer, head]).sum()) - 1
            said = f"{how} ({diagonal[layer, head]:z.3g}){equal_to(others)}"
            chosen.append(Removal(HeadId(layer, int(head)), said))
    return sorted(chosen, key=lambda one: order.index(one.head))


def rearranged(
    block: np.ndarray, removed: Sequence[int] | np.ndarray, free: Sequence[int] | np.ndarray
) -> np.ndarray:
    """The removed units after every exchange that lowers ``1ᵀ block 1`` over them.

    Of equal exchanges, that for the first of the ``free`` ones is taken.

    >>> alike = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.1]])
    >>> rearranged(alike, [0, 1], [0, 1, 2]).tolist()
    [2, 1]
    """
    gone, others = np.array(removed, dtype=np.int64), np.array(free, dtype=np.int64)
    own, sums = block.diagonal(), block[:, gone].sum(1)  # of each unit with all that are removed
    taken = np.isin(np.arange(len(block)), gone)
    improved = 0 < len(gone) < len(others)
    while improved:
        improved = False
        for place, unit in enumerate(gone):
            rest = sums - block[:, unit]
            # The part of the sum that depends on which unit stands here.
            costs = own + 2 * rest
            best = others[np.argmin(np.where(taken, np.inf, costs)[others])]
            if costs[best] < costs[unit] - 1e-12 * max(1.0, abs(costs[unit])):
                gone[place], improved = best, True
                taken[[unit, best]] = False, True
                sums = rest + block[:, best]
    return gone


METHOD = SearchMethod(
    name="mask-search",
    title="Fisher mask search",
    summary="The heads with the least Fisher information, then rearranged within each layer so "
    "that heads that stand in for each other do not go together.",
    source="Kwon et al. 2022, A Fast Post-Training Pruning Framework for Transformers",
    search=search,
    nested=False,
)
