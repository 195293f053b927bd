"""Curves of a headline against heads removed, which judge a method's order beside random ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bhpvas import stats
from bhpvas.data.dataset import Dataset
from bhpvas.errors import DataError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask, format_heads
from bhpvas.model.classifier import Classifier
from bhpvas.progress import Progress, silent
from bhpvas.recovery import recover
from bhpvas.search.proposal import propose
from bhpvas.search.registry import method_named
from bhpvas.storage.files import not_written
from bhpvas.tasks.base import Metric
from bhpvas.tasks.single_label import ACCURACY


@dataclass(frozen=True)
class Curve:
    """A method's headline and loss on the evaluation split after each number of removals.

    ``removed`` rises from 0; ``recovery`` is the name of what followed each removal, or None.
    ``headline`` are the values of the ``metric``, NaN where it is not defined.
    """

    method: str
    recovery: str | None
    seed: int
    total: int
    removed: tuple[int, ...]
    headline: tuple[float, ...]
    loss: tuple[float, ...]
    metric: Metric = ACCURACY

    @property
    def area(self) -> float:
        """Mean headline over all numbers of removals that were measured, by the trapezoid rule.

        Of an accuracy a share of 1, over the same range for every curve with the same ``removed``;
        higher = better. What is not defined, as a correlation of scores that are all the same, is
        left out.
        """
        values, removed = np.array(self.headline), np.array(self.removed)
        known = np.isfinite(values)
        values, removed = values[known], removed[known]
        width = np.ptp(removed) if len(removed) else 0
        return float(np.trapezoid(values, removed) / width) if width else np.nan

    def frame(self) -> pd.DataFrame:
        """One row a point, ready for a table or a figure."""
        return pd.DataFrame(
            {
                "method": self.method,
                "recovery": self.recovery or "none",
                "seed": self.seed,
                "removed": self.removed,
                "kept": self.total - np.array(self.removed),
                self.metric.name: self.headline,
                "loss": self.loss,
            }
        )


class Store:
    """What was measured, as a file of one JSON line a result, so that work can be resumed.

    A line that was cut off when the work stopped is measured again. Without a path it only
    remembers; ``known`` is what another one remembered. Unlike :mod:`bhpvas.storage.results`, its
    file is a document of the person's own, from which nothing ever leaves.
    """

    def __init__(
        self, path: str | Path | None = None, known: Mapping[str, Any] | None = None
    ) -> None:
        self.path = None if path is None else Path(path)
        self._known: dict[str, Any] = dict(known or {})
        if self.path is not None and self.path.exists():
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                    self._known[json.dumps(entry["key"])] = entry["value"]
                except (ValueError, KeyError, TypeError):
                    continue  # cut off, so unknown

    @property
    def known(self) -> dict[str, Any]:
        """All that is stored, by the keys as JSON."""
        return dict(self._known)

    def get(self, key: Sequence[Any]) -> Any:
        """What was stored under a key, or None."""
        return self._known.get(json.dumps(key))

    def put(self, key: Sequence[Any], value: Any) -> None:
        """Remember a value, and append it to the file.

        Raises :class:`DataError` where the file cannot be written.
        """
        self._known[json.dumps(key)] = value
        if self.path is None:
            return
        line = json.dumps({"key": key, "value": value})
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                # After a line that was cut off, a new one begins.
                file.write(f"\n{line}" if file.tell() else line)
        except OSError as error:
            raise DataError(not_written("The results", self.path, error)) from None


@dataclass(frozen=True, eq=False)
class _Study:
    """A method's masks, recovered on one split and measured on another.

    The orders in which it removes heads and the points are kept in the store. ``longest`` is the
    largest number of removals.
    """

    classifier: Classifier
    calibration: Dataset
    evaluation: Dataset
    recovery: str | None
    seed: int
    store: Store
    method: str
    options: Mapping[str, Any] | None = None
    longest: int = 0

    @property
    def metric(self) -> Metric:
        """What the curve is of."""
        return self.classifier.task.headline

    def order_key(self, count: int) -> list[Any]:
        """What names an order in the store: one search gives all shorter ones if it is nested."""
        learnt = self.classifier.identity, self.calibration.fingerprint, self.method, self.seed
        searched = self.longest if method_named(self.method).nested else count
        return ["order", *learnt, dict(self.options or {}), searched]

    def known_mask(self, count: int) -> HeadMask | None:
        """The mask after so many removals, if the store knows the order."""
        order = self.store.get(self.order_key(count))
        if order is None:
            return None
        return self.classifier.full_mask().without(map(HeadId.parse, order[:count]))

    def mask(self, count: int, progress: Progress) -> HeadMask:
        """The mask after so many removals, searched for if the store does not know the order."""
        known = self.known_mask(count)
        if known is not None:
            return known
        key = self.order_key(count)
        proposal = propose(
            self.classifier,
            self.calibration,
            self.method,
            heads=key[-1],
            seed=self.seed,
            options=self.options,
            progress=progress,
        )
        self.store.put(key, [str(head) for head in proposal.heads])
        return proposal.start.without(proposal.heads[:count])

    def point_key(self, mask: HeadMask) -> list[Any]:
        """What names a point in the store; a mask that removes nothing is never recovered."""
        key = ["point", self.classifier.identity, self.evaluation.fingerprint]
        key += [format_heads(mask.removed)]
        recovered = self.recovery is not None and mask.masked
        return key + (
            [self.recovery, self.calibration.fingerprint, self.seed] if recovered else [None]
        )

    def measured(self, mask: HeadMask, progress: Progress) -> dict[str, float]:
        """Headline, by its name, and loss under a mask, from the store if it knows them."""
        key = self.point_key(mask)
        known = self.store.get(key)
        if known is None:
            changed = self.classifier
            if self.recovery is not None and mask.masked:
                learnt, seed = self.calibration, self.seed
                fitted = recover(changed, learnt, mask, self.recovery, seed=seed, progress=progress)
                changed = changed.with_weights(fitted.weights)
            result = evaluate(changed, self.evaluation, mask, progress=progress)
            known = {self.metric.name: result.headline_value, "loss": result.loss}
            self.store.put(key, known)
        return dict(known)

    def measured_curve(
        self, counts: Sequence[int], masks: Callable[[int, Progress], HeadMask], progress: Progress
    ) -> Curve:
        """The curve through the masks that ``masks`` gives after each number of removals.

        What can only be masked cannot be recovered, and has no point on a curve that recovers.
        """
        found: dict[int, dict[str, float]] = {}
        for done, count in enumerate(counts):
            alive = _still(progress, done, len(counts))
            alive(0, 0)
            mask = masks(count, alive)
            if self.recovery is None or self.classifier.geometry.removable(mask) == mask:
                found[count] = self.measured(mask, alive)
        progress(len(counts), len(counts))
        return self.curve(found)

    def curve(self, found: Mapping[int, Mapping[str, float]]) -> Curve:
        """The curve through the points found, by the number of removals."""
        return Curve(
            method=self.method,
            recovery=self.recovery,
            seed=self.seed,
            total=self.classifier.full_mask().kept_count,
            removed=tuple(found),
            headline=tuple(one[self.metric.name] for one in found.values()),
            loss=tuple(one["loss"] for one in found.values()),
            metric=self.metric,
        )


def measure_curve(
    classifier: Classifier,
    calibration: Dataset,
    evaluation: Dataset,
    method: str,
    removed: Sequence[int],
    *,
    recovery: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    store: Store | None = None,
    progress: Progress = silent,
) -> Curve:
    """Follow a method's proposals and measure each on the evaluation split.

    - ``calibration``: all that the search and the recovery see.
    - ``evaluation``: what is measured, and nothing else is.
    - ``method``: as :func:`~bhpvas.search.proposal.propose` takes it, with its ``options``.
    - ``removed``: the numbers of removed heads to measure, rising.
    - ``recovery``: the name of what follows each removal, or None.
    - ``seed``: of the search and the recovery.
    - ``store``: what it knows is not computed again.
    """
    store, counts = store or Store(), _rising(removed)
    given = classifier, calibration, evaluation, recovery, seed, store
    study = _Study(*given, method, options, max(counts, default=0))
    return study.measured_curve(counts, study.mask, progress)


def measure_order(
    classifier: Classifier,
    calibration: Dataset,
    evaluation: Dataset,
    order: Sequence[HeadId],
    removed: Sequence[int],
    *,
    name: str,
    recovery: str | None = None,
    seed: int = 0,
    store: Store | None = None,
    progress: Progress = silent,
) -> Curve:
    """As :func:`measure_curve`, for an ``order`` of heads that is known, the first to go first.

    ``name`` stands for the method; no number of ``removed`` is above the length of the order.
    """
    full, counts = classifier.full_mask(), _rising(removed)
    study = _Study(classifier, calibration, evaluation, recovery, seed, store or Store(), name)
    return study.measured_curve(counts, lambda count, _: full.without(order[:count]), progress)


def known_curve(
    classifier: Classifier,
    calibration: Dataset,
    evaluation: Dataset,
    method: str,
    removed: Sequence[int],
    *,
    recovery: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    store: Store,
) -> Curve | None:
    """Those points of a curve that the ``store`` knows; None where it knows none of them.

    Arguments as for :func:`measure_curve`; nothing is computed.
    """
    counts = _rising(removed)
    given = classifier, calibration, evaluation, recovery, seed, store
    study = _Study(*given, method, options, max(counts, default=0))
    found = {}
    for count in counts:
        mask = study.known_mask(count)
        if mask is not None and (point := store.get(study.point_key(mask))) is not None:
            found[count] = point
    return study.curve(found) if found else None


def _still(progress: Progress, done: int, total: int) -> Progress:
    """The callback of work between two points: it can be stopped, and counts for nothing yet."""
    return lambda _done, _total: progress(done, total)


def _rising(removed: Sequence[int]) -> tuple[int, ...]:
    counts = tuple(int(count) for count in removed)
    assert list(counts) == sorted(set(counts)), counts
    return counts


def band(curves: Sequence[Curve], level: float = stats.BAND) -> pd.DataFrame:
    """What lies between the tails of several curves, such as those of random orders.

    One row a point: removed, kept, low, median, high of the headline; ``level`` 0.9 is 5 to 95%.
    """
    assert len({curve.removed for curve in curves}) == 1
    values = np.array([curve.headline for curve in curves])
    low, median, high = stats.band(values, level)
    removed = np.array(curves[0].removed)
    columns = {"removed": removed, "kept": curves[0].total - removed}
    return pd.DataFrame(columns | {"low": low, "median": median, "high": high})


def areas(curves: Sequence[Curve]) -> pd.DataFrame:
    """The area under each curve, best first: method, recovery, seeds, area (mean), low, high.

    Curves of one method and recovery are one row; ``low`` and ``high`` are their extremes.
    """
    found = [(one.method, one.recovery or "none", one.area) for one in curves]
    rows = pd.DataFrame(found, columns=["method", "recovery", "area"])
    groups = rows.groupby(["method", "recovery"], sort=False)["area"]
    table = groups.agg(seeds="size", area="mean", low="min", high="max").reset_index()
    return table.sort_values("area", ascending=False, kind="stable", ignore_index=True)
