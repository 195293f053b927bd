"""Sentence: what does a head look at?"""

from bhpvas.ui import framed

framed.ensure()
import streamlit as st

from bhpvas.charts.head_map import size
from bhpvas.ui import aid, definitions, reading, sentence_views, work
from bhpvas.ui import session as sessions

session = sessions.current()

aid.heading(
    "What does a head look at?",
    "One sentence closely: its syntax, what the selected heads attend to, and what decides.",
    ("Dependencies and attention", definitions.ARCS),
    ("Contributions", definitions.CONTRIBUTIONS),
    key="sentence",
    page=True,
)
sentence_views.choose(session)
label = sentence_views.decision(session)
found = work.promptly(reading.reading(session))
decided = None if label is None else work.promptly(reading.contributing(session, label))
heads = sentence_views.shown_heads(session, decided)
in_words, marks, threshold, method = sentence_views.line_controls()

if found is None:
    st.skeleton(380)
else:
    sentence_views.arcs(
        session,
        found,
        heads,
        label,
        in_words=in_words,
        marks=marks,
        threshold=threshold,
        method=method,
    )
with st.container(horizontal=True, gap="large"):
    with st.container(width=size(session.mask.layers, session.mask.heads)[0]):
        sentence_views.contribution_map(session, decided, label)
    with st.container(width="stretch"):
        if found is not None:
            line = found.line(words=in_words, marks=marks)
            sentence_views.maps(session, found, heads, line)
if found is not None:
    sentence_views.bertviz(found, heads)
