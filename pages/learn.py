"""Learn: how does all this work?"""

import streamlit as st

from bhpvas.ui import aid, definitions, frame
from bhpvas.ui import session as sessions
from bhpvas.ui.learn import criteria, glossary, lesson, tours

VIEWS = {"Lesson": lesson, "Tours": tours, "Criteria": criteria, "Glossary": glossary}

frame.ensure()
aid.heading(
    "From one head to half of them gone",
    "On the model and the sentences that are open; whatever you do here counts on every page.",
    ("Learn", definitions.LEARN),
    key="learn",
    page=True,
)
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    default="Lesson",
    required=True,
    key="learn-view",
    label_visibility="collapsed",
    bind="query-params",
    persist_state="session",
)
VIEWS[chosen].view(sessions.current())
