"""The view Compare."""

from __future__ import annotations

import streamlit as st

from bhpvas.ui.session import Session


def view(session: Session) -> None:
    """Draw the view."""
    st.caption(session.scheme.name)
