"""Feed-forward column: one wide cell a layer beside a head map, filled as far as it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.heads import HeadMask

#: Width of the column and of the gap before it, in cells of the head map.
WIDE, GAP = 2.1, 0.4


@dataclass(frozen=True, eq=False)
class FeedForward:
    """The feed-forward parts beside a head map; which neurons are kept, its mask says.

    ``width`` is how many neurons a layer of the model's geometry has. ``costs`` ``[L]`` are what it
    changes when all that a layer keeps go: red above 0, blue below, NaN or None where that is not
    known. ``chosen`` says of selected layers how many neurons are to be kept. ``hover`` is a text a
    layer, by default its name and how many neurons it keeps.
    """

    width: int
    costs: np.ndarray | None = None
    chosen: Mapping[int, int] = field(default_factory=dict)
    hover: Sequence[str] | None = None


def neurons_there(mask: HeadMask, width: int) -> list[int]:
    """How many neurons each layer of the model had before any was removed."""
    lacking = mask.pruned_neurons
    return [width] * mask.layers if lacking is None else [width - one for one in lacking.counts]


def neurons_left(mask: HeadMask, width: int) -> list[int]:
    """How many neurons each layer keeps."""
    removed = mask.neurons
    return [width] * mask.layers if removed is None else [width - one for one in removed.counts]


def layer_width(mask: HeadMask, layer: int, width: int) -> str:
    """A feed-forward part by its name and width: ``L3F 1,024 of 1,536 neurons``.

    >>> from bhpvas.neurons import NeuronSet
    >>> layer_width(HeadMask(1, 4, neurons=NeuronSet.of_layers(1, 6, {0: [2, 5]})), 0, 6)
    '<b>L0F</b> 4 of 6 neurons'
    """
    left, there = neurons_left(mask, width)[layer], neurons_there(mask, width)[layer]
    said = f"<b>L{layer}F</b> {left:,} of {there:,} neurons"
    return said if there == width else f"{said}, {width - there:,} not in this model"


def add_column(
    figure: go.Figure,
    parts: FeedForward,
    mask: HeadMask,
    cell: int,
    *,
    color: str = style.PLAIN,
) -> None:
    """Draw the column at the right of a head map whose cells are of so many pixels.

    ``color`` is that of what is kept and has no cost: the map's own of heads of which nothing is
    said but that they are kept.
    As in the map: what is gone is crossed out, what the model never had has no ground, what is
    selected is framed, with a line where it would be cut. What catches the pointer or a box carries
    ``[layer, heads]`` as custom data, as if it stood behind the last head.
    """
    there = np.array(neurons_there(mask, parts.width)) / parts.width  # [L], shares of the column
    left = np.array(neurons_left(mask, parts.width))
    start, reach = mask.heads - 0.5 + GAP, 0.5 - style.cell_gap(cell) / cell / 2
    layers = np.arange(mask.layers)
    known = np.full(mask.layers, np.nan) if parts.costs is None else np.asarray(parts.costs, float)
    known = np.where(left > 0, known, np.nan)  # [L]
    furthest = np.nanmax(np.abs(known)) if np.isfinite(known).any() else 0.0
    figure.update_layout(barmode="overlay")

    def bars(of: np.ndarray, shares: np.ndarray, name: str, **look: object) -> None:
        # Selecting by a box leaves them as they are.
        steady = {"marker": {"opacity": 1}}
        figure.add_bar(
            orientation="h",
            x=WIDE * shares[of],
            y=layers[of],
            base=start,
            width=2 * reach,
            marker={"line": {"width": 0}, **look},
            name=name,
            hoverinfo="skip",
            selected=steady,
            unselected=steady,
        )

    bars(there > 0, there, "neurons", color=style.REMOVED_FILL)
    shares = left / parts.width
    bars((left > 0) & np.isnan(known), shares, "neurons kept", color=color)
    scale = {
        "color": known[np.isfinite(known)],
        "colorscale": style.CHANGES,
        "reversescale": True,
        "cmin": -(furthest or 1),
        "cmid": 0,
        "cmax": furthest or 1,
        "showscale": False,
    }
    bars(np.isfinite(known), shares, "neurons kept, by cost", **scale)
    _write(figure, left, there, start, cell)
    ends = {layer: start + WIDE * kept / parts.width for layer, kept in parts.chosen.items()}
    figure.add_scatter(
        **style.strokes(
            (
                piece
                for layer, end in sorted(ends.items())
                for piece in (
                    style.box(start + WIDE / 2, layer, reach + 0.02, across=WIDE / 2 + 0.02),
                    [(end, layer - reach), (end, layer + reach)],
                )
            ),
            width=style.cell_gap(cell) - 1,
            color=style.SELECTED,
        ),
        cliponaxis=False,
        name="selected feed-forward",
    )
    which = [[int(layer), mask.heads] for layer in layers]
    # A box takes a bar by its end, and a part by its middle.
    figure.add_scatter(
        x=np.full(mask.layers, start + WIDE / 2),
        y=layers,
        customdata=which,
        **style.marks(symbol="square", size=4, color=style.NOWHERE),
        name="middles of feed-forward parts",
    )
    texts = parts.hover or [layer_width(mask, layer, parts.width) for layer in range(mask.layers)]
    figure.add_bar(
        orientation="h",
        x=np.full(mask.layers, WIDE),
        y=layers,
        base=start,
        width=1,
        marker={"color": style.NOWHERE, "line": {"width": 0}},
        customdata=which,
        **style.says(texts),
        # Plotly writes a text into a bar as well.
        textposition="none",
        name="feed-forward",
    )


def _write(figure: go.Figure, left: np.ndarray, there: np.ndarray, start: float, cell: int) -> None:
    """How many neurons are kept, in each cell, or the cross of one that is gone."""
    kept, gone = (np.flatnonzero(one) for one in (left > 0, (left == 0) & (there > 0)))
    figure.add_scatter(
        x=np.full(len(kept), start + 0.12),
        y=kept,
        **style.words((f"{left[layer]:,}" for layer in kept), min(10, 0.5 * cell)),
        textposition="middle right",
        name="neurons kept, in numbers",
    )
    figure.add_scatter(
        x=np.full(len(gone), start + WIDE / 2),
        y=gone,
        **style.marks(symbol="x-thin", size=0.36 * cell, line={"width": 2, "color": style.MUTED}),
        name="removed feed-forward",
    )
