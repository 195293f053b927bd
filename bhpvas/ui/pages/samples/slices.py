"""Slices: what the scheme does to each, and to the worst hit; a click on one selects it."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bhpvas import text
from bhpvas.charts.slices import slice_changes, slice_levels
from bhpvas.data.tables import csv_text
from bhpvas.evaluation.slices import Grouping, worst_hit
from bhpvas.ui.pages.samples import texts
from bhpvas.ui.pages.samples.selection import choose
from bhpvas.ui.pages.samples.tasks import MeasuredStates
from bhpvas.ui.widgets import answers, controls, figures, help
from bhpvas.ui.widgets.downloads import download


def slices(found: MeasuredStates, row: DeltaGenerator) -> None:
    """What the scheme does to each slice; a click on one selects its sentences."""
    titles = {name: one.title for name, one in found.groupings.items()}
    task = found.after.task
    with row:
        by, metric = controls.slice_controls(titles, task, "slices", width=150)
    table = found.slices(by)
    figure = (slice_changes if found.pruned else slice_levels)(table, task, metric)
    # One height whatever the grouping, so that nothing below jumps; what does not fit scrolls.
    with st.container(height=348, border=False, key="slices"):
        figures.chart(
            figure,
            key="slices-chart",
            on_select=partial(_slice_selected, found=found, by=by),
            selection_mode="points",
            height=figure.layout.height,
            alt=f"Change of {metric.title_in_text} by {titles[by].lower()}, "
            f"{text.plural(len(table), 'slice')}",
        )
    st.selectbox(
        "Select a slice",
        list(found.groupings[by].names),
        index=None,
        key=f"slice-{by}",
        placeholder="Select a slice: click it, or choose it here",
        on_change=_slice_named,
        kwargs={"found": found, "by": by},
        label_visibility="collapsed",
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        help.footnote(
            f"{'Change with' if found.pruned else 'With'} 95% interval, worst on top.",
            ("Slices", texts.slices(task)),
            key="slices",
        )
        download(
            "CSV",
            lambda: csv_text(table),
            f"slices-by-{titles[by].lower()}.csv",
            type="tertiary",
            icon=":material/download:",
            help="Download the slices as CSV",
        )


def _slice_selected(*, found: MeasuredStates, by: str) -> None:
    points = st.session_state["slices-chart"].selection.points
    if points and "customdata" in points[0]:
        _choose_slice(found.groupings[by], points[0]["customdata"][0])


def _slice_named(*, found: MeasuredStates, by: str) -> None:
    """The keyboard's way to select a slice."""
    if (name := st.session_state[f"slice-{by}"]) is not None:
        _choose_slice(found.groupings[by], name)


def _choose_slice(grouping: Grouping, name: str) -> None:
    choose(np.flatnonzero(grouping.codes == grouping.names.index(name)).tolist())


def answer(found: MeasuredStates) -> str:
    """What the scheme changes, and where it hurts most."""
    n, metric = found.after.n, found.after.task.headline
    if not found.pruned:
        return (
            f"Nothing is removed: {metric.title_in_text} "
            f"**{metric.value_text(found.after.headline_value)}** on "
            f"{text.plural(n, 'sentence')}. Remove heads or neurons on the Workbench to see which "
            "sentences that changes."
        )
    said = f"{answers.changed(found.before, found.after)}."
    return said + _worst_hit(found, "tag" if "tag" in found.groupings else "class")


def _worst_hit(found: MeasuredStates, grouping: str) -> str:
    """The slice that is hit worst, with a test that counts how many there are."""
    table = found.slices(grouping)
    title = text.verbatim(found.groupings[grouping].title.lower())
    metric = found.after.task.headline
    hit = worst_hit(table, metric)
    if hit is None:
        return f" No {title} lost {metric.title_in_text}."
    was, is_ = (float(hit[f"{metric.name} {when}"]) for when in ("before", "after"))
    change = metric.changed_text(was, is_, int(hit["n"]))
    return (
        f" Worst hit by {title}: **{text.verbatim(str(hit['slice']))}**, {change}; "
        f"{text.p_value(float(hit['p']))}, corrected for {text.plural(len(table), 'slice')}."
    )
