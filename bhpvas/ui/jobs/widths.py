"""Widths of feed-forward parts: which neurons go and come back, and what each width costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bhpvas import text
from bhpvas.charts.feed_forward import neurons_left
from bhpvas.heads import HeadMask
from bhpvas.neurons import NeuronSet
from bhpvas.ui.jobs import models, tasks
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state.session import Session, Variant

if TYPE_CHECKING:
    from bhpvas.evaluation.widths import WidthCurves


@dataclass(frozen=True)
class ChosenNeurons:
    """The neurons that go, or that come back, for selected layers to have their widths.

    ``widths`` are those of the layers concerned, ``count`` is how many neurons change. Which these
    are is None until they are ranked.
    """

    widths: Mapping[int, int]
    count: int
    neurons: NeuronSet | None

    @property
    def ranked(self) -> bool:
        """Whether it is known which neurons change, or none does."""
        return self.neurons is not None or not self.widths

    @property
    def settings(self) -> dict[str, Any]:
        """How they were chosen, as a step keeps it."""
        from bhpvas.evaluation.widths import ORDER

        if not self.widths:
            return {}
        named = {f"L{layer}F": kept for layer, kept in self.widths.items()}
        return {"neurons_by": ORDER, "widths": named}


def ranking(session: Session, variant: Variant) -> Task:
    """Each layer's kept neurons as they would leave, the first to go first: ``[n]`` by layer."""
    from bhpvas.evaluation.widths import ORDER

    data = session.data.calibration

    def work(job: Job) -> tuple[np.ndarray, ...]:
        from bhpvas.criteria import score
        from bhpvas.criteria.neurons import leaving_order

        classifier = models.classifier_of(session, variant)
        scores = score(classifier, data, (), neurons=(ORDER,), mask=variant.mask, progress=job)
        return tuple(leaving_order(values) for values in scores.neurons[ORDER])

    return Task(
        key=models.lasting("neuron order", session, variant, data, by=ORDER),
        description=f"Ranking neurons on {text.plural(len(data), 'sentence')}",
        work=work,
        turn=1,
    )


def narrowing(session: Session, variant: Variant) -> Task:
    """What each layer costs at several widths, on the calibration split."""
    data = session.data.calibration

    def work(job: Job) -> WidthCurves:
        from bhpvas.evaluation.widths import ablate_widths

        return ablate_widths(
            models.classifier_of(session, variant), data, variant.mask, progress=job
        )

    return Task(
        key=models.lasting("widths", session, variant, data),
        description=f"Narrowing each of {text.plural(variant.mask.layers, 'layer')} alone "
        f"on {text.plural(len(data), 'sentence')}",
        work=work,
        turn=3,
        request="narrowing",
    )


def curves(session: Session) -> WidthCurves | None:
    """What widths cost at the current mask, where it was asked for."""
    task = narrowing(session, session.now)
    found: WidthCurves | None = tasks.want(task) if session.narrowing else tasks.known(task)
    return found


def left(session: Session) -> list[int]:
    """How many neurons each layer keeps."""
    return neurons_left(session.mask, _width(session))


def going(session: Session) -> ChosenNeurons:
    """The neurons that the selected widths take; asks for the ranking that says which."""
    now = left(session)
    narrower = {layer: kept for layer, kept in session.widths if kept < now[layer]}
    order = _order(session, session.now) if narrower else None
    return ChosenNeurons(
        narrower,
        sum(now[layer] - kept for layer, kept in narrower.items()),
        None
        if order is None
        else _set(
            session,
            {layer: order[layer][: now[layer] - kept] for layer, kept in narrower.items()},
        ),
    )


def back(session: Session) -> ChosenNeurons:
    """The neurons that the selected widths give back, of those removed the last to go by a ranking
    with all of these layers back, which is asked for.
    """
    now, mask = left(session), session.mask
    wider = {layer: kept for layer, kept in session.widths if kept > now[layer]}
    order = _order(session, replace(session.now, mask=_whole(mask, wider))) if wider else None
    return ChosenNeurons(
        wider,
        sum(kept - now[layer] for layer, kept in wider.items()),
        None
        if order is None
        else _set(
            session,
            {
                layer: _removed_of(mask, order[layer], layer)[now[layer] - kept :]
                for layer, kept in wider.items()
            },
        ),
    )


def _order(session: Session, variant: Variant) -> Sequence[np.ndarray] | None:
    """The ranking, taken from the curves where these are there: they leave in the same order."""
    measured: WidthCurves | None = tasks.known(narrowing(session, variant))
    if measured is not None:
        return measured.order
    found: Sequence[np.ndarray] | None = tasks.want(ranking(session, variant))
    return found


def _whole(mask: HeadMask, layers: Iterable[int]) -> HeadMask:
    """The mask with every neuron of some layers back that the model has."""
    removed = mask.masked_neurons
    if removed is None:
        return mask
    some = np.zeros_like(removed.array)
    some[list(layers)] = removed.array[list(layers)]
    return mask.with_neurons(NeuronSet.of(some))


def _removed_of(mask: HeadMask, order: np.ndarray, layer: int) -> np.ndarray:
    """Those of a layer's neurons, in this order, that the mask removes."""
    assert mask.neurons is not None, "a layer that can be wider lost some"
    return order[mask.neurons.array[layer, order]]


def _set(session: Session, neurons: dict[int, np.ndarray]) -> NeuronSet:
    return NeuronSet.of_layers(
        session.mask.layers,
        _width(session),
        {layer: some.tolist() for layer, some in neurons.items()},
    )


def _width(session: Session) -> int:
    return models.classifier_named(session.model).geometry.intermediate_size
