"""Frame around every page: its session, what the top says, and the way out of an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from bhpvas import text
from bhpvas.errors import BhpvasError
from bhpvas.ui import sidebar
from bhpvas.ui.jobs import runner, tasks
from bhpvas.ui.model_and_data import fresh_session
from bhpvas.ui.persistence import kept_work
from bhpvas.ui.state import session as sessions
from bhpvas.ui.widgets import figures

STYLE = Path(__file__).with_name("style.css")


def open_session() -> None:
    """Give this browser a session, if it has none: the kept one that its address names, or a new
    one on the sample model and sentences.
    """
    st.html(STYLE)
    tasks.begin_run()
    figures.begin_run()
    if not sessions.is_open():
        try:
            with st.spinner("Loading the model"):
                runner.shared()
                kept_work.open_session(fresh_session)
        except BhpvasError as error:
            st.error(text.verbatim(str(error)))
            st.stop()


@contextmanager
def way_out(pages: Sequence[Any]) -> Iterator[None]:
    """Where what stands inside cannot go on, its sentence on top, and what leads on from there.

    A model leaves for the models of others, and may not load again: its folder is gone, or the
    memory that it takes.
    """
    top = st.container()
    try:
        yield
    except BhpvasError as error:
        top.error(text.verbatim(str(error)))
        sidebar.draw_way_out(sessions.current(), pages)


def messages(pages: Sequence[Any]) -> None:
    """What the top of every page says: what went wrong, what to know, what to go on with."""
    session = sessions.current()
    if session.error is not None:
        st.error(text.verbatim(session.error))
    if session.notice is not None:
        st.info(text.verbatim(session.notice))
    kept_work.offers(pages, fresh_session)
