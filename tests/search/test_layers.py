"""Whole layers: the one that the loss misses least."""

from __future__ import annotations

import numpy as np

from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask
from bhpvas.search import propose
from tests.tiny import many_sentences

SENTENCES = many_sentences(40)


def test_layers_empties_the_layer_that_the_loss_misses_least(classifier):
    whole = [HeadMask.parse(",".join(f"L{la}H{he}" for he in range(4)), 2, 4) for la in (0, 1)]
    cheapest = int(np.argmin([evaluate(classifier, SENTENCES, one).loss for one in whole]))
    found = propose(classifier, SENTENCES, "layers", heads=5)
    assert [head.layer for head in found.heads] == [cheapest] * 4 + [1 - cheapest]
