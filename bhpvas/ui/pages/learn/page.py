"""Page Learn: how does all this work?"""

from __future__ import annotations

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
    VIEWS[controls.choice("View", VIEWS, key="learn-view", bind="query-params")].view(
        sessions.current()
    )
