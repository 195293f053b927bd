"""Timeline of a scheme: its headline against heads kept, one point a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.tasks.base import Measured, Metric, measured_text
from bhpvas.tasks.single_label import ACCURACY
from bhpvas.text import percent, plural


@dataclass(frozen=True)
class TimelinePoint:
    """One measured step: its number, the step before it, and what it kept and scored.

    ``learnt`` is how many of the sentences that measured it were learnt from, ``flops`` the share
    of the unpruned model's FLOPs that it kept, where steps are told apart by that.
    """

    step: int
    parent: int | None
    kept: int
    headline: Measured
    what: str
    learnt: int = 0
    flops: float | None = None
    on_path: bool = True
    current: bool = False

    def hover(self, all_heads: int, sentences: int, metric: Metric) -> str:
        """What it kept of so many heads, and scored on so many sentences."""
        scored = f"{metric.title_in_text} {measured_text(metric, self.headline)}"
        kept = f"{self.kept} of {plural(all_heads, 'head')} kept"
        if self.flops is not None:
            kept += f", {percent(self.flops)}% of the FLOPs"
        learnt = f", {self.learnt:,} learnt from" if self.learnt else ""
        return f"{kept}<br>{scored}, {plural(sentences, 'sentence')}{learnt}"

    @property
    def symbol(self) -> str:
        """Its mark: a diamond where the person stands, open where sentences were learnt from."""
        return ("diamond" if self.current else "circle") + "-open" * bool(self.learnt)


def timeline(
    points: Sequence[TimelinePoint],
    *,
    all_heads: int,
    sentences: int,
    metric: Metric = ACCURACY,
    height: int = 240,
) -> go.Figure:
    """Draw each step's headline, a value of the ``metric``, with its 95% interval against the
    number of heads kept, or, where the points know that, against the share of the FLOPs.

    Time runs to the right, so the axis counts down. Lines join a step to the one that it
    came from; the way to the current step is drawn strong, other branches faint. Every point
    carries its step number as custom data.
    """
    figure = style.blank(height=height, margin=(48, 14, 12, 42))
    where: dict[int | None, TimelinePoint] = {point.step: point for point in points}
    by_flops = any(point.flops is not None for point in points)
    every, scale = 100.0 if by_flops else all_heads, metric.scale

    def across(point: TimelinePoint) -> float:
        return point.kept if point.flops is None else 100 * point.flops

    for strong in (False, True):
        lines = (
            [(across(end), scale * end.headline.value) for end in (where[point.parent], point)]
            for point in points
            if point.parent in where and point.on_path is strong
        )
        width, colour, dash = (2.5, style.MARK, "solid") if strong else (1.5, style.MUTED, "dot")
        figure.add_scatter(
            **style.strokes(lines, width=width, color=colour, dash=dash),
            name="path" if strong else "branches",
        )
    figure.add_scatter(
        x=[across(point) for point in points],
        y=[scale * point.headline.value for point in points],
        error_y=style.interval_bars(
            [scale * (point.headline.high - point.headline.value) for point in points],
            [scale * (point.headline.value - point.headline.low) for point in points],
            width=4,
            thickness=1,
        ),
        customdata=[[point.step] for point in points],
        text=[f"{point.what}<br>{point.hover(all_heads, sentences, metric)}" for point in points],
        mode="markers",
        marker={
            "size": [15 if point.current else 11 for point in points],
            "symbol": [point.symbol for point in points],
            "color": [style.step_colour(point.current, point.on_path) for point in points],
            "line": {"width": [2.5 if point.learnt else 0 for point in points]},
            "opacity": 1,
        },
        **style.steady(1),
        cliponaxis=False,
        name="steps",
    )
    # At least a quarter of the way, so that a first step is not drawn as a fall off the edge.
    fewest = min([*map(across, points), round(every * 0.75)])
    room = (every - fewest) * 0.05 + 0.5
    title = "FLOPs kept, %" if by_flops else "heads kept"
    figure.update_xaxes(**style.axis(title, 8, grid=False), range=[every + room, fewest - room])
    if not by_flops and every - fewest < 8:
        figure.update_xaxes(dtick=1)  # whole heads, of which there are no more than ticks
    ends = [end for point in points for end in point.headline]
    figure.update_yaxes(**style.axis(metric.axis, 5), range=style.reach(metric, ends, room=1.5))
    return figure
