"""Selection: the selected sentences in numbers, and how to select others."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from bhpvas import text
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.pages.samples.tasks import MeasuredStates
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session

SLICES, HEADS = "Slices", "Heads that matter here"
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
        before, after = found.before.right[chosen].mean(), found.after.right[chosen].mean()
        said = f"**{text.plural(n, 'sentence')} selected:** accuracy "
        if found.pruned:
            outcome = found.table["outcome"].to_numpy()[chosen]
            said += (
                f"{text.percent(before)} {text.ARROW} {text.percent(after)}%, "
                f"{int((outcome == 'lost').sum())} lost, {int((outcome == 'gained').sum())} gained"
            )
        else:
            said += f"{text.percent(after)}%"
        rest = ~chosen
        if rest.any():
            said += f"; :small[the rest {text.percent(found.after.right[rest].mean())}%]"
        st.markdown(said, width="stretch")
        st.button("Clear", key="clear-sentences", on_click=choose, args=((),), type="tertiary")
