"""Layer errors: how well each layer says what it used to say, before and after a recovery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.text import number

#: Pixels that the rows of all layers share, and the highest and the lowest row.
_LAYERS, _HIGHEST, _LOWEST = 432, 30, 16


def layer_errors(
    layers: Sequence[Mapping[str, Any]], feed_forward: Sequence[Mapping[str, Any]] = ()
) -> go.Figure:
    """Draw a row a layer, upward from the lowest: from the error before to the error after.

    Each of ``layers`` has ``layer``, ``error_before`` and ``error_after`` as shares of the variance
    of what its attention should say, and ``ridge``, None where the layer was left as it was. Those
    of ``feed_forward`` have the same of feed-forward parts, in rows such as ``L3F`` above ``L3``.
    """
    named = [*((one, "") for one in layers), *((one, "F") for one in feed_forward)]
    named.sort(key=lambda row: (row[0]["layer"], row[1]))
    names = [f"L{one['layer']}{part}" for one, part in named]
    layers = [one for one, _ in named]
    row = max(min(_LAYERS // max(len(layers), 1), _HIGHEST), _LOWEST)
    figure = style.blank(height=row * len(layers) + 58, margin=(38, 14, 8, 42))
    changes = (
        [(one["error_before"], name), (one["error_after"], name)]
        for one, name in zip(layers, names, strict=True)
    )
    figure.add_scatter(**style.strokes(changes, width=3, color=style.FAINT), name="change")
    for when, colour in (("before", style.LOST), ("after", style.GAINED)):
        key = f"error_{when}"
        figure.add_scatter(
            x=[one[key] for one in layers],
            y=names,
            mode="markers",
            marker={"size": 11, "color": colour},
            **style.says(
                f"{name} {when}: error {number(one[key])}"
                + ("<br>left as it was" if one["ridge"] is None else "")
                for one, name in zip(layers, names, strict=True)
            ),
            cliponaxis=False,
            name=when,
        )
    figure.update_xaxes(**style.axis("error, share of variance", 6), rangemode="tozero")
    figure.update_yaxes(showgrid=False, ticklabelstandoff=6, dtick=1)
    return figure
