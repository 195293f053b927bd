"""Selection: the selected sentences in numbers, and how to select others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.pages.samples.tasks import MeasuredStates
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import answers

SLICES, HEADS, SCORES = "Slices", "Heads that matter here", "Score and label"
EVERY, CHOSEN = "all", "selected"


def choose(places: Sequence[int] | set[int] | frozenset[int]) -> None:
    """Select exactly these sentences, and show them."""
    sessions.change(Session.choosing_sentences, places)
    st.session_state["rows"] = CHOSEN if places else EVERY
    st.session_state["panel-of-samples"] = HEADS if places else SLICES


def selection(found: MeasuredStates, session: Session) -> None:
    """What is selected, in numbers, and the way out."""
    chosen = samples_tasks.selected(session)
    n = int(chosen.sum())
    with st.container(
        key="chosen", horizontal=True, vertical_alignment="center", border=True, gap="small"
    ):
        if not n:
            st.markdown(
                "**Select sentences** on the map: draw around them, or filter the table below. "
                "Then see what the scheme does to them, and which heads they need.",
                width="stretch",
            )
            return
        st.markdown(_in_numbers(found, chosen), width="stretch")
        st.button("Clear", key="clear-sentences", on_click=choose, args=((),), type="tertiary")


def _in_numbers(found: MeasuredStates, chosen: np.ndarray) -> str:
    """The headline of the selected sentences, before and after, and that of the rest."""
    task = found.after.task
    metric = task.headline

    def value(one: Evaluation, rows: np.ndarray) -> str:
        said = metric.value_text(task.headline_value(one.logits[rows], one.labels[rows]))
        return said.removesuffix("%")

    unit, n = "%" * metric.share, int(chosen.sum())
    said = f"**{text.plural(n, 'sentence')} selected:** {metric.title_in_text} "
    if found.pruned:
        outcome = found.table["outcome"].to_numpy()[chosen]
        counts = [
            f"{int((outcome == name).sum())} {answers.outcome(task, name)}"
            for name in ("lost", "gained")
        ]
        said += f"{value(found.before, chosen)} {text.ARROW} "
        said += f"{value(found.after, chosen)}{unit}, {', '.join(counts)}"
    else:
        said += f"{value(found.after, chosen)}{unit}"
    rest = ~chosen
    if rest.any():
        said += f"; :small[the rest {value(found.after, rest)}{unit}]"
    return said
