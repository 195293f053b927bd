"""Page scripts: each runs inside the frame, however it is asked for."""

from __future__ import annotations

import runpy
from contextvars import ContextVar
from typing import Any

import streamlit as st

from bhpvas.storage.paths import app_script

_FRAMED: ContextVar[bool] = ContextVar("framed", default=False)


def run(page: Any) -> None:
    """Run a page's script inside the frame."""
    token = _FRAMED.set(True)
    try:
        page.run()
    finally:
        _FRAMED.reset(token)


def ensure() -> None:
    """Where a page's script runs by itself, run the whole app around it instead.

    Until a server has called ``st.navigation`` once, Streamlit takes every script in ``pages/`` for
    a page of its older kind, with the file's name as its address, and any other address for a page
    that it lacks. So our pages keep these addresses, and each script begins with this, before it
    imports anything that the app loads while something is shown.
    """
    if not _FRAMED.get():
        runpy.run_path(str(app_script()))
        st.stop()
