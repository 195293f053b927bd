"""Sentence map: one point a sentence, near others that the model reads alike."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.charts.style import SYMBOLS

_SIZE, _SMALL = 8, 5
_SHOWN, _DIMMED = 0.9, 0.3
#: From this many sentences on, points are smaller, and drawn by WebGL where the browser can.
MANY = 2_000
#: More selected sentences than this are not ringed: the rest is dimmed, and rings would hide them.
MOST_RINGS = 40
_LEGEND_LINE = 19


@dataclass(frozen=True, eq=False)
class Groups:
    """Sentences in named groups: ``codes`` ``[N]`` are places in ``names``.

    ``marks`` gives each group a colour and a symbol; by default they are those of classes, and
    symbols change once the hues are used up, so that no two of 36 groups look the same.
    """

    title: str
    names: tuple[str, ...]
    codes: np.ndarray
    marks: tuple[tuple[str, str], ...] | None = None

    def mark(self, code: int) -> tuple[str, str]:
        """Colour and symbol of a group."""
        if self.marks is not None:
            return self.marks[code]
        hue, turn = code % len(style.CLASSES), code // len(style.CLASSES)
        # The first round pairs every hue with a shape of its own, so that colour is never alone.
        return style.class_colour(code), SYMBOLS[(hue + turn) % len(SYMBOLS)]


@dataclass(frozen=True, eq=False)
class Amounts:
    """One number a sentence: ``values`` ``[N]``; a ``change`` is drawn red to blue around zero.

    ``symbols`` ``[N]`` marks some sentences by their shape as well.
    """

    title: str
    values: np.ndarray
    change: bool = False
    symbols: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Panel:
    """Places ``[N, 2]`` of all sentences under one mask, and what colours them there."""

    title: str
    places: np.ndarray
    colouring: Groups | Amounts


@dataclass(frozen=True, eq=False)
class Moves:
    """Sentences, by their places in the dataset, whose way is drawn in one colour."""

    name: str
    rows: np.ndarray
    colour: str


def sentence_map(
    panels: Sequence[Panel],
    selected: Collection[int] = (),
    *,
    hover: Sequence[str],
    moves: Sequence[Moves] = (),
    height: int = 400,
    columns: int = 3,
    webgl: bool = False,
) -> go.Figure:
    """Draw every sentence as a point, in one of the ``panels`` or in two side by side.

    With ``moves`` the first panel is where sentences came from: only the last one is drawn, with a
    line to each sentence's place from that in the first. Every point carries its sentence's place
    in the dataset as custom data; ``hover`` is its text. Selected sentences are ringed where they
    are few. ``columns`` is how many entries of the legend stand in a line. With ``webgl`` the
    points are pixels of a canvas and not elements of the page, which thousands would slow down.
    """
    # As dictionaries, which are checked once; as objects they would be checked and copied twice.
    kind = {"type": "scattergl" if webgl else "scatter"}
    drawn = list(panels[-1:] if moves else panels)
    every = np.concatenate([panel.places for panel in panels])
    groups = [panel.colouring for panel in drawn if isinstance(panel.colouring, Groups)]
    entries = len(groups[0].names) if groups else 0
    below = 6 + _LEGEND_LINE * -(-entries // columns)
    titled = len(drawn) > 1
    scale = 4 if groups else 58
    figure = style.blank(height=height, margin=(4, scale, 24 if titled else 4, below))
    traces: list[dict[str, object]] = []
    axes_of: dict[str, object] = {}
    titles: list[dict[str, object]] = []
    for one in moves:
        begin, end = panels[0].places[one.rows], drawn[0].places[one.rows]
        traces.append({**kind, **_lines(begin, end, one)})
    for number, panel in enumerate(drawn):
        axes = {"xaxis": f"x{number + 1}", "yaxis": f"y{number + 1}"} if number else {}
        for points in _points(panel, selected, hover, first=number == 0, counted=not titled):
            traces.append({**kind, **points, **axes})
        if 0 < len(selected) <= MOST_RINGS:
            traces.append({**kind, **_rings(panel.places, sorted(selected)), **axes})
        axes_of |= _axes(number, len(drawn), every)
        if titled:
            domain = f"x{number + 1 if number else ''} domain"
            corner = {"xref": domain, "yref": "y domain", "x": 0, "y": 1, "yshift": 4}
            look = {"xanchor": "left", "yanchor": "bottom", "font": {"size": 12}}
            titles.append({"text": panel.title, **corner, **look, "showarrow": False})
    figure.add_traces(traces)
    figure.update_layout(
        **axes_of,
        annotations=titles,
        showlegend=entries > 0,
        legend={
            **style.LEGEND,
            "entrywidth": 1 / columns - 0.01,
            "entrywidthmode": "fraction",
            "itemclick": False,
            "itemdoubleclick": False,
        },
    )
    return figure


def _points(
    panel: Panel,
    selected: Collection[int],
    hover: Sequence[str],
    *,
    first: bool,
    counted: bool,
) -> Iterator[dict[str, object]]:
    """A trace of each group, or one of all sentences."""
    colouring = panel.colouring
    chosen = np.zeros(len(panel.places), dtype=bool)
    chosen[sorted(selected)] = True
    texts = np.asarray(hover, dtype=str)
    # Traces of one look each are drawn many times as fast as one trace of many looks.
    looks = [(~chosen, _DIMMED), (chosen, _SHOWN)] if selected else [(~chosen, _SHOWN)]
    size = _SIZE if len(chosen) < MANY else _SMALL

    def trace(
        rows: np.ndarray, name: str, opacity: float, legend: bool, marker: dict[str, object]
    ) -> dict[str, object]:
        return {
            # Half of the digits is plenty for a place on the screen, and half of what is sent.
            "x": panel.places[rows, 0].astype(np.float32),
            "y": panel.places[rows, 1].astype(np.float32),
            # An array is checked as a whole, a list item by item.
            "customdata": rows.astype(object),
            "text": texts[rows],
            "hovertemplate": "%{text}<extra></extra>",
            "mode": "markers",
            "marker": {
                "size": size,
                "opacity": opacity,
                "line": {"width": 0.6, "color": style.EDGE},
                **marker,
            },
            # A lasso marks in the browser as a figure of these selected sentences would.
            "selected": {"marker": {"opacity": _SHOWN}},
            "unselected": {"marker": {"opacity": _DIMMED}},
            "name": name,
            "legendgroup": name,
            "showlegend": legend,
        }

    if isinstance(colouring, Groups):
        for code, name in enumerate(colouring.names):
            here = colouring.codes == code
            colour, symbol = colouring.mark(code)
            said = f"{name} ({here.sum():,})" if counted else name
            marker: dict[str, object] = {"color": colour, "symbol": symbol}
            for among, opacity in looks:
                legend = first and opacity == _SHOWN
                yield trace(np.flatnonzero(here & among), said, opacity, legend, marker)
        return
    values = np.asarray(colouring.values, dtype=float)
    # The strongest on top, so that a few changes are not buried under many that did not.
    order = np.argsort(np.abs(values) if colouring.change else np.zeros(len(values)), kind="stable")
    reach = float(np.abs(values).max(initial=0.0)) or 1.0
    symbols = np.full(len(chosen), SYMBOLS[0]) if colouring.symbols is None else colouring.symbols
    used = sorted(set(symbols.tolist()), key=lambda symbol: (symbol != SYMBOLS[0], symbol))
    scale_of: dict[str, object] = {
        "colorscale": style.POINT_CHANGES if colouring.change else style.AMOUNTS,
        "cmin": -reach if colouring.change else float(values.min()),
        "cmax": reach if colouring.change else float(values.max()),
        "colorbar": style.colour_bar(colouring.title, length=0.94, pad=6),
    }
    for among, opacity in looks:
        for symbol in used:
            rows = order[(among & (symbols == symbol))[order]]
            bar = first and opacity == _SHOWN and symbol == used[0]
            marker = {**scale_of, "color": values[rows], "symbol": symbol, "showscale": bar}
            yield trace(rows, "sentences", opacity, False, marker)


def _rings(places: np.ndarray, rows: Sequence[int]) -> dict[str, object]:
    """A trace of rings around some sentences."""
    return {
        "x": places[rows, 0],
        "y": places[rows, 1],
        **style.marks(
            symbol="circle-open",
            size=(_SIZE if len(places) < MANY else _SMALL) + 3,
            color=style.SELECTED,
            line={"width": 1.2},
        ),
        "name": "selected",
        "showlegend": False,
    }


def _lines(start: np.ndarray, end: np.ndarray, moves: Moves) -> dict[str, object]:
    """A trace of one line a sentence, broken by gaps."""
    gaps = np.full(len(start), np.nan)
    return {
        "x": np.column_stack([start[:, 0], end[:, 0], gaps]).ravel(),
        "y": np.column_stack([start[:, 1], end[:, 1], gaps]).ravel(),
        "mode": "lines",
        "line": {"width": 1, "color": moves.colour},
        "hoverinfo": "skip",
        "name": moves.name,
        "showlegend": False,
    }


def _axes(number: int, panels: int, places: np.ndarray) -> dict[str, object]:
    """A frame without ticks, the same range in every panel: distances mean something, axes not."""
    low, high = places.min(0), places.max(0)
    room = 0.04 * np.maximum(high - low, 1e-6)
    x_range, y_range = np.transpose([low - room, high + room]).tolist()
    gap = 0.03
    width = (1 - gap * (panels - 1)) / panels
    start = number * (width + gap)
    bare = {
        "showgrid": False,
        "showticklabels": False,
        "ticks": "",
        "title": None,
        "fixedrange": True,
        "zeroline": False,
        "showline": True,
        "mirror": True,
        "linecolor": style.FAINT,
        "automargin": False,
    }
    name = str(number + 1) if number else ""
    return {
        f"xaxis{name}": {
            **bare,
            "range": x_range,
            "domain": [start, start + width],
            "anchor": f"y{name}",
        },
        f"yaxis{name}": {**bare, "range": y_range, "anchor": f"x{name}"},
    }
