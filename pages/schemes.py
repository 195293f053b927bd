"""Schemes: which way of pruning is best?"""

import streamlit as st

from bhpvas.ui import aid, definitions
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
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    default="Tree",
    required=True,
    key="view",
    label_visibility="collapsed",
    bind="query-params",
    persist_state="session",
)
VIEWS[chosen].view(sessions.current())
