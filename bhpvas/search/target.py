"""Target: heads and neurons to remove until a share of the cost is left, repaired on the way.

How far the answers move when one attention or feed-forward part alone is narrowed is measured
(:mod:`~bhpvas.search.sensitivity`); taken for additive, it says which widths cost least at a
budget, for any number of budgets at once (:mod:`~bhpvas.search.budget`). At these widths each layer
is then narrowed and refitted, from the lowest up, on what the pruned network feeds it
(:mod:`~bhpvas.search.narrowing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np
import torch

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.progress import Progress, part, silent
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
from bhpvas.scheme.scheme import Scheme
from bhpvas.search.base import FREE, Constraints
from bhpvas.search.budget import Costs, Target
from bhpvas.search.narrowing import narrow
from bhpvas.search.sensitivity import Sublayer, What, sensitivities
from bhpvas.search.shares import divergence

Unit = Literal["heads", "neurons", "sublayers"]

#: What may be narrowed, if not told otherwise.
UNITS: tuple[Unit, ...] = ("heads", "neurons")
#: The name by which a step says how its heads and neurons were chosen.
METHOD = "target"
# Shares of the neurons at which a feed-forward part is tried; between them the curve is straight.
_SHARES = (0, 1 / 24, 1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3)
# Sentences on which is measured how far the answers move.
_FEW = 160
# Widths of a feed-forward part that may be chosen, about.
_STEPS = 96


def unit_named(name: str) -> Unit:
    """A unit by its name; raises :class:`BhpvasError` for any other."""
    for unit in get_args(Unit):
        if unit == name:
            return cast(Unit, unit)
    raise BhpvasError(f"{name!r} is no unit; choose from {', '.join(get_args(Unit))}.")


@dataclass(frozen=True)
class Narrowed:
    """What a search to a target found: a mask of heads and neurons, and weights fitted for it.

    ``cost`` is the share of the measure that stays, by arithmetic. ``expected`` is how far the
    answers were expected to move, the sum over parts that were narrowed alone, and ``divergence``
    how far they do once everything is refitted: mean KL divergence from the unpruned model in nats,
    on the calibration sentences.
    """

    target: Target
    mask: HeadMask
    recovered: Recovered
    cost: float
    expected: float
    divergence: float
    reasons: tuple[str, ...]
    settings: dict[str, Any] = field(hash=False)
    seed: int
    calibration: str
    sentences: int
    learnt_from: LearntSentences

    def record(self) -> dict[str, Any]:
        """What a scheme step keeps of it, ready for JSON."""
        return {
            **self.settings,
            "target": str(self.target),
            "cost": self.cost,
            "divergence": self.divergence,
            "calibration": {"name": self.calibration, "sentences": self.sentences},
            "reasons": list(self.reasons),
        }

    def on(self, scheme: Scheme) -> Scheme:
        """A scheme with what goes removed in one more step, and one with the fitted weights.

        It is the scheme itself where nothing goes. The weights are the caller's to save.
        """
        if not self.mask.changes:
            return scheme
        removed = scheme.removing(
            self.mask.masked,
            METHOD,
            self.record(),
            seed=self.seed,
            learnt_from=self.learnt_from,
            neurons=self.mask.neurons,
        )
        return self.recovered.on(removed, self.seed)


def narrow_to(
    classifier: Classifier,
    calibration: Dataset,
    targets: Sequence[Target],
    *,
    units: Sequence[Unit] = UNITS,
    multiple_of: int | None = None,
    constraints: Constraints = FREE,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Narrowed]:
    """Narrow the unpruned model to each target; one search serves them all.

    - ``calibration``: all sentences that anything is learnt from. Labels are not read.
    - ``units``: what may go; ``sublayers`` are whole attention or feed-forward parts, and nothing
      smaller then.
    - ``multiple_of``: numbers of neurons that a layer keeps are multiples of it (default: of a
      96th of all).
    - ``constraints``: heads that must stay.

    Raises :class:`BhpvasError` where a target cannot be reached, layers share their weights or the
    model is pruned already, and :class:`~bhpvas.errors.DataError` for fewer than two sentences.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take(range(16))
    >>> half, = narrow_to(bhpvas.load_classifier(), data, [Target("flops", 0.5)])
    >>> 0.48 < half.cost <= 0.5
    True
    """
    classifier = classifier.with_weights(None)
    classifier.check_removal()
    encoded = classifier.encode(calibration)
    choices = _choices(classifier, units, multiple_of, constraints)
    costs = {target: Costs.of(classifier, target, encoded.lengths) for target in targets}
    for target, cost in costs.items():
        cost.check(target, classifier.geometry.layers, choices)
    parts = calibration_parts(classifier, encoded, seed=seed)
    few = calibration
    if len(calibration) > _FEW:
        drawn = np.random.default_rng(seed).permutation(len(calibration))[:_FEW]
        few = calibration.take(np.sort(drawn))
    steps = 1 + len(targets)
    measured = sensitivities(
        classifier,
        parts,
        calibration_parts(classifier, classifier.encode(few), seed=seed),
        {what: _tried(classifier, what, counts) for what, counts in choices.items()},
        progress=part(progress, 0, steps),
    )
    moves = _moves(classifier, choices, measured)
    learnt = LearntSentences.of(encoded.fingerprints)
    settings: dict[str, Any] = {"units": list(units)}
    settings |= {} if multiple_of is None else {"multiple_of": multiple_of}
    if constraints.protected:
        settings["protected"] = [str(head) for head in sorted(constraints.protected)]
    if constraints.min_per_layer:
        settings["min_per_layer"] = constraints.min_per_layer
    found = []
    for place, (target, cost) in enumerate(costs.items(), 1):
        plan = cost.allotted(choices, moves)
        with torch.inference_mode():
            originals = Originals(classifier, parts)
            at = part(progress, place, steps)
            mask, fits = narrow(originals, plan, constraints, progress=at)
            moved = divergence(originals.logits, fits.logits)
        found.append(
            Narrowed(
                target=target,
                mask=mask,
                recovered=_recovered(classifier, mask, fits, calibration, parts, learnt),
                cost=cost.share_of(plan),
                expected=sum(
                    float(moves[one][choices[one.what].index(count)]) for one, count in plan.items()
                ),
                divergence=moved,
                reasons=_reasons(classifier, plan, choices, moves),
                settings=settings,
                seed=seed,
                calibration=calibration.name,
                sentences=len(calibration),
                learnt_from=learnt,
            )
        )
    return found


# --- what may be kept, and at what cost -----------------------------------------------------------


def _choices(
    classifier: Classifier,
    units: Sequence[Unit],
    multiple_of: int | None,
    constraints: Constraints,
) -> dict[What, list[int]]:
    """How many heads, and how many neurons, a layer may keep, ascending."""
    geometry = classifier.geometry
    if geometry.pruned or geometry.pruned_neurons is not None:
        raise BhpvasError(
            f"{classifier.name!r} lacks heads or neurons already: narrow the model that it was "
            "made from."
        )
    width = geometry.intermediate_size
    step = max(1, width // _STEPS) if multiple_of is None else multiple_of
    if not 0 < step <= width:
        raise BhpvasError(f"Widths cannot be multiples of {step}: a layer has {width:,} neurons.")
    heads, neurons = [*range(geometry.heads + 1)], sorted({*range(0, width, step), width})
    if "sublayers" in units:
        heads, neurons = [0, geometry.heads], [0, width]
    elif "heads" not in units:
        heads = [geometry.heads]
    elif "neurons" not in units:
        neurons = [width]
    least = constraints.min_per_layer
    return {"heads": [count for count in heads if count >= least], "neurons": neurons}


def _tried(classifier: Classifier, what: What, counts: Sequence[int]) -> list[int]:
    """At which of the widths a part is tried: all but the whole, or few of many."""
    *less, whole = counts
    if len(less) <= len(_SHARES):
        return less
    wanted = {min(less, key=lambda one: abs(one - share * whole)) for share in _SHARES}
    return sorted(wanted)


def _moves(
    classifier: Classifier,
    choices: Mapping[What, Sequence[int]],
    measured: Mapping[Sublayer, np.ndarray],
) -> dict[Sublayer, np.ndarray]:
    """How far answers move for each width that a part may have; straight between two tried ones."""
    found = {}
    for number in range(len(classifier.layers)):
        for what, counts in choices.items():
            tried, one = _tried(classifier, what, counts), Sublayer(number, what)
            known = [*measured[one], 0.0] if tried else [0.0]
            found[one] = np.interp(counts, [*tried, counts[-1]], known)
    return found


def _recovered(
    classifier: Classifier,
    mask: HeadMask,
    found: LayerwisePass,
    calibration: Dataset,
    parts: Sequence[CalibrationPart],
    learnt_from: LearntSentences,
) -> Recovered:
    """What was fitted, as the recovery is that it is."""
    return Recovered(
        method=COMPENSATION.name,
        mask=mask,
        weights=as_weights(classifier, mask, found),
        layers=tuple(LayerReport.of(number, fit) for number, fit in found.fits.items()),
        calibration=calibration.name,
        sentences=len(calibration),
        held_out=sum(int(one.held_out.sum()) for one in parts),
        learnt_from=learnt_from,
        feed_forward=tuple(
            LayerReport.of(number, fit) for number, fit in found.feed_forward_fits.items()
        ),
    )


def _reasons(
    classifier: Classifier,
    plan: Mapping[Sublayer, int],
    choices: Mapping[What, Sequence[int]],
    moves: Mapping[Sublayer, np.ndarray],
) -> tuple[str, ...]:
    """A clause for each layer: what it keeps, and what that moves where it alone is narrowed."""
    geometry, said = classifier.geometry, []
    for number in range(geometry.layers):
        heads, neurons = (plan[Sublayer(number, what)] for what in ("heads", "neurons"))
        alone = sum(
            float(moves[Sublayer(number, what)][choices[what].index(plan[Sublayer(number, what)])])
            for what in choices
        )
        said.append(
            f"layer {number} keeps {heads} of {geometry.heads} heads and {neurons:,} of "
            f"{geometry.intermediate_size:,} neurons: each narrowed alone, the answers would move "
            f"by {alone:.4f} nats (KL) in all"
        )
    return tuple(said)
