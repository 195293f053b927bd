"""Export: what do I take along?"""

from bhpvas.ui import framed

framed.ensure()
import streamlit as st

from bhpvas.charts import words
from bhpvas.ui import aid, definitions, export_views, work
from bhpvas.ui import session as sessions

session = sessions.current()
aid.heading(
    "What do you take along?",
    "The model of the current step as files that work without this app.",
    ("Export", definitions.EXPORT),
    key="export",
    page=True,
)
if said := work.only_masks(session):
    st.info(words.verbatim(said))
else:
    choice = export_views.format_choice()
    left, right = st.columns(2, gap="large")
    with right:
        length = export_views.latency(session, choice)
    with left:
        export_views.savings(session, choice, length)
    export_views.files(session, choice)
export_views.report(session)
