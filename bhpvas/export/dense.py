"""Format dense: a model of its original sizes in which what was removed is zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.export.base import Format, module_forward, save_model, weight_bytes
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.pruning import remove_heads


def _zeroed(classifier: Classifier, mask: HeadMask) -> Any:
    """The model with removed heads and neurons whose weights are zero alone; the other weights are
    the classifier's own.

    With values and output columns both zero no gradient reaches them, so that they stay zero when
    the model is trained further; neither does it with a neuron's row and column.
    """
    if mask.removed:
        classifier.check_removal()
    # With heads that the model lacks, as zeros. Layers that lose neurons get new matrices.
    whole = HeadMask(mask.layers, mask.heads, neurons=mask.neurons)
    model = remove_heads(classifier, whole, shared=True)
    for number, layer in enumerate(classifier.family.layers(model)):
        removed = torch.from_numpy(np.repeat(~mask.kept[number], classifier.geometry.head_size))
        for linear in (layer.query, layer.key, layer.value):
            linear.weight[removed] = 0
            linear.bias[removed] = 0
        layer.output.weight[:, removed] = 0
        if mask.neurons is not None and mask.neurons.counts[number]:
            gone = torch.tensor(mask.neurons.array[number], device=classifier.device)
            up, down = classifier.layers[number].up, classifier.layers[number].down
            layer.up.weight = _frozen(up.weight.masked_fill(gone[:, None], 0))
            layer.up.bias = _frozen(up.bias.masked_fill(gone, 0))
            layer.down.weight = _frozen(down.weight.masked_fill(gone, 0))
    return model


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


FORMAT = Format(
    name="dense",
    title="Dense",
    summary="An ordinary model of its original sizes, in which what was removed is zero. Loads "
    "wherever the original loads; it is no smaller and no faster.",
    usage=lambda mask: (
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
