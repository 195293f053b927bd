"""Iterative importance: measured anew as heads leave (Michel, Levy, Neubig 2019, section 4)."""

from __future__ import annotations

from bhpvas.criteria import CRITERIA, places, removal_order
from bhpvas.search.base import Removal, SearchMethod, SearchProblem
from bhpvas.search.one_shot import because


def search(problem: SearchProblem) -> list[Removal]:
    """Remove a few of the least valued heads, score what is left, and so on."""
    name = problem.options["criterion"]
    a_round = max(1, round(problem.options["share"] * len(problem.removable(problem.mask))))
    mask, chosen = problem.mask, list[Removal]()
    while len(chosen) < problem.count:
        problem.progress(len(chosen), problem.count)
        scores = problem.scores([name], mask)
        values, place = scores.values[name], places(scores, name)
        order = removal_order(
            values,
            CRITERIA[name].higher_means,
            kept=scores.mask.kept,
            dead=scores.dead,
            seed=problem.seed,
        )
        left, when = min(a_round, problem.count - len(chosen)), f" with {len(mask.removed)} gone"
        for head in order:
            if left and problem.allows(mask, head):
                left -= 1
                mask = problem.without(mask, [head])
                chosen.append(Removal(head, because(name, values, place, head, when)))
    problem.progress(problem.count, problem.count)
    return chosen


METHOD = SearchMethod(
    name="iterative",
    title="Iterative importance",
    summary="The least important heads go a few at a time, and importance is measured again.",
    source="Michel, Levy, Neubig 2019, Are Sixteen Heads Really Better than One?",
    search=search,
    defaults={"criterion": "importance", "share": 0.1},
)
