"""Width curves: what a layer's feed-forward part costs as it is narrowed, one line a layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.evaluation.widths import WidthCurves
from bhpvas.text import signed

#: What a curve is of: the loss, or the accuracy or whatever else is the task's headline.
LOSS, HEADLINE = "loss", "accuracy"


def width_cost(curves: WidthCurves, layer: int, kept: int) -> str:
    """What a layer costs with so many neurons, in words; between two measured widths it is said to
    be about that.
    """
    about = "" if kept in curves.kept[layer] else "about "
    metric = curves.baseline.task.headline
    loss, change = (_at(curves, layer, kept, one) for one in (LOSS, HEADLINE))
    said = metric.change_text(change / metric.scale)
    return f"{about}loss {signed(loss, 3)}, {metric.title_in_text} {said}"


def _changes(curves: WidthCurves, layer: int, measure: str) -> np.ndarray:
    """The measured changes of the loss or of the headline, of a share in points: ``[P]``."""
    if measure == LOSS:
        return curves.loss_change[layer]
    return curves.baseline.task.headline.scale * curves.headline_change[layer]


def _at(curves: WidthCurves, layer: int, kept: int, measure: str) -> float:
    """The change at a width, on the straight line between the measured ones around it."""
    narrow_first = slice(None, None, -1)
    x = curves.kept[layer][narrow_first]
    return float(np.interp(kept, x, _changes(curves, layer, measure)[narrow_first]))


def width_curves(
    curves: WidthCurves, chosen: Mapping[int, int], *, measure: str = LOSS, height: int = 190
) -> go.Figure:
    """Draw the change of ``measure`` against how many neurons a layer keeps.

    Lines of ``chosen`` layers are strong, with a diamond at the width that each is to have where
    that is no wider than now; all others are faint.
    """
    figure = style.blank(height=height, margin=(52, 14, 22, 40))
    hues = dict(zip(chosen, style.LINES * len(chosen), strict=False))
    layers = sorted(range(len(curves.kept)), key=lambda layer: layer in chosen)
    for layer in layers:
        strong = layer in chosen
        figure.add_scatter(
            x=curves.kept[layer],
            y=_changes(curves, layer, measure),
            mode="lines+markers",
            line={"width": 2 if strong else 1, "color": hues.get(layer, style.FAINT)},
            marker={"size": 6 if strong else 3},
            **style.says(
                f"<b>L{layer}F</b>, {kept:,} neurons kept<br>{width_cost(curves, layer, kept)}"
                for kept in curves.kept[layer]
            ),
            name=f"L{layer}F",
            showlegend=strong,
        )
    at = {layer: kept for layer, kept in chosen.items() if kept <= curves.kept[layer][0]}
    figure.add_scatter(
        x=list(at.values()),
        y=[_at(curves, layer, kept, measure) for layer, kept in at.items()],
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": [hues[layer] for layer in at]},
        hovertemplate=[
            f"<b>L{layer}F</b>, {kept:,} neurons to be kept<br>{width_cost(curves, layer, kept)}"
            "<extra></extra>"
            for layer, kept in at.items()
        ],
        cliponaxis=False,
        name="to be kept",
        showlegend=False,
    )
    # Above the curves, which end on both sides at once.
    above = {"x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "traceorder": "normal"}
    figure.update_layout(showlegend=True, legend=style.LEGEND | above)
    headline = curves.baseline.task.headline
    points = f"{headline.title_in_text}, {'points' if headline.share else 'change'}"
    title = "change of loss" if measure == LOSS else points
    figure.update_xaxes(
        **style.axis("neurons kept", 6, grid=False),
        range=[-0.03 * curves.width, 1.03 * curves.width],
    )
    figure.update_yaxes(**style.axis(title, 5), zeroline=True, zerolinecolor=style.MUTED)
    return figure
