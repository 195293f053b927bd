"""Training curves: loss and headline against the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.tasks.base import Metric
from bhpvas.tasks.single_label import ACCURACY
from bhpvas.text import number

TRAINING, HELD_OUT = style.MUTED, style.MARK


def training_curves(
    points: Sequence[Mapping[str, Any]],
    *,
    steps: int,
    best: int | None,
    metric: Metric = ACCURACY,
    height: int = 360,
) -> go.Figure:
    """Draw the loss above and the held-out headline below, over all ``steps`` that are planned.

    Each of ``points`` has ``step``, ``training_loss`` (None at the start), ``loss`` and, on the
    held-out sentences, ``accuracy`` or the ``headline`` of another ``metric``. The step ``best`` is
    marked.
    """
    figure = style.blank(height=height, margin=(56, 14, 12, 42))
    at = [point["step"] for point in points]
    trained = [point for point in points if point["training_loss"] is not None]
    loss = [point["loss"] for point in points]
    values = [headline_at(point) for point in points]

    def line(x: list[int], y: list[float], said: list[str], *, name: str, axis: str) -> None:
        colour, dash = (TRAINING, "dot") if name == "training loss" else (HELD_OUT, "solid")
        marked = [colour == HELD_OUT and step == best for step in x]
        figure.add_scatter(
            x=x,
            y=y,
            yaxis=axis,
            mode="lines+markers",
            line={"width": 2.2, "color": colour, "dash": dash},
            marker={
                "size": [13 if one else 6 for one in marked],
                "symbol": ["diamond" if one else "circle" for one in marked],
                "color": [style.SELECTED if one else colour for one in marked],
            },
            **style.says(f"step {step}<br>{one}" for step, one in zip(x, said, strict=True)),
            cliponaxis=False,
            name=name,
        )

    begun, losses = ([point[key] for point in trained] for key in ("step", "training_loss"))
    said = [f"training loss {number(one)}" for one in losses]
    line(begun, losses, said, name="training loss", axis="y")
    line(at, loss, [f"held-out loss {number(one)}" for one in loss], name="loss", axis="y")
    said = [f"held-out {metric.title_in_text} {metric.value_text(one)}" for one in values]
    line(at, [metric.scale * one for one in values], said, name=metric.name, axis="y2")
    figure.update_xaxes(
        **style.axis("step", 8, grid=False), range=[-0.02 * steps, 1.02 * steps], anchor="y2"
    )
    reach = style.reach(metric, values, room=2, most=100.5)
    if metric.share:
        reach[0] = min([*(100 * one for one in values), 98]) - 2
    figure.update_layout(
        yaxis=style.axis("loss", 5, domain=[0.55, 1], rangemode="tozero"),
        yaxis2={
            **style.axis(metric.axis, 5, domain=[0, 0.43], range=reach),
            "fixedrange": True,
            "zeroline": False,
        },
    )
    return figure


def headline_at(point: Mapping[str, Any]) -> float:
    """The held-out headline of a point of a training; NaN where it is not defined."""
    known = point["accuracy"] if point["accuracy"] is not None else point.get("headline")
    return nan if known is None else float(known)
