"""Page Export: what do I take along?"""

from __future__ import annotations

import streamlit as st

from bhpvas import text
from bhpvas.ui.jobs import models
from bhpvas.ui.pages.export import texts
from bhpvas.ui.pages.export import views as export_views
from bhpvas.ui.state import session as sessions
from bhpvas.ui.widgets import help


def draw() -> None:
    """Draw the page."""
    session = sessions.current()
    help.heading(
        "What do you take along?",
        "The model of the current step as files that work without this app.",
        ("Export", texts.EXPORT),
        key="export",
        page=True,
    )
    if said := models.only_masks(session):
        st.info(text.verbatim(said))
    else:
        choice = export_views.format_choice(session)
        left, right = st.columns(2, gap="large")
        with right:
            length = export_views.latency(session, choice)
        with left:
            export_views.savings(session, choice, length)
        export_views.files(session, choice)
    export_views.report(session)
