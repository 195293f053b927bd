"""Target: heads and neurons to remove until a share of the cost is left.

What may be narrowed and what it costs stands here and in :mod:`~bhpvas.search.budget`; which heads
and neurons go, and what is fitted then, is a method's (:data:`~bhpvas.search.registry.TO_TARGET`).
The default one is in :mod:`~bhpvas.search.target_shares`, which says which file does what of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import What
from bhpvas.model.weights import Weights
from bhpvas.progress import Progress, part, silent
from bhpvas.recovery.base import Recovered
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from bhpvas.search.base import FREE, Constraints
from bhpvas.search.budget import Costs, Target
from bhpvas.search.latency import Milliseconds, Stopwatch
from bhpvas.search.registry import DEFAULT_METHOD, to_target_named
from bhpvas.search.target_base import Found, TargetProblem
from bhpvas.storage.results import Results

Unit = Literal["heads", "neurons", "sublayers"]

#: What may be narrowed, if not told otherwise.
UNITS: tuple[Unit, ...] = ("heads", "neurons")
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

    ``recovered`` is None where the method leaves its masks as they are, and where nothing goes.
    ``cost`` is the share of the measure that stays, by arithmetic, of a time as it was predicted;
    ``milliseconds`` how that was measured then, None of other measures. ``expected`` is how far the
    answers were expected to move, the sum over parts that were narrowed alone, None where the
    method does not say, and ``divergence`` how far they do with the fitted weights, if there are
    any: mean KL divergence from the unpruned model in nats, on the calibration sentences.
    """

    method: str
    target: Target
    mask: HeadMask
    recovered: Recovered | None
    cost: float
    expected: float | None
    divergence: float
    reasons: tuple[str, ...]
    settings: dict[str, Any] = field(hash=False)
    seed: int
    calibration: str
    sentences: int
    learnt_from: LearntSentences
    milliseconds: Milliseconds | None = None
    alone: tuple[float, ...] | None = None

    @property
    def weights(self) -> Weights | None:
        """The fitted weights, None where there are none."""
        return None if self.recovered is None else self.recovered.weights

    def record(self) -> dict[str, Any]:
        """What a scheme step keeps of it, ready for JSON."""
        timed = self.milliseconds
        return {
            **self.settings,
            "target": str(self.target),
            "cost": self.cost,
            "recovery": None if self.recovered is None else self.recovered.method,
            **({} if timed is None else {"milliseconds": timed.record()}),
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
            self.method,
            self.record(),
            seed=self.seed,
            learnt_from=self.learnt_from,
            neurons=self.mask.neurons,
        )
        return removed if self.recovered is None else self.recovered.on(removed, self.seed)


def narrow_to(
    classifier: Classifier,
    calibration: Dataset,
    targets: Sequence[Target],
    method: str = DEFAULT_METHOD,
    *,
    units: Sequence[Unit] = UNITS,
    multiple_of: int | None = None,
    constraints: Constraints = FREE,
    seed: int = 0,
    results: Results | None = None,
    progress: Progress = silent,
) -> list[Narrowed]:
    """Narrow the unpruned model to each target; one search serves them all.

    - ``calibration``: all sentences that anything is learnt from.
    - ``method``: a key of :data:`~bhpvas.search.registry.TO_TARGET`, where each has its source,
      says what it ends with, and whether it reads labels.
    - ``units``: what may go; ``sublayers`` are whole attention and feed-forward parts, of which
      nothing smaller goes unless ``heads`` or ``neurons`` are named, too.
    - ``multiple_of``: numbers of neurons that a layer keeps are multiples of it (default: of a
      96th of all), or all of them; only where ``neurons`` may go.
    - ``constraints``: heads that must stay.
    - ``results``: where the tables of latencies are kept that targets of milliseconds need.

    A target's time is that of its engine, batch and length (``Target("latency", 0.5, timing=
    Timing("onnx", 1, 64))``, ``Target("latency", None, 12.0, Timing("torch", 8, 32))``): parts of
    several widths are timed once a machine and model, in some seconds, the rest is a search like
    any other, and what was found is timed in turns with the unpruned model
    (:attr:`Narrowed.milliseconds`).

    Raises :class:`BhpvasError` for an unknown method, and where a target cannot be reached, layers
    share their weights or the model is pruned already, and :class:`~bhpvas.errors.DataError` where
    something is to be fitted to fewer than two sentences.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take(range(16))
    >>> half, = narrow_to(bhpvas.load_classifier(), data, [Target("flops", 0.5)])
    >>> 0.48 < half.cost <= 0.5
    True
    """
    chosen = to_target_named(method)
    classifier = classifier.with_weights(None)
    classifier.check_apart(
        "a target is searched for in one layer after the other: propose a number of heads instead"
    )
    if chosen.reads_labels:
        calibration = calibration.for_task(classifier.task)
    encoded = classifier.encode(calibration)
    choices = _choices(classifier, units, multiple_of, constraints)
    timings = dict.fromkeys(target.timing for target in targets if target.timing is not None)
    watches = {timing: Stopwatch(classifier, timing, results) for timing in timings}
    jobs = len(watches) + 1
    costs = dict[Target, Costs]()
    for target in targets:
        if target.timing is None:
            costs[target] = Costs.of(classifier, target, encoded.lengths)
        else:
            at = part(progress, list(watches).index(target.timing), jobs)
            costs[target] = watches[target.timing].costs(target, choices, at)
    problem = TargetProblem(
        classifier=classifier,
        calibration=calibration,
        encoded=encoded,
        choices=choices,
        costs=costs,
        constraints=constraints,
        seed=seed,
        progress=part(progress, jobs - 1, jobs),
    )
    fewest = {one: problem.fewest(one) for one in problem.sublayers}
    for target, cost in problem.costs.items():
        cost.check(target, fewest)
    learnt_from = LearntSentences.of(encoded.fingerprints if chosen.learns else ())
    settings: dict[str, Any] = {"units": list(units)}
    settings |= {} if multiple_of is None else {"multiple_of": multiple_of}
    if constraints.protected:
        settings["protected"] = [str(head) for head in sorted(constraints.protected)]
    if constraints.min_per_layer:
        settings["min_per_layer"] = constraints.min_per_layer

    def timed(target: Target, one: Found) -> Milliseconds | None:
        if target.timing is None:
            return None
        weights = None if one.recovered is None else one.recovered.weights
        narrowed = classifier.with_weights(weights)
        return watches[target.timing].timed(narrowed, one.mask, costs[target], one.plan)

    return [
        Narrowed(
            method=method,
            target=target,
            mask=one.mask,
            recovered=one.recovered,
            cost=cost.share_of(one.plan),
            expected=one.expected,
            divergence=one.divergence,
            reasons=one.reasons,
            settings=settings,
            seed=seed,
            calibration=calibration.name,
            sentences=len(calibration),
            learnt_from=learnt_from,
            milliseconds=timed(target, one),
            alone=one.alone,
        )
        for (target, cost), one in zip(problem.costs.items(), chosen.search(problem), strict=True)
    ]


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
    if multiple_of is not None and "neurons" not in units:
        raise BhpvasError(
            f"Multiples of {multiple_of} are numbers of neurons, and none of these may go by "
            f"themselves: add the unit neurons to {', '.join(units)}, or ask for no multiples."
        )
    step = max(1, width // _STEPS) if multiple_of is None else multiple_of
    if not 0 < step <= width:
        raise BhpvasError(f"Widths cannot be multiples of {step}: a layer has {width:,} neurons.")
    none = {0} if "sublayers" in units else set[int]()
    heads = set(range(geometry.heads)) if "heads" in units else none
    neurons = set(range(0, width, step)) if "neurons" in units else none
    least = min(constraints.min_per_layer, geometry.heads)
    return {
        "heads": [count for count in sorted({*heads, geometry.heads}) if count >= least],
        "neurons": sorted({*neurons, width}),
    }
