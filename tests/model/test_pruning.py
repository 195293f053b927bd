"""Removed heads equal masked heads, in every family and any layer, recovered ones included."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.model.cost import parameters
from bhpvas.model.engine import predict
from bhpvas.model.pruning import remove_heads
from tests.conftest import TEXTS
from tests.model.test_weights import random_projections
from tests.tiny import SEPARATE, save_tiny

MASKS = [
    "",
    "L0H1",
    "L0H0,L0H2,L1H3",
    "L1H0,L1H1,L1H2,L1H3",
    "L0H0,L0H1,L0H2,L0H3,L1H0,L1H1,L1H2,L1H3",
]


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("removed", MASKS)
@pytest.mark.parametrize("family", SEPARATE)
def test_the_smaller_model_has_the_masked_logits(tmp_path, family, removed, changed):
    classifier = load_classifier(save_tiny(tmp_path, family))
    if changed:
        classifier = classifier.with_weights(random_projections(classifier, (1,)))
    mask = HeadMask.parse(removed, 2, 4)
    expected = predict(classifier, classifier.encode_texts(TEXTS), mask)
    model = remove_heads(classifier, mask)
    padded = classifier.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        found = model(**padded).logits.numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == parameters(classifier.geometry, mask)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_number_type_stays_and_the_original_is_left_alone(tmp_path):
    classifier = load_classifier(save_tiny(tmp_path), dtype="bfloat16")
    before = copy.deepcopy(classifier.model.state_dict())
    model = remove_heads(classifier, HeadMask.parse("L0H1,L1H0", 2, 4))
    assert {value.dtype for value in model.state_dict().values() if value.is_floating_point()} == {
        torch.bfloat16
    }
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.zero_()
    for name, value in classifier.model.state_dict().items():
        assert torch.equal(before[name], value), name
