"""Scores against labels: every sentence as a point, of a model that gives one score."""

from __future__ import annotations

import streamlit as st

from bhpvas import text
from bhpvas.charts.score_scatter import score_scatter
from bhpvas.ui.pages.samples import texts
from bhpvas.ui.pages.samples.selection import SCORES, choose
from bhpvas.ui.pages.samples.tasks import MeasuredStates
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import figures, help

_HEIGHT = 348


def scores(found: MeasuredStates, session: Session) -> None:
    """The score of each sentence against its label; a click or a box selects sentences."""
    before, after = found.before, found.after
    figures.chart(
        score_scatter(
            after.labels,
            before.predictions,
            after.predictions,
            found.table["outcome"].to_numpy(),
            session.sentences,
            hover=found.hover,
            height=_HEIGHT,
        ),
        key="score-scatter",
        on_select=_selected,
        selection_mode=("points", "box"),
        height=_HEIGHT,
        alt=f"Score against label, {text.plural(after.n, 'sentence')}",
    )
    moved = " Lines: from the unpruned score; red farther, blue nearer." if found.pruned else ""
    help.footnote(
        f"On the dotted line score and label are equal.{moved}",
        ("Score and label", texts.SCORES),
        key="scores",
    )


def _selected() -> None:
    points = st.session_state["score-scatter"].selection.points
    picked = {int(point["customdata"]) for point in points if "customdata" in point}
    if picked:
        choose(picked)
        st.session_state["panel-of-samples"] = SCORES
