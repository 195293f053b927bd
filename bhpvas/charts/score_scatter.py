"""Score scatter: the score of every sentence against its label, and where a mask moves it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style

_LOOKS = {
    "same": (style.MUTED, "circle"),
    "other": (style.MUTED, "diamond"),
    "gained": (style.GAINED, "triangle-up"),
    "lost": (style.LOST, "triangle-down"),
}


def score_scatter(
    labels: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    outcomes: np.ndarray,
    selected: Collection[int] = (),
    *,
    hover: Sequence[str],
    height: int = 348,
) -> go.Figure:
    """Draw the score ``after`` against the label of every sentence ``[N]``.

    On the dotted line the two are equal. A line leads from the score ``before`` where the score
    changed by the task's ``outcomes``: red ones are farther from their label, blue ones nearer.
    Every point carries its sentence's place in the dataset as custom data.
    """
    figure = style.blank(height=height, margin=(48, 10, 8, 40))
    ends = [float(end) for one in (labels, after) for end in (one.min(), one.max())]
    low, high = min(ends), max(ends)
    figure.add_scatter(
        **style.strokes([[(low, low), (high, high)]], width=1, color=style.MUTED, dash="dot"),
        name="equal",
    )
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[sorted(selected)] = True
    texts = np.asarray(hover, dtype=str)
    for outcome, (colour, symbol) in _LOOKS.items():
        rows = np.flatnonzero(outcomes == outcome)
        if outcome != "same":
            lines = (
                [(float(labels[row]), float(one[row])) for one in (before, after)] for row in rows
            )
            figure.add_scatter(**style.strokes(lines, width=1, color=colour), name="moves")
        figure.add_scatter(
            x=labels[rows],
            y=after[rows],
            mode="markers",
            marker={
                "color": colour,
                "symbol": symbol,
                "size": 8,
                "opacity": np.where(chosen[rows] | (not selected), 0.9, 0.3),
            },
            **style.steady(0.9),
            customdata=rows.astype(object),
            text=texts[rows],
            name=outcome,
        )
    figure.update_xaxes(**style.axis("label", 5))
    figure.update_yaxes(**style.axis("score", 5))
    return figure
