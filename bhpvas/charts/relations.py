"""Dependency relations against heads: how far each head beats the best fixed offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.charts.words import percent, signed
from bhpvas.heads import HeadId, HeadMask

_LEFT, _TOP, _CELL, _HIGH = 176, 34, 12, 22


@dataclass(frozen=True, eq=False)
class RelationRow:
    """One relation: its dependents, its best offset with accuracy, and every head's accuracy.

    ``accuracy`` is ``[L, H]`` in 0 … 1, NaN where a head is removed; ``follows`` marks the heads
    that have it as a role; ``ways`` says in which direction, ``[L][H]``.
    """

    name: str
    count: int
    offset: int
    baseline: float
    accuracy: np.ndarray
    follows: np.ndarray
    ways: Sequence[Sequence[str]]


def size(rows: int, mask: HeadMask) -> tuple[int, int]:
    """Width and height in pixels: heads keep their width, so a narrow page scrolls."""
    return _LEFT + mask.layers * mask.heads * _CELL + 8, _TOP + rows * _HIGH + 30


def relation_map(
    rows: Sequence[RelationRow], mask: HeadMask, chosen: tuple[str, HeadId] | None = None
) -> go.Figure:
    """Draw one row a relation and one column a head, layers side by side.

    Colour is accuracy less that of the best fixed offset, in points: blue beats it. A dot marks a
    role. Each cell carries ``[row, layer, head]`` as custom data.
    """
    every = list(mask.every_head())
    width, height = size(len(rows), mask)
    figure = style.blank(height=height, width=width, margin=(_LEFT, 8, _TOP, 30))
    gain = np.array([100 * (row.accuracy - row.baseline).ravel() for row in rows])  # [rows, L·H]
    gain = gain.reshape(len(rows), len(every))
    reach = float(np.nanmax(gain, initial=0.0)) or 1.0
    figure.add_heatmap(
        z=gain,
        colorscale=style.GAINS,
        zmid=0,
        # Far below the offset is common and says little, so both sides end where the best is.
        zmin=-reach,
        zmax=reach,
        xgap=1,
        ygap=2,
        showscale=False,
        hoverinfo="skip",
    )
    dots = [
        (place, number)
        for number, row in enumerate(rows)
        for place, head in enumerate(every)
        if row.follows[head.layer, head.head]
    ]
    figure.add_scatter(
        x=[place for place, _ in dots],
        y=[number for _, number in dots],
        mode="markers",
        marker={
            "symbol": "circle",
            "size": 6,
            "color": style.ON_DARK,
            "line": {"width": 1.5, "color": style.ON_BRIGHT},
        },
        hoverinfo="skip",
        name="roles",
    )
    _borders(figure, mask, len(rows))
    if chosen is not None:
        _frame(figure, rows, every, chosen)
    cells = [(number, head) for number in range(len(rows)) for head in every]
    figure.add_scatter(
        x=[place for _ in rows for place in range(len(every))],
        y=[number for number, _ in cells],
        customdata=[[number, head.layer, head.head] for number, head in cells],
        text=[_said(rows[number], head, mask) for number, head in cells],
        hovertemplate="%{text}<extra></extra>",
        mode="markers",
        marker={"symbol": "square", "size": _CELL - 1, "color": style.NOWHERE},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        name="cells",
    )
    middles = [layer * mask.heads + (mask.heads - 1) / 2 for layer in range(mask.layers)]
    figure.update_xaxes(
        range=[-0.5, len(every) - 0.5],
        side="top",
        tickvals=middles,
        ticktext=[f"L{layer}" for layer in range(mask.layers)],
        tickfont={"size": 12},
        showgrid=False,
        ticks="",
    )
    figure.update_yaxes(
        range=[len(rows) - 0.5, -0.5],
        tickvals=list(range(len(rows))),
        ticktext=[
            f"<b>{row.name}</b>  {row.count:,} · {offset(row.offset)} {percent(row.baseline, 0)}%"
            for row in rows
        ],
        tickfont={"size": 12},
        showgrid=False,
        ticks="",
        ticklabelstandoff=6,
    )
    for head in range(0, mask.heads, 2 if mask.heads > 1 else 1):
        for layer in range(mask.layers):
            figure.add_annotation(
                x=layer * mask.heads + head,
                y=len(rows) - 0.5,
                text=str(head),
                showarrow=False,
                yanchor="top",
                font={"size": 9},
            )
    return figure


def offset(step: int) -> str:
    """A fixed offset as it stands on the screen.

    >>> offset(1), offset(-2)
    ('offset +1', 'offset −2')
    """
    return f"offset {signed(step, 0)}"


def _said(row: RelationRow, head: HeadId, mask: HeadMask) -> str:
    if head in mask.removed:
        return f"<b>{head}</b> {'not in this model' if head in mask.absent else 'removed'}"
    accuracy = float(row.accuracy[head.layer, head.head])
    role = "<br>a role of this head" if row.follows[head.layer, head.head] else ""
    return (
        f"<b>{head} · {row.name}</b><br>{percent(accuracy)}% of {row.count:,} dependents, "
        f"{row.ways[head.layer][head.head]}<br>{signed(100 * (accuracy - row.baseline))} points "
        f"against {offset(row.offset)} ({percent(row.baseline)}%){role}"
    )


def _borders(figure: go.Figure, mask: HeadMask, rows: int) -> None:
    """A line between layers."""
    x: list[float | None] = []
    y: list[float | None] = []
    for layer in range(1, mask.layers):
        x += [layer * mask.heads - 0.5] * 2 + [None]
        y += [-0.5, rows - 0.5, None]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"width": 2, "color": style.MUTED},
        hoverinfo="skip",
        name="layers",
    )


def _frame(
    figure: go.Figure, rows: Sequence[RelationRow], every: list[HeadId], chosen: tuple[str, HeadId]
) -> None:
    names = [row.name for row in rows]
    name, head = chosen
    if name not in names or head not in every:
        return
    x, y = every.index(head), names.index(name)
    figure.add_scatter(
        x=[x - 0.5, x + 0.5, x + 0.5, x - 0.5, x - 0.5],
        y=[y - 0.5, y - 0.5, y + 0.5, y + 0.5, y - 0.5],
        mode="lines",
        line={"width": 3, "color": style.SELECTED},
        hoverinfo="skip",
        cliponaxis=False,
        name="chosen",
    )
