"""Rank slopes: a line for each head, from its old place in the order to its new one."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.criteria import RankShift
from bhpvas.heads import HeadId

_TOP, _BOTTOM, _SIDE = 30, 10, 84
#: From so many heads on, thin lines and small ends: else they run together into one grey.
_MANY = 150
#: Pixels between two labels, so that none covers another.
_LABEL = 15


def rank_slopes(shift: RankShift, named: Sequence[HeadId], *, height: int = 380) -> go.Figure:
    """Draw each kept head's place in the unpruned model (left) and in the pruned one (right).

    The most important head is on top. The ``named`` heads are labelled: blue rose, red fell.
    Every head's end carries ``[layer, head]`` as custom data.
    """
    figure = style.blank(height=height, margin=(_SIDE, _SIDE, _TOP, _BOTTOM))
    every, strong = list(shift.mask), sorted(named)
    count = len(every)
    others = (enumerate(_places(shift, head)) for head in every if head not in strong)
    thin = 1 if count < _MANY else 0.5
    figure.add_scatter(**style.strokes(others, width=thin, color=style.FAINT), name="others")
    for head in strong:
        figure.add_scatter(
            x=[0, 1],
            y=_places(shift, head),
            mode="lines",
            line={"width": 2.5, "color": _colour(shift, head)},
            hoverinfo="skip",
            name=str(head),
        )
    for side, name in enumerate(("unpruned", "now")):
        _labels(figure, shift, strong, side, gap=_LABEL * count / (height - _TOP - _BOTTOM))
        figure.add_scatter(
            x=[side] * count,
            y=[_places(shift, head)[side] for head in every],
            customdata=[[head.layer, head.head] for head in every],
            text=[_hover_text(shift, head) for head in every],
            mode="markers",
            marker={
                "size": [9 if head in strong else 5 if count < _MANY else 3 for head in every],
                "color": [
                    _colour(shift, head) if head in strong else style.MUTED for head in every
                ],
                "opacity": 1,
            },
            **style.steady(1),
            cliponaxis=False,
            name=name,
        )
    figure.update_xaxes(**style.ticks(("unpruned", "now"), 12), range=[-0.02, 1.02], side="top")
    figure.update_yaxes(range=[count + 0.5, 0.5], showgrid=False, showticklabels=False, ticks="")
    return figure


def _labels(
    figure: go.Figure, shift: RankShift, named: Sequence[HeadId], side: int, *, gap: float
) -> None:
    """Head and place beside the ends of the named lines, ``gap`` places apart."""
    ends = sorted(named, key=lambda head: _places(shift, head)[side])
    where = _apart([_places(shift, head)[side] for head in ends], gap, len(list(shift.mask)))
    for head, height in zip(ends, where, strict=True):
        place = _places(shift, head)[side]
        figure.add_annotation(
            x=side,
            y=height,
            text=f"{place:g}  {head}" if side else f"{head}  {place:g}",
            xanchor="left" if side else "right",
            xshift=9 if side else -9,
            showarrow=False,
            font={"size": 11},
        )


def _places(shift: RankShift, head: HeadId) -> tuple[float, float]:
    at = head.layer, head.head
    return float(shift.before[at]), float(shift.after[at])


def _colour(shift: RankShift, head: HeadId) -> str:
    rise = shift.rise[head.layer, head.head]
    return style.GAINED if rise > 0 else style.LOST if rise < 0 else style.MUTED


def _hover_text(shift: RankShift, head: HeadId) -> str:
    before, after = _places(shift, head)
    far = abs(before - after)
    moved = f"{'up' if before > after else 'down'} {far:g} {'place' if far == 1 else 'places'}"
    said = "no change" if before == after else moved
    return f"<b>{head}</b><br>place {before:g} → {after:g}, {said}"


def _apart(places: Sequence[float], gap: float, count: int) -> list[float]:
    """Heights for labels at ascending places: at least ``gap`` apart, near where they belong."""
    found: list[float] = []
    for place in places:
        found.append(max(float(place), found[-1] + gap) if found else float(place))
    beyond = count + 0.5
    for number in range(len(found) - 1, -1, -1):
        found[number] = min(found[number], beyond)
        beyond = found[number] - gap
    return found
