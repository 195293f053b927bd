"""Samples: which sentences does it change?"""

from bhpvas.ui import framed

framed.ensure()
import streamlit as st

from bhpvas.charts.head_map import size
from bhpvas.ui import aid, definitions, sample_work, samples, sharing
from bhpvas.ui import session as sessions

session = sessions.current()
if st.session_state.get("open-sentence"):
    st.switch_page(samples.SENTENCE_PAGE, query_params=sharing.of_this_work())
found = sample_work.measured(session)

aid.heading(
    "Which sentences does it change?",
    "Each point is a sentence, near others that the model reads alike.",
    ("Map of sentences", definitions.SENTENCE_MAP),
    ("Slices", definitions.SLICES),
    ("Heads that matter here", definitions.DIFFERENCE),
    key="samples",
    page=True,
)
settings = samples.controls(session, found)
if found is None:
    st.skeleton(samples.MAP_HEIGHT)
else:
    st.markdown(samples.answer(found))
    with st.container(horizontal=True, gap="medium", key="map-and-panel"):
        with st.container(width="stretch"):
            places = sample_work.places(session, settings.layer)
            samples.map_of_sentences(found, places, settings, session)
        width, _ = size(session.mask.layers, session.mask.heads)
        with st.container(width=width):
            samples.panel(found, session)
    samples.selection(found, session)
    samples.table(found, session)
