"""Search: proposals of heads to remove, each with its reason, and curves that judge them.

One module holds one method, one registry names them. It imports storage, data, model, criteria,
evaluation, recovery and the files at the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bhpvas.criteria import CRITERIA
from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import check_finite, predict
from bhpvas.progress import Progress, silent
from bhpvas.recovery import recover
from bhpvas.search import (
    greedy,
    iterative,
    layers,
    mask_search,
    one_shot,
    reconstruction,
    redundancy,
    shares,
)
from bhpvas.search.base import (
    FREE,
    Constraints,
    Method,
    Proposal,
    Removal,
    SearchProblem,
    checked_count,
)

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "Constraints",
    "Method",
    "Proposal",
    "Removal",
    "method_named",
    "propose",
]

#: Every method by name, from the simplest on.
METHODS: dict[str, Method] = {
    one.name: one
    for one in (
        one_shot.RANDOM,
        one_shot.one_shot("importance"),
        one_shot.one_shot("fisher"),
        one_shot.COMBINED,
        iterative.METHOD,
        redundancy.METHOD,
        mask_search.METHOD,
        reconstruction.METHOD,
        shares.METHOD,
        greedy.METHOD,
        layers.METHOD,
    )
}
#: Where no method is named: that of the largest mean area on the sample model over five calibration
#: draws, after a thorough recovery (docs/benchmarks.md).
DEFAULT_METHOD = "shares"


def method_named(name: str) -> Method:
    """A method of the registry, or the one that follows any criterion by its name.

    Raises :class:`BhpvasError` for a name that is neither.
    """
    if name in METHODS:
        return METHODS[name]
    if name in CRITERIA:
        return one_shot.one_shot(name)
    raise BhpvasError(
        f"{name!r} is no method; choose from {', '.join(METHODS)}, or a criterion: "
        f"{', '.join(sorted(CRITERIA.keys() - METHODS.keys()))}."
    )


def propose(
    classifier: Classifier,
    calibration: Dataset,
    method: str = DEFAULT_METHOD,
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

    Everything is learnt from the calibration sentences. With ``max_drop``, a share between 0 and 1,
    only as many heads go as keep the accuracy on these sentences within it, found by bisection; for
    a method that is made for it, after compensation. ``options`` override the method's defaults.

    ``method`` is a key of :data:`METHODS`, where each has its source, or a criterion's name.

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
    chosen = method_named(method)
    unknown = set(options or {}) - set(chosen.defaults)
    if unknown:
        raise BhpvasError(
            f"{sorted(unknown)[0]!r} is no option of {method}: it has "
            f"{', '.join(chosen.defaults) or 'none'}."
        )
    if chosen.for_compensation:
        classifier.check_removal()
    start = mask or classifier.full_mask()
    task = SearchProblem(
        classifier=classifier,
        calibration=calibration.aligned(classifier.label_names),
        mask=start,
        count=checked_count(start, heads, constraints),
        constraints=constraints,
        seed=seed,
        progress=progress,
        options={**chosen.defaults, **(options or {})},
    )
    found = chosen.search(task) if max_drop is None else _within(max_drop, task, chosen)
    settings: dict[str, Any] = {"heads": heads, **task.options}
    if constraints.protected:
        settings["protected"] = [str(head) for head in sorted(constraints.protected)]
    if constraints.min_per_layer:
        settings["min_per_layer"] = constraints.min_per_layer
    if max_drop is not None:
        settings |= {"max_drop": max_drop, "measured": _measured(chosen)}
    return Proposal(
        method=method,
        start=start,
        removals=tuple(found),
        settings=settings,
        seed=seed,
        calibration=calibration.name,
        sentences=len(calibration),
    )


def _measured(method: Method) -> str:
    return "after compensation" if method.for_compensation else "as masked"


def _within(max_drop: float, task: SearchProblem, method: Method) -> list[Removal]:
    """The longest proposal that bisection finds within a drop of accuracy.

    Accuracy need not fall steadily with every head, so a longer one may exist.
    """
    encoded = task.classifier.encode(task.calibration)
    before = _accuracy(task, encoded, task.mask, method.for_compensation)
    longest: list[Removal] = []

    def proposal(count: int) -> list[Removal]:
        nonlocal longest
        if not method.nested:
            return method.search(replace(task, count=count))
        if count > len(longest):
            # Most often less than half may go. Where it may, all are searched for, once.
            longest = method.search(replace(task, count=task.count if longest else count))
        return longest[:count]

    fits: list[Removal] = []
    low, high = 0, task.count + 1
    while high - low > 1:
        middle = (low + high) // 2
        removals = proposal(middle)
        mask = task.mask.without([removal.head for removal in removals])
        if before - _accuracy(task, encoded, mask, method.for_compensation) <= max_drop:
            low, fits = middle, removals
        else:
            high = middle
    return fits


def _accuracy(
    task: SearchProblem, encoded: Any, mask: HeadMask, compensated: bool = False
) -> float:
    classifier = task.classifier
    if compensated and mask.masked:
        recovered = recover(classifier, task.calibration, mask, seed=task.seed)
        classifier = classifier.with_weights(recovered.weights)
    logits = predict(classifier, encoded, mask)
    check_finite(logits, task.calibration.name)
    return float(np.mean(logits.argmax(1) == task.calibration.labels))
