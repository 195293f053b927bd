"""Page Learn: how does all this work?"""

from __future__ import annotations

import streamlit as st

from bhpvas.tasks.single_label import SingleLabel
from bhpvas.ui.jobs import models
from bhpvas.ui.pages.learn import criteria, glossary, lesson, texts, tours
from bhpvas.ui.state import session as sessions
from bhpvas.ui.widgets import controls, help

VIEWS = {"Lesson": lesson, "Tours": tours, "Criteria": criteria, "Glossary": glossary}


def draw() -> None:
    """Draw the page."""
    help.heading(
        "From one head to half of them gone",
        "On the model and the sentences that are open; whatever you do here counts on every page.",
        ("Learn", texts.LEARN),
        key="learn",
        page=True,
    )
    session = sessions.current()
    task = models.task_of(session)
    if not isinstance(task, SingleLabel):
        st.caption(
            f"This model gives {task.title}, and the lessons speak of one that answers one label "
            "out of several: where they say accuracy, here it is the "
            f"{task.headline.title_in_text}. The sample model is under *Change model or data*."
        )
    VIEWS[controls.choice("View", VIEWS, key="learn-view", bind="query-params")].view(session)
