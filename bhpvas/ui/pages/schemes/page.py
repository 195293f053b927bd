"""Page Schemes: which way of pruning is best?"""

from __future__ import annotations

from bhpvas.ui.jobs import models
from bhpvas.ui.pages.schemes import compare, evidence, finetune, propose, shift, texts, tree
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.settings import kept_key
from bhpvas.ui.widgets import controls, help

VIEWS = {
    "Tree": tree,
    "Propose": propose,
    "Fine-tune": finetune,
    "Compare": compare,
    "Evidence": evidence,
    "Shift": shift,
}


def draw() -> None:
    """Draw the page."""
    session = sessions.current()
    help.heading(
        "Which way of pruning is best?",
        "Every step you took is kept: go back, branch off, compare, take the best one.",
        ("Tree of schemes", texts.tree(models.task_of(session))),
        key="schemes",
        page=True,
    )
    VIEWS[controls.choice("View", VIEWS, key=kept_key("view"), bind="query-params")].view(session)
