"""Figures that select heads: the head map and the scatter share one selection."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import plotly.graph_objects as go
import streamlit as st

from bhpvas.charts.head_map import head_map, size
from bhpvas.heads import HeadId
from bhpvas.ui import session as sessions
from bhpvas.ui.columns import Column
from bhpvas.ui.controls import layer_heads
from bhpvas.ui.session import Session

CONFIG: dict[str, Any] = {"displayModeBar": False, "doubleClick": False}


def head_grid(column: Column, session: Session, *, pointer: str, key: str = "head-map") -> None:
    """Draw the head map of a column; a click or a box changes the selection."""
    figure = head_map(
        column.values,
        session.mask,
        session.selected,
        title=column.title,
        hover=column.hover(session.mask),
        change=column.change,
        rise_is_bad=column.rise_is_bad,
    )
    width, height = size(session.mask.layers, session.mask.heads)
    selecting(
        figure,
        pointer=pointer,
        key=key,
        width=width,
        height=height,
        alt=f"Head map of {session.mask.layers} layers by {session.mask.heads} heads, coloured by "
        f"{column.title}; {len(session.mask.removed)} removed, {len(session.selected)} selected",
    )


def selecting(
    figure: go.Figure,
    *,
    pointer: str,
    key: str,
    height: int,
    alt: str,
    width: int | Literal["stretch"] = "stretch",
) -> None:
    """Draw a figure whose points carry ``[layer, head]``, and let it change the selection."""
    # Streamlit passes clicks on while dragmode is unset, and boxes while it is "select".
    figure.update_layout(dragmode="select" if pointer == "box" else None)
    st.plotly_chart(
        figure,
        key=key,
        on_select=partial(_selected, key=key, pointer=pointer),
        selection_mode=("points", "box"),
        width=width,
        height=height,
        config=CONFIG,
        alt=alt,
    )


def _selected(*, key: str, pointer: str) -> None:
    points = st.session_state[key].selection.points
    picked = [HeadId(*point["customdata"][:2]) for point in points if "customdata" in point]
    if picked:
        sessions.change(partial(picking, picked=picked, pointer=pointer))


def picking(session: Session, picked: list[HeadId], pointer: str) -> Session:
    """The selection after a click on a head or a box around some."""
    if pointer == "layer":
        return session.toggling(layer_heads(session, picked[0].layer))
    return session.toggling(picked)
