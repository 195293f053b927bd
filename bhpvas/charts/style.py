"""The few colours and sizes that all figures share.

Every colour of a mark stands at least 3:1 against the light and against the dark background (a test
computes it), and text and grid keep the colour of the page's theme, so a figure needs not know
whether it is shown on light or dark.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

AMOUNTS = "Cividis"
CHANGES = "RdBu"
SELECTED = "#c2408f"
MARK = "#5b7ea3"
MUTED = "#838a93"
FAINT = "rgba(131, 138, 147, 0.28)"
REMOVED_FILL = "rgba(131, 138, 147, 0.14)"
NOWHERE = "rgba(0, 0, 0, 0)"
# Class hues in label order: two fixed ones first (orange for the first label, teal for the second).
CLASSES = ("#c8691c", "#1b8a7a", "#7d68c9", "#b0567c", "#6f8a2e", "#4a86b8")

# Sizes in pixels.
LARGEST_CELL = 36
SMALL_CELL = 24


def class_colour(label: int) -> str:
    """The hue of a label, by its index; the palette repeats after six labels."""
    return CLASSES[label % len(CLASSES)]


def cell_size(layers: int, heads: int) -> int:
    """Edge of a cell of the head map in pixels: the same wherever this geometry is drawn."""
    return max(min(LARGEST_CELL, 432 // heads, 384 // layers), 12)


def cell_gap(cell: int) -> int:
    """Pixels between two cells: where a frame around a selected one is drawn."""
    return 4 if cell >= SMALL_CELL else 3


def blank(*, height: int, width: int | None = None, margin: tuple[int, int, int, int]) -> go.Figure:
    """An empty figure on a transparent ground; ``margin`` is left, right, top, bottom in pixels."""
    left, right, top, bottom = margin
    figure = go.Figure()
    figure.update_layout(
        height=height,
        width=width,
        margin={"l": left, "r": right, "t": top, "b": bottom, "pad": 0, "autoexpand": False},
        paper_bgcolor=NOWHERE,
        plot_bgcolor=NOWHERE,
        showlegend=False,
        hoverlabel={"align": "left"},
    )
    # A fixed range keeps a drag or a scroll on the page from moving the picture.
    axis: dict[str, Any] = {"fixedrange": True, "automargin": False, "zeroline": False}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
