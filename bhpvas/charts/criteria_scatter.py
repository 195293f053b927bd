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
    looks = {
        "heads": {"size": 9, "color": style.MARK, "opacity": 0.75, "symbol": "circle"},
        "selected": {"size": 11, "color": style.SELECTED, "opacity": 1, "symbol": "diamond"},
    }
    for name, look in looks.items():
        points = [head for head in kept if (head in chosen) is (name == "selected")]
        figure.add_scatter(
            x=[float(x[head.layer, head.head]) for head in points],
            y=[float(y[head.layer, head.head]) for head in points],
            customdata=[[head.layer, head.head] for head in points],
            **style.says(
                str(head if hover is None else hover[head.layer, head.head]) for head in points
            ),
            mode="markers",
            marker=look,
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 0.75}},
            name=name,
        )
    figure.update_xaxes(title={"text": x_title, "standoff": 8}, showgrid=False, nticks=6)
    figure.update_yaxes(**style.axis(y_title, 5, standoff=8))
    return figure
