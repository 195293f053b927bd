"""Feed-forward parts beside the head maps of the app: what each says, and how wide a map is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.charts.feed_forward import FeedForward, layer_width, neurons_left, neurons_there
from bhpvas.charts.head_map import size
from bhpvas.charts.width_curves import LOSS, width_cost
from bhpvas.heads import HeadMask
from bhpvas.neurons import NeuronSet
from bhpvas.ui.jobs import models, tasks, widths
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import synced

if TYPE_CHECKING:
    from bhpvas.evaluation.widths import WidthCurves

#: Plain evaluations that the curve of a layer takes, with its share of the ranking: of the sample
#: model (docs/benchmarks.md).
_A_LAYER = 3


def map_size(session: Session) -> tuple[int, int]:
    """Width and height in pixels of the session's head map."""
    mask = session.mask
    groups = len(models.groups(session))
    return size(mask.layers, mask.heads, feed_forward=not session.heads_only, groups=groups)


def feed_forward(
    session: Session,
    mask: HeadMask | None = None,
    *,
    costed: bool = False,
    selected: bool = False,
) -> FeedForward | None:
    """The column beside the head map of a mask (default: the scheme's); None where it is hidden.

    ``costed`` is for a map of the scheme's mask: coloured by what removal costs, once that is
    measured. ``selected`` is for a map that frames what is selected.
    """
    if session.heads_only:
        return None
    mask = session.mask if mask is None else mask
    width = models.classifier_named(session.model).geometry.intermediate_size
    curves = widths.curves(session) if costed else None
    hover = [
        layer_width(mask, layer, width)
        + _share(session, mask, layer)
        + ("" if curves is None or len(curves.kept[layer]) < 2 else _cost(session, curves, layer))
        for layer in range(mask.layers)
    ]
    costs = None
    if curves is not None:
        changes = curves.loss_change if measure() == LOSS else curves.headline_change
        sign = 1 if measure() == LOSS else -1
        costs = sign * np.array([one[-1] if len(one) > 1 else np.nan for one in changes])
    return FeedForward(
        width, costs=costs, chosen=dict(session.widths if selected else ()), hover=hover
    )


def clickable(session: Session) -> bool:
    """Whether feed-forward parts are shown and could lose neurons."""
    return not session.heads_only and not models.groups(session)


def measure() -> str:
    """Whether widths are judged by the loss or by the task's headline."""
    return st.session_state.get("width-measure") or LOSS


def reading(session: Session) -> str:
    """One line on how to read the column as colours."""
    if not clickable(session):
        return "At the right: neurons of each layer; layers share these, so none is narrowed alone."
    if widths.curves(session) is None:
        return (
            "At the right: neurons that each layer's feed-forward part keeps; grey until *Measure "
            "widths* says what they are worth. Click one to narrow it."
        )
    lower = f"lowers the {models.task_of(session).headline.title_in_text}"
    effect = "raises the loss" if measure() == LOSS else lower
    return (
        f"At the right, red: removing all of a layer's feed-forward part {effect}; blue: the other "
        "way round. Click one to narrow it."
    )


def _cost(session: Session, curves: WidthCurves, layer: int) -> str:
    said = width_cost(curves, layer, 0)
    return f"<br>without them {said}<br>({_sentences(session)}, nothing refitted)"


def _sentences(session: Session) -> str:
    return text.plural(len(session.data.calibration), "calibration sentence")


def turn_part(session: Session, layer: int) -> Session:
    """A click on a layer's feed-forward part: selected, to keep half of what is left of it.

    One that is gone is selected to come back whole; one that the model never had stays as it is.
    """
    width = models.classifier_named(session.model).geometry.intermediate_size
    left, there = (count(session.mask, width)[layer] for count in (neurons_left, neurons_there))
    if not there or not clickable(session):
        return session
    return session.turning_part(layer, left // 2 if left else there)


def measure_button(session: Session, key: str) -> None:
    """What every width costs, asked for; nothing where it is there or cannot be."""
    known = tasks.known(widths.narrowing(session, session.now)) is not None
    if known or not clickable(session):
        return
    st.button(
        "Measure widths",
        key=key,
        type="tertiary",
        icon=":material/show_chart:",
        on_click=sessions.change,
        args=(Session.asking, "narrowing"),
        disabled=session.narrowing,
        help="Each layer's feed-forward part alone, narrowed in steps to nothing, on "
        f"{_sentences(session)}. It takes about as long as {_A_LAYER * session.mask.layers} plain "
        "evaluations of these.",
    )


def parts_list(session: Session) -> None:
    """The keyboard's way to the feed-forward parts: it shows which are selected, and changes it."""
    if not clickable(session):
        return
    shown = [f"L{layer}F" for layer, _ in session.widths]
    key = synced.key_of("parts", shown)
    every = [f"L{layer}F" for layer in range(session.mask.layers)]

    def take() -> None:
        for name in sorted(synced.changed(key, st.session_state[key])):
            sessions.change(turn_part, every.index(name))

    with st.container(key="list-parts"):
        st.multiselect(
            "Selected feed-forward parts",
            every,
            default=shown,
            key=key,
            on_change=take,
            placeholder="Type L3F",
        )


def _share(session: Session, mask: HeadMask, layer: int) -> str:
    """What of the unpruned model's arithmetic and parameters a layer's kept neurons hold."""
    from bhpvas.model.cost import flops_per_sentence, parameters

    geometry = models.classifier_named(session.model).geometry
    if not neurons_left(mask, geometry.intermediate_size)[layer]:
        return ""
    gone = np.zeros((mask.layers, geometry.intermediate_size), dtype=bool)
    gone[layer] = True
    without, start = mask.without_neurons(NeuronSet.of(gone)), session.start.mask
    masks, lengths = (mask, without, start), models.lengths(session)
    now, less, whole = (flops_per_sentence(geometry, one, lengths) for one in masks)
    said = f"<br>{text.percent((now - less) / whole)}% of the unpruned model's FLOPs"
    if geometry.groups:  # all layers have the same parameters
        return said
    now, less, whole = (parameters(geometry, one) for one in masks)
    return f"{said},<br>{text.percent((now - less) / whole)}% of its parameters"
