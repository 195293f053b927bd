"""Feed-forward parts beside the head maps of the app: what each says, and how wide a map is."""

from __future__ import annotations

import numpy as np

from bhpvas import text
from bhpvas.charts.feed_forward import FeedForward, layer_width, neurons_left
from bhpvas.charts.head_map import size
from bhpvas.heads import HeadMask
from bhpvas.neurons import NeuronSet
from bhpvas.ui.jobs import models
from bhpvas.ui.state.session import Session


def map_size(session: Session) -> tuple[int, int]:
    """Width and height in pixels of the session's head map."""
    mask = session.mask
    return size(mask.layers, mask.heads, feed_forward=not session.heads_only)


def feed_forward(session: Session, mask: HeadMask | None = None) -> FeedForward | None:
    """The column beside the head map of a mask (default: the scheme's); None where it is hidden."""
    if session.heads_only:
        return None
    mask = session.mask if mask is None else mask
    geometry = models.classifier_named(session.model).geometry
    width = geometry.intermediate_size
    hover = [
        layer_width(mask, layer, width) + _share(session, mask, layer)
        for layer in range(mask.layers)
    ]
    return FeedForward(width, hover=hover)


def _share(session: Session, mask: HeadMask, layer: int) -> str:
    """What of the unpruned model's arithmetic and parameters a layer's kept neurons hold."""
    from bhpvas.model.cost import flops_per_sentence, parameters

    geometry = models.classifier_named(session.model).geometry
    if not neurons_left(mask, geometry.intermediate_size)[layer]:
        return ""
    gone = np.zeros((mask.layers, geometry.intermediate_size), dtype=bool)
    gone[layer] = True
    without, start = mask.without_neurons(NeuronSet.of(gone)), session.start.mask
    masks, lengths = (mask, without, start), models.lengths(session)
    now, less, whole = (flops_per_sentence(geometry, one, lengths) for one in masks)
    said = f"<br>{text.percent((now - less) / whole)}% of the unpruned model's FLOPs"
    if geometry.shared:  # all layers have the same parameters
        return said
    now, less, whole = (parameters(geometry, one) for one in masks)
    return f"{said},<br>{text.percent((now - less) / whole)}% of its parameters"
