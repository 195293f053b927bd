"""Kept map: which heads a model keeps, and in which of them it differs, without numbers."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import feed_forward as column
from bhpvas.charts import style
from bhpvas.charts.feed_forward import FeedForward
from bhpvas.heads import HeadId, HeadMask

_LEFT, _RIGHT, _TOP, _BOTTOM = 24, 2, 2, 18
_GROUNDS = (style.KEPT, style.REMOVED_FILL, style.HEADS[0], "rgba(207, 75, 75, 0.2)")


def small_cell(layers: int, heads: int) -> int:
    """Edge of a cell in pixels: four maps of usual size fit side by side."""
    return max(min(18, 216 // heads, 240 // layers), 9)


def small_size(layers: int, heads: int, *, feed_forward: bool = False) -> tuple[int, int]:
    """Width and height of the map in pixels, with or without its feed-forward column."""
    cell = small_cell(layers, heads)
    wide = heads + (column.GAP + column.WIDE if feed_forward else 0)
    return round(wide * cell) + _LEFT + _RIGHT, layers * cell + _TOP + _BOTTOM


def kept_map(
    mask: HeadMask,
    different: Collection[HeadId] = (),
    *,
    feed_forward: FeedForward | None = None,
) -> go.Figure:
    """Draw kept heads as cells and cross out removed ones; ``different`` heads stand out.

    A head that the model never had has no cell. What is different is blue where this mask keeps it
    and has a red cross where it does not; what is not is pale. With ``feed_forward`` one wide cell
    a layer stands at the right, filled as far as the mask keeps its neurons.

    >>> import bhpvas
    >>> mask = bhpvas.HeadMask.parse("L0H3,L5H11", layers=6, heads=12)
    >>> figure = bhpvas.kept_map(mask, different=bhpvas.parse_heads("L0H3"))
    >>> figure.data[0].text[5][11]
    '<b>L5H11</b> removed'
    """
    layers, heads = mask.layers, mask.heads
    cell = small_cell(layers, heads)
    width, height = small_size(layers, heads, feed_forward=feed_forward is not None)
    figure = style.blank(height=height, width=width, margin=(_LEFT, _RIGHT, _TOP, _BOTTOM))
    kinds = np.where(mask.kept, 0.0, 1.0)
    for head in different:
        kinds[head.layer, head.head] += 2
    for head in mask.pruned:
        kinds[head.layer, head.head] = np.nan
    figure.add_heatmap(
        z=kinds,
        colorscale=style.flat_steps(_GROUNDS),
        zmin=-0.5,
        zmax=3.5,
        showscale=False,
        xgap=2,
        ygap=2,
        **style.says(
            [_hover_text(HeadId(la, he), mask, different) for he in range(heads)]
            for la in range(layers)
        ),
        name="heads",
    )
    crosses = ((False, style.MUTED, "removed"), (True, style.LOST, "removed here"))
    for stands_out, colour, name in crosses:
        crossed = [head for head in sorted(mask.masked) if (head in different) is stands_out]
        figure.add_scatter(
            **style.cells(crossed),
            **style.marks(symbol="x-thin", size=0.4 * cell, line={"width": 2, "color": colour}),
            name=name,
        )
    places, right = [*range(0, heads, 2)], heads - 0.5
    names = [f"H{head}" for head in places]
    if feed_forward is not None:
        column.add_column(figure, feed_forward, mask, cell, color=style.KEPT)
        places.append(right + column.GAP + column.WIDE / 2)
        names.append("neurons")
        right += column.GAP + column.WIDE
    figure.update_xaxes(**style.ticks(names, 8, at=places), range=[-0.5, right], tickangle=0)
    figure.update_yaxes(
        **style.ticks([f"L{layer}" for layer in range(layers)], 9, every=1 if cell >= 12 else 2),
        range=[-0.5, layers - 0.5],
        tickangle=0,
        ticklabelstandoff=4,
    )
    return figure


def _hover_text(head: HeadId, mask: HeadMask, different: Collection[HeadId]) -> str:
    if head in mask.pruned:
        return f"<b>{head}</b> not in this model"
    text = f"<b>{head}</b> {'removed' if head in mask.removed else 'kept'}"
    return f"{text}, differs" if head in different else text
