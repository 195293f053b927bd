"""One-shot orders, by one look at the unpruned model: by chance, by a criterion, by a priority."""

from __future__ import annotations

import numpy as np

from bhpvas.criteria import (
    CRITERIA,
    DEFAULT_WEIGHTS,
    combined,
    places,
    ranks,
    removal_order,
    similarity_to_kept,
)
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.comparison import random_order
from bhpvas.heads import HeadId, HeadMask
from bhpvas.search.base import Removal, SearchMethod, SearchProblem, equal_to, least


def at_random(problem: SearchProblem) -> list[Removal]:
    """Every order of the heads is as likely as any other."""
    order = random_order(problem.mask, problem.seed)
    return problem.in_order([Removal(head, "drawn by chance") for head in order])


def by_criterion(problem: SearchProblem, name: str) -> list[Removal]:
    """The heads that a criterion values least.

    Raises :class:`BhpvasError` where it is undefined of every head.
    """
    scores = problem.scores([name], progress=problem.progress)
    values, kept = scores.values[name], scores.mask.kept
    if np.isnan(values[kept]).all():
        raise BhpvasError(
            f"{name} puts no heads in order on {scores.dataset}: it is undefined of a head "
            f"{CRITERIA[name].undefined}. Take other sentences, or another method."
        )
    if (matrix := scores.similarity_matrix.get(name)) is not None:
        return _by_similarity(problem, name, matrix)
    place = places(scores, name)
    order = removal_order(
        values, CRITERIA[name].higher_means, kept=kept, dead=scores.dead, seed=problem.seed
    )
    return problem.in_order([Removal(head, because(name, values, place, head)) for head in order])


def because(name: str, values: np.ndarray, place: np.ndarray, head: HeadId, when: str = "") -> str:
    """Why a head goes by a criterion: its value, its place, and how many have the same."""
    here = values[head.layer, head.head], place[head.layer, head.head]
    value = "undefined" if np.isnan(here[0]) else f"{here[0]:z.4g}"
    last, others = f"{here[1]:g} of {(place > 0).sum()}", int((place == here[1]).sum()) - 1
    return f"{name} {value}{when}, place {last}{equal_to(others)}"


def by_priority(problem: SearchProblem) -> list[Removal]:
    """The combined priority of the criteria, with the weights and directions of the options."""
    weights, directions = problem.options["weights"], problem.options["directions"]
    used = [name for name, weight in weights.items() if weight]
    scores = problem.scores(used, progress=problem.progress)
    values = combined(scores, weights, directions)
    place = {name: places(scores, name, directions.get(name)) for name in used}
    whole, count, order = ranks(values), scores.mask.kept_count, list[Removal]()
    for head in removal_order(values, seed=problem.seed):
        at = head.layer, head.head
        by_each = ", ".join(f"{place[name][at]:g} by {name}" for name in used)
        others = equal_to(int((whole == whole[at]).sum()) - 1)
        said = f"priority {values[at]:z.2f}: place {by_each} of {count}{others}"
        order.append(Removal(head, said))
    return problem.in_order(order)


def _by_similarity(problem: SearchProblem, name: str, matrix: np.ndarray) -> list[Removal]:
    """Of two alike, one has to stay: the score is taken anew after every removal."""
    mask, chosen = problem.mask, list[Removal]()
    for _ in range(problem.count):
        removable = problem.removable(mask)
        # Undefined of a head that says nothing, and of the last one.
        if problem.groups:
            costs = {head: -_to_others(problem, matrix, mask, head) for head in removable}
        else:
            values = np.nan_to_num(similarity_to_kept(matrix, mask.array), nan=np.inf)
            costs = {head: -float(values[head.layer, head.head]) for head in removable}
        head, others = least(costs, costs.__getitem__)
        mask, value = problem.without(mask, [head]), -costs[head]
        said = f"{name} {value:z.3f} to a kept head" if np.isfinite(value) else f"{name} undefined"
        chosen.append(Removal(head, said + equal_to(others)))
    return chosen


def _to_others(problem: SearchProblem, matrix: np.ndarray, mask: HeadMask, head: HeadId) -> float:
    """How alike a head is to heads that stay without it, the sum over its layers."""
    without = problem.without(mask, [head]).array
    total = 0.0
    for one in problem.everywhere(head):
        if one not in mask.removed:
            beside = without.copy()
            beside[one.layer, one.head] = 1
            total += float(similarity_to_kept(matrix, beside)[one.layer, one.head])
    return np.inf if np.isnan(total) else total


RANDOM = SearchMethod(
    name="random",
    title="By chance",
    summary="Heads drawn at random: what every other method has to beat.",
    source="—",
    search=at_random,
    by_chance=True,
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
