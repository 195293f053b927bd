"""Exact greedy: of a few candidates that the estimate names, the one that really costs least."""

from __future__ import annotations

import numpy as np

from bhpvas.criteria import score
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.engine import StateCache
from bhpvas.search.base import Method, Removal, SearchProblem


def search(task: SearchProblem) -> list[Removal]:
    """Measure the loss of every shortlisted removal and take the best; then look again."""
    task = task.sample(task.options["sentences"])
    cache = StateCache()
    mask, chosen = task.mask, list[Removal]()
    while len(chosen) < task.count:
        task.progress(len(chosen), task.count)
        scores = score(task.classifier, task.calibration, ["importance"], mask=mask)
        heads = task.constraints.removable(mask)
        estimated = Estimate.from_scores(scores).loss_change([mask.without([one]) for one in heads])
        shortlist = np.argsort(estimated, kind="stable")[: task.options["shortlist"]]
        losses = [
            evaluate(
                task.classifier, task.calibration, mask.without([heads[place]]), cache=cache
            ).loss
            for place in shortlist
        ]
        best = int(np.argmin(losses))
        head = heads[shortlist[best]]
        chosen.append(
            Removal(
                head,
                f"leaves the loss at {losses[best]:.4f}, the least of {len(losses)} measured",
            )
        )
        mask = mask.without([head])
    task.progress(task.count, task.count)
    return chosen


METHOD = Method(
    name="greedy",
    title="Greedy, exact",
    summary="One head at a time: the estimate names a few, the loss is measured for each, and the "
    "cheapest goes.",
    source="Backward elimination; the shortlist is our estimate's",
    search=search,
    defaults={"sentences": 256, "shortlist": 6},
)
