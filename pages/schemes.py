"""Schemes: which way of pruning is best?"""

from bhpvas.ui import framed

framed.ensure()
from bhpvas.ui import aid, controls, definitions
from bhpvas.ui import session as sessions
from bhpvas.ui.schemes import compare, evidence, finetune, propose, shift, tree

VIEWS = {
    "Tree": tree,
    "Propose": propose,
    "Fine-tune": finetune,
    "Compare": compare,
    "Evidence": evidence,
    "Shift": shift,
}

aid.heading(
    "Which way of pruning is best?",
    "Every step you took is kept: go back, branch off, compare, take the best one.",
    ("Tree of schemes", definitions.TREE),
    key="schemes",
    page=True,
)
VIEWS[controls.view_of(VIEWS, key="view")].view(sessions.current())
