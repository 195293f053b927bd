"""Relation map: how far each head beats the best fixed offset, for every dependency relation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.heads import HeadId, HeadMask
from bhpvas.text import head_list, literal, percent, signed

_LEFT, _TOP, _HIGH = 176, 34, 22
#: Pixels that all columns share, and the widest and the narrowest column of a head.
_ACROSS, _WIDEST, _NARROWEST = 864, 12, 6
#: The widest column of a layer: room for the name of a head.
_LAYER = 36


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


def by_layer(mask: HeadMask) -> bool:
    """Whether a model has too many heads for a column each: then each layer has one.

    >>> by_layer(HeadMask(12, 12)), by_layer(HeadMask(24, 16))
    (False, True)
    """
    return mask.layers * mask.heads * _NARROWEST > _ACROSS


def _column(mask: HeadMask) -> int:
    """Width of a column in pixels: the same for every relation, so a narrow page scrolls."""
    if by_layer(mask):
        return max(min(_ACROSS // mask.layers, _LAYER), _NARROWEST)
    return max(min(_ACROSS // (mask.layers * mask.heads), _WIDEST), _NARROWEST)


def relation_map(
    rows: Sequence[RelationRow], mask: HeadMask, chosen: tuple[str, HeadId] | None = None
) -> go.Figure:
    """Draw one row a relation and one column a head, layers side by side.

    Colour is accuracy less that of the best fixed offset, in points: blue beats it. A dot marks a
    role. Each cell carries ``[row, layer, head]`` as custom data. Where a model has too many heads
    (:func:`by_layer`), a column is a layer, and names its head that follows the relation best, or
    the ``chosen`` one.
    """
    layered, cell = by_layer(mask), _column(mask)
    shown = [_shown(row, mask, chosen, layered) for row in rows]  # [rows][columns]
    columns = mask.layers if layered else mask.layers * mask.heads
    figure = style.blank(
        height=_TOP + len(rows) * _HIGH + (8 if layered else 30),
        width=_LEFT + columns * cell + 8,
        margin=(_LEFT, 8, _TOP, 8 if layered else 30),
    )
    gain = np.array(
        [
            [100 * (row.accuracy[head.layer, head.head] - row.baseline) for head in heads]
            for row, heads in zip(rows, shown, strict=True)
        ]
    ).reshape(len(rows), columns)
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
    cells = [
        (row, place, head) for row, heads in enumerate(shown) for place, head in enumerate(heads)
    ]
    if layered:
        named = [one for one in cells if np.isfinite(gain[one[0], one[1]])]
        figure.add_scatter(
            x=[place for _, place, _ in named],
            y=[number for number, _, _ in named],
            **style.words((f"H{head.head}" for _, _, head in named), 10),
            name="best heads",
        )
    dots = [
        (place, number)
        for number, place, head in cells
        if rows[number].follows[head.layer, slice(None) if layered else head.head].any()
    ]
    # Beside a name where there is one.
    right, up = (0.36, 0.28) if layered else (0, 0)
    figure.add_scatter(
        x=[place + right for place, _ in dots],
        y=[number - up for _, number in dots],
        **style.marks(
            symbol="circle",
            size=min(6, cell),
            color=style.ON_DARK,
            line={"width": 1.5, "color": style.ON_BRIGHT},
        ),
        name="roles",
    )
    if not layered:
        edges = (layer * mask.heads - 0.5 for layer in range(1, mask.layers))
        lines = ([(x, -0.5), (x, len(rows) - 0.5)] for x in edges)
        figure.add_scatter(**style.strokes(lines, width=2, color=style.MUTED), name="layers")
    frames = [
        style.box(place, row) for row, place, head in cells if chosen == (rows[row].name, head)
    ]
    if frames:
        figure.add_scatter(
            **style.strokes(frames, width=3, color=style.SELECTED), cliponaxis=False, name="chosen"
        )
    figure.add_scatter(
        x=[place for _, place, _ in cells],
        y=[number for number, _, _ in cells],
        customdata=[[number, head.layer, head.head] for number, _, head in cells],
        text=[_hover_text(rows[number], head, mask, layered) for number, _, head in cells],
        **style.targets(cell - 1),
        name="cells",
    )
    every = 1 if layered else mask.heads
    middles = [layer * every + (every - 1) / 2 for layer in range(mask.layers)]
    figure.update_xaxes(
        **style.ticks([f"L{layer}" for layer in range(mask.layers)], 12, at=middles),
        range=[-0.5, columns - 0.5],
        side="top",
        tickangle=0,
    )
    names = [
        f"<b>{literal(row.name)}</b>  {row.count:,} · {offset(row.offset)} "
        f"{percent(row.baseline, 0)}%"
        for row in rows
    ]
    figure.update_yaxes(
        **style.ticks(names, 12), range=[len(rows) - 0.5, -0.5], ticklabelstandoff=6
    )
    if not layered:
        _number(figure, mask, len(rows), cell)
    return figure


def _shown(
    row: RelationRow, mask: HeadMask, chosen: tuple[str, HeadId] | None, layered: bool
) -> list[HeadId]:
    """The head of each column: every head, or of each layer the chosen or the best one."""
    if not layered:
        return list(mask.every_head())
    best = np.nan_to_num(row.accuracy, nan=-1.0).argmax(1)  # [L]
    heads = [HeadId(layer, int(head)) for layer, head in enumerate(best)]
    if chosen is not None and chosen[0] == row.name:
        heads[chosen[1].layer] = chosen[1]
    return heads


def _number(figure: go.Figure, mask: HeadMask, rows: int, cell: int) -> None:
    """Numbers of heads below their columns, as many as do not touch."""
    apart = max(-(-24 // cell), 1)
    figure.update_layout(
        # All at once: adding one to many checks the many again.
        annotations=[
            {
                "x": layer * mask.heads + head,
                "y": rows - 0.5,
                "text": str(head),
                "showarrow": False,
                "yanchor": "top",
                "font": {"size": 9},
            }
            for layer in range(mask.layers)
            for head in range(0, mask.heads, apart)
        ]
    )


def offset(step: int) -> str:
    """A fixed offset as it stands on the screen.

    >>> offset(1), offset(-2)
    ('offset +1', 'offset −2')
    """
    return f"offset {signed(step, 0)}"


def _hover_text(row: RelationRow, head: HeadId, mask: HeadMask, layered: bool) -> str:
    if head in mask.removed:
        return f"<b>{head}</b> {'not in this model' if head in mask.pruned else 'removed'}"
    accuracy = float(row.accuracy[head.layer, head.head])
    followers = np.flatnonzero(row.follows[head.layer]).tolist()
    role = "<br>a role of this head" if head.head in followers else ""
    others = [HeadId(head.layer, other) for other in followers if other != head.head]
    if layered and others:
        role += f"<br>a role of {head_list(others, 4)}{' too' if role else ''}"
    return (
        f"<b>{head} · {literal(row.name)}</b><br>{percent(accuracy)}% of {row.count:,} dependents, "
        f"{row.ways[head.layer][head.head]}<br>{signed(100 * (accuracy - row.baseline))} points "
        f"against {offset(row.offset)} ({percent(row.baseline)}%){role}"
    )
