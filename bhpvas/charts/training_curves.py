"""Training curves: loss and accuracy against the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.text import number, percent

TRAINING, HELD_OUT = style.MUTED, style.MARK


def training_curves(
    points: Sequence[Mapping[str, Any]], *, steps: int, best: int | None, height: int = 360
) -> go.Figure:
    """Draw the loss above and the held-out accuracy below, over all ``steps`` that are planned.

    Each of ``points`` has ``step``, ``training_loss`` (None at the start), ``loss`` and
    ``accuracy`` on the held-out sentences. The step ``best`` is marked.
    """
    figure = style.blank(height=height, margin=(56, 14, 12, 42))
    at = [point["step"] for point in points]
    trained = [point for point in points if point["training_loss"] is not None]
    loss = [point["loss"] for point in points]
    accuracy = [100 * point["accuracy"] for point in points]

    def line(x: list[int], y: list[float], said: list[str], *, name: str, axis: str) -> None:
        colour = TRAINING if name == "training loss" else HELD_OUT
        figure.add_scatter(
            x=x,
            y=y,
            yaxis=axis,
            mode="lines+markers",
            line={"width": 2.2, "color": colour, "dash": "dot" if colour == TRAINING else "solid"},
            marker={
                "size": [13 if colour == HELD_OUT and step == best else 6 for step in x],
                "symbol": [
                    "diamond" if colour == HELD_OUT and step == best else "circle" for step in x
                ],
                "color": [
                    style.SELECTED if colour == HELD_OUT and step == best else colour for step in x
                ],
            },
            text=[f"step {step}<br>{one}" for step, one in zip(x, said, strict=True)],
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
            name=name,
        )

    losses = [point["training_loss"] for point in trained]
    line(
        [point["step"] for point in trained],
        losses,
        [f"training loss {number(one)}" for one in losses],
        name="training loss",
        axis="y",
    )
    line(at, loss, [f"held-out loss {number(one)}" for one in loss], name="loss", axis="y")
    line(
        at,
        accuracy,
        [f"held-out accuracy {percent(one / 100)}%" for one in accuracy],
        name="accuracy",
        axis="y2",
    )
    figure.update_xaxes(
        title={"text": "step", "standoff": 4},
        range=[-0.02 * steps, 1.02 * steps],
        tickformat="d",
        showgrid=False,
        nticks=8,
        anchor="y2",
    )
    figure.update_layout(
        yaxis={
            "title": {"text": "loss", "standoff": 4},
            "domain": [0.55, 1],
            "gridcolor": style.FAINT,
            "nticks": 5,
            "rangemode": "tozero",
        },
        yaxis2={
            "title": {"text": "accuracy, %", "standoff": 4},
            "domain": [0, 0.43],
            "gridcolor": style.FAINT,
            "nticks": 5,
            "fixedrange": True,
            "zeroline": False,
            "range": [min([*accuracy, 98]) - 2, min(max([*accuracy, 0]) + 2, 100.5)],
        },
    )
    return figure
