"""The head map: layers upward from 0, heads left to right, one cell a head."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.heads import HeadId, HeadMask

_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 72, 4, 26


def size(layers: int, heads: int) -> tuple[int, int]:
    """Width and height in pixels of the map of a geometry."""
    cell = style.cell_size(layers, heads)
    return heads * cell + _LEFT + _RIGHT, layers * cell + _TOP + _BOTTOM


def head_map(
    values: np.ndarray,
    mask: HeadMask,
    selected: Collection[HeadId] = (),
    *,
    title: str = "",
    hover: np.ndarray | None = None,
    change: bool = False,
    rise_is_bad: bool = True,
) -> go.Figure:
    """Draw one number a head as a grid of cells.

    ``values`` is ``[L, H]``, NaN where there is none. Amounts are drawn in cividis (bright = much);
    with ``change`` the scale is red to blue with zero in its middle, red where a rise (or, without
    ``rise_is_bad``, a fall) is. Removed heads are crossed out and keep no colour; selected ones are
    framed. ``hover`` is text ``[L, H]``, by default the head's name and value.

    The last trace is a transparent square over each cell that carries ``[layer, head]`` as custom
    data, since a click on a heatmap itself reaches no listener in streamlit.
    """
    layers, heads = mask.layers, mask.heads
    cell = style.cell_size(layers, heads)
    width, height = size(layers, heads)
    figure = style.blank(height=height, width=width, margin=(_LEFT, _RIGHT, _TOP, _BOTTOM))

    shown = np.where(mask.array > 0, np.asarray(values, dtype=float), np.nan)  # [L, H]
    reach = float(np.nanmax(np.abs(shown))) if np.isfinite(shown).any() else 1.0
    figure.add_heatmap(
        z=shown,
        colorscale=style.CHANGES if change else style.AMOUNTS,
        reversescale=change and rise_is_bad,
        zmid=0 if change else None,
        zmin=-(reach or 1.0) if change else None,
        zmax=(reach or 1.0) if change else None,
        xgap=style.cell_gap(cell),
        ygap=style.cell_gap(cell),
        hoverinfo="skip",
        colorbar={
            "title": {"text": title, "side": "right", "font": {"size": 12}},
            "thickness": 8,
            "outlinewidth": 0,
            "len": 1,
            "y": 0.5,
            "x": 1.0,
            "xpad": 12,
            "nticks": 5,
            "tickfont": {"size": 11},
        },
    )
    _cross_out(figure, mask, cell)
    _frame(figure, selected, cell)
    every = list(mask.every_head())
    if hover is None:
        hover = np.array([[f"L{la}H{he}" for he in range(heads)] for la in range(layers)])
    figure.add_scatter(
        x=[head.head for head in every],
        y=[head.layer for head in every],
        customdata=[[head.layer, head.head] for head in every],
        text=[str(hover[head.layer, head.head]) for head in every],
        hovertemplate="%{text}<extra></extra>",
        mode="markers",
        marker={"symbol": "square", "size": cell - 2, "color": style.NOWHERE},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        name="heads",
    )
    bare = {"showgrid": False, "showline": False, "ticks": ""}
    every_other = 1 if cell >= style.SMALL_CELL else 2
    figure.update_xaxes(
        **bare,
        range=[-0.5, heads - 0.5],
        tickvals=list(range(0, heads, every_other)),
        ticktext=[f"H{head}" for head in range(0, heads, every_other)],
        tickfont={"size": 10 if cell >= style.SMALL_CELL else 8},
        tickangle=0,
    )
    figure.update_yaxes(
        **bare,
        range=[-0.5, layers - 0.5],
        tickvals=list(range(layers)),
        ticktext=[f"L{layer}" for layer in range(layers)],
        tickfont={"size": 11},
        ticklabelstandoff=6,
    )
    return figure


def _cross_out(figure: go.Figure, mask: HeadMask, cell: int) -> None:
    """Grey the cells of removed heads and put a cross on each."""
    removed = sorted(mask.removed)
    figure.add_heatmap(
        z=np.where(mask.array > 0, np.nan, 0.0),
        colorscale=[[0, style.REMOVED_FILL], [1, style.REMOVED_FILL]],
        showscale=False,
        xgap=style.cell_gap(cell),
        ygap=style.cell_gap(cell),
        hoverinfo="skip",
        name="removed ground",
    )
    figure.add_scatter(
        x=[head.head for head in removed],
        y=[head.layer for head in removed],
        mode="markers",
        marker={
            "symbol": "x-thin",
            "size": 0.36 * cell,
            "line": {"width": 2, "color": style.MUTED},
        },
        hoverinfo="skip",
        name="removed",
    )


def _frame(figure: go.Figure, selected: Collection[HeadId], cell: int) -> None:
    """Frame the selected cells with one closed line each, in a single trace."""
    x: list[float | None] = []
    y: list[float | None] = []
    for head in sorted(selected):
        left, right = head.head - 0.48, head.head + 0.48
        low, high = head.layer - 0.48, head.layer + 0.48
        x += [left, right, right, left, left, None]
        y += [low, low, high, high, low, None]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"width": style.cell_gap(cell) - 1, "color": style.SELECTED},
        hoverinfo="skip",
        cliponaxis=False,
        name="selected",
    )
