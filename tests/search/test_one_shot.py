"""One-shot orders: by a criterion, by a priority, by chance."""

from __future__ import annotations

from bhpvas.criteria import CRITERIA, combined, removal_order, score
from bhpvas.search import propose
from tests.tiny import many_sentences

SENTENCES = many_sentences(40)


def test_one_shot_methods_follow_their_criterion(classifier):
    names = ["importance", "fisher", "entropy", "stability", "similarity"]
    scores = score(classifier, SENTENCES, names)
    for name in ("importance", "fisher", "entropy"):
        expected = removal_order(scores.values[name], CRITERIA[name].higher_means)
        assert list(propose(classifier, SENTENCES, name, heads=8).heads) == expected
    assert list(propose(classifier, SENTENCES, "combined", heads=8).heads) == removal_order(
        combined(scores)
    )
    only = propose(
        classifier, SENTENCES, "combined", heads=8, options={"weights": {"importance": 1.0}}
    )
    assert only.heads == propose(classifier, SENTENCES, "importance", heads=8).heads


def test_which_way_stability_counts_is_an_option_of_the_priority(classifier):
    values = score(classifier, SENTENCES, ["stability"]).values["stability"]
    for way in ("keep", "remove"):
        options = {"weights": {"stability": 1.0}, "directions": {"stability": way}}
        found = propose(classifier, SENTENCES, "combined", heads=8, options=options)
        assert list(found.heads) == removal_order(values, way)
        assert found.removals[0].reason.endswith("place 8 by stability of 8")


def test_random_orders_follow_the_seed_and_are_even(classifier):
    one, same, other = (
        propose(classifier, SENTENCES, "random", heads=8, seed=seed).heads for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other
    first = [
        propose(classifier, SENTENCES, "random", heads=1, seed=seed).heads[0] for seed in range(400)
    ]
    counts = [first.count(head) for head in classifier.full_mask()]
    assert min(counts) > 25
