"""Selected heads: where each looks, and for which class it matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.heads import HeadId
from bhpvas.text import number

#: Pixels of one head's row.
ROW = 26


def attention_profile(
    profile: np.ndarray, heads: Sequence[HeadId], parts: Sequence[str]
) -> go.Figure:
    """Draw where heads look: one row a head, one column a part, cells in percent of its attention.

    ``profile`` is the mean attention mass ``[L, H, parts]``, each row summing to 1.
    """
    rows = np.array([profile[head.layer, head.head] for head in heads])  # [heads, parts]
    figure = style.blank(height=ROW * max(len(heads), 1) + 34, margin=(50, 6, 30, 4))
    figure.add_heatmap(
        z=100 * rows,
        x=list(parts),
        y=[str(head) for head in heads],
        colorscale=style.AMOUNTS,
        zmin=0,
        zmax=100,
        showscale=False,
        xgap=2,
        ygap=2,
        texttemplate="%{z:.0f}",
        textfont={"size": 11},
        hovertemplate="%{y} spends %{z:.1f}% of its attention on %{x}<extra></extra>",
    )
    figure.update_xaxes(side="top", showgrid=False, ticks="", tickfont={"size": 11})
    figure.update_yaxes(
        autorange="reversed", showgrid=False, ticks="", tickfont={"size": 11}, ticklabelstandoff=6
    )
    return figure


def by_class(
    values: np.ndarray, heads: Sequence[HeadId], labels: Sequence[str], *, title: str
) -> go.Figure:
    """Draw a criterion by class for each head: one row a head, one dot a class, joined by a line.

    ``values`` is ``[C, L, H]``.
    """
    figure = style.blank(height=ROW * max(len(heads), 1) + 70, margin=(50, 12, 30, 40))
    names = [str(head) for head in heads]
    columns = (values[:, head.layer, head.head] for head in heads)  # [C] each
    ranges = (
        [(float(column.min()), name), (float(column.max()), name)]
        for column, name in zip(columns, names, strict=True)
    )
    figure.add_scatter(**style.strokes(ranges, width=2, color=style.FAINT), showlegend=False)
    for label, name in enumerate(labels):
        symbol = style.SYMBOLS[label % len(style.SYMBOLS)]
        dots = [float(values[label, head.layer, head.head]) for head in heads]
        figure.add_scatter(
            x=dots,
            y=names,
            mode="markers",
            marker={"size": 10, "color": style.class_colour(label), "symbol": symbol},
            text=[number(value) for value in dots],
            hovertemplate="%{y}, sentences labelled " + name + ": %{text}<extra></extra>",
            name=name,
        )
    legend = {**style.LEGEND, "y": 1, "yanchor": "bottom"}
    figure.update_layout(showlegend=True, legend=legend)
    figure.update_xaxes(
        title={"text": title, "standoff": 6, "font": {"size": 12}},
        showgrid=False,
        rangemode="tozero",
        nticks=5,
        tickfont={"size": 11},
    )
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=names[::-1],
        gridcolor=style.FAINT,
        ticks="",
        tickfont={"size": 11},
    )
    return figure
