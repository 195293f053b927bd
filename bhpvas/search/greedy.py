"""Exact greedy: of a few candidates that the estimate names, the one that really costs least."""

from __future__ import annotations

import numpy as np

from bhpvas.criteria import score
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.states import StateCache
from bhpvas.search.base import Removal, SearchMethod, SearchProblem, equal_to, least


def search(problem: SearchProblem) -> list[Removal]:
    """Measure the loss of every shortlisted removal and take the best; then look again."""
    problem = problem.sample(problem.options["sentences"])
    classifier, data, cache = problem.classifier, problem.calibration, StateCache()
    mask, chosen = problem.mask, list[Removal]()
    while len(chosen) < problem.count:
        problem.progress(len(chosen), problem.count)
        scores = score(classifier, data, ["importance"], mask=mask)
        heads = problem.removable(mask)
        estimated = Estimate.from_scores(scores).loss_change(
            [problem.without(mask, [one]) for one in heads]
        )
        shortlist = np.argsort(estimated, kind="stable")[: problem.options["shortlist"]]
        losses = {
            heads[place]: evaluate(
                classifier, data, problem.without(mask, [heads[place]]), cache=cache
            ).loss
            for place in shortlist
        }
        head, others = least(losses, losses.__getitem__)
        reason = f"leaves the loss at {losses[head]:z.4f}, the least of {len(losses)} measured"
        chosen.append(Removal(head, reason + equal_to(others)))
        mask = problem.without(mask, [head])
    problem.progress(problem.count, problem.count)
    return chosen


METHOD = SearchMethod(
    name="greedy",
    title="Greedy, exact",
    summary="One head at a time: the estimate names a few, the loss is measured for each, and the "
    "cheapest goes.",
    source="Backward elimination; the shortlist is our estimate's",
    search=search,
    defaults={"sentences": 256, "shortlist": 6},
)
