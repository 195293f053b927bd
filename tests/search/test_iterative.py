"""Iterative importance against scores taken anew."""

from __future__ import annotations

from bhpvas.criteria import removal_order, score
from bhpvas.heads import HeadMask
from bhpvas.search import propose
from tests.tiny import many_sentences

SENTENCES = many_sentences(40)


def test_iterative_scores_what_is_left(classifier):
    found = propose(classifier, SENTENCES, "iterative", heads=6, options={"share": 0.25})
    mask = HeadMask(2, 4)
    for first in (0, 2, 4):
        values = score(classifier, SENTENCES, ["importance"], mask=mask).values["importance"]
        pair = removal_order(values)[:2]
        assert list(found.heads[first : first + 2]) == pair
        mask = mask.without(pair)
