"""Settings: what a person chose in widgets, as far as a reload brings it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

_KEPT = "bhpvas kept"


def kept_key(key: str) -> str:
    """The key of a widget whose choice a reload brings back from here on.

    For choices that are the same whatever the model, the data and the scheme are.
    """
    st.session_state.setdefault(_KEPT, set()).add(key)
    return key


def kept_as(key: str) -> dict[str, Any]:
    """Arguments of a widget whose choice outlasts its page and a reload; see :func:`kept_key`."""
    return {"key": kept_key(key), "persist_state": "session"}


def kept_choices() -> dict[str, Any]:
    """What was chosen in such widgets, by their keys, whether or not they stand on this page."""
    found = {key: st.session_state.get(key) for key in st.session_state.get(_KEPT, ())}
    return {key: value for key, value in found.items() if isinstance(value, str | int | float)}


def bring_back(choices: Mapping[str, Any]) -> None:
    """The choices as they were, those that the address itself holds excepted."""
    for key, value in choices.items():
        if kept_key(key) not in st.query_params:
            st.session_state[key] = value
