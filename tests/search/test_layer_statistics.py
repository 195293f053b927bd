"""Layer statistics: the metric says how far the logits move."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.model.engine import predict
from bhpvas.model.weights import Weights
from bhpvas.recovery.layerwise import calibration_parts
from bhpvas.search.layer_statistics import measure_layers
from tests.tiny import many_sentences


def test_the_metric_says_how_far_the_logits_move(classifier):
    """With two labels: the mean squared slope of the logits along a direction, first token only."""
    sentences = many_sentences(300)
    encoded = classifier.encode(sentences)
    parts = calibration_parts(classifier, encoded)
    metric = measure_layers(classifier, parts)[1].metric.numpy()
    direction, step = np.random.default_rng(0).standard_normal(32), 1e-3
    bias = classifier.layers[1].output.bias
    moved = Weights({classifier.name_of(bias): bias + torch.from_numpy(step * direction).float()})
    after = predict(classifier.with_weights(moved), encoded)
    slope = (after - predict(classifier, encoded)) / step  # [N, 2]
    expected = np.square(slope[:, 0] - slope[:, 1]).mean() / 2
    assert direction @ metric @ direction == pytest.approx(expected, rel=0.25)
