"""Proposal: heads that a method would remove, by number or within a drop of accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import check_finite, predict
from bhpvas.progress import Progress, part, silent
from bhpvas.recovery import Recovered, recover
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from bhpvas.search.base import FREE, Constraints, Removal, SearchMethod, SearchProblem
from bhpvas.search.registry import default_method, method_named
from bhpvas.text import plural


@dataclass(frozen=True)
class Proposal:
    """Heads that a method would remove, first to go first, with a reason for each.

    ``learnt_from`` are the sentences that it was free to look at, none where heads are drawn.
    ``recovered`` is the compensation after which they are within a drop of accuracy. None where no
    drop was given, where the method is not made for compensation and the heads are therefore within
    it as masked, and where no head goes.
    """

    method: str
    start: HeadMask
    removals: tuple[Removal, ...]
    settings: dict[str, Any] = field(hash=False)
    seed: int
    calibration: str
    sentences: int
    learnt_from: LearntSentences
    recovered: Recovered | None = field(default=None, repr=False)

    def record(self) -> dict[str, Any]:
        """What a scheme step keeps of it, ready for JSON."""
        return {
            **self.settings,
            "calibration": {"name": self.calibration, "sentences": self.sentences},
            "reasons": [[str(removal.head), removal.reason] for removal in self.removals],
        }

    def on(self, scheme: Scheme) -> Scheme:
        """A scheme with these heads removed in one more step, and one with what was ``recovered``.

        It is the scheme itself where no head goes. The weights themselves are the caller's to save.
        """
        if not self.removals:
            return scheme
        scheme = scheme.removing(
            self.heads, self.method, self.record(), seed=self.seed, learnt_from=self.learnt_from
        )
        return scheme if self.recovered is None else self.recovered.on(scheme, self.seed)

    @property
    def heads(self) -> tuple[HeadId, ...]:
        """The removed heads in order."""
        return tuple(removal.head for removal in self.removals)

    @property
    def mask(self) -> HeadMask:
        """The mask that results."""
        return self.start.without(self.heads)


def propose(
    classifier: Classifier,
    calibration: Dataset,
    method: str | None = None,
    *,
    heads: int,
    mask: HeadMask | None = None,
    constraints: Constraints = FREE,
    max_drop: float | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Proposal:
    """Choose ``heads`` more heads to remove from a mask (default: all kept), first to go first.

    - ``calibration``: all sentences that anything is learnt from.
    - ``method``: a key of :data:`~bhpvas.search.registry.METHODS`, where each has its source, or a
      criterion's name; its defaults are overridden by ``options``. Where none is given it is
      :func:`~bhpvas.search.registry.default_method`.
    - ``constraints``: heads that must stay.
    - ``heads``: of layers that share their weights a head leaves all of them at once and counts as
      often, so it may be fewer: as many such as fit into the number.
    - ``max_drop``: a share between 0 and 1; only as many heads go as keep the accuracy (of another
      task its headline, such as the Pearson correlation) on the calibration sentences within it,
      found by bisection: counted from the classifier as it is given under ``mask``; for a method
      that is made for it, to the mask that results after compensation, which is then in
      ``recovered`` and belongs with the mask.

    A method that is made for compensation, which refits the weights that the model was loaded with,
    looks at those.

    Raises :class:`~bhpvas.errors.BhpvasError` for an unknown method or option, or where so many
    heads cannot go under the constraints, or cannot be compensated as the method has it.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take(range(8))
    >>> found = bhpvas.propose(bhpvas.load_classifier(), data, "importance", heads=18)
    >>> len(found.removals), found.mask.kept_count
    (18, 54)
    >>> found.removals[0].reason.endswith("place 72 of 72")
    True
    """
    chosen = method_named(method or default_method(classifier.geometry))
    method = chosen.name
    unknown = set(options or {}) - set(chosen.defaults)
    if unknown:
        raise BhpvasError(
            f"{sorted(unknown)[0]!r} is no option of {method}: it has "
            f"{', '.join(chosen.defaults) or 'none'}."
        )
    if chosen.for_compensation:
        classifier.check_apart(
            f"the method {method} refits one layer after the other: choose another, such as "
            "importance, and compensate afterwards"
        )
    start = mask or classifier.full_mask()
    most = constraints.most(start)
    if not 0 <= heads <= most:
        raise BhpvasError(
            f"{heads} heads cannot be removed: {most} of the {start.kept_count} kept heads may go "
            f"({len(constraints.protected)} protected, at least {constraints.min_per_layer} a "
            "layer)."
        )
    at_once = max(map(len, classifier.geometry.groups), default=1)
    if 0 < heads < at_once:
        raise BhpvasError(
            f"{plural(heads, 'head')} cannot be removed: a head leaves the {at_once} layers that "
            f"use its weights at once and counts in each, so remove {at_once} or more."
        )
    problem = SearchProblem(
        classifier=classifier.with_weights(None) if chosen.for_compensation else classifier,
        calibration=calibration.for_task(classifier.task),
        mask=start,
        count=heads // at_once,
        constraints=constraints,
        seed=seed,
        progress=progress,
        options={**chosen.defaults, **(options or {})},
    )
    if problem.groups:
        problem = replace(problem, count=min(problem.count, problem.room()))
    found, recovered = (
        (chosen.proposed(problem), None)
        if max_drop is None
        else _within(max_drop, classifier, problem, chosen)
    )
    looked_at = calibration.take([]) if method == "random" and max_drop is None else calibration
    settings: dict[str, Any] = {"heads": heads, **problem.options}
    if constraints.protected:
        settings["protected"] = [str(head) for head in sorted(constraints.protected)]
    if constraints.min_per_layer:
        settings["min_per_layer"] = constraints.min_per_layer
    if max_drop is not None:
        settings["max_drop"] = max_drop
        settings["measured"] = "after compensation" if chosen.for_compensation else "as masked"
    return Proposal(
        method=method,
        start=start,
        removals=tuple(problem.in_each_layer(found)),
        settings=settings,
        seed=seed,
        calibration=calibration.name,
        sentences=len(calibration),
        learnt_from=LearntSentences.of(classifier.encode(looked_at).fingerprints),
        recovered=recovered,
    )


def _within(
    max_drop: float, start: Classifier, problem: SearchProblem, method: SearchMethod
) -> tuple[list[Removal], Recovered | None]:
    """The longest proposal that bisection finds within a drop of the headline, and its recovery.

    The headline need not fall steadily with every head, so a longer one may exist.
    """
    encoded = start.encode(problem.calibration)
    longest: list[Removal] = []

    def headline(classifier: Classifier, mask: HeadMask) -> float:
        logits = predict(classifier, encoded, mask)
        check_finite(logits, problem.calibration.name)
        return start.task.headline_value(logits, problem.calibration.labels)

    halvings = problem.count.bit_length()  # at most

    def proposal(count: int, halving: int) -> list[Removal]:
        nonlocal longest
        if not method.nested:
            at = part(problem.progress, halving, halvings + 1)
            return method.proposed(replace(problem, count=count, progress=at))
        if count > len(longest):
            # Most often less than half may go. Where it may, all are searched for, once.
            # Two searches at most, and what is measured after them: a third of the work each.
            at = part(problem.progress, 1 if longest else 0, 3)
            wanted = problem.count if longest else count
            longest = method.proposed(replace(problem, count=wanted, progress=at))
        elif halving > 1:
            problem.progress(2 * halvings + halving, 3 * halvings)
        return longest[:count]

    metric = start.task.headline
    before = headline(start, problem.mask)
    if not isfinite(before):
        raise BhpvasError(
            f"The {metric.title_in_text} of the model is not defined on "
            f"{problem.calibration.name}, so no drop of it can be bounded: take sentences whose "
            "labels and answers vary, or leave the drop out."
        )
    fits, compensation = list[Removal](), None
    low, high = 0, problem.count + 1
    for halving in range(halvings):
        if high - low == 1:
            break
        middle = (low + high) // 2
        removals = proposal(middle, halving)
        mask = problem.without(problem.mask, [removal.head for removal in removals])
        changed, recovered = problem.classifier, None
        if method.for_compensation:
            recovered = recover(changed, problem.calibration, mask, seed=problem.seed)
            changed = changed.with_weights(recovered.weights)
        if before - headline(changed, mask) <= max_drop:
            low, fits, compensation = middle, removals, recovered
        else:
            high = middle
    problem.progress(1, 1)
    return fits, compensation
