"""Fisher mask search with rearrangement (Kwon et al. 2022, sections 4.1 and 4.2)."""

from __future__ import annotations

import numpy as np

from bhpvas.criteria import removal_order
from bhpvas.heads import HeadId
from bhpvas.search.base import Removal, SearchMethod, SearchProblem, equal_to, least


def search(problem: SearchProblem) -> list[Removal]:
    """First the heads with the least Fisher information; then, layer by layer, better exchanges.

    The second step looks at pairs: the loss of removing a set of heads is ``½ 1ᵀ F 1`` over the
    layer's block of the Fisher matrix. Each removed head in turn is exchanged for the kept one that
    lowers it most, until none does.
    """
    scores = problem.scores(["fisher"])
    assert scores.gate_gradients is not None
    diagonal = scores.values["fisher"]
    order = removal_order(diagonal, seed=problem.seed)
    warm = problem.in_order([Removal(head, "") for head in order])
    protected, chosen = problem.constraints.protected, list[Removal]()
    for layer in range(problem.mask.layers):
        begun = [removal.head.head for removal in warm if removal.head.layer == layer]
        gradients = scores.gate_gradients[:, layer].astype(np.float64)  # [N, H]
        block = gradients.T @ gradients / len(gradients)  # [H, H]
        free = [one.head for one in order if one.layer == layer and one not in protected]
        for head in rearranged(block, begun, free):
            how = "least Fisher information" if head in begun else "exchanged in its layer"
            others = int((diagonal == diagonal[layer, head]).sum()) - 1
            said = f"{how} ({diagonal[layer, head]:z.3g}){equal_to(others)}"
            chosen.append(Removal(HeadId(layer, head), said))
    return sorted(chosen, key=lambda one: order.index(one.head))


def rearranged(block: np.ndarray, removed: list[int], free: list[int]) -> list[int]:
    """The removed heads after every exchange that lowers ``1ᵀ block 1`` over them.

    >>> alike = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.1]])
    >>> rearranged(alike, [0, 1], [0, 1, 2])
    [2, 1]
    """
    removed = list(removed)
    improved = True
    while improved:
        improved = False
        for place in range(len(removed)):
            rest = removed[:place] + removed[place + 1 :]
            # The part of the sum that depends on which head stands here.
            costs = {
                head: float(block[head, head] + 2 * block[head, rest].sum())
                for head in free
                if head not in rest
            }
            now, (best, _) = costs[removed[place]], least(costs, costs.__getitem__)
            if costs[best] < now - 1e-12 * max(1.0, abs(now)):
                removed[place], improved = best, True
    return removed


METHOD = SearchMethod(
    name="mask-search",
    title="Fisher mask search",
    summary="The heads with the least Fisher information, then rearranged within each layer so "
    "that heads that stand in for each other do not go together.",
    source="Kwon et al. 2022, A Fast Post-Training Pruning Framework for Transformers",
    search=search,
    nested=False,
)
