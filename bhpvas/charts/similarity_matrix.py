"""Similarity matrix: how alike every two heads are, and the pairs that are most alike."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.heads import HeadId, HeadMask

_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 62, 8, 24
#: Pixels of the whole matrix, of which every head gets a whole number, at least one.
_ACROSS = 432
#: Pixels between two labels of layers, and the length of the mark of a selected head.
_LABEL, _MARK = 20, 7


def size(mask: HeadMask) -> tuple[int, int]:
    """Width and height of the matrix of a geometry in pixels."""
    every = mask.layers * mask.heads
    across = every * max(_ACROSS // every, 1)
    return across + _LEFT + _RIGHT, across + _TOP + _BOTTOM


def similarity_matrix(
    matrix: np.ndarray, mask: HeadMask, selected: Collection[HeadId] = (), *, title: str
) -> go.Figure:
    """Draw how alike every two kept heads are, from ``[L·H, L·H]``, row-major by layer.

    Layers run upward and to the right from 0, with a line between two of them. Removed heads, the
    diagonal and what is not known stay empty; ``selected`` heads are marked on both axes.
    """
    layers, heads = mask.layers, mask.heads
    shown = np.asarray(matrix, dtype=np.float32).copy()  # [L·H, L·H]
    removed = ~mask.kept.ravel()
    shown[removed], shown[:, removed] = np.nan, np.nan
    np.fill_diagonal(shown, np.nan)
    width, height = size(mask)
    figure = style.blank(height=height, width=width, margin=(_LEFT, _RIGHT, _TOP, _BOTTOM))
    names = [str(head) for head in mask.every_head()]
    figure.add_heatmap(
        z=shown,
        x=names,
        y=names,
        colorscale=style.AMOUNTS,
        zmin=0,
        zmax=1,
        hoverongaps=False,
        hovertemplate="<b>%{y}</b> and <b>%{x}</b>: %{z:.2f}<extra></extra>",
        colorbar=style.colour_bar(title, pad=10),
        name="similarity",
    )
    borders = [layer * heads - 0.5 for layer in range(1, layers)]
    line = {"type": "line", "line": {"width": 1, "color": style.FAINT}}
    mark = {"type": "line", "line": {"width": 2, "color": style.SELECTED}, "name": "selected"}
    chosen = [head.layer * heads + head.head for head in sorted(selected)]
    across, up = {"xref": "paper", "yref": "y"}, {"xref": "x", "yref": "paper"}
    short = _MARK / (height - _TOP - _BOTTOM)
    figure.update_layout(
        # All at once: adding one to many checks the many again.
        shapes=[
            *({**line, **across, "x0": 0, "x1": 1, "y0": at, "y1": at} for at in borders),
            *({**line, **up, "y0": 0, "y1": 1, "x0": at, "x1": at} for at in borders),
            *({**mark, **across, "x0": -short, "x1": 0, "y0": at, "y1": at} for at in chosen),
            *({**mark, **up, "y0": -short, "y1": 0, "x0": at, "x1": at} for at in chosen),
        ]
    )
    every = max(-(-_LABEL * layers // (width - _LEFT - _RIGHT)), 1)
    axis = style.ticks(
        [f"L{layer}" for layer in range(layers)],
        10,
        every=every,
        at=[layer * heads + (heads - 1) / 2 for layer in range(layers)],
        range=[-0.5, layers * heads - 0.5],
        tickangle=0,
        ticklabelstandoff=_MARK + 2,
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def most_alike(matrix: np.ndarray, mask: HeadMask, most: int = 100) -> pd.DataFrame:
    """The pairs of kept heads that are most alike, from ``[L·H, L·H]``, the closest first.

    Columns: ``head`` and ``other``, by name, the lower layer first; ``similarity``.

    >>> matrix = np.array([[1, 0.2, 0.9], [0.2, 1, 0.4], [0.9, 0.4, 1]])
    >>> most_alike(matrix, HeadMask(1, 3), 2).values.tolist()
    [['L0H0', 'L0H2', 0.9], ['L0H1', 'L0H2', 0.4]]
    """
    names = np.array([str(head) for head in mask.every_head()])
    kept = np.flatnonzero(mask.kept)
    first, second = np.triu_indices(len(kept), 1)
    values = np.asarray(matrix, dtype=float)[np.ix_(kept, kept)][first, second]
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:most]
    order = order[np.isfinite(values[order])]
    return pd.DataFrame(
        {
            "head": names[kept[first[order]]],
            "other": names[kept[second[order]]],
            "similarity": values[order],
        }
    )
