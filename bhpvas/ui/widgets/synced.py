"""Widgets that show what the session holds and change it, such as a list of the selected heads.

A browser sends what each of its widgets holds along with every click. While an answer is on its
way, that is what they held before it; taken at its word, it would undo what was clicked. So a
widget here gets a new key whenever what it shows was changed elsewhere, and what a browser says of
one counts only as far as it differs from what was shown under that key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from bhpvas.storage.eviction import Recent

_STATE = "bhpvas synced"
_KEPT = 64

Content = frozenset[str]


@dataclass
class _Synced:
    """What each widget was shown with, or what was said of it last, by its key."""

    shown: Recent[str, Content] = field(default_factory=lambda: Recent(_KEPT))
    current: dict[str, tuple[int, Hashable]] = field(default_factory=dict)


def _mine() -> _Synced:
    found: _Synced = st.session_state.setdefault(_STATE, _Synced())
    return found


def hold(key: str, value: Any) -> None:
    """Let the widget of this key show a value, if it shows another one.

    Set without need, it would undo in the browser what was clicked or typed since.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def key_of(name: str, content: Iterable[str], about: Hashable = None) -> str:
    """The key of the widget that shows this; another one once it, or ``about``, has changed."""
    mine, content = _mine(), frozenset(content)
    number, before = mine.current.get(name, (0, about))
    key = f"{name}-{number}"
    if before != about or mine.shown.get(key, content) != content:
        number += 1
        key = f"{name}-{number}"
    mine.current[name] = (number, about)
    mine.shown.put(key, content)
    return key


def changed(key: str, content: Iterable[str]) -> Content:
    """What a person added to a widget or took from it since it was shown; often nothing."""
    mine, content = _mine(), frozenset(content)
    before = mine.shown.get(key) or frozenset()
    mine.shown.put(key, content)
    return content ^ before
