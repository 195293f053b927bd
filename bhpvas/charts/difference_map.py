"""Difference map: how much more each head matters for some sentences than for the rest."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.charts.feed_forward import FeedForward
from bhpvas.charts.head_map import head_map
from bhpvas.heads import HeadId, HeadMask


def difference_map(
    values: np.ndarray,
    found: np.ndarray,
    scored: HeadMask,
    current: HeadMask,
    selected: Collection[HeadId] = (),
    *,
    title: str,
    hover: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    feed_forward: FeedForward | None = None,
) -> go.Figure:
    """Draw differences ``[L, H]`` red (matters more here) to blue (less), zero in the middle.

    ``values``, ``selected``, ``title``, ``hover``, ``labels`` and ``feed_forward`` are as in
    :func:`head_map`. Heads that a test bears out (``found``, bool ``[L, H]``) carry a dot. Heads
    that the scored model has and the ``current`` one has not keep their colour under the cross of a
    removed head.
    """
    figure = head_map(
        values,
        scored,
        selected,
        title=title,
        hover=hover,
        change=True,
        rise_is_bad=True,
        labels=labels,
        removed_since=current.removed - scored.removed,
        feed_forward=feed_forward,
    )
    cell = style.cell_size(scored.layers, scored.heads)
    places = np.argwhere(found)
    figure.add_scatter(
        x=places[:, 1],
        y=places[:, 0] - 0.3,
        **style.marks(
            symbol="circle",
            size=max(0.2 * cell, 5),
            color="#1d2731",
            line={"width": 1.5, "color": "#ffffff"},
        ),
        name="borne out",
    )
    return figure
