"""What a proposal must leave alone, as a person sets it: protected heads, the least of a layer."""

from __future__ import annotations

import streamlit as st

from bhpvas.heads import HeadId, HeadMask
from bhpvas.search import Constraints
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets.synced import hold


def constraints(session: Session, mask: HeadMask) -> Constraints:
    """Draw the settings; only heads that ``mask`` keeps can be protected."""
    kept = [str(head) for head in mask]
    hold("protected", [name for name in st.session_state.get("protected", []) if name in kept])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        named = st.multiselect(
            "Protected heads",
            kept,
            key="protected",
            placeholder="Type L3H7",
            persist_state="session",
            help="These stay, whatever the method says.",
        )
        selected = sorted(session.selected - mask.removed)
        st.button(
            f"Protect selected ({len(selected)})",
            on_click=_protect,
            args=(selected,),
            disabled=not selected,
            help="Heads are selected on the Workbench.",
        )
    least = st.number_input(
        "Least heads a layer", 0, mask.heads, 0, key="least", persist_state="session"
    )
    return Constraints(frozenset(HeadId.parse(name) for name in named), int(least))


def _protect(heads: list[HeadId]) -> None:
    named = {*st.session_state["protected"], *map(str, heads)}
    st.session_state["protected"] = sorted(named, key=HeadId.parse)
