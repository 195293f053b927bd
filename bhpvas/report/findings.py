"""Findings: everything that a report says of a scheme, measured anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bhpvas.criteria import DEFAULT_CRITERIA, Scores, score
from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.ablation import Ablation, ablate
from bhpvas.evaluation.data_record import DataRecord, data_record
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.evaluation.learnt_from import LearntFrom, learnt_before, learnt_from
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.model.latency import Latencies, measure_latency
from bhpvas.model.states import StateCache
from bhpvas.progress import Progress, silent
from bhpvas.recovery import RECOVERIES
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import Step
from bhpvas.search.curves import Curve, Store, measure_curve, measure_order
from bhpvas.stats import RANDOM_ORDERS
from bhpvas.tasks.base import Task

#: Points of a curve, about.
POINTS = 8
#: Sentences at once where latency is measured.
BATCH = 8
#: The method whose order stands beside the scheme's own.
REFERENCE = "importance"
#: What the curve of the scheme's own order is called.
OWN = "this scheme"


@dataclass(frozen=True)
class ReportSettings:
    """What a report is to hold beyond what is always there.

    ``random`` is the number of random orders, ``ablation`` whether every head is removed alone,
    ``tokens`` the length at which latency is measured (None: it is not).
    """

    random: int = RANDOM_ORDERS
    ablation: bool = False
    tokens: int | None = None
    seed: int = 0

    def check(self) -> ReportSettings:
        """This; raises :class:`BhpvasError` for what cannot be."""
        if self.random < 0:
            raise BhpvasError(f"{self.random} random orders cannot be drawn: give 0 or more.")
        return self


@dataclass(frozen=True, eq=False)
class Findings:
    """What was measured of a scheme's current step, and on the way to it.

    ``evaluations`` are those of the steps on the path, by number, the unpruned model's first.
    ``scores`` and ``ablation`` are of the unpruned model on the calibration split. ``curves`` are
    the scheme's own order, unless it removes neurons as well, and that of :data:`REFERENCE`, each
    as it is and, where the scheme was recovered in closed form, recovered; ``random`` are those of
    random orders, not recovered.
    ``lengths`` are tokens a sentence of the evaluation split, ``fingerprints`` those of its
    sentences as the model reads them; ``read`` is what was read of it, ``read_calibration`` that of
    the calibration split, with which it has so many sentences ``shared``.
    """

    classifier: Classifier
    scheme: Scheme
    calibration: Dataset
    evaluation: Dataset
    asked: ReportSettings
    evaluations: dict[int, Evaluation]
    scores: Scores
    ablation: Ablation | None
    curves: tuple[Curve, ...]
    random: tuple[Curve, ...]
    latencies: Latencies | None
    lengths: np.ndarray
    fingerprints: np.ndarray
    read: DataRecord
    read_calibration: DataRecord
    shared: int

    @property
    def mask(self) -> HeadMask:
        """The mask of the current step."""
        return self.after.mask

    @property
    def task(self) -> Task:
        """What the outputs of the model answer."""
        return self.classifier.task

    @property
    def before(self) -> Evaluation:
        """The unpruned model on the evaluation split."""
        return next(iter(self.evaluations.values()))

    @property
    def after(self) -> Evaluation:
        """The model of the current step on the evaluation split."""
        return self.evaluations[self.scheme.current]

    def metrics(self) -> dict[int, dict[str, Any]]:
        """The metrics of every step that is known to have been measured on the evaluation split.

        Those of the path are measured now; a branch has what the scheme keeps of it.
        """
        geometry, found = self.classifier.geometry, {}
        for step in self.scheme.steps:
            if step.id in self.evaluations:
                one = self.evaluations[step.id]
                found[step.id] = one.metrics() | {
                    "parameters": parameters(geometry, one.mask),
                    "flops_per_sentence": flops_per_sentence(geometry, one.mask, self.lengths),
                }
            elif step.measured_on(self.evaluation.fingerprint, self.task):
                found[step.id] = step.metrics
        return found

    @cached_property
    def learnt_from(self) -> LearntFrom:
        """How many of the evaluation sentences the current step, or one before it, learnt from."""
        return learnt_from(self.scheme, self.fingerprints, self.before, self.after)

    @property
    def fairness(self) -> str:
        """Whether the headline is of sentences that the scheme learnt from, in words."""
        warnings = self.learnt_from.warnings()
        return " ".join(warnings) or "The scheme learnt from none of these sentences."

    def learnt_before(self, step: Step) -> LearntFrom:
        """The same of any step that was measured on the evaluation split."""
        return learnt_before(self.scheme, self.fingerprints, step.id)


def measure(
    classifier: Classifier,
    scheme: Scheme,
    *,
    calibration: Dataset,
    evaluation: Dataset,
    weights: str | Path,
    asked: ReportSettings,
    known: Mapping[int, Evaluation] | None = None,
    store: Store | None = None,
    progress: Progress = silent,
) -> Findings:
    """Measure the current step of a scheme, and all on the way to it.

    ``calibration`` is learnt from, ``evaluation`` measured on; ``weights`` is the folder of the
    scheme's recovered weights, ``asked`` what is wanted beyond the usual. ``known`` evaluations of
    steps, by number, and points of curves in the ``store`` are not measured again.
    """
    asked.check()
    calibration = calibration.for_task(classifier.task)
    evaluation = evaluation.for_task(classifier.task)
    path, store, known = scheme.path(), store or Store(), dict(known or {})
    changed = scheme.on(classifier, weights)
    plain = classifier.with_weights(None)
    removed, total = len(scheme.mask.masked), scheme.mask.kept_count + len(scheme.mask.masked)
    # After how many removals a curve has a point.
    counts = sorted({*range(0, total, max(total // POINTS, 1)), removed, total})
    # Whose order is followed, and what recovers the model after each removal.
    last = next((step.method for step in reversed(path) if step.what == "recover"), None)
    own = removed and scheme.mask.masked_neurons is None  # curves remove heads alone
    names = [OWN, REFERENCE] if own else [REFERENCE]
    recoveries = [None, last] if last in RECOVERIES else [None]
    lines = [(name, recovery) for recovery in recoveries for name in names]
    parts = _parts(
        progress,
        [
            *(1 for _ in path),
            5,
            *([max(scheme.layers * scheme.heads // 3, 1)] if asked.ablation else []),
            *(len(counts) * (4 if recovery else 1) for _, recovery in lines),
            *(len(counts) for _ in range(asked.random)),
            *([2] if asked.tokens else []),
        ],
    )

    cache, loaded = StateCache(), dict[str | None, Classifier]({None: plain})
    loaded[scheme.weights] = changed
    evaluations = {}
    for step in path:
        here = scheme.at(step.id)
        if here.weights not in loaded:
            loaded[here.weights] = here.on(classifier, weights)
        then = next(parts)
        evaluations[step.id] = known.get(step.id) or evaluate(
            loaded[here.weights], evaluation, here.mask, cache=cache, progress=then
        )
    scores = score(plain, calibration, DEFAULT_CRITERIA, progress=next(parts))
    ablation = ablate(plain, calibration, progress=next(parts)) if asked.ablation else None
    data = (plain, calibration, evaluation)
    curves = [
        _curve(data, scheme, name, recovery, counts, store=store, progress=next(parts))
        for name, recovery in lines
    ]
    random = [
        measure_curve(*data, "random", counts, seed=seed, store=store, progress=next(parts))
        for seed in range(asked.seed, asked.seed + asked.random)
    ]
    latencies = None
    if asked.tokens:
        latencies = measure_latency(
            {"unpruned": (plain, plain.full_mask()), "pruned": (changed, scheme.mask)},
            batch=BATCH,
            length=asked.tokens,
            progress=next(parts),
        )
    encoded, learnable = plain.encode(evaluation), plain.encode(calibration)
    return Findings(
        classifier=plain,
        scheme=scheme,
        calibration=calibration,
        evaluation=evaluation,
        asked=asked,
        evaluations=evaluations,
        scores=scores,
        ablation=ablation,
        curves=tuple(curves),
        random=tuple(random),
        latencies=latencies,
        lengths=encoded.lengths,
        fingerprints=encoded.fingerprints,
        read=data_record(plain, evaluation, encoded, unpruned=next(iter(evaluations.values()))),
        read_calibration=data_record(plain, calibration, learnable),
        shared=int(np.isin(encoded.fingerprints, learnable.fingerprints).sum()),
    )


def own_order(scheme: Scheme) -> list[HeadId]:
    """The heads that the current step lacks, in the order in which they left.

    Within a step it is that of the proposal, where the step keeps one, else that of the layers.
    """
    order: list[HeadId] = []
    for step in scheme.path():
        if step.what == "remove":
            places = {name: place for place, (name, _) in enumerate(reasons(step))}
            order += sorted(step.heads, key=lambda head: places.get(str(head), len(places)))
        elif step.what == "restore":
            order = [head for head in order if head not in step.heads]
    return order


def reasons(step: Step) -> list[tuple[str, str]]:
    """Each proposed head of a step with its reason, first to go first; empty where none is kept."""
    kept = step.settings.get("reasons")
    if not isinstance(kept, list):
        return []
    names = set(map(str, step.heads))
    pairs = [pair for pair in kept if isinstance(pair, list) and len(pair) == 2]
    return [(head, why) for head, why in pairs if isinstance(why, str) and str(head) in names]


def layer_reasons(step: Step) -> list[str]:
    """A clause a layer of a step that a search to a target took; empty where none is kept."""
    kept = step.settings.get("reasons")
    if not isinstance(kept, list) or not all(isinstance(why, str) for why in kept):
        return []
    return kept


def _curve(
    data: tuple[Classifier, Dataset, Dataset],
    scheme: Scheme,
    name: str,
    recovery: str | None,
    counts: Sequence[int],
    **more: Any,
) -> Curve:
    """The curve of an order by its ``name``, with the seed of the scheme's own recovery."""
    seed = next((step.seed for step in scheme.path() if step.method == recovery), None) or 0
    more |= {"recovery": recovery, "seed": seed}
    if name != OWN:
        return measure_curve(*data, name, counts, **more)
    order = own_order(scheme)
    reached = [count for count in counts if count <= len(order)]
    return measure_order(*data, order, reached, name=name, **more)


def _parts(progress: Progress, sizes: Sequence[int]) -> Iterator[Progress]:
    """The callbacks of parts of some work, one after another, that are unequally long."""
    scale, begun = 100, 0
    whole = scale * sum(sizes)
    for size in sizes:

        def within(done: int, total: int, begun: int = begun, size: int = size) -> None:
            progress(begun + scale * size * done // max(total, 1), whole)

        within(0, 1)
        yield within
        begun += scale * size
