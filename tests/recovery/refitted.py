"""The refitted parts of a recovered classifier."""

from __future__ import annotations

from torch import nn

from bhpvas.model.classifier import Classifier
from bhpvas.recovery import Recovered


def projection_of(classifier: Classifier, recovered: Recovered, layer: int) -> nn.Linear:
    """A layer's refitted output projection."""
    return classifier.with_weights(recovered.weights).layers[layer].output
