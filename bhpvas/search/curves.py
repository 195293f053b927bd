"""Accuracy against heads removed: what judges a method's order, beside random orders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Curve:
    """A method's accuracy and loss on the evaluation split after each number of removals.

    ``removed`` rises from 0; ``recovery`` is the name of what followed each removal, or None.
    """

    method: str
    recovery: str | None
    seed: int
    total: int
    removed: tuple[int, ...]
    accuracy: tuple[float, ...]
    loss: tuple[float, ...]

    @property
    def area(self) -> float:
        """Mean accuracy over all numbers of removals that were measured, by the trapezoid rule.

        As a share of 1, over the same range for every curve with the same ``removed``; higher =
        better.
        """
        width = self.removed[-1] - self.removed[0]
        return float(np.trapezoid(self.accuracy, self.removed) / width) if width else np.nan

    def frame(self) -> pd.DataFrame:
        """One row a point, ready for a table or a figure."""
        return pd.DataFrame(
            {
                "method": self.method,
                "recovery": self.recovery or "none",
                "seed": self.seed,
                "removed": self.removed,
                "kept": self.total - np.array(self.removed),
                "accuracy": self.accuracy,
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

    The search and the recovery see the calibration split only. ``removed`` are the numbers of
    removed heads to measure, rising. What the ``store`` knows is not computed again.
    """
    store = store or Store()
    counts = _rising(removed)
    learnt = _learnt(classifier, calibration, method, seed, options)
    masks: dict[int, HeadMask] = {}
    found = []
    for done, count in enumerate(counts):
        alive = _still(progress, done, len(counts))
        alive(0, 0)
        if count not in masks:
            masks |= _masks(
                classifier, calibration, method, counts[done:], seed, options, store, learnt, alive
            )
        found.append(
            _measured(
                classifier, calibration, evaluation, masks[count], recovery, seed, store, alive
            )
        )
    progress(len(counts), len(counts))
    return _curve(classifier, method, recovery, seed, counts, found)


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
    """As :func:`measure_curve`, for an order of heads that is known: the first to go comes first.

    ``name`` stands for the method; no number of ``removed`` is above the length of the order.
    """
    store, counts = store or Store(), _rising(removed)
    found = []
    for done, count in enumerate(counts):
        alive = _still(progress, done, len(counts))
        alive(0, 0)
        mask = classifier.full_mask().without(order[:count])
        found.append(
            _measured(classifier, calibration, evaluation, mask, recovery, seed, store, alive)
        )
    progress(len(counts), len(counts))
    return _curve(classifier, name, recovery, seed, counts, found)


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
    learnt = _learnt(classifier, calibration, method, seed, options)
    full, nested = classifier.full_mask(), method_named(method).nested
    found: dict[int, dict[str, float]] = {}
    for count in counts:
        order = store.get(["order", *learnt, counts[-1] if nested else count])
        if order is not None:
            mask = full.without(map(HeadId.parse, order[:count]))
            key = _point(classifier, calibration, evaluation, mask, recovery, seed)
            if (point := store.get(key)) is not None:
                found[count] = point
    if not found:
        return None
    return _curve(classifier, method, recovery, seed, tuple(found), list(found.values()))


def _still(progress: Progress, done: int, total: int) -> Progress:
    """The callback of work between two points: it can be stopped, and counts for nothing yet."""
    return lambda _done, _total: progress(done, total)


def _rising(removed: Sequence[int]) -> tuple[int, ...]:
    counts = tuple(int(count) for count in removed)
    assert list(counts) == sorted(set(counts)), counts
    return counts


def _learnt(
    classifier: Classifier,
    calibration: Dataset,
    method: str,
    seed: int,
    options: Mapping[str, Any] | None,
) -> list[Any]:
    return [classifier.identity, calibration.fingerprint, method, seed, dict(options or {})]


def _curve(
    classifier: Classifier,
    method: str,
    recovery: str | None,
    seed: int,
    counts: tuple[int, ...],
    found: Sequence[Mapping[str, float]],
) -> Curve:
    return Curve(
        method=method,
        recovery=recovery,
        seed=seed,
        total=classifier.full_mask().kept_count,
        removed=counts,
        accuracy=tuple(one["accuracy"] for one in found),
        loss=tuple(one["loss"] for one in found),
    )


def _masks(
    classifier: Classifier,
    calibration: Dataset,
    method: str,
    counts: Sequence[int],
    seed: int,
    options: Mapping[str, Any] | None,
    store: Store,
    learnt: list[Any],
    progress: Progress,
) -> dict[int, HeadMask]:
    """The masks of all counts if one search gives them, else that of the first."""
    nested = method_named(method).nested
    longest = max(counts) if nested else counts[0]
    known = store.get(["order", *learnt, longest])
    if known is None:
        proposal = propose(
            classifier,
            calibration,
            method,
            heads=longest,
            seed=seed,
            options=options,
            progress=progress,
        )
        known = [str(head) for head in proposal.heads]
        store.put(["order", *learnt, longest], known)
    full = classifier.full_mask()
    return {
        count: full.without(map(HeadId.parse, known[:count]))
        for count in (counts if nested else counts[:1])
    }


def _measured(
    classifier: Classifier,
    calibration: Dataset,
    evaluation: Dataset,
    mask: HeadMask,
    recovery: str | None,
    seed: int,
    store: Store,
    progress: Progress,
) -> dict[str, float]:
    key = _point(classifier, calibration, evaluation, mask, recovery, seed)
    known = store.get(key)
    if known is None:
        changed = classifier
        if recovery is not None and mask.masked:
            fitted = recover(classifier, calibration, mask, recovery, seed=seed, progress=progress)
            changed = classifier.with_weights(fitted.weights)
        result = evaluate(changed, evaluation, mask, progress=progress)
        known = {"accuracy": result.accuracy, "loss": result.loss}
        store.put(key, known)
    return dict(known)


def _point(
    classifier: Classifier,
    calibration: Dataset,
    evaluation: Dataset,
    mask: HeadMask,
    recovery: str | None,
    seed: int,
) -> list[Any]:
    """What names a point in the store; a mask that removes nothing is never recovered."""
    key: list[Any] = ["point", classifier.identity, evaluation.fingerprint]
    key += [format_heads(mask.removed)]
    recovered = recovery is not None and mask.masked
    return key + ([recovery, calibration.fingerprint, seed] if recovered else [None])


def band(curves: Sequence[Curve], level: float = stats.BAND) -> pd.DataFrame:
    """What lies between the tails of several curves, such as those of random orders.

    One row a point: removed, kept, low, median, high of the accuracy; ``level`` 0.9 is 5 to 95%.
    """
    assert len({curve.removed for curve in curves}) == 1
    accuracies = np.array([curve.accuracy for curve in curves])
    low, median, high = stats.band(accuracies, level)
    removed = np.array(curves[0].removed)
    return pd.DataFrame(
        {
            "removed": removed,
            "kept": curves[0].total - removed,
            "low": low,
            "median": median,
            "high": high,
        }
    )


def areas(curves: Sequence[Curve]) -> pd.DataFrame:
    """The area under each curve, best first: method, recovery, seeds, area (mean), low, high.

    Curves of one method and recovery are one row; ``low`` and ``high`` are their extremes.
    """
    rows = pd.DataFrame(
        [
            {"method": one.method, "recovery": one.recovery or "none", "area": one.area}
            for one in curves
        ]
    )
    groups = rows.groupby(["method", "recovery"], sort=False)["area"]
    table = groups.agg(seeds="size", area="mean", low="min", high="max").reset_index()
    return table.sort_values("area", ascending=False, kind="stable", ignore_index=True)
