"""Iterative importance: measured anew as heads leave (Michel, Levy, Neubig 2019, section 4)."""

from __future__ import annotations

from bhpvas.criteria import CRITERIA, removal_order, score
from bhpvas.search.base import Removal, SearchMethod, SearchProblem


def search(problem: SearchProblem) -> list[Removal]:
    """Remove a few of the least valued heads, score what is left, and so on."""
    name = problem.options["criterion"]
    a_round = max(1, round(problem.options["share"] * problem.mask.kept_count))
    mask, chosen = problem.mask, list[Removal]()
    while len(chosen) < problem.count:
        problem.progress(len(chosen), problem.count)
        scores = score(problem.classifier, problem.calibration, [name], mask=mask)
        values = scores.values[name]
        order = removal_order(values, CRITERIA[name].higher_means)
        left, removed = min(a_round, problem.count - len(chosen)), len(mask.removed)
        for place, head in enumerate(order):
            if left and problem.constraints.allows(mask, head):
                left -= 1
                mask = mask.without([head])
                reason = (
                    f"{name} {values[head.layer, head.head]:.4g} with {removed} heads gone, "
                    f"place {len(order) - place} of {len(order)}"
                )
                chosen.append(Removal(head, reason))
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
