"""Step: one change of the mask or of the weights, with what was measured after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bhpvas.heads import HeadId
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.tasks.base import Measured, Task
from bhpvas.tasks.single_label import SingleLabel

What = Literal["start", "remove", "restore", "recover"]

#: The method of heads that a person chose.
BY_HAND = "by hand"
#: The method of a start with a model that was itself made by a scheme.
EXPORTED = "export"

_LARGEST_METRIC = 1e30
# Metrics beside the accuracy that a step may have; an accuracy may lie so far beside its interval.
_MORE_METRICS = ("loss", "f1", "matthews", "parameters", "flops_per_sentence")
_HAIR = 1e-6


@dataclass(frozen=True)
class Step:
    """One change of the mask: ``heads`` and ``neurons`` (None: none) went or came back; ``removed``
    and ``removed_neurons`` are all that are removed since.

    A step "recover" changes no head; ``weights`` is the hash of what it changed, else None.
    ``learnt_from`` are the sentences that chose the heads or fitted the weights, empty where no
    sentence did, None where that is not known. ``settings``, ``metrics`` and ``extra`` are ready
    for JSON and never written to; ``extra`` holds what a later version of bhpvas wrote into the
    file. ``time`` is ISO 8601.
    """

    id: int
    parent: int | None
    what: What
    heads: tuple[HeadId, ...]
    removed: frozenset[HeadId]
    method: str
    settings: dict[str, Any] = field(hash=False)
    seed: int | None
    metrics: dict[str, Any] = field(hash=False)
    time: str
    note: str = ""
    weights: str | None = None
    learnt_from: LearntSentences | None = None
    neurons: NeuronSet | None = None
    removed_neurons: NeuronSet | None = None
    extra: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def origin_unknown(self) -> bool:
        """Whether it learnt from sentences of which the scheme keeps nothing.

        So it is in older files, and where a link was opened elsewhere. What a person chose, and
        what was drawn at random, counts as learnt from none where nothing is kept of it.
        """
        drawn = self.method == "random" and "max_drop" not in self.settings
        return self.method not in ("", BY_HAND) and not drawn and self.learnt_from is None

    def measured_on(self, data: str, task: Task | None = None) -> bool:
        """Whether ``metrics`` are whole, of the ``task`` (None: as they say), and of the sentences
        with this fingerprint.

        A file may say anything there. What no evaluation would say counts as not measured.
        """
        known = self.metrics
        more = [known[name] for name in _MORE_METRICS if known.get(name) is not None]
        if known.get("data_fingerprint") != data or not _are_numbers([known.get("n"), *more]):
            return False
        if task is not None and (task.name, task.setting) != _task_of(known):
            return False
        whole = _headline_is_whole if known.get("accuracy") is None else _accuracy_is_whole
        return known["n"] >= 1 and whole(known)

    @property
    def headline(self) -> Measured:
        """The headline of ``metrics``, which are whole."""
        return headline_in(self.metrics)


def headline_in(metrics: Mapping[str, Any]) -> Measured:
    """The headline of metrics that are whole: an accuracy, unless they name another."""
    if metrics.get("accuracy") is not None:
        return Measured(metrics["accuracy"], *metrics["accuracy_interval"])
    return Measured.of(metrics["metrics"][metrics["headline"]])


def _task_of(known: dict[str, Any]) -> tuple[Any, Any]:
    """Name and setting of the task that metrics are of; older ones are of one label."""
    return known.get("task", SingleLabel.name), known.get("setting", "")


def _accuracy_is_whole(known: dict[str, Any]) -> bool:
    """Whether an accuracy may be what it says, beside its interval."""
    interval: Any = known.get("accuracy_interval")
    if not _are_numbers(interval, 2) or not _are_numbers([known["accuracy"]]):
        return False
    low, high = interval
    inside = -_HAIR <= low <= known["accuracy"] + _HAIR
    return inside and known["accuracy"] - _HAIR <= high <= 1 + _HAIR


def _headline_is_whole(known: dict[str, Any]) -> bool:
    """Whether every metric by name may be what it says: a value in its interval, or neither."""
    named, headline = known.get("metrics"), known.get("headline")
    if not isinstance(named, dict) or not isinstance(headline, str) or headline not in named:
        return False
    return all(isinstance(one, dict) and _is_whole(**one) for one in named.values())


def _is_whole(value: Any = None, interval: Any = None, **_: Any) -> bool:
    """Whether a value that is defined lies in its interval, where that is defined."""
    if interval is None:
        return value is None or _are_numbers([value])
    if not _are_numbers(interval, 2) or not _are_numbers([value]):
        return False
    return bool(interval[0] - _HAIR <= value <= interval[1] + _HAIR)


def _are_numbers(values: Any, count: int | None = None) -> bool:
    """Whether these are (so many) numbers that can be written and drawn."""
    return (
        isinstance(values, list)
        and count in (None, len(values))
        and all(type(one) in (int, float) and abs(one) <= _LARGEST_METRIC for one in values)
    )


def changeable(
    what: str, asked: frozenset[HeadId], removed: frozenset[HeadId]
) -> frozenset[HeadId]:
    """Those of the heads asked for that a removal or a restoring changes."""
    return asked & removed if what == "restore" else asked - removed


def changeable_neurons(
    what: str, asked: NeuronSet | None, removed: NeuronSet | None
) -> NeuronSet | None:
    """Those of the neurons asked for that a removal or a restoring changes; None = none of them."""
    if asked is None:
        return None
    if removed is not None:
        asked = asked & removed if what == "restore" else asked - removed
    elif what == "restore":
        return None
    return asked if asked else None


def neurons_after(
    what: str, changed: NeuronSet | None, removed: NeuronSet | None
) -> NeuronSet | None:
    """All neurons that are removed once some more were removed, or some restored."""
    if changed is None or removed is None:
        return changed or removed
    left = removed - changed if what == "restore" else removed | changed
    return left if left else None
