"""Style of every figure: colour scales of the head map, hues, sizes, and the empty figure.

Every colour of a mark stands at least 3:1 against the light and against the dark background (a test
computes it), and text and grid have the colour of the page's theme, so a figure needs not know
whether it is shown on light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

import plotly.graph_objects as go

from bhpvas.heads import HeadId
from bhpvas.tasks.base import Metric

# Colour scales of the head map and its kin: of amounts, and of changes around zero. There zero lets
# the ground through, quiet on light and on dark; at the ends, text in the theme's colour still
# stands 4.5:1.
AMOUNTS = "Cividis"
CHANGES = (
    [0, "rgba(207, 75, 75, 0.81)"],
    [0.4999, "rgba(207, 75, 75, 0.09)"],
    [0.5001, "rgba(65, 128, 189, 0.09)"],
    [1, "rgba(65, 128, 189, 0.81)"],
)
# The same for points, which lie over each other and must hide what is below.
POINT_CHANGES = ([0, "#d03a3f"], [0.5, "#bcc3ca"], [1, "#2c7ccb"])
SELECTED = "#c2408f"
MARK = "#5b7ea3"
MUTED = "#838a93"
FAINT = "rgba(131, 138, 147, 0.28)"
REMOVED_FILL = "rgba(131, 138, 147, 0.14)"
# What is there, and has no number that a scale could colour.
PLAIN = "rgba(131, 138, 147, 0.42)"
NOWHERE = "rgba(0, 0, 0, 0)"
# Around a point whose own colour may come near the ground's.
EDGE = "rgba(110, 117, 126, 0.9)"
# What got worse and what got better, in the hues of the ends of CHANGES.
LOST = "#cf4b4b"
GAINED = "#4180bd"
# Class hues in label order: two fixed ones first (orange for the first label, teal for the second).
CLASSES = ("#c8691c", "#1b8a7a", "#7d68c9", "#b0567c", "#6f8a2e", "#4a86b8")
# Shapes of classes and of other groups, by their places.
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")
# Hues of heads that are drawn over each other; where these are used, none means a class.
HEADS = ("#2f8fb3", "#b9721c", "#7d8f1e", "#8b6fd0")
# What speaks for and what speaks against, where a mark is too thin for a scale.
FOR, AGAINST = "#3c86c4", "#d2504a"
# Changes of which those below zero are many and say little: red stays pale, on any ground.
GAINS = [
    [0, "rgba(201, 96, 60, 0.24)"],
    [0.5, "rgba(131, 138, 147, 0.12)"],
    [0.5001, "rgba(47, 126, 192, 0.35)"],
    [1, "rgba(47, 126, 192, 1)"],
]
# A head of which nothing is said but that it is kept.
KEPT = "rgba(91, 126, 163, 0.38)"
# Kinds of heads, pale enough to be written on: what is special first, what rests in grey.
KINDS = ("#8fb8de", "#a3d2ae", "#d3e29b", "#f3d587", "#f0ae8a", "#d9c5e8", "#cfd4da")
# Heads of a proposal, pale enough to be written on: one that stays, one that is protected, and
# those proposed for removal, the first to go first.
STAYS, PROTECTED = KEPT, "#a3d2ae"
PROPOSED = ("#e58f62", "#eda681", "#f3bea2", "#f8d5c3")
# Hues of lines that are compared, and of the band behind them.
LINES = (
    "#2f7fc1", "#c8691c", "#1b8a7a", "#8b6fd0", "#7d8f1e", "#cf4b4b", "#9c6b4a", "#4b8f4b",
    "#a8629a", "#5f7f9c",
)  # fmt: skip
BAND = "rgba(131, 138, 147, 0.20)"
#: Text beside marks, in a file. On a page it has the page's own colour, found by this one.
INK = "#262b31"
# Text on the cells of a scale.
ON_BRIGHT, ON_DARK = "#14181d", "#f4f6f8"

# A legend in lines below a figure.
LEGEND = {"orientation": "h", "x": 0, "y": 0, "yanchor": "top", "font": {"size": 12}}

# Sizes in pixels.
LARGEST_CELL = 36
SMALL_CELL = 24


def class_colour(label: int) -> str:
    """The hue of a label, by its index; the palette repeats after six labels."""
    return CLASSES[label % len(CLASSES)]


def step_colour(current: bool, on_path: bool) -> str:
    """The hue of a step of a scheme."""
    return SELECTED if current else MARK if on_path else MUTED


def cell_size(layers: int, heads: int) -> int:
    """Edge of a cell of the head map in pixels: the same wherever this geometry is drawn."""
    return max(min(LARGEST_CELL, 432 // heads, 384 // layers), 12)


def cell_gap(cell: int) -> int:
    """Pixels between two cells: where a frame around a selected one is drawn."""
    return 4 if cell >= SMALL_CELL else 3


def colour_bar(title: str, *, length: float = 1, pad: int = 12) -> dict[str, object]:
    """The bar that says what the colours mean, ``pad`` pixels to the right of a figure."""
    return {
        "title": {"text": title, "side": "right", "font": {"size": 12}},
        "thickness": 8,
        "outlinewidth": 0,
        "len": length,
        "x": 1.0,
        "xpad": pad,
        "nticks": 5,
        "tickfont": {"size": 11},
    }


def flat_steps(palette: Sequence[str]) -> list[list[object]]:
    """A scale that has one flat colour for each place of a palette."""
    count = len(palette)
    return [
        [(place + edge) / count, colour] for place, colour in enumerate(palette) for edge in (0, 1)
    ]


def strokes(
    pieces: Iterable[Iterable[tuple[Any, Any]]], *, width: float, color: str, **more: object
) -> dict[str, Any]:
    """A trace of many lines at once: each of ``pieces`` is the points (x, y) of one."""
    points = [point for piece in pieces for point in (*piece, (None, None))]
    return {
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "mode": "lines",
        "line": {"width": width, "color": color, **more},
        "hoverinfo": "skip",
    }


def box(
    x: float, y: float, reach: float = 0.5, *, across: float | None = None
) -> list[tuple[float, float]]:
    """The corners of a square around a point, the first one twice; of a rectangle where it reaches
    another way ``across``.
    """
    across = reach if across is None else across
    left, right, low, high = x - across, x + across, y - reach, y + reach
    return [(left, low), (right, low), (right, high), (left, high), (left, low)]


def says(texts: Iterable[object]) -> dict[str, Any]:
    """What each point shows under the pointer."""
    return {"text": list(texts), "hovertemplate": "%{text}<extra></extra>"}


def steady(opacity: float) -> dict[str, Any]:
    """What keeps points as they are when a click selects some, with the text that they show."""
    look = {"marker": {"opacity": opacity}}
    return {"hovertemplate": "%{text}<extra></extra>", "selected": look, "unselected": look}


def words(texts: Iterable[str], size: float, **font: object) -> dict[str, Any]:
    """Texts in the place of points, which the pointer passes over."""
    look = {"size": size, **font}
    return {"mode": "text", "text": list(texts), "textfont": look, "hoverinfo": "skip"}


def marks(**marker: object) -> dict[str, Any]:
    """The look of points that the pointer passes over."""
    return {"mode": "markers", "marker": marker, "hoverinfo": "skip"}


def cells(heads: Iterable[HeadId]) -> dict[str, Any]:
    """Where heads stand in a head map."""
    heads = list(heads)
    return {"x": [head.head for head in heads], "y": [head.layer for head in heads]}


def interval_bars(
    above: Iterable[float], below: Iterable[float], *, width: float, thickness: float = 1.2
) -> dict[str, Any]:
    """Intervals that reach so far ``above`` and ``below`` each point."""
    reach = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {**reach, "thickness": thickness, "width": width, "color": MUTED}


def targets(size: float) -> dict[str, Any]:
    """The look of transparent squares that catch clicks, since one on a heatmap reaches nobody."""
    marker = {"symbol": "square", "size": size, "color": NOWHERE}
    return {"mode": "markers", "marker": marker, **steady(0)}


def axis(
    title: str, nticks: int, *, grid: bool = True, standoff: int = 4, **more: object
) -> dict[str, Any]:
    """An axis of amounts with its title ``standoff`` pixels away, or without ``grid`` of counts."""
    lines: dict[str, object] = {"gridcolor": FAINT}
    if not grid:
        lines = {"showgrid": False, "tickformat": "d"}
    return {"title": {"text": title, "standoff": standoff}, "nticks": nticks, **lines, **more}


def ticks(
    names: Sequence[str],
    size: float,
    *,
    every: int = 1,
    at: Sequence[float] | None = None,
    **more: object,
) -> dict[str, Any]:
    """An axis without lines that names its places, or one of ``every``: 0, 1, … or those ``at``."""
    places = list(range(len(names)) if at is None else at)
    shown = {"tickvals": places[::every], "ticktext": list(names[::every])}
    return {**shown, "tickfont": {"size": size}, "showgrid": False, "ticks": "", **more}


def reach(
    metric: Metric, values: Iterable[float], *, room: float, most: float = 101
) -> list[float]:
    """The range of an axis of a metric's values, as drawn: of a share with so many points of
    ``room``, from 0 to ``most``; of another with a bit of room.
    """
    known = [metric.scale * value for value in values if isfinite(value)]
    if metric.share:
        low, high = min(known, default=50), max(known, default=100)
        return [max(low - room, 0), min(high + room, most)]
    low, high = min(known, default=0), max(known, default=1)
    room = max(0.06 * (high - low), 0.01)
    return [low - room, high + room]


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
        modebar={"bgcolor": NOWHERE, "color": MUTED, "activecolor": SELECTED},
    )
    # A fixed range keeps a drag or a scroll on the page from moving the picture.
    fixed: dict[str, Any] = {"fixedrange": True, "automargin": False, "zeroline": False}
    figure.update_xaxes(**fixed)
    figure.update_yaxes(**fixed)
    return figure


def inked(figure: go.Figure) -> go.Figure:
    """The same figure with :data:`INK` for every text that no chart gave a colour.

    Left to itself, it takes the colour of the theme in which it is drawn: saved from a dark page,
    it could not be read on paper.
    """
    layout = figure.layout
    layout.font.color = INK  # that of marks and of colour bars, too
    axes = [*figure.select_xaxes(), *figure.select_yaxes()]
    titled = [*layout.annotations, *(axis.title for axis in axes if axis.title.text is not None)]
    for font in [*(axis.tickfont for axis in axes), *(one.font for one in titled)]:
        if font.color is None:
            font.color = INK
    if layout.showlegend:
        layout.legend.font.color = INK
    return figure
