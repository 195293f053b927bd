"""Reconstruction error against the best refit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.heads import HeadId, HeadMask
from bhpvas.recovery.layerwise import calibration_parts
from bhpvas.search.layer_statistics import LayerStatistics, measure_layers
from bhpvas.search.reconstruction import LayerError
from tests import reference
from tests.tiny import many_sentences


@pytest.mark.parametrize("layer", [0, 1])
def test_reconstruction_error_is_that_of_the_best_refit(classifier, monkeypatch, layer):
    """In the plain metric: what least squares on stacked activations leaves, removal by removal."""
    monkeypatch.setattr("bhpvas.search.reconstruction._DAMPING", 1e-9)
    sentences = many_sentences(150)
    parts = calibration_parts(classifier, classifier.encode(sentences))
    covariance = measure_layers(classifier, parts)[layer].covariance
    plain = LayerStatistics(covariance, torch.eye(32, dtype=torch.float64))
    error = LayerError(plain, classifier.layers[layer].output.weight, 8)
    mask, total = HeadMask(2, 4), 0.0
    for head in (2, 0, 3, 1):
        total += error.added()[head]
        error.remove(head)
        mask = mask.without([HeadId(layer, head)])
        inputs, aims = reference.moments(classifier, sentences.texts, mask, layer)
        stacked = np.hstack([inputs, np.ones((len(inputs), 1))]).astype(np.float64)
        solution = np.linalg.lstsq(stacked, aims, rcond=None)[0]
        left = np.square(aims - stacked @ solution).sum() / len(aims)
        assert total == pytest.approx(left, rel=1e-3, abs=1e-5)
    assert total == pytest.approx(error.whole, rel=1e-3)
