"""Clicks on a head map, none of which is lost while the map is drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from bhpvas.charts.shared_rows import GAP
from bhpvas.heads import HeadId

_SCRIPT = Path(__file__).with_name("clicks.js").read_text(encoding="utf-8")


def clicks(
    figure: go.Figure,
    *,
    key: str,
    layers: int,
    heads: int,
    take: Callable[[list[HeadId]], None],
    column: tuple[float, float] | None = None,
    groups: int = 0,
) -> None:
    """Listen to clicks on a map of ``layers`` by ``heads`` cells that was drawn under a key.

    Nothing but its margins lies around the cells. ``take`` gets the heads that were clicked since
    it was called last, before the page runs again. With a ``column``, which reaches from a place to
    another in cells from the left, a click there is one on the head behind the last; one on the row
    of one of so many ``groups`` is one on a head of a layer above the last.
    """
    listener, name, margin = _listener(), f"clicks-{key}", figure.layout.margin
    left, right = figure.layout.xaxis.range
    low, high = figure.layout.yaxis.range
    is_first = _taken(name) not in st.session_state

    def take_new() -> None:
        if heads := _new(name):
            take(heads)

    with st.container(key=f"listener-{key}"):
        sent = listener(
            key=name,
            data={
                "key": key,
                "layers": layers,
                "heads": heads,
                "across": right - left,
                "tall": high - low,
                "groups": groups,
                "gap": GAP,
                "column": column,
                "margins": [margin.l, margin.r, margin.t, margin.b],
                "taken": 0 if is_first else st.session_state[_taken(name)],
            },
            on_clicks_change=take_new,
        )
    if is_first:  # a page that outlived its server sends what the server before has answered
        st.session_state[_taken(name)] = _latest(sent.clicks or [])


def _listener() -> Callable[..., Any]:
    return st.components.v2.component("head_map_clicks", js=_SCRIPT)


def _taken(name: str) -> str:
    return f"{name}-taken"


def _latest(sent: list[list[int]]) -> int:
    return max((number for number, *_ in sent), default=0)


def _new(name: str) -> list[HeadId]:
    """The heads of the clicks that came since the last time; they are taken now."""
    sent, before = st.session_state[name].clicks, st.session_state.get(_taken(name))
    st.session_state[_taken(name)] = max(before or 0, _latest(sent))
    # Where the first run was ended by a click, what came before that click is not known.
    new = sent[-1:] if before is None else [one for one in sent if one[0] > before]
    return [HeadId(layer, head) for _, layer, head in new]
