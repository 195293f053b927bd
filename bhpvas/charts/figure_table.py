"""Figure table: the numbers that a figure draws."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

_COLUMNS = ["trace", "x", "y", "value", "low", "high", "says"]


def figure_table(figure: go.Figure) -> pd.DataFrame:
    """One row a point or cell that a figure draws.

    Columns: ``trace``, ``x``, ``y``; ``value`` of a cell, or of a point that a scale colours;
    ``low`` and ``high`` where a point has an interval; ``says``, what it shows under the pointer.
    What has no place is left out.

    >>> figure = go.Figure(go.Scatter(x=[1, 2], y=[0.5, 0.7], name="accuracy"))
    >>> figure_table(figure)[["trace", "x", "y"]].values.tolist()
    [['accuracy', 1, 0.5], ['accuracy', 2, 0.7]]
    """
    frames = [_cells(one) if one.type == "heatmap" else _points(one) for one in figure.data]
    return pd.concat([pd.DataFrame(columns=_COLUMNS, dtype=object), *frames], ignore_index=True)


def _cells(trace: Any) -> pd.DataFrame:
    z = np.asarray(trace.z, dtype=float)  # [rows, columns]
    rows, columns = np.indices(z.shape)
    x = np.arange(z.shape[1]) if trace.x is None else np.asarray(trace.x)
    y = np.arange(z.shape[0]) if trace.y is None else np.asarray(trace.y)
    says = trace.text if trace.text is not None else trace.customdata
    frame = pd.DataFrame(
        {
            "trace": trace.name,
            "x": x[columns.ravel()],
            "y": y[rows.ravel()],
            "value": z.ravel(),
            "says": _plain(None if says is None else np.ravel(np.asarray(says)), z.size),
        }
    )
    return frame[np.isfinite(z.ravel())].reindex(columns=_COLUMNS).astype(object)


def _points(trace: Any) -> pd.DataFrame:
    x, y = (np.asarray([] if one is None else one, dtype=object) for one in (trace.x, trace.y))
    frame = pd.DataFrame({"trace": trace.name, "x": x, "y": y}, dtype=object)
    shade = getattr(trace.marker, "color", None)
    if shade is not None and not any(isinstance(one, str) for one in (shade, *shade)):
        frame["value"] = np.asarray(shade, dtype=float)
    for axis, bars in (("x", trace.error_x), ("y", trace.error_y)):
        if bars is not None and bars.array is not None:
            centre = frame[axis].astype(float)
            below = bars.array if bars.arrayminus is None else bars.arrayminus
            frame["low"] = centre - np.asarray(below, dtype=float)
            frame["high"] = centre + np.asarray(bars.array, dtype=float)
    text = trace.text if trace.text is not None else trace.hovertext
    frame["says"] = _plain(text, len(frame))
    return frame.dropna(subset=["x", "y"]).reindex(columns=_COLUMNS).astype(object)


def _plain(texts: Any, count: int) -> list[str | None]:
    """Texts without the markup of figures."""
    if texts is None:
        return [None] * count
    each = [texts] * count if isinstance(texts, str) else list(texts)
    return [unescape(" ".join(re.sub(r"<[^>]+>", " ", str(one)).split())) for one in each]
