"""The button that hands over a file."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import streamlit as st

_THIS_SERVER = secrets.token_hex(4)

Content = str | bytes


def download(
    label: str,
    content: Content | Callable[[], Content],
    file_name: str,
    *,
    mime: str = "text/csv",
    key: str | None = None,
    **look: Any,
) -> None:
    """A button that hands over a file; a page stays as it is.

    ``content`` may be made only when somebody asks for it. ``key`` tells buttons of one page apart
    (default: the file's name), ``look`` is what Streamlit's own button takes besides.

    A page whose connection goes before it has drawn such a button shows an error in its place, and
    keeps it for as long as the button has the same name. That of the next server has another one.
    """
    st.download_button(
        label,
        content,
        file_name=file_name,
        mime=mime,
        on_click="ignore",
        key=f"{key or file_name}-{_THIS_SERVER}",
        **look,
    )
