"""Heads that matter: importance of every head for the selected sentences against the rest."""

from __future__ import annotations

from typing import get_args

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bhpvas import text
from bhpvas.charts.difference_map import difference_map
from bhpvas.evaluation.groups import FEWEST_TO_TEST, GroupComparison
from bhpvas.heads import HeadMask
from bhpvas.stats import SIGNIFICANT
from bhpvas.ui.jobs.roles import role_labels
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.pages.samples import texts
from bhpvas.ui.pages.samples.sentence_map import AFTER, ALONE
from bhpvas.ui.pages.samples.tasks import MeasuredStates
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import controls, figures, help
from bhpvas.ui.widgets.feed_forward import feed_forward, map_size
from bhpvas.ui.widgets.head_map import clickable_map, switches


def heads_that_matter(found: MeasuredStates, session: Session, row: DeltaGenerator) -> None:
    """Importance of every head for the selected sentences against the rest."""
    chosen = samples_tasks.selected(session)
    if not chosen.any() or chosen.all():
        st.caption(
            "Select some of the sentences, on the map or in the table: here you will see which "
            "heads matter more for them than for the rest."
        )
        return
    with row:
        kind = controls.choice("Importance as", get_args(samples_tasks.Kind), key="difference-kind")
        model = ALONE
        if found.pruned:
            model = controls.choice("In the model", [ALONE, AFTER], key="difference-model")
    variant = session.now if model == AFTER else session.start
    result, mask = samples_tasks.comparison(session, variant, kind), variant.mask
    width, height = map_size(session)
    if result is None:
        st.skeleton(height)
        return
    scale = 100 if kind == "share" else 1
    unit = "points" if kind == "share" else "|∂loss/∂gate|"
    hover = _hover_text(result, mask, scale, "%" if kind == "share" else "")
    tags, evidence = role_labels(session) if session.labelled else (None, None)
    figure = difference_map(
        scale * result.difference,
        result.found(),
        mask,
        session.mask,
        session.selected,
        title=f"selected − rest, {unit}",
        hover=hover if evidence is None else np.char.add(hover.astype(str), evidence),
        labels=tags,
        feed_forward=feed_forward(session, mask, selected=True),
    )
    about = f"Difference in importance of each head, {result.chosen} sentences against the rest"
    if session.split == "calibration":
        clickable_map(figure, session.mask, pointer="head", key="difference-map", alt=about)
    else:
        figures.chart(figure, key="difference-map", width=width, height=height, alt=about)
    help.footnote(
        f"Red: matters more for these {result.chosen:,} than for the rest. {_tested(result)}",
        ("Heads that matter here", texts.DIFFERENCE),
        key="difference",
    )
    switches(session, "difference-map")
    if session.split == "evaluation":
        st.caption(
            "It explains these evaluation sentences and must not choose heads, which would then be "
            "measured on what chose them. To select heads by it, look at calibration sentences."
        )


def _tested(result: GroupComparison) -> str:
    if not result.tested:
        return f"Not tested: fewer than {FEWEST_TO_TEST}."
    count, heads = int(result.found().sum()), int(np.isfinite(result.p).sum())
    return f"Dot: beyond chance, {count} of {heads} (p ≤ {SIGNIFICANT}, corrected for all {heads})."


def _hover_text(result: GroupComparison, mask: HeadMask, scale: float, unit: str) -> np.ndarray:
    def said(layer: int, head: int) -> str:
        here, rest = scale * result.chosen_mean[layer, head], scale * result.rest_mean[layer, head]
        if np.isnan(here):
            return f"<b>L{layer}H{head}</b> removed"
        p = result.p[layer, head]
        test = "" if np.isnan(p) else f"<br>{text.p_value(float(p))}, corrected"
        return (
            f"<b>L{layer}H{head}</b><br>selected {text.number(here)}{unit}, "
            f"rest {text.number(rest)}{unit}{test}"
        )

    return np.array([[said(la, he) for he in range(mask.heads)] for la in range(mask.layers)])
