"""Controls that several pages have: one of some options, a list of heads, a way to slice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

import streamlit as st

from bhpvas.heads import HeadId
from bhpvas.tasks.base import Metric, Task
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import synced

Option = TypeVar("Option", bound=str)


def choice(
    label: str, options: Iterable[Option], *, key: str, titled: bool = False, **more: Any
) -> Option:
    """Which of some options is chosen, the first at first; it stays so while pages change.

    The label is seen only where it is ``titled``. ``more`` is for ``st.segmented_control``.
    """
    every = list(options)
    visibility = "visible" if titled else "collapsed"
    given = {"default": every[0], "persist_state": "session", "label_visibility": visibility} | more
    return cast("Any", st.segmented_control)(label, every, required=True, key=key, **given)


def selected_list(session: Session) -> None:
    """The keyboard's way in: it always shows what is selected, and changes it."""
    list_of_heads(
        "Selected heads",
        session,
        session.selected,
        key="heads",
        turn=partial(sessions.change, Session.turning_over),
    )


def list_of_heads(
    label: str,
    session: Session,
    chosen: Iterable[HeadId],
    *,
    key: str,
    turn: Callable[[list[HeadId]], None],
    **options: Any,
) -> None:
    """Some heads by their names; ``turn`` gets those that a person adds or takes away.

    Options are those of ``st.multiselect``.
    """
    shown = [str(head) for head in sorted(chosen)]
    name = synced.key_of(key, shown)
    given = {"options": [str(head) for head in session.mask.every_head()]}

    def take() -> None:
        if heads := sorted(map(HeadId.parse, synced.changed(name, st.session_state[name]))):
            turn(heads)

    with st.container(key=f"list-{key}"):
        st.multiselect(
            label,
            **{"placeholder": "Type L3H7", **given, **options},
            default=shown,
            key=name,
            on_change=take,
        )


def slice_controls(
    titles: Mapping[str, str], task: Task, key: str, *, width: int
) -> tuple[str, Metric]:
    """By which of some groupings to slice, named by their titles, and the headline or the loss."""
    if st.session_state.get(f"{key}-by") not in titles:
        st.session_state[f"{key}-by"] = next(iter(titles))
    by = st.selectbox(
        "Slices by",
        list(titles),
        key=f"{key}-by",
        format_func=lambda name: f"by {titles[name].lower()}",
        width=width,
        label_visibility="collapsed",
    )
    metrics = {one.title_in_text: one for one in (task.headline, task.metric("loss"))}
    if st.session_state.get(f"{key}-measure") not in metrics:
        st.session_state[f"{key}-measure"] = task.headline.title_in_text
    return by, metrics[choice("Measure", metrics, key=f"{key}-measure")]
