"""Every search method: of two copies one stays, and names that are none are refused."""

from __future__ import annotations

import re

import pytest

from bhpvas.criteria import score
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, parse_heads
from bhpvas.search import propose
from tests.tiny import many_sentences, with_copied_head

SENTENCES = many_sentences(40)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("method", ["redundancy", "similarity", "reconstruction", "shares"])
def test_of_two_copies_one_goes_before_a_unique_head_and_the_other_stays(classifier, method, layer):
    copied = with_copied_head(classifier, layer, 1, 3)
    options = {"share": 0.0} if method == "shares" else {}
    found = propose(copied, many_sentences(200), method, heads=4, options=options)
    pair = {HeadId(layer, 1), HeadId(layer, 3)}
    assert found.heads[0] in pair
    if method == "redundancy":
        assert "1.000 alike" in found.removals[0].reason
        scores = score(copied, many_sentences(200), ["importance"]).values["importance"]
        assert found.heads[0] == min(pair, key=lambda one: scores[one.layer, one.head])


def test_redundancy_never_says_of_a_head_that_goes_that_it_stays(classifier):
    for count in range(1, 9):
        found = propose(classifier, SENTENCES, "redundancy", heads=count)
        named = [
            parse_heads(",".join(re.findall(r"L\d+H\d+", one.reason))) for one in found.removals
        ]
        assert all(list(found.mask) == [] or not set(one) & set(found.heads) for one in named)
        said = [f", for which {one} stays" in removal.reason
                for removal in found.removals for one in found.mask]  # fmt: skip
        assert sum(said) == (0 if count == 8 else count)


def test_unknown_names_are_refused(classifier):
    with pytest.raises(BhpvasError, match="'magic' is no method; choose from random, importance"):
        propose(classifier, SENTENCES, "magic", heads=1)
    with pytest.raises(BhpvasError, match="'depth' is no option of greedy: it has sentences"):
        propose(classifier, SENTENCES, "greedy", heads=1, options={"depth": 3})
