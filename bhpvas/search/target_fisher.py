"""Fisher mask search to a target: heads and neurons by Kwon et al. 2022, tuned as they do.

Three stages: the units of least Fisher information go, at the widths that the budget buys best
(4.1); in each layer they are exchanged for others while that lowers the sum over its block of the
Fisher matrix (4.2); one factor for each unit that stays is fitted layer by layer (4.3, *rescale*).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bhpvas.model.engine import predict
from bhpvas.progress import Progress, part
from bhpvas.recovery.closed_form import recover
from bhpvas.recovery.rescaling import RECOVERY as RESCALING
from bhpvas.search.budget import Target
from bhpvas.search.fisher import Fisher, fisher_information
from bhpvas.search.mask_search import METHOD as HEADS
from bhpvas.search.mask_search import rearranged
from bhpvas.search.sensitivity import Sublayer
from bhpvas.search.target_base import Found, TargetMethod, TargetProblem, what_stays
from bhpvas.search.target_values import (
    divergence_of,
    going,
    lost,
    mask_without,
    orders_of,
    share_lost,
)

# Bytes that the blocks of neurons may take at once; layers beyond it cost passes of their own.
_BLOCK_BYTES = 128 * 2**20

#: The units that go, of each part.
_Gone = dict[Sublayer, np.ndarray]


def search(problem: TargetProblem) -> list[Found]:
    """The masks of least Fisher information, rearranged, and the factors fitted for each."""
    classifier, steps = problem.classifier, 1 + len(problem.costs)
    layers = range(classifier.geometry.layers)
    room = max(1, _BLOCK_BYTES // (8 * problem.units("neurons") ** 2))
    groups = [layers[first : first + room] for first in layers[::room]]
    fisher = _fisher(problem, groups[0], part(problem.progress, 0, steps * len(groups)))
    values = _values(fisher)
    orders = orders_of(problem, values)
    moves = lost(problem, values, orders)
    plans = {target: problem.plan(target, moves) for target in problem.costs}
    warm = {target: going(problem, plan, orders) for target, plan in plans.items()}
    gone: dict[Target, _Gone] = {target: {} for target in warm}
    for place, group in enumerate(groups):
        if place:
            at = part(problem.progress, place, steps * len(groups))
            fisher = _fisher(problem, group, at)
        for one in (one for one in problem.sublayers if one.layer in group):
            block = (fisher.heads if one.what == "heads" else fisher.blocks)[one.layer]
            for target, first in warm.items():
                gone[target][one] = rearranged(block, first[one], orders[one])
    original, found = predict(classifier, problem.encoded), []
    for place, (target, plan) in enumerate(plans.items(), 1):
        mask, recovered = mask_without(problem, gone[target]), None
        if mask.changes:
            recovered = recover(
                classifier,
                problem.calibration,
                mask,
                RESCALING.name,
                seed=problem.seed,
                progress=part(problem.progress, place, steps),
            )
        found.append(
            Found(
                mask=mask,
                plan=plan,
                recovered=recovered,
                expected=None,
                divergence=divergence_of(problem, original, mask, recovered),
                reasons=tuple(
                    f"{what_stays(problem, plan, layer)}: the units of it with the least Fisher "
                    f"information, {100 * share_lost(values, warm[target], layer):.1f}% of its "
                    f"sum, went first, and then {_exchanged(warm[target], gone[target], layer)}"
                    for layer in layers
                ),
            )
        )
    return found


def _fisher(problem: TargetProblem, layers: Sequence[int], progress: Progress) -> Fisher:
    labels = problem.calibration.labels
    return fisher_information(problem.classifier, problem.encoded, labels, layers, progress)


def _values(fisher: Fisher) -> _Gone:
    """The diagonal, as a value of each unit."""
    found = {}
    for layer, (block, neurons) in enumerate(zip(fisher.heads, fisher.neurons, strict=True)):
        found[Sublayer(layer, "heads")] = block.diagonal()
        found[Sublayer(layer, "neurons")] = neurons
    return found


def _exchanged(before: _Gone, after: _Gone, layer: int) -> str:
    """How many units of a layer stay after all, and others go in their place."""
    heads, neurons = (
        len(np.setdiff1d(before[one], after[one]))
        for one in (Sublayer(layer, "heads"), Sublayer(layer, "neurons"))
    )
    return f"{heads} heads and {neurons:,} neurons were exchanged for others of it"


METHOD = TargetMethod(
    name=HEADS.name,
    title=HEADS.title,
    summary="The heads and neurons with the least Fisher information at the budget, rearranged "
    "within each layer so that those that stand in for each other do not go together; then one "
    "factor for each that stays, fitted layer by layer.",
    source=HEADS.source,
    misleads="It is local: it speaks of a small turn of every gate, not of taking half of them "
    "away, and a few hard sentences decide it. It reads labels. The factors are pulled towards one "
    "as much as held-out sentences say, where the paper's are damped and bounded.",
    search=search,
    recovery=RESCALING.name,
    reads_labels=True,
)
