"""Proposal map: which heads would be removed, in which order, and which stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.charts.feed_forward import FeedForward
from bhpvas.charts.head_map import head_map
from bhpvas.heads import HeadId, HeadMask

_STAYS, _PROTECTED, _FIRST = 0, 1, 2


def proposal_map(
    mask: HeadMask,
    proposed: Sequence[HeadId],
    reasons: Mapping[HeadId, str],
    turned: Collection[HeadId],
    protected: Collection[HeadId],
    *,
    feed_forward: FeedForward | None = None,
) -> go.Figure:
    """Draw the kept heads of ``mask``: those ``proposed`` with their places, the first darkest.

    ``reasons`` are those of the proposed heads; heads ``turned`` over by hand are framed, with a
    plus where they go and were not proposed, a minus where they were proposed and stay.
    ``feed_forward`` is as in :func:`head_map`.
    """
    places = {head: place for place, head in enumerate(proposed, 1)}
    values = np.full((mask.layers, mask.heads), _STAYS, dtype=float)
    labels = np.full(values.shape, "", dtype=object)
    hover = np.full(values.shape, "", dtype=object)
    shades = len(style.PROPOSED)
    for head in mask.every_head():
        at = (head.layer, head.head)
        why = reasons.get(head)
        if head in mask.removed:
            said = "removed already"
        elif head in places:
            values[at] = _FIRST + (places[head] - 1) * shades // len(proposed)
            labels[at] = "+" if head in turned else str(places[head])
            said = "goes, by hand" if head in turned else f"goes, place {places[head]}<br>{why}"
        elif head in turned:
            labels[at] = "\N{MINUS SIGN}"
            said = f"stays, by hand; proposed because<br>{why}"
        else:
            values[at] = _PROTECTED if head in protected else _STAYS
            said = "protected" if head in protected else "stays"
        hover[at] = f"<b>{head}</b> {said}"
    palette = (style.STAYS, style.PROTECTED, *style.PROPOSED)
    return head_map(
        values,
        mask,
        turned,
        hover=hover,
        labels=labels,
        palette=palette,
        feed_forward=feed_forward,
    )
