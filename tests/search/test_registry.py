"""Every search method: dead heads go first, and of two copies one stays."""

from __future__ import annotations

import pytest

from bhpvas.criteria import score
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.search import propose
from tests.tiny import SEPARATE, many_sentences, save_tiny, with_copied_head, with_heads

SENTENCES = many_sentences(40)
# Whether heads are alike, or how steadily they look, says nothing of what is written on.
BY_WHAT_IS_WRITTEN = ["importance", "fisher", "iterative", "mask-search", "reconstruction"]


def with_dead_head(classifier: Classifier, layer: int, head: int) -> Classifier:
    """A classifier in which nothing of a head's output is written on."""
    size = classifier.geometry.head_size

    def change(layers):
        layers[layer].output.weight.data[:, head * size : (head + 1) * size] = 0

    return with_heads(classifier, change)


@pytest.mark.parametrize("place", [(0, 2), (1, 1)])
@pytest.mark.parametrize("method", BY_WHAT_IS_WRITTEN)
def test_a_dead_head_goes_first(classifier, method, place):
    dead = with_dead_head(classifier, *place)
    assert propose(dead, SENTENCES, method, heads=1).heads == (HeadId(*place),)


@pytest.mark.parametrize("place", [(0, 2), (1, 1)])
def test_by_exact_greed_a_dead_head_goes_before_every_head_that_is_of_use(classifier, place):
    """Only heads whose removal lowers the loss may go before it."""
    dead = with_dead_head(classifier, *place)
    order = propose(dead, SENTENCES, "greedy", heads=8, options={"shortlist": 8}).heads
    before = order[: order.index(HeadId(*place)) + 1]
    masks = [HeadMask(2, 4).without(before[:count]) for count in range(len(before))]
    losses = [evaluate(dead, SENTENCES, mask).loss for mask in masks]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("family", SEPARATE)
def test_a_dead_head_goes_first_from_its_layer_by_shares(tmp_path, family):
    dead = with_dead_head(load_classifier(save_tiny(tmp_path, family)), 0, 2)
    found = propose(dead, SENTENCES, "shares", heads=1, options={"share": 0.0})
    assert found.heads == (HeadId(0, 2),)


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


def test_unknown_names_are_refused(classifier):
    with pytest.raises(BhpvasError, match="'magic' is no method; choose from random, importance"):
        propose(classifier, SENTENCES, "magic", heads=1)
    with pytest.raises(BhpvasError, match="'depth' is no option of greedy: it has sentences"):
        propose(classifier, SENTENCES, "greedy", heads=1, options={"depth": 3})
