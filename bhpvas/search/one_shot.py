"""One-shot orders, by one look at the unpruned model: by chance, by a criterion, by a priority."""

from __future__ import annotations

import numpy as np

from bhpvas.criteria import (
    CRITERIA,
    DEFAULT_WEIGHTS,
    combined,
    ranks,
    removal_order,
    similarity_to_kept,
)
from bhpvas.evaluation.comparison import random_order
from bhpvas.search.base import Removal, SearchMethod, SearchProblem


def at_random(problem: SearchProblem) -> list[Removal]:
    """Every order of the heads is as likely as any other."""
    order = random_order(problem.mask, problem.seed)
    return problem.in_order([Removal(head, "drawn by chance") for head in order])


def by_criterion(problem: SearchProblem, name: str) -> list[Removal]:
    """The heads that a criterion values least."""
    scores = problem.scores([name])
    if (matrix := scores.similarity_matrix.get(name)) is not None:
        return _by_similarity(problem, name, matrix)
    values = scores.values[name]
    order = removal_order(values, CRITERIA[name].higher_means)
    removals = []
    for index, head in enumerate(order):
        place = f"place {len(order) - index} of {len(order)}"
        removals.append(Removal(head, f"{name} {values[head.layer, head.head]:.4g}, {place}"))
    return problem.in_order(removals)


def by_priority(problem: SearchProblem) -> list[Removal]:
    """The combined priority of the criteria, with the weights and directions of the options."""
    weights, directions = problem.options["weights"], problem.options["directions"]
    used = [name for name, weight in weights.items() if weight]
    scores = problem.scores(used)
    values = combined(scores, weights, directions)
    places = {
        name: ranks(scores.values[name], directions.get(name, CRITERIA[name].higher_means))
        for name in used
    }
    count, order = problem.mask.kept_count, list[Removal]()
    for head in removal_order(values):
        at = head.layer, head.head
        by_each = ", ".join(f"{places[name][at]} by {name}" for name in used)
        order.append(Removal(head, f"priority {values[at]:.2f}: place {by_each} of {count}"))
    return problem.in_order(order)


def _by_similarity(problem: SearchProblem, name: str, matrix: np.ndarray) -> list[Removal]:
    """Of two alike, one has to stay: the score is taken anew after every removal."""
    mask, chosen = problem.mask, list[Removal]()
    for _ in range(problem.count):
        values = similarity_to_kept(matrix, mask.array)
        removable = problem.constraints.removable(mask)
        head = max(removable, key=lambda one: float(values[one.layer, one.head]))
        mask = mask.without([head])
        chosen.append(Removal(head, f"{name} {values[head.layer, head.head]:.3f} to a kept head"))
    return chosen


RANDOM = SearchMethod(
    name="random",
    title="By chance",
    summary="Heads drawn at random: what every other method has to beat.",
    source="—",
    search=at_random,
)

COMBINED = SearchMethod(
    name="combined",
    title="Combined priority",
    summary="The heads that come last when criteria are weighed; unless told otherwise, "
    + ", ".join(f"{name} by {weight}" for name, weight in DEFAULT_WEIGHTS.items())
    + ", and stable heads stay.",
    source="Our reading of BHPVAS 2024",
    search=by_priority,
    defaults={"weights": DEFAULT_WEIGHTS, "directions": {}},
)


def one_shot(name: str) -> SearchMethod:
    """The method that follows one criterion of the registry."""
    criterion = CRITERIA[name]
    return SearchMethod(
        name=name,
        title=criterion.title,
        summary=f"The heads that come last by {criterion.title.lower()}, measured once.",
        source=criterion.source,
        search=lambda problem: by_criterion(problem, name),
    )
