"""What tests of criteria share: every criterion measured once, and the maps of each sentence."""

from __future__ import annotations

import math

import pytest

from bhpvas.criteria import CRITERIA, score
from tests import reference
from tests.conftest import TEXTS


@pytest.fixture(scope="package")
def scores(classifier, dataset):
    return score(classifier, dataset, list(CRITERIA))


@pytest.fixture(scope="package")
def maps(classifier):
    return [reference.attention_maps(classifier, text) for text in TEXTS]  # N × [L, H, T, T]


def slow_jsd(p, q):
    middle = (p + q) / 2

    def divergence(a):
        return sum(x * math.log(x / y) for x, y in zip(a, middle, strict=True) if x > 0)

    return (divergence(p) + divergence(q)) / 2 / math.log(2)
