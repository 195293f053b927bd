"""Importance taken anew as heads leave (Michel, Levy, Neubig 2019, section 4)."""

from __future__ import annotations

from bhpvas.criteria import CRITERIA, removal_order, score
from bhpvas.search.base import Method, Removal, SearchProblem


def search(task: SearchProblem) -> list[Removal]:
    """Remove a few of the least valued heads, score what is left, and so on."""
    name = task.options["criterion"]
    a_round = max(1, round(task.options["share"] * task.mask.kept_count))
    mask, chosen = task.mask, list[Removal]()
    while len(chosen) < task.count:
        task.progress(len(chosen), task.count)
        scores = score(task.classifier, task.calibration, [name], mask=mask)
        values = scores.values[name]
        order = removal_order(values, CRITERIA[name].higher_means)
        left, gone = min(a_round, task.count - len(chosen)), len(mask.removed)
        for place, head in enumerate(order):
            if left and task.constraints.allows(mask, head):
                left -= 1
                mask = mask.without([head])
                chosen.append(
                    Removal(
                        head,
                        f"{name} {values[head.layer, head.head]:.4g} with {gone} heads gone, place "
                        f"{len(order) - place} of {len(order)}",
                    )
                )
    task.progress(task.count, task.count)
    return chosen


METHOD = Method(
    name="iterative",
    title="Iterative importance",
    summary="The least important heads go a few at a time, and importance is measured again.",
    source="Michel, Levy, Neubig 2019, Are Sixteen Heads Really Better than One?",
    search=search,
    defaults={"criterion": "importance", "share": 0.1},
)
