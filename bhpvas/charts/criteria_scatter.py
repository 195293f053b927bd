"""Criteria scatter: one criterion against another, one point a head."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.heads import HeadId, HeadMask


def criteria_scatter(
    x: np.ndarray,
    y: np.ndarray,
    mask: HeadMask,
    selected: Collection[HeadId] = (),
    *,
    x_title: str,
    y_title: str,
    hover: np.ndarray | None = None,
    height: int = 300,
) -> go.Figure:
    """Draw two numbers a head, ``x`` and ``y``, for the heads that ``mask`` keeps.

    Both are ``[L, H]`` with titles of their axes; ``hover`` is text ``[L, H]``, ``height`` in
    pixels. The ``selected`` heads stand out. Every point carries ``[layer, head]`` as custom data,
    so a click or a box selects heads.
    """
    figure = style.blank(height=height, margin=(64, 12, 10, 46))
    kept = [
        head for head in mask if np.isfinite(x[head.layer, head.head] + y[head.layer, head.head])
    ]
    chosen = set(selected)
    for among, name in ((False, "heads"), (True, "selected")):
        points = [head for head in kept if (head in chosen) is among]
        figure.add_scatter(
            x=[float(x[head.layer, head.head]) for head in points],
            y=[float(y[head.layer, head.head]) for head in points],
            customdata=[[head.layer, head.head] for head in points],
            text=[str(head if hover is None else hover[head.layer, head.head]) for head in points],
            hovertemplate="%{text}<extra></extra>",
            mode="markers",
            marker={
                "size": 11 if among else 9,
                "color": style.SELECTED if among else style.MARK,
                "opacity": 1 if among else 0.75,
                "symbol": "diamond" if among else "circle",
            },
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 0.75}},
            name=name,
        )
    figure.update_xaxes(title={"text": x_title, "standoff": 8}, showgrid=False, nticks=6)
    figure.update_yaxes(title={"text": y_title, "standoff": 8}, gridcolor=style.FAINT, nticks=5)
    return figure
