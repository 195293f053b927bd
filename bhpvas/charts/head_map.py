"""Head map: layers upward from 0, heads left to right, one cell a head."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import feed_forward as column
from bhpvas.charts import shared_rows, style
from bhpvas.charts.feed_forward import FeedForward
from bhpvas.charts.shared_rows import SharedRows
from bhpvas.heads import HeadId, HeadMask
from bhpvas.text import number

_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 72, 4, 26
#: Pixels on the left for the names of groups of layers.
_LEFT_OF_GROUPS = 46
#: Pixels on the right where there is no scale of colours.
_NO_SCALE = 8
_MOST_LETTERS = 5


def size(
    layers: int, heads: int, *, feed_forward: bool = False, groups: int = 0
) -> tuple[int, int]:
    """Width and height in pixels of the map of a geometry, with or without its feed-forward column,
    and with a row for each of so many groups of layers.

    >>> size(6, 12)[0], size(6, 12, feed_forward=True)[0]
    (534, 624)
    """
    cell = style.cell_size(layers, heads)
    wide = round(_across(heads, feed_forward) * cell)
    left = _LEFT if groups == 0 else _LEFT_OF_GROUPS
    return wide + left + _RIGHT, round(shared_rows.tall(layers, groups) * cell) + _TOP + _BOTTOM


def _across(heads: int, feed_forward: bool) -> float:
    """How many cells wide the map is."""
    return heads + (column.GAP + column.WIDE if feed_forward else 0)


def head_map(
    values: np.ndarray,
    mask: HeadMask,
    selected: Collection[HeadId] = (),
    *,
    title: str = "",
    hover: np.ndarray | None = None,
    change: bool = False,
    rise_is_bad: bool = True,
    labels: np.ndarray | None = None,
    palette: Sequence[str] | None = None,
    removed_since: Collection[HeadId] = (),
    feed_forward: FeedForward | None = None,
    shared: SharedRows | None = None,
) -> go.Figure:
    """Draw one number a head as a grid of cells.

    ``values`` is ``[L, H]``, NaN where there is none. Amounts are drawn in cividis (bright = much);
    with ``change`` the scale is red to blue with zero in its middle, red where a rise (or, without
    ``rise_is_bad``, a fall) is. Kept heads without a number are grey. Removed heads are crossed out
    and keep no colour, heads that the model never had have no cell; selected ones are framed.
    ``hover`` is text ``[L, H]``, by default the head's name and value. ``labels`` are short texts
    ``[L, H]`` laid over the cells, cut to fit them. With a ``palette``, values are places in it:
    kinds instead of amounts, which the labels name. Heads that were ``removed_since`` they were
    measured carry a cross and keep their colour. With ``feed_forward`` one wide cell a layer stands
    at the right, filled as far as the mask keeps its neurons. With ``shared`` a row for each group
    of layers stands above them, in the same colours; what is beyond their range has its end.

    The last trace is a transparent square over each cell that carries ``[layer, head]`` as custom
    data, since a click on a heatmap itself reaches no listener in streamlit.

    >>> import numpy as np
    >>> import bhpvas
    >>> mask = bhpvas.HeadMask.parse("L0H3", layers=6, heads=12)
    >>> figure = bhpvas.head_map(np.arange(72).reshape(6, 12), mask, title="importance")
    >>> figure.data[0].z.shape, figure.layout.width > figure.layout.height
    ((6, 12), True)
    """
    layers, heads = mask.layers, mask.heads
    cell = style.cell_size(layers, heads)
    groups = 0 if shared is None else len(shared.groups)
    width, height = size(layers, heads, feed_forward=feed_forward is not None, groups=groups)
    right = _RIGHT if palette is None else _NO_SCALE
    margin = (_LEFT_OF_GROUPS if groups else _LEFT, right, _TOP, _BOTTOM)
    figure = style.blank(height=height, width=width - _RIGHT + right, margin=margin)

    shown = np.where(mask.kept, np.asarray(values, dtype=float), np.nan)  # [L, H]
    reach = float(np.nanmax(np.abs(shown))) if np.isfinite(shown).any() else 1.0
    low, high = (-(reach or 1.0), reach or 1.0) if change else (None, None)
    colours: object = style.CHANGES if change else style.AMOUNTS
    if palette is not None:
        low, high, colours = -0.5, len(palette) - 0.5, style.flat_steps(palette)
    if low is None and np.isfinite(shown).any():
        low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    scale = {
        "colorscale": colours,
        "reversescale": change and rise_is_bad,
        "zmid": 0 if change else None,
        "zmin": low,
        "zmax": high,
    }
    figure.add_heatmap(
        z=shown,
        **scale,
        showscale=palette is None and bool(np.isfinite(shown).any()),
        xgap=style.cell_gap(cell),
        ygap=style.cell_gap(cell),
        hoverinfo="skip",
        colorbar=style.colour_bar(title),
    )
    if labels is not None:
        _label(figure, labels, _inks(shown, change, palette), mask, cell)
    _cross_out(figure, mask, cell, mask.kept & np.isnan(shown))
    # A cross that stands out on every colour of the scales.
    figure.add_scatter(
        **style.cells(sorted(removed_since)),
        **style.marks(
            symbol="x",
            size=max(0.32 * cell, 6),
            color="#ffffff",
            line={"width": 1.2, "color": "#1d2731"},
        ),
        name="removed since",
    )
    frames = (style.box(head.head, head.layer, 0.48) for head in sorted(selected))
    figure.add_scatter(
        **style.strokes(frames, width=style.cell_gap(cell) - 1, color=style.SELECTED),
        cliponaxis=False,
        name="selected",
    )
    if feed_forward is not None:
        plain = style.KEPT if style.KEPT in (palette or ()) else style.PLAIN
        column.add_column(figure, feed_forward, mask, cell, color=plain)
    if shared is not None:
        shared_rows.add_rows(figure, shared, mask, selected, cell, scale)
    every = list(mask.every_head())
    if hover is None:
        unknown = {True: "removed", False: "undefined"}
        texts = [
            number(value) if np.isfinite(value) else unknown[head in mask.removed]
            for head, value in zip(every, shown.ravel(), strict=True)
        ]
        hover = np.array([f"<b>{head}</b> {text}" for head, text in zip(every, texts, strict=True)])
        hover = hover.reshape(layers, heads)
    figure.add_scatter(
        **style.cells(every),
        customdata=[[head.layer, head.head] for head in every],
        text=[
            f"<b>{head}</b> not in this model"
            if head in mask.pruned
            else str(hover[head.layer, head.head])
            for head in every
        ],
        **style.targets(cell - 2),
        name="heads",
    )
    letters, every_other = (10, 1) if cell >= style.SMALL_CELL else (8, 2)
    places: list[float] = list(range(0, heads, every_other))
    names = [f"H{head}" for head in places]
    if feed_forward is not None:
        places.append(heads - 0.5 + column.GAP + column.WIDE / 2)
        names.append("neurons")
    figure.update_xaxes(
        **style.ticks(names, letters, at=places),
        showline=False,
        range=[-0.5, _across(heads, feed_forward is not None) - 0.5],
        tickangle=0,
    )
    rows: list[float] = list(range(layers))
    names = [f"L{layer}" for layer in range(layers)]
    for number_, group in enumerate(() if shared is None else shared.groups):
        rows.append(shared_rows.place(layers, number_))
        names.append("all" if groups == 1 else shared_rows.named(group))
    figure.update_yaxes(
        **style.ticks(names, 11, at=rows),
        showline=False,
        range=[-0.5, shared_rows.tall(layers, groups) - 0.5],
        ticklabelstandoff=6,
    )
    return figure


#: What is written with on a cell, by its ground: what lets the page through takes the page's text.
_INKS = {"bright": style.ON_BRIGHT, "dark": style.ON_DARK, "clear": None}


def _inks(shown: np.ndarray, change: bool, palette: Sequence[str] | None) -> np.ndarray:
    """The ground of each cell, a key of ``_INKS``: ``[L, H]``."""
    if palette is not None:
        clear = np.array([colour.startswith("rgba") for colour in palette])
        places = np.nan_to_num(shown).astype(int)
        return np.where(np.isnan(shown) | clear[places], "clear", "bright")
    if change or not np.isfinite(shown).any():
        return np.full(shown.shape, "clear")
    low, high = np.nanmin(shown), np.nanmax(shown)
    with np.errstate(invalid="ignore"):
        written = np.where(shown > low + 0.52 * (high - low), "bright", "dark")
    return np.where(np.isnan(shown), "clear", written)


def _label(
    figure: go.Figure, labels: np.ndarray, inks: np.ndarray, mask: HeadMask, cell: int
) -> None:
    """Write on the kept cells, dark on bright ones and bright on dark ones."""
    size = min(9, 0.5 * cell)
    # A narrow screen draws smaller cells than these, with letters of the same size.
    fits = min(max(int((cell - 3) / (0.5 * size)), 1), _MOST_LETTERS)
    for ground, colour in _INKS.items():
        written = [
            head
            for head in mask
            if labels[head.layer, head.head] and inks[head.layer, head.head] == ground
        ]
        figure.add_scatter(
            **style.cells(written),
            **style.words(
                (str(labels[head.layer, head.head])[:fits] for head in written), size, color=colour
            ),
            name=f"labels on {ground} cells",
        )


def _cross_out(figure: go.Figure, mask: HeadMask, cell: int, unknown: np.ndarray) -> None:
    """Grey the cells of removed heads, with a cross on each, and those of ``unknown`` value."""
    removed = sorted(mask.masked)
    ground = np.where(unknown, 0.0, np.nan)  # [L, H]
    for head in removed:
        ground[head.layer, head.head] = 0.0
    figure.add_heatmap(
        z=ground,
        colorscale=[[0, style.REMOVED_FILL], [1, style.REMOVED_FILL]],
        showscale=False,
        xgap=style.cell_gap(cell),
        ygap=style.cell_gap(cell),
        hoverinfo="skip",
        name="grey ground",
    )
    figure.add_scatter(
        **style.cells(removed),
        **style.marks(symbol="x-thin", size=0.36 * cell, line={"width": 2, "color": style.MUTED}),
        name="removed",
    )
