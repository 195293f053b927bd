"""Page Sentence: what does a head look at?"""

from __future__ import annotations

import streamlit as st

from bhpvas.ui.jobs import models, tasks
from bhpvas.ui.pages.sentence import tasks as sentence_tasks
from bhpvas.ui.pages.sentence import texts
from bhpvas.ui.pages.sentence import views as sentence_views
from bhpvas.ui.state import session as sessions
from bhpvas.ui.widgets import help
from bhpvas.ui.widgets.feed_forward import map_size


def draw() -> None:
    """Draw the page."""
    session = sessions.current()

    help.heading(
        "What does a head look at?",
        "One sentence closely: its syntax, what the selected heads attend to, and what decides.",
        ("Dependencies and attention", texts.ARCS),
        ("Contributions", texts.contributions(models.task_of(session))),
        key="sentence",
        page=True,
    )
    sentence_views.choose(session)
    if unread := sentence_tasks.unread(session):
        st.caption(unread)
    label = sentence_views.decision(session)
    found = tasks.promptly(sentence_tasks.reading(session))
    decided = None if label is None else tasks.promptly(sentence_tasks.contributing(session, label))
    heads = sentence_views.shown_heads(session, decided)
    in_words, special_tokens, threshold, method = sentence_views.unit_controls()

    if found is None:
        st.skeleton(380)
    else:
        units = found.units(words=in_words, special_tokens=special_tokens)
        sentence_views.arcs(session, found, units, heads, label, threshold=threshold, method=method)
    with st.container(horizontal=True, gap="large"):
        with st.container(width=map_size(session)[0]):
            sentence_views.contribution_map(session, decided, label)
        with st.container(width="stretch"):
            if found is not None:
                sentence_views.maps(session, found, heads, units)
    if found is not None:
        sentence_views.bertviz(found, heads)
