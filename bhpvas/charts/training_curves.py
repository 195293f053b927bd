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
    said = [f"held-out accuracy {percent(one / 100)}%" for one in accuracy]
    line(at, accuracy, said, name="accuracy", axis="y2")
    figure.update_xaxes(
        **style.axis("step", 8, grid=False), range=[-0.02 * steps, 1.02 * steps], anchor="y2"
    )
    reach = [min([*accuracy, 98]) - 2, min(max([*accuracy, 0]) + 2, 100.5)]
    figure.update_layout(
        yaxis=style.axis("loss", 5, domain=[0.55, 1], rangemode="tozero"),
        yaxis2={
            **style.axis("accuracy, %", 5, domain=[0, 0.43], range=reach),
            "fixedrange": True,
            "zeroline": False,
        },
    )
    return figure
