"""Whole layers' attention: what is left of a layer without it is its feed-forward part."""

from __future__ import annotations

import numpy as np

from bhpvas.criteria import score
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.engine import StateCache
from bhpvas.search.base import Method, Removal, SearchProblem


def search(task: SearchProblem) -> list[Removal]:
    """Empty the layer whose absence raises the loss least, again and again.

    Within a layer the least important heads go first; that is how the last layer is emptied only as
    far as heads must go.
    """
    task = task.sample(task.options["sentences"])
    importance = score(task.classifier, task.calibration, ["importance"], mask=task.mask).values[
        "importance"
    ]
    cache = StateCache()
    mask, chosen = task.mask, list[Removal]()
    while len(chosen) < task.count:
        task.progress(len(chosen), task.count)
        costs = {}
        for layer in range(mask.layers):
            heads = _emptied(task, mask, layer, importance)
            if heads:
                found = evaluate(
                    task.classifier, task.calibration, mask.without(heads), cache=cache
                )
                costs[found.loss, layer] = heads
        (loss, layer), heads = min(costs.items())
        for head in heads[: task.count - len(chosen)]:
            chosen.append(
                Removal(head, f"layer {layer} without attention leaves the loss at {loss:.4f}")
            )
        mask = mask.without(heads)
    task.progress(task.count, task.count)
    return chosen


def _emptied(
    task: SearchProblem, mask: HeadMask, layer: int, importance: np.ndarray
) -> list[HeadId]:
    """The heads that may leave a layer, least important first."""
    gone: list[HeadId] = []
    by_importance = sorted(mask, key=lambda one: float(importance[one.layer, one.head]))
    for head in by_importance:
        if head.layer == layer and task.constraints.allows(mask.without(gone), head):
            gone.append(head)
    return gone


METHOD = Method(
    name="layers",
    title="Whole layers",
    summary="All heads of one layer go together, the layer first whose attention the loss misses "
    "least.",
    source="Sajjad et al. 2023 drop whole layers; here the feed-forward part stays",
    search=search,
    defaults={"sentences": 512},
)
