"""Family curve: what smaller models lose against the share of the cost that stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from bhpvas.charts import style


@dataclass(frozen=True)
class FamilyPoint:
    """A model by the share of the cost that stays and what it loses, a label, and hover text.

    ``low`` and ``high`` bound what it loses, where that was sampled. ``target`` names it to whoever
    listens to clicks; without one it is the unpruned model.
    """

    share: float
    lost: float
    label: str
    hover: str
    target: str | None = None
    low: float | None = None
    high: float | None = None


def family_curve(
    points: Sequence[FamilyPoint],
    now: FamilyPoint | None,
    *,
    chosen: str | None,
    cost: str,
    lost: str,
    height: int = 300,
) -> go.Figure:
    """Draw a family as a line that runs down to the right, the current scheme as a diamond.

    ``cost`` and ``lost`` are titles of the axes. The point whose target is ``chosen`` is framed.
    Every point with a target carries it as custom data.
    """
    figure = style.blank(height=height, margin=(58, 30, 22, 44))
    line = sorted(points, key=lambda point: -point.share)
    framed = next((one for one in line if one.target is not None and one.target == chosen), None)
    figure.add_scatter(
        **style.strokes([[(100 * one.share, one.lost) for one in line]], width=2, color=style.MARK),
        name="line",
    )
    if now is not None:
        figure.add_scatter(
            x=[100 * now.share],
            y=[now.lost],
            mode="markers",
            marker={
                "symbol": "diamond",
                "size": 17,
                "color": style.SELECTED,
                "line": {"width": 1.5, "color": style.EDGE},
            },
            **style.says([now.hover]),
            cliponaxis=False,
            name="current scheme",
        )
    figure.add_scatter(
        x=[100 * one.share for one in line],
        y=[one.lost for one in line],
        # Markers that nobody sees keep the words away from those that are seen.
        **style.words((one.label for one in line), 12)
        | {"mode": "markers+text", "marker": {"size": 16, "opacity": 0}},
        # Beside intervals, which run upward, and beside the axis at the left edge.
        textposition=[
            "top center" if one.target is not None and one.high is None else "top right"
            for one in line
        ],
        cliponaxis=False,
        name="labels",
    )
    figure.add_scatter(
        x=[100 * one.share for one in line],
        y=[one.lost for one in line],
        customdata=[[one.target] for one in line],
        text=[one.hover for one in line],
        error_y=_intervals(line),
        mode="markers",
        marker={
            "size": [15 if one is framed else 10 for one in line],
            "color": style.MARK,
            "line": {
                "width": [3 if one is framed else 0 for one in line],
                "color": style.SELECTED,
            },
            "opacity": 1,
        },
        **style.steady(1),
        cliponaxis=False,
        name="family",
    )
    shares = [one.share for one in (*line, *([now] if now else []))]
    low = min(100 * min(shares, default=1), 90)
    room = 0.05 * (100 - low)
    figure.update_xaxes(**style.axis(cost, 6), ticksuffix="%", range=[100 + room, low - room])
    figure.update_yaxes(**style.axis(lost, 5), rangemode="tozero")
    return figure


def _intervals(line: Sequence[FamilyPoint]) -> dict[str, object]:
    """Bars from the lower to the upper bound of what each loses, none where that is not known."""
    above = [0.0 if one.high is None else one.high - one.lost for one in line]
    below = [0.0 if one.low is None else one.lost - one.low for one in line]
    return style.interval_bars(above, below, width=3)
