"""Format dense: a model of its original sizes in which what was removed is zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bhpvas.export.base import Format, module_forward, save_model, weight_bytes
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import ROWS, Layer
from bhpvas.model.linear import linear
from bhpvas.model.pruning import with_layers


def _zeroed(classifier: Classifier, mask: HeadMask) -> Any:
    """The model with removed heads and neurons whose weights are zero alone; the other weights are
    the classifier's own.

    With values and output columns both zero no gradient reaches them, so that they stay zero when
    the model is trained further; neither does it with a neuron's row and column.
    """
    classifier.check_removal(mask)
    layers = []
    for number, layer in enumerate(classifier.layers):
        removed = np.repeat(~mask.kept[number], classifier.geometry.head_size)
        if removed.any():
            layer = _without(layer, ROWS["heads"], "output", removed)
        if mask.neurons is not None and mask.neurons.counts[number]:
            layer = _without(layer, ROWS["neurons"], "down", mask.neurons.array[number])
        layers.append(layer)
    return with_layers(classifier, layers, shared=True)


def _without(layer: Layer, rows: Iterable[str], columns: str, removed: np.ndarray) -> Layer:
    """A layer in which the ``removed`` rows and columns of some parts are zero."""
    gone = torch.from_numpy(removed).to(layer.output.weight.device)
    parts = {columns: getattr(layer, columns)}
    parts[columns] = linear(parts[columns].weight.masked_fill(gone, 0), parts[columns].bias)
    for name in rows:
        if (part := getattr(layer, name)) is not None:
            bias = None if part.bias is None else part.bias.masked_fill(gone, 0)
            parts[name] = linear(part.weight.masked_fill(gone[:, None], 0), bias)
    return replace(layer, **parts)


FORMAT = Format(
    name="dense",
    title="Dense",
    summary="An ordinary model of its original sizes, in which what was removed is zero. Loads "
    "wherever the original loads; it is no smaller and no faster.",
    usage=lambda family, mask: (
        """\
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("FOLDER")
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
"""
    ),
    smaller=False,
    packages=("transformers", "torch"),
    write=lambda classifier, mask, folder: save_model(
        classifier, _zeroed(classifier, mask), folder, {}
    ),
    read=lambda classifier, folder: module_forward(type(classifier.model), classifier, folder),
    weight_bytes=lambda classifier, mask: weight_bytes(_zeroed(classifier, mask)),
)
