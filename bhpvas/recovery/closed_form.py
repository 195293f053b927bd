"""Recovery in closed form: weights refitted for a mask, and their full shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.weights import Weights
from bhpvas.progress import Progress, silent
from bhpvas.recovery.base import LayerReport, Recovered
from bhpvas.recovery.layerwise import (
    LayerFit,
    Originals,
    calibration_parts,
    layerwise_pass,
)
from bhpvas.recovery.registry import RECOVERIES
from bhpvas.recovery.shared_layers import shared_fits
from bhpvas.scheme.learnt import LearntSentences


def recover(
    classifier: Classifier,
    calibration: Dataset,
    mask: HeadMask,
    method: str = "compensate",
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Recovered:
    """Refit every layer that has lost something, from the lowest up, on the pruned one's inputs.

    Heads that are gone have W_O refitted, feed-forward neurons the down projection. Where the
    method refits feed-forward layers, it does so from the lowest such layer to the top. The aim is
    the unpruned model's attention output, or feed-forward output, plus what the lower layers have
    gone astray, so that what enters the rest stays as it was. Labels are not read. In the last
    layer only the first token counts, since the classifier reads no other. The seed draws the held-
    out quarter of the sentences that the ridge is chosen on. Layers that share their weights are
    refitted once, as :mod:`bhpvas.recovery.shared_layers` says, and reported on by the first.

    ``method`` is a key of :data:`~bhpvas.recovery.registry.RECOVERIES`, where each has its source.
    The errors that it reports are squared errors as shares of the variance of what a layer should
    say: 0 = as in the unpruned model, 1 = no better than its mean.

    Raises :class:`~bhpvas.errors.BhpvasError` for an unknown method, a mask that removes nothing,
    one that removes from a layer what others go on using, or fewer than two sentences.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().calibration.take(range(16))
    >>> mask = classifier.full_mask().without(bhpvas.parse_heads("L2H1,L2H5,L4H0"))
    >>> recovered = bhpvas.recover(classifier, data, mask)
    >>> [(one.layer, one.error_after <= one.error_before) for one in recovered.layers]
    [(2, True), (4, True)]
    >>> bhpvas.evaluate(classifier.with_weights(recovered.weights), data, mask).n
    16
    """
    if method not in RECOVERIES:
        raise BhpvasError(f"{method!r} is no recovery; choose from {', '.join(RECOVERIES)}.")
    if not mask.changes:
        raise BhpvasError("Every head is kept, so there is nothing to recover: remove some first.")
    classifier.check_removal(mask)
    encoded = classifier.encode(calibration)
    parts = calibration_parts(classifier, encoded, seed=seed)
    chosen = RECOVERIES[method]
    how: Any = {
        "begin": _lowest(mask),
        "feed_forward": chosen.feed_forward,
        "progress": progress,
    }
    with torch.inference_mode():
        if classifier.geometry.groups:
            fits, fed = shared_fits(classifier, parts, mask, chosen.fitter, **how)
        else:
            pruned = layerwise_pass(Originals(classifier, parts), mask, chosen.fitter, **how)
            fits, fed = pruned.fits, pruned.feed_forward_fits
    return Recovered(
        method=method,
        mask=mask,
        weights=as_weights(classifier, mask, fits, fed),
        layers=tuple(LayerReport.of(number, fit) for number, fit in fits.items()),
        calibration=calibration.name,
        sentences=len(calibration),
        held_out=sum(int(part.held_out.sum()) for part in parts),
        learnt_from=LearntSentences.of(encoded.fingerprints),
        feed_forward=tuple(
            LayerReport.of(number, fit)
            for number, fit in fed.items()
            if mask.neurons is not None and mask.neurons.counts[number]
        ),
    )


def _lowest(mask: HeadMask) -> int:
    """The lowest layer that has lost a head or a neuron."""
    counts = () if mask.masked_neurons is None else mask.masked_neurons.counts
    narrowed = {layer for layer, count in enumerate(counts) if count}
    return min({head.layer for head in mask.masked} | narrowed)


def as_weights(
    classifier: Classifier,
    mask: HeadMask,
    fits: Mapping[int, LayerFit],
    feed_forward_fits: Mapping[int, LayerFit],
) -> Weights:
    """Fitted columns at their places, zeros at those of what is removed; fits are by layer."""
    size = classifier.geometry.head_size
    made: dict[str, torch.Tensor] = {}

    def put(projection: torch.nn.Linear, fit: LayerFit, kept: np.ndarray | None) -> None:
        weight = torch.zeros(projection.weight.shape)
        weight[:, slice(None) if kept is None else torch.from_numpy(kept)] = fit.weight.float()
        made[classifier.name_of(projection.weight)] = weight
        if projection.bias is not None:
            made[classifier.name_of(projection.bias)] = fit.bias.float()

    for number, fit in fits.items():
        put(classifier.layers[number].output, fit, mask.kept[number].repeat(size))
    for number, fit in feed_forward_fits.items():
        neurons = None if mask.neurons is None else ~mask.neurons.array[number]
        put(classifier.layers[number].down, fit, neurons)
    return Weights(made)
