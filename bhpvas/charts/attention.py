"""Attention maps: one head, all heads of a layer, and the flow through all layers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.heads import HeadId, HeadMask
from bhpvas.text import ARROW, literal, number, shortened

_COLUMNS = 6
#: Labels of an axis that can still be read side by side.
_MOST_LABELS = 40
_LONGEST_LABEL = 12
#: Pixels that the rows of a rollout share, and the highest and the lowest row.
_LAYERS, _HIGHEST, _LOWEST = 384, 30, 14
# Plotly would leave out the last ones where they reach over the edge of the figure.
_SLANTED = {"side": "top", "tickangle": -50, "ticklabeloverflow": "allow"}


def attention_matrix(attention: np.ndarray, units: Sequence[str], *, title: str) -> go.Figure:
    """Draw one head's attention ``[U, U]``: a row for each asker, a column for each target."""
    figure = style.blank(height=388, margin=(88, 30, 70, 4))
    _heat(figure, attention, units, units, title)
    ticks = _ticks(units)
    figure.update_xaxes(**ticks, **_SLANTED, title=None)
    figure.update_yaxes(**ticks, autorange="reversed", ticklabelstandoff=4)
    return figure


def rollout_map(rollout: np.ndarray, units: Sequence[str], source: int) -> go.Figure:
    """Draw how much of one unit comes from each input unit after every layer.

    ``rollout`` is ``[L, U, U]``; layers run upward from 0 as in the head map.
    """
    layers = len(rollout)
    row = max(min(_LAYERS // layers, _HIGHEST), _LOWEST)
    figure = style.blank(height=row * layers + 84, margin=(40, 30, 70, 6))
    rows = [f"L{layer}" for layer in range(layers)]
    _heat(figure, rollout[:, source], rows, units, f"{units[source]} after")
    figure.update_xaxes(**_ticks(units), **_SLANTED)
    figure.update_yaxes(**_ticks(rows), ticklabelstandoff=4)
    return figure


def layer_maps(
    maps: np.ndarray,
    units: Sequence[str],
    layer: int,
    mask: HeadMask,
    selected: Collection[HeadId] = (),
) -> go.Figure:
    """Draw the attention ``[H, U, U]`` of all heads of a layer, small, on one scale.

    A transparent square over each carries ``[layer, head]``, so that a click selects it.
    """
    heads, size, _ = maps.shape
    columns = min(_COLUMNS, heads)
    rows = -(-heads // columns)
    gap, title = 0.08 * size + 0.5, 0.2 * size + 1
    figure = style.blank(height=118 * rows + 8, margin=(4, 4, 4, 4))
    most = float(maps.max()) or 1.0
    middles: dict[HeadId, tuple[float, float]] = {}
    for head in range(heads):
        left = (head % columns) * (size + gap)
        top = (head // columns) * (size + gap + title) + title
        one = HeadId(layer, head)
        name = f"{one} ×" if one in mask.removed else str(one)
        middles[one] = (left + size / 2, top + size / 2)
        figure.add_heatmap(
            z=maps[head],
            x0=left + 0.5,
            dx=1,
            y0=top + 0.5,
            dy=1,
            coloraxis="coloraxis",
            hoverinfo="skip",
            opacity=0.35 if one in mask.removed else 1,
            name=str(one),
        )
        figure.add_annotation(
            x=left,
            y=top,
            text=f"<b>{name}</b>" if one in selected else name,
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            font={"size": 11},
        )
    frames = (style.box(*middles[one], size / 2) for one in sorted(set(selected) & set(middles)))
    figure.add_scatter(**style.strokes(frames, width=3, color=style.SELECTED), name="selected")
    figure.add_scatter(
        x=[x for x, _ in middles.values()],
        y=[y for _, y in middles.values()],
        customdata=[[head.layer, head.head] for head in middles],
        text=[_hover_text(maps[head.head], units, head) for head in middles],
        **style.targets(84),
        name="heads",
    )
    figure.update_layout(
        coloraxis={"colorscale": style.AMOUNTS, "cmin": 0, "cmax": most, "showscale": False}
    )
    figure.update_xaxes(visible=False, range=[0, columns * (size + gap) - gap])
    figure.update_yaxes(visible=False, range=[rows * (size + gap + title) - gap, 0])
    return figure


def _heat(
    figure: go.Figure, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str
) -> None:
    figure.add_heatmap(
        z=np.asarray(values, dtype=float).round(4),
        **style.says(
            [
                f"{literal(title)}: {literal(row)} {ARROW} {literal(column)} "
                f"{number(float(values[y, x]), 2)}"
                for x, column in enumerate(columns)
            ]
            for y, row in enumerate(rows)
        ),
        colorscale=style.AMOUNTS,
        zmin=0,
        showscale=False,
        xgap=1 if len(columns) <= _MOST_LABELS else 0,
        ygap=1 if len(rows) <= _MOST_LABELS else 0,
    )


def _ticks(units: Sequence[str]) -> dict[str, Any]:
    every = -(-len(units) // _MOST_LABELS)
    names = [literal(shortened(unit, _LONGEST_LABEL)) for unit in units]
    return style.ticks(names, 11 if len(units) <= 24 else 9, every=every)


def _hover_text(attention: np.ndarray, units: Sequence[str], head: HeadId) -> str:
    source, target = divmod(int(attention.argmax()), len(units))
    return (
        f"<b>{head}</b><br>strongest: {literal(units[source])} {ARROW} {literal(units[target])} "
        f"{number(float(attention[source, target]), 2)}"
    )
