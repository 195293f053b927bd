"""Shares of parts: widths by how far the answers move, repaired on the way.

How far the answers move when one attention or feed-forward part alone is narrowed is measured
(:mod:`~bhpvas.search.sensitivity`); taken for additive, it says which widths cost least at a
budget, for any number of budgets at once (:mod:`~bhpvas.search.budget`). At these widths each layer
is then narrowed and refitted, from the lowest up, on what the pruned network feeds it
(:mod:`~bhpvas.search.narrowing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from bhpvas import text
from bhpvas.heads import HeadMask
from bhpvas.progress import part
from bhpvas.recovery.base import LayerReport, Recovered
from bhpvas.recovery.closed_form import as_weights
from bhpvas.recovery.compensation import RECOVERY as COMPENSATION
from bhpvas.recovery.layerwise import (
    CalibrationPart,
    LayerwisePass,
    Originals,
    calibration_parts,
)
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.search.narrowing import narrow
from bhpvas.search.sensitivity import Sublayer, sensitivities
from bhpvas.search.shares import divergence
from bhpvas.search.target_base import Found, TargetMethod, TargetProblem, what_stays

# Shares of the neurons at which a feed-forward part is tried; between them the curve is straight.
_SHARES = (0, 1 / 24, 1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3)
# Sentences on which is measured how far the answers move.
_FEW = 160
# How long measuring the parts takes, and each target: measured with the sample model.
_MEASURING, _A_TARGET = 7, 3


def search(problem: TargetProblem) -> list[Found]:
    """Measure once, then narrow and refit for each target."""
    classifier, calibration, choices = problem.classifier, problem.calibration, problem.choices
    parts = calibration_parts(classifier, problem.encoded, seed=problem.seed)
    few = calibration
    if len(calibration) > _FEW:
        drawn = np.random.default_rng(problem.seed).permutation(len(calibration))[:_FEW]
        few = calibration.take(np.sort(drawn))
    steps = _MEASURING + _A_TARGET * len(problem.costs)
    measured = sensitivities(
        classifier,
        parts,
        calibration_parts(classifier, classifier.encode(few), seed=problem.seed),
        {what: _tried(counts) for what, counts in choices.items()},
        progress=part(problem.progress, 0, steps, _MEASURING),
    )
    moves = _moves(problem, measured)
    found = []
    for place, target in enumerate(problem.costs):
        plan = problem.plan(target, moves)
        alone = {
            one: float(moves[one][choices[one.what].index(count)]) for one, count in plan.items()
        }
        by_layer = np.zeros(classifier.geometry.layers)
        for one, by in alone.items():
            by_layer[one.layer] += by
        with torch.inference_mode():
            originals = Originals(classifier, parts)
            at = part(problem.progress, _MEASURING + _A_TARGET * place, steps, _A_TARGET)
            mask, fits = narrow(originals, plan, problem.constraints, progress=at)
            moved = divergence(classifier.task, originals.logits, fits.logits)
        found.append(
            Found(
                mask=mask,
                plan=plan,
                recovered=_recovered(problem, mask, fits, parts) if mask.changes else None,
                expected=sum(alone.values()),
                divergence=moved,
                reasons=_reasons(problem, plan, by_layer),
                alone=tuple(by_layer.tolist()),
            )
        )
    return found


def _tried(counts: Sequence[int]) -> list[int]:
    """At which of the widths a part is tried: all but the whole, or few of many."""
    *less, whole = counts
    if len(less) <= len(_SHARES):
        return less
    wanted = {min(less, key=lambda one: abs(one - share * whole)) for share in _SHARES}
    return sorted(wanted)


def _moves(
    problem: TargetProblem, measured: Mapping[Sublayer, np.ndarray]
) -> dict[Sublayer, np.ndarray]:
    """How far answers move for each width that a part may have; straight between two tried ones."""
    found = {}
    for one in problem.sublayers:
        counts = problem.choices[one.what]
        tried = _tried(counts)
        known = [*measured[one], 0.0] if tried else [0.0]
        found[one] = np.interp(counts, [*tried, counts[-1]], known)
    return found


def _recovered(
    problem: TargetProblem,
    mask: HeadMask,
    found: LayerwisePass,
    parts: Sequence[CalibrationPart],
) -> Recovered:
    """What was fitted, as the recovery is that it is."""
    return Recovered(
        method=COMPENSATION.name,
        mask=mask,
        weights=as_weights(problem.classifier, mask, found.fits, found.feed_forward_fits),
        layers=tuple(LayerReport.of(number, fit) for number, fit in found.fits.items()),
        calibration=problem.calibration.name,
        sentences=len(problem.calibration),
        held_out=sum(int(one.held_out.sum()) for one in parts),
        learnt_from=LearntSentences.of(problem.encoded.fingerprints),
        feed_forward=tuple(
            LayerReport.of(number, fit) for number, fit in found.feed_forward_fits.items()
        ),
    )


def _reasons(
    problem: TargetProblem, plan: Mapping[Sublayer, int], alone: np.ndarray
) -> tuple[str, ...]:
    """A clause for each layer: what it keeps, and what that moves where it alone is narrowed."""
    return tuple(
        f"{what_stays(problem, plan, layer)}: each narrowed alone, the answers would move by "
        f"{text.nats(by)} nats (KL) in all"
        for layer, by in enumerate(alone)
    )


METHOD = TargetMethod(
    name="shares",
    title="Shares by part",
    summary="Each attention and feed-forward part is narrowed alone, refitted, and measured by how "
    "far the answers move from the unpruned model's; the widths that move them least at the budget "
    "are taken, and each layer is narrowed and refitted on what the pruned network feeds it.",
    source="Ours; the order within a part is the optimal brain surgeon's (Hassibi, Stork 1993)",
    misleads="What parts move alone is added up, though together they may move the answers more. "
    "The weights are fitted to the calibration sentences: other kinds of sentences can lose more.",
    search=search,
    recovery=COMPENSATION.name,
)
