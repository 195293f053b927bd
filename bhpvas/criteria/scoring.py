"""Scores: what criteria say of heads and neurons, measured in one pass for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bhpvas.criteria.base import MOST_KEPT, Gatherer, Measurement, weighted_statistic
from bhpvas.criteria.gradients import GateGradients
from bhpvas.criteria.registry import CRITERIA, DEFAULT_CRITERIA, NEURON_CRITERIA
from bhpvas.criteria.similarity import OutputProducts, similarity_to_kept
from bhpvas.data.dataset import Dataset
from bhpvas.data.sampling import Sample
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import stream
from bhpvas.model.pruning import narrowed
from bhpvas.progress import Progress, silent
from bhpvas.tasks.base import Task


@dataclass(frozen=True, eq=False)
class Scores:
    """What criteria say of every head of a classifier under one mask, on one dataset.

    ``values[name]`` is ``[L, H]`` of all N ``sentences``, NaN at removed heads and where it is
    undefined (``CRITERIA[name].undefined``); ``dead`` are kept heads that put out nothing,
    ``[L, H]``. ``measured[name]`` holds what it was computed from. What belongs to single sentences
    is kept for those at ``rows`` ``[n]``: all N, or a sample of many
    (:class:`~bhpvas.data.sampling.Sample`). These are ``logits`` ``[n, C]``, ``labels`` ``[n]``,
    and ``gate_gradients`` ``[n, L, H]`` where a criterion needed them. ``similarity_unit`` says
    what one sample of the output similarity was: a token or a sentence. What a value means, its
    range and its direction stand in ``CRITERIA[name]``.

    ``neurons[name]`` is ``[L, F]`` of feed-forward neurons, NaN at removed ones; what it means
    stands in ``NEURON_CRITERIA[name]``.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take(range(8))
    >>> scores = bhpvas.score(bhpvas.load_classifier(), data)
    >>> sorted(scores.values), scores.per_example["importance"].shape
    (['importance', 'similarity', 'stability'], (8, 6, 12))
    >>> scores.similarity_matrix["similarity"].shape
    (72, 72)
    """

    mask: HeadMask
    dataset: str
    task: Task
    sentences: int
    rows: np.ndarray
    logits: np.ndarray
    labels: np.ndarray
    dead: np.ndarray
    values: dict[str, np.ndarray]
    measured: dict[str, Measurement]
    gate_gradients: np.ndarray | None = None
    similarity_unit: str | None = None
    neurons: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def per_example(self) -> dict[str, np.ndarray]:
        """``[n, L, H]`` of every criterion that is a statistic over sentences."""
        return {
            name: one.per_example
            for name, one in self.measured.items()
            if one.per_example is not None
        }

    @property
    def similarity_matrix(self) -> dict[str, np.ndarray]:
        """``[L·H, L·H]`` of every criterion that compares heads, row-major by layer."""
        return {name: one.matrix for name, one in self.measured.items() if one.matrix is not None}

    @property
    def profile(self) -> np.ndarray | None:
        """Mean attention profile ``[L, H, 7]`` over ``PROFILE_PARTS``, where it was measured."""
        profiles = (one.profile for one in self.measured.values())
        return next((one for one in profiles if one is not None), None)

    def summed(self, groups: Sequence[Sequence[int]]) -> Scores:
        """The scores in which a head of the first layer of each group stands for all of the group.

        Its values and gradients are the sums over its kept heads there, undefined where one is;
        heads of the other layers count as removed. Pairs of heads stay as they are.
        """
        kept, dead = np.zeros_like(self.mask.kept), np.zeros_like(self.dead)
        values = {name: np.full(kept.shape, np.nan) for name in self.values}
        gradients = None if self.gate_gradients is None else np.zeros_like(self.gate_gradients)
        for group in map(list, groups):
            there = self.mask.kept[group]  # [layers of the group, H]
            kept[group[0]] = there.any(0)
            dead[group[0]] = (self.dead[group] | ~there).all(0) & there.any(0)
            for name, of in self.values.items():
                sums = np.where(there, of[group], 0).sum(0)  # [H]
                values[name][group[0]] = np.where(there.any(0), sums, np.nan)
            if gradients is not None and self.gate_gradients is not None:
                gradients[:, group[0]] = np.where(there, self.gate_gradients[:, group], 0).sum(1)
        return replace(
            self,
            mask=HeadMask.from_array(kept),
            dead=dead,
            values=values,
            gate_gradients=gradients,
        )

    def by_class(self, name: str) -> np.ndarray:
        """A criterion over the kept sentences of each of the task's groups: ``[G, L, H]``.

        They are the labels (:meth:`~bhpvas.tasks.base.Task.groups`). NaN where a group has no
        sentence, or a head no value.
        """
        one = self.measured[name]
        if one.per_example is None:
            raise BhpvasError(
                f"{name} compares heads over all sentences, so it has no part by class."
            )
        member = np.array(list(self.task.groups(self.labels).values()))  # [G, N]
        counts = member.sum(1, keepdims=True)
        weights = member / np.where(counts > 0, counts, 1)
        values = weighted_statistic(one.per_example, weights, one.statistic)
        values[counts[:, 0] < (2 if one.statistic == "steadiness" else 1)] = np.nan
        values[:, np.isnan(self.values[name])] = np.nan
        return values


def score(
    classifier: Classifier,
    dataset: Dataset,
    names: Sequence[str] = DEFAULT_CRITERIA,
    *,
    neurons: Sequence[str] = (),
    mask: HeadMask | None = None,
    keep: int = MOST_KEPT,
    progress: Progress = silent,
) -> Scores:
    """Measure criteria of every kept head, and of every kept neuron, in one pass over sentences.

    - ``classifier``, ``dataset``: the model, and the labelled sentences that it reads.
    - ``names``: keys of :data:`CRITERIA`, where each has its formula, direction and source.
    - ``neurons``: likewise of :data:`NEURON_CRITERIA`, for the feed-forward neurons.
    - ``mask``: the heads and neurons that are kept meanwhile, all if not given.
    - ``keep``: all sentences count; of at most so many of them their own values are kept.
    - ``progress``: counts sentences.

    Raises :class:`~bhpvas.errors.BhpvasError` for a name that is no criterion or a dataset too
    small for one.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take(range(8))
    >>> scores = bhpvas.score(bhpvas.load_classifier(), data, ["importance"], neurons=["fisher"])
    >>> scores.values["importance"].shape, bhpvas.CRITERIA["importance"].higher_means
    ((6, 12), 'keep')
    >>> scores.neurons["fisher"].shape
    (6, 1536)
    """
    check_names(names, CRITERIA, "criterion of heads")
    check_names(neurons, NEURON_CRITERIA, "criterion of neurons")
    dataset = dataset.for_task(classifier.task)
    mask = mask or classifier.full_mask()
    sample = Sample.of(len(dataset), keep)
    collectors: dict[object, Gatherer] = {
        builder: builder(classifier, sample)
        for builder in dict.fromkeys(CRITERIA[name].collector for name in names)
    }
    smaller = narrowed(classifier, mask)
    for builder in dict.fromkeys(NEURON_CRITERIA[name].collector for name in neurons):
        collectors[builder] = builder(smaller, sample)
    encoded = classifier.encode(dataset)
    outputs = collectors.get(OutputProducts)
    if isinstance(outputs, OutputProducts):
        needs = frozenset[str]().union(*(one.needs for one in collectors.values()))
        outputs.centre(classifier, encoded, dataset.labels, mask, needs)
    logits = stream(
        classifier, encoded, dataset.labels, list(collectors.values()), mask=mask, progress=progress
    )
    for collector in collectors.values():
        collector.add_up()
    dead = classifier.dead_heads & mask.kept
    measured = {
        name: _of_the_living(
            _within_layers(CRITERIA[name].measure(collectors[CRITERIA[name].collector]), mask),
            dead if CRITERIA[name].undefined else np.zeros_like(dead),
        )
        for name in names
    }
    gate_gradients = collectors.get(GateGradients)
    return Scores(
        mask=mask,
        dataset=dataset.name,
        task=classifier.task,
        sentences=len(dataset),
        rows=sample.rows,
        logits=logits[sample.rows],
        labels=dataset.labels[sample.rows],
        dead=dead,
        values={name: _under_mask(one, mask) for name, one in measured.items()},
        measured=measured,
        gate_gradients=getattr(gate_gradients, "gradients", None),
        similarity_unit=getattr(outputs, "unit", None),
        neurons={
            name: _at_their_places(
                NEURON_CRITERIA[name].measure(collectors[NEURON_CRITERIA[name].collector]),
                kept_neurons(classifier, mask),
            )
            for name in neurons
        },
    )


def check_names(names: Iterable[str], registry: Mapping[str, object], what: str) -> None:
    """Raise :class:`~bhpvas.errors.BhpvasError` for a name that a registry lacks."""
    for name in names:
        if name not in registry:
            raise BhpvasError(f"{name!r} is no {what}; choose from {', '.join(registry)}.")


def kept_neurons(classifier: Classifier, mask: HeadMask) -> np.ndarray:
    """Which neurons a mask keeps: bool ``[L, F]``."""
    if mask.neurons is not None:
        return ~mask.neurons.array
    return np.ones((mask.layers, classifier.geometry.intermediate_size), dtype=bool)


def _at_their_places(values: Sequence[np.ndarray], kept: np.ndarray) -> np.ndarray:
    """Values of each layer's kept neurons among all, ``[L, F]``; NaN at the others."""
    found = np.full(kept.shape, np.nan)
    for row, places, one in zip(found, kept, values, strict=True):
        row[places] = one
    return found


def _within_layers(measured: Measurement, mask: HeadMask) -> Measurement:
    """What counts per layer, divided by the L2 norm of the layer's kept heads; others are 0."""
    if not measured.per_layer or measured.per_example is None:
        return measured
    kept = mask.kept
    values = np.where(kept, measured.values, 0.0)
    norm = np.linalg.norm(values, axis=1, keepdims=True)  # [L, 1]
    # A layer without any gradient has importance 0 throughout, whatever it is divided by.
    norm = np.where(norm > 0, norm, 1.0)
    per_example = np.where(kept, measured.per_example, 0) / norm.astype(np.float32)
    return replace(measured, values=values / norm, per_example=per_example)


def _of_the_living(measured: Measurement, dead: np.ndarray) -> Measurement:
    """A measurement that is undefined at ``dead`` heads, which are like no other head."""
    values, matrix = measured.values.copy(), measured.matrix
    if matrix is not None:
        matrix = matrix.copy()
        matrix[dead.ravel()], matrix[:, dead.ravel()] = np.nan, np.nan
    else:
        values[dead] = np.nan
    return replace(measured, values=values, matrix=matrix)


def _under_mask(measured: Measurement, mask: HeadMask) -> np.ndarray:
    values = measured.values
    if measured.matrix is not None:
        values = similarity_to_kept(measured.matrix, mask.array)
    return np.where(mask.kept, values, np.nan)
