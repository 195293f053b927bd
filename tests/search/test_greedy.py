"""Exact greedy: the cheapest of the shortlist."""

from __future__ import annotations

import pytest

from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask
from bhpvas.search import propose
from tests.tiny import many_sentences

SENTENCES = many_sentences(40)


def test_greedy_takes_the_cheapest_of_its_shortlist(classifier):
    found = propose(classifier, SENTENCES, "greedy", heads=3, options={"shortlist": 8})
    mask = HeadMask(2, 4)
    for head in found.heads:
        losses = {one: evaluate(classifier, SENTENCES, mask.without([one])).loss for one in mask}
        assert losses[head] == pytest.approx(min(losses.values()), abs=1e-5)
        mask = mask.without([head])
