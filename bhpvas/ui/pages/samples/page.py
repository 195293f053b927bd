"""Page Samples: which sentences does it change?"""

from __future__ import annotations

import streamlit as st

from bhpvas.tasks.score import Score
from bhpvas.ui.jobs import learnt, models
from bhpvas.ui.pages.samples import tasks, texts
from bhpvas.ui.pages.samples.heads import heads_that_matter
from bhpvas.ui.pages.samples.scores import scores
from bhpvas.ui.pages.samples.selection import HEADS, SCORES, SLICES, selection
from bhpvas.ui.pages.samples.sentence_map import MAP_HEIGHT, map_of_sentences
from bhpvas.ui.pages.samples.settings import settings
from bhpvas.ui.pages.samples.slices import answer, slices
from bhpvas.ui.pages.samples.table import table
from bhpvas.ui.pages.samples.tasks import MeasuredStates
from bhpvas.ui.persistence import links
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import controls, help
from bhpvas.ui.widgets.feed_forward import map_size
from bhpvas.ui.widgets.learnt import warn


def draw() -> None:
    """Draw the page."""
    session = sessions.current()
    if st.session_state.get("open-sentence"):
        st.switch_page("pages/sentence.py", query_params=links.of_this_work())
    found = tasks.measured(session)
    help.heading(
        "Which sentences does it change?",
        "Each point is a sentence, near others that the model reads alike.",
        ("Map of sentences", texts.SENTENCE_MAP),
        ("Slices", texts.slices(models.task_of(session))),
        ("Heads that matter here", texts.DIFFERENCE),
        key="samples",
        page=True,
    )
    chosen = settings(session, found)
    if found is None:
        st.skeleton(MAP_HEIGHT)
        return
    st.markdown(answer(found))
    warn(learnt.counted(session, data=found.data))
    with st.container(horizontal=True, gap="medium", key="map-and-panel"):
        with st.container(width="stretch"):
            map_of_sentences(found, tasks.places(session, chosen.layer), chosen, session)
        width, _ = map_size(session)
        with st.container(width=width):
            panel(found, session)
    selection(found, session)
    table(found, session)


def panel(found: MeasuredStates, session: Session) -> None:
    """Slices of all sentences, the heads that the selected ones need, or scores against labels."""
    views = [SLICES, HEADS] + [SCORES] * isinstance(found.after.task, Score)
    if st.session_state.get("panel-of-samples") not in views:
        st.session_state.pop("panel-of-samples", None)
    with st.container(horizontal=True, gap="small", key="panel-row"):
        shown = controls.choice("Panel", views, key="panel-of-samples")
        row = st.container(horizontal=True, gap="small", width="content")
    if shown == SLICES:
        slices(found, row)
    elif shown == SCORES:
        scores(found, session)
    else:
        heads_that_matter(found, session, row)
