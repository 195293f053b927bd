"""Clicks on a head map, none of which is lost while the map is drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from bhpvas.heads import HeadId

_SCRIPT = Path(__file__).with_name("clicks.js").read_text(encoding="utf-8")


def clicks(
    figure: go.Figure,
    *,
    key: str,
    layers: int,
    heads: int,
    take: Callable[[list[HeadId]], None],
) -> None:
    """Listen to clicks on a map of ``layers`` by ``heads`` cells that was drawn under a key.

    Nothing but its margins lies around the cells. ``take`` gets the heads that were clicked since
    it was called last, before the page runs again.
    """
    listener, name, margin = _listener(), f"clicks-{key}", figure.layout.margin
    sent = st.session_state.get(name, {}).get("clicks", [])
    # A page that outlived its server sends along what the server before has answered.
    taken = st.session_state.setdefault(_taken(name), _latest(sent))

    def take_new() -> None:
        heads = _new(name)
        if heads:
            take(heads)

    with st.container(key=f"listener-{key}"):
        listener(
            key=name,
            data={
                "key": key,
                "layers": layers,
                "heads": heads,
                "margins": [margin.l, margin.r, margin.t, margin.b],
                "taken": taken,
            },
            on_clicks_change=take_new,
        )


def _listener() -> Callable[..., Any]:
    return st.components.v2.component("head_map_clicks", js=_SCRIPT)


def _taken(name: str) -> str:
    return f"{name}-taken"


def _latest(sent: list[list[int]]) -> int:
    return max((number for number, *_ in sent), default=0)


def _new(name: str) -> list[HeadId]:
    """The heads of the clicks that came since the last time; they are taken now."""
    sent, before = st.session_state[name].clicks, st.session_state[_taken(name)]
    st.session_state[_taken(name)] = max(before, _latest(sent))
    return [HeadId(layer, head) for number, layer, head in sent if number > before]
