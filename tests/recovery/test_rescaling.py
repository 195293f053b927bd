"""Rescaling where the right answer is known."""

from __future__ import annotations

import numpy as np
import torch

from bhpvas.heads import HeadMask
from bhpvas.recovery import recover
from tests.recovery.refitted import projection_of
from tests.tiny import many_sentences, with_copied_head, with_heads


def test_rescaling_makes_the_removal_of_a_twin_exact(classifier):
    """A head that also writes as another does: the other one's factor becomes two."""
    twins = with_copied_head(classifier, 0, 1, 3)

    def same_columns(layers):
        layers[0].output.weight.data[:, 24:] = layers[0].output.weight.data[:, 8:16]

    twins = with_heads(twins, same_columns)
    mask = HeadMask.parse("L0H3", 2, 4)
    projection = projection_of(twins, recover(twins, many_sentences(), mask, "rescale"), 0)
    expected = twins.layers[0].output.weight.clone()
    expected[:, 8:16] *= 2
    expected[:, 24:] = 0
    np.testing.assert_allclose(projection.weight, expected, atol=1e-4)
    assert torch.equal(projection.bias, twins.layers[0].output.bias)
