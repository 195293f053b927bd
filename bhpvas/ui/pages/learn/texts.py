"""Definitions of the views of Learn: what each shows, its source, and when it misleads."""

from __future__ import annotations

from collections.abc import Callable

from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets.help import HelpText

LEARN = HelpText(
    definition="Every view here is one of the app itself, on the open model and data: what you "
    "select or remove is selected or removed on every page. A step of the lesson or a tour is done "
    "when the session shows that you did it, here or elsewhere, and stays done if you undo that.",
    source="Own",
    misleads="Ten minutes on one small model show how such work goes, not what holds for models in "
    "general.",
)

#: What a lesson or a tour says: always the same, or with figures of the session.
Text = str | Callable[[Session], str]


def in_words(text: Text, session: Session) -> str:
    """A text, with what the session fills in."""
    return text if isinstance(text, str) else text(session)
