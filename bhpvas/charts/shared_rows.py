"""Rows above a head map for layers that share their weights: one cell is a head in all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.charts.head_columns import Column
from bhpvas.heads import HeadId, HeadMask
from bhpvas.text import number

#: Height of the gap between the layers and these rows, in cells.
GAP = 0.4


@dataclass(frozen=True, eq=False)
class SharedRows:
    """Rows of ``groups`` of layers; ``values`` ``[G, H]``, NaN where there is none, and ``hover``
    ``[G, H]``.
    """

    groups: Sequence[Sequence[int]]
    values: np.ndarray
    hover: np.ndarray


def tall(layers: int, groups: int) -> float:
    """How many cells tall a map with such rows is."""
    return layers + (GAP + groups if groups else 0)


def place(layers: int, group: int) -> float:
    """Where the middle of a group's row is, in cells above the middle of layer 0."""
    return layers + GAP + group


def named(group: Sequence[int], heads: int | str = "") -> str:
    """Layers of a group, or a head in all of them, as the command line takes it.

    >>> named((0, 1, 2)), named((0, 1, 2), 5)
    ('L0-2', 'L0-2H5')
    """
    return f"L{group[0]}-{group[-1]}" + (f"H{heads}" if heads != "" else "")


def heads_of(mask: HeadMask, group: Sequence[int], head: int) -> tuple[HeadId, ...]:
    """A head in the layers of a group that keep it, or in all of them where none does."""
    every = tuple(HeadId(layer, head) for layer in group)
    return tuple(one for one in every if one not in mask.removed) or every


def rows_of(column: Column, mask: HeadMask, groups: Sequence[Sequence[int]]) -> SharedRows:
    """The rows beside the map of a column: what was measured of a head in all layers of a group, or
    else the mean of its values there.
    """
    values = np.full((len(groups), mask.heads), np.nan)
    hover = np.empty(values.shape, dtype=object)
    for number_, group in enumerate(groups):
        for head in range(mask.heads):
            every = [HeadId(layer, head) for layer in group]
            left = [one for one in every if one not in mask.removed]
            said = f"<b>{named(group, head)}</b> "
            if not left:
                hover[number_, head] = f"{said}removed from all {len(group)} layers"
                continue
            if column.groups is not None:
                values[number_, head] = column.groups[number_, head]
                what = f"{column.title}, removed from all of them"
            else:
                known = [column.values[one.layer, one.head] for one in left]
                values[number_, head] = np.mean(known)
                what = f"{column.title}, mean of {len(left)} layers"
            said += f"the head in all {len(group)} layers"
            if len(left) < len(group):
                said += f",<br>kept in {len(left)}: masked, not gone from the weights"
            value = values[number_, head]
            hover[number_, head] = said + (
                f"<br>{what}: {number(value)}" if np.isfinite(value) else ""
            )
    return SharedRows(groups, values, hover)


def add_rows(
    figure: go.Figure,
    rows: SharedRows,
    mask: HeadMask,
    selected: Collection[HeadId],
    cell: int,
    colours: Mapping[str, Any],
) -> None:
    """Draw the rows above a head map whose cells are of so many pixels, in its ``colours``.

    Crossed out is a head that is removed from all layers of its group, struck through one that is
    removed from some; framed is one that is selected in all that it is shown for. What catches the
    pointer carries ``[layers + group, head]`` as custom data, as if it stood above the last layer.
    """
    at = [place(mask.layers, group) for group in range(len(rows.groups))]
    gone = np.array(
        [(~mask.kept[list(group)]).mean(0) for group in rows.groups]
    )  # [G, H], shares of its layers
    gap = style.cell_gap(cell)
    common = {"y": at, "xgap": gap, "ygap": gap, "showscale": False, "hoverinfo": "skip"}
    ground = np.where((gone == 1) | np.isnan(rows.values), 0.0, np.nan)
    figure.add_heatmap(
        z=ground,
        colorscale=[[0, style.REMOVED_FILL], [1, style.REMOVED_FILL]],
        name="grey ground of groups",
        **common,
    )
    figure.add_heatmap(z=rows.values, name="groups", **common, **colours)
    for symbol, which, name in (
        ("x-thin", gone == 1, "removed from groups"),
        ("line-ne", (gone > 0) & (gone < 1), "removed from some of a group"),
    ):
        group, head = np.nonzero(which)
        figure.add_scatter(
            x=head,
            y=[at[one] for one in group],
            **style.marks(symbol=symbol, size=0.36 * cell, line={"width": 2, "color": style.MUTED}),
            name=name,
        )
    every = [(group, head) for group in range(len(at)) for head in range(mask.heads)]
    framed = [
        style.box(head, at[group], 0.48)
        for group, head in every
        if {*heads_of(mask, rows.groups[group], head)} <= set(selected)
    ]
    figure.add_scatter(
        **style.strokes(framed, width=gap - 1, color=style.SELECTED),
        cliponaxis=False,
        name="selected in groups",
    )
    figure.add_scatter(
        x=[head for _, head in every],
        y=[at[group] for group, _ in every],
        customdata=[[mask.layers + group, head] for group, head in every],
        text=[str(rows.hover[group, head]) for group, head in every],
        **style.targets(cell - 2),
        name="heads of groups",
    )
