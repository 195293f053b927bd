"""Samples: which sentences does it change?"""

from bhpvas.ui import framed

framed.ensure()
import streamlit as st

from bhpvas.charts.head_map import size
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.pages.samples import texts
from bhpvas.ui.pages.samples import views as samples_views
from bhpvas.ui.persistence import links
from bhpvas.ui.state import session as sessions
from bhpvas.ui.widgets import help

session = sessions.current()
if st.session_state.get("open-sentence"):
    st.switch_page(samples_views.SENTENCE_PAGE, query_params=links.of_this_work())
found = samples_tasks.measured(session)

help.heading(
    "Which sentences does it change?",
    "Each point is a sentence, near others that the model reads alike.",
    ("Map of sentences", texts.SENTENCE_MAP),
    ("Slices", texts.SLICES),
    ("Heads that matter here", texts.DIFFERENCE),
    key="samples",
    page=True,
)
settings = samples_views.controls(session, found)
if found is None:
    st.skeleton(samples_views.MAP_HEIGHT)
else:
    st.markdown(samples_views.answer(found))
    with st.container(horizontal=True, gap="medium", key="map-and-panel"):
        with st.container(width="stretch"):
            places = samples_tasks.places(session, settings.layer)
            samples_views.map_of_sentences(found, places, settings, session)
        width, _ = size(session.mask.layers, session.mask.heads)
        with st.container(width=width):
            samples_views.panel(found, session)
    samples_views.selection(found, session)
    samples_views.table(found, session)
