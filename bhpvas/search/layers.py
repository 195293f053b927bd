"""Whole layers: all heads of one go together, and its feed-forward part stays."""

from __future__ import annotations

from bhpvas.criteria import removal_order
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId
from bhpvas.model.states import StateCache
from bhpvas.search.base import Removal, SearchMethod, SearchProblem, equal_to, least


def search(problem: SearchProblem) -> list[Removal]:
    """Empty the layer whose absence raises the loss least, again and again.

    Within a layer the least important heads go first; that is how the last layer is emptied only as
    far as heads must go.
    """
    problem = problem.sample(problem.options["sentences"])
    classifier, data, cache = problem.classifier, problem.calibration, StateCache()
    importance = problem.scores(["importance"]).values["importance"]
    order = removal_order(importance, seed=problem.seed)
    mask, chosen = problem.mask, list[Removal]()
    while len(chosen) < problem.count:
        problem.progress(len(chosen), problem.count)
        costs, offers = dict[int, float](), dict[int, list[HeadId]]()
        for layer in problem.drawn_layers:
            heads = list[HeadId]()
            for head in order:
                if head.layer == layer and problem.allows(problem.without(mask, heads), head):
                    heads.append(head)
            if heads:
                without = problem.without(mask, heads)
                found = evaluate(classifier, data, without, cache=cache)
                costs[layer], offers[layer] = found.loss, heads
        layer, others = least(costs, costs.__getitem__)
        group = problem.classifier.geometry.group_of(layer)
        named = f"layer {layer}" if len(group) == 1 else f"layers {layer} to {group[-1]}"
        reason = (
            f"{named} without attention leaves the loss at {costs[layer]:z.4f}"
            f"{equal_to(others, 'other layer')}"
        )
        heads = offers[layer][: problem.count - len(chosen)]
        chosen += [Removal(head, reason) for head in heads]
        mask = problem.without(mask, offers[layer])
    problem.progress(problem.count, problem.count)
    return chosen


METHOD = SearchMethod(
    name="layers",
    title="Whole layers",
    summary="All heads of one layer go together, the layer first whose attention the loss misses "
    "least.",
    source="Sajjad et al. 2023 drop whole layers; here the feed-forward part stays",
    search=search,
    defaults={"sentences": 512},
)
