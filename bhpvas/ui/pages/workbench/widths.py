"""Widths of the selected feed-forward parts: how many neurons stay, and what that costs."""

from __future__ import annotations

import streamlit as st

from bhpvas import text
from bhpvas.charts.feed_forward import neurons_there
from bhpvas.charts.width_curves import HEADLINE, LOSS, width_cost, width_curves
from bhpvas.evaluation.widths import WidthCurves
from bhpvas.ui.jobs import models, widths
from bhpvas.ui.pages.workbench import texts
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.state.settings import kept_as
from bhpvas.ui.widgets import controls, figures, help
from bhpvas.ui.widgets.feed_forward import measure_button
from bhpvas.ui.widgets.synced import hold

#: Pixels of the curves.
HEIGHT = 170


def panel(session: Session) -> None:
    """A slider and a number for each selected feed-forward part, and the curves of all layers."""
    width = models.classifier_named(session.model).geometry.intermediate_size
    left, there = widths.left(session), neurons_there(session.mask, width)
    curves = widths.curves(session)
    with st.container(key="widths", gap=None):
        for layer, kept in session.widths:
            _row(layer, kept, left[layer], there[layer], curves)
        if curves is not None:
            _curves(session, curves)
        else:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.caption("What each width costs, as one curve a layer:", width="content")
                measure_button(session, "measure-widths")
        help.footnote(
            "The neurons worth least by their gradients go. Nothing is refitted yet: a recovery on "
            "Schemes can win back what that costs.",
            ("Feed-forward part", texts.WIDTH.judged_by(models.task_of(session).headline)),
            key="widths",
        )


def cost(session: Session) -> str:
    """What the selected widths cost, each alone, as far as that is measured."""
    curves, left = widths.curves(session), widths.left(session)
    if curves is None:
        return "What a width costs, *Measure widths* says, below the map."
    said = [
        f"**L{layer}F to {kept:,}:** {width_cost(curves, layer, kept)}"
        for layer, kept in session.widths
        if kept < left[layer]
    ]
    wider = any(kept > left[layer] for layer, kept in session.widths)
    said += ["what comes back is measured by *Restore*"] * wider
    sentences = text.plural(len(session.data.calibration), "calibration sentence")
    return f"{'; '.join(said) or 'No width changes'} :small[each alone, measured on {sentences}]"


def _row(layer: int, kept: int, left: int, there: int, curves: WidthCurves | None) -> None:
    """The width of one layer, by a slider and by a number, with what it costs."""
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="small", key=f"width-row-{layer}"
    ):
        for kind in ("slider", "number"):
            hold(f"width-{kind}-{layer}", kept)
        st.slider(
            f"L{layer}F keeps, of {there:,} neurons",
            0,
            there,
            key=f"width-slider-{layer}",
            on_change=_choose,
            args=(layer, "slider"),
        )
        st.number_input(
            f"Neurons that L{layer}F keeps",
            0,
            there,
            key=f"width-number-{layer}",
            on_change=_choose,
            args=(layer, "number"),
            label_visibility="collapsed",
            width=112,
        )
    st.caption(_effect(layer, kept, left, curves))


def _choose(layer: int, kind: str) -> None:
    kept = int(st.session_state[f"width-{kind}-{layer}"])
    sessions.change(Session.choosing_width, layer, kept)


def _effect(layer: int, kept: int, left: int, curves: WidthCurves | None) -> str:
    """What a width takes or gives back, and what that costs as far as it is measured."""
    if kept == left:
        return f"{left:,} are kept now: choose another width."
    if kept > left:
        return f"{kept - left:,} come back, those worth most; *Restore* measures it."
    said = f"{left - kept:,} go"
    if curves is None:
        return f"{said}; *Remove* measures it."
    return f"{said}: {width_cost(curves, layer, kept)}, this layer alone."


def _curves(session: Session, curves: WidthCurves) -> None:
    headline = curves.baseline.task.headline.title_in_text
    names = {LOSS: LOSS, HEADLINE: headline}
    measure = controls.choice(
        "Curve of the", names, format_func=names.__getitem__, **kept_as("width-measure")
    )
    chosen = dict(session.widths)
    figures.chart(
        width_curves(curves, chosen, measure=measure, height=HEIGHT),
        key="width-curves",
        height=HEIGHT,
        alt=f"Change of {names[measure]} against neurons kept, one line a layer; "
        + ", ".join(f"L{layer}F at {kept:,}" for layer, kept in chosen.items()),
    )
