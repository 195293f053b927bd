"""Heads without effect go first under every method, and equals in an order drawn by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.criteria import CRITERIA, score
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.search import METHODS, Constraints, propose
from bhpvas.search.base import DEAD_REASON
from tests.tiny import (
    DEATHS,
    SEPARATE,
    many_sentences,
    save_tiny,
    with_dead_heads,
    with_heads,
    without_answers,
)

SENTENCES = many_sentences(40)
JUDGES = sorted({*METHODS, *CRITERIA} - {"random"})


def some_heads(seed: int, count: int) -> frozenset[HeadId]:
    """Heads at random places of the tiny model."""
    drawn = np.random.default_rng(seed).permutation(8)[:count]
    return frozenset(HeadId(*divmod(int(place), 4)) for place in drawn)


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("method", JUDGES)
def test_dead_heads_go_first_under_every_method(classifier, method, death):
    for seed, count in ((len(method), 3), (len(death) + 1, 5)):
        dead = some_heads(seed, count)
        found = propose(
            with_dead_heads(classifier, dead, death), SENTENCES, method, heads=count + 1
        )
        assert set(found.heads[:count]) == dead, seed
        assert [one.reason == DEAD_REASON for one in found.removals] == [True] * count + [False]


@pytest.mark.parametrize("family", SEPARATE)
def test_dead_heads_go_first_in_every_family(tmp_path, family):
    dead = some_heads(7, 3)
    found = with_dead_heads(load_classifier(save_tiny(tmp_path, family)), dead, "values")
    assert set(propose(found, SENTENCES, "combined", heads=3).heads) == dead


@pytest.mark.parametrize("method", JUDGES)
def test_after_the_dead_heads_the_search_is_that_of_the_model_without_them(classifier, method):
    dead = some_heads(3, 3)
    found = with_dead_heads(classifier, dead, "values")
    whole = propose(found, SENTENCES, method, heads=6, seed=5)
    rest = propose(found, SENTENCES, method, heads=3, seed=5, mask=HeadMask(2, 4, dead))
    assert whole.removals[3:] == rest.removals


def test_protected_dead_heads_stay_and_layers_keep_as_many_heads_as_they_must(classifier):
    dead = frozenset(HeadId(0, head) for head in range(4))
    constraints = Constraints(protected=frozenset({HeadId(0, 1)}), min_per_layer=2)
    found = propose(
        with_dead_heads(classifier, dead, "projection"),
        SENTENCES,
        "combined",
        heads=4,
        constraints=constraints,
    )
    assert set(found.heads[:2]) < dead - constraints.protected
    assert all(head.layer == 1 for head in found.heads[2:])


def test_chance_draws_from_dead_and_living_heads_alike(classifier):
    dead = some_heads(1, 4)
    found = with_dead_heads(classifier, dead, "values")
    for seed in range(5):
        plain = propose(classifier, SENTENCES, "random", heads=4, seed=seed)
        assert propose(found, SENTENCES, "random", heads=4, seed=seed).removals == plain.removals


BY_EFFECT = ["importance", "fisher", "first-order", "iterative", "mask-search"]
BY_EFFECT += ["reconstruction", "shares", "greedy", "layers"]


@pytest.mark.parametrize("method", BY_EFFECT)
def test_where_no_head_has_an_effect_the_seed_decides_and_the_reason_says_so(classifier, method):
    """By place it would always be the same one."""
    indifferent = without_answers(classifier)
    options = {"share": 0.0} if method == "shares" else {}
    firsts, counts = set(), set()
    for seed in range(12):
        found = propose(indifferent, SENTENCES, method, heads=2, seed=seed, options=options)
        firsts.add(found.heads[0])
        counts.add(found.removals[0].reason.split(", equal to ")[-1])
    assert len(firsts) >= 4
    assert {head.layer for head in firsts} == {0, 1}
    expected = {"layers": "1 other layer", "shares": "1 other layer", "greedy": "5 others"}
    assert counts == {expected.get(method, "7 others")}


@pytest.mark.parametrize("method", ["importance", "iterative", "mask-search", "reconstruction"])
def test_equals_go_as_the_seed_draws_whatever_was_asked_for(classifier, method):
    indifferent = without_answers(classifier)
    options = {"share": 0.5} if method == "iterative" else {}
    whole = propose(indifferent, SENTENCES, method, heads=8, seed=4, options=options).heads
    half = propose(indifferent, SENTENCES, method, heads=4, seed=4, options=options).heads
    assert set(half) == set(whole[:4])
    assert whole != tuple(sorted(whole))


def test_of_the_pair_most_alike_both_have_the_same_similarity_and_chance_decides(classifier):
    firsts = set()
    for seed in range(12):
        found = propose(classifier, SENTENCES, "similarity", heads=1, seed=seed)
        assert found.removals[0].reason.endswith(" to a kept head, equal to 1 other")
        firsts.add(found.heads[0])
    values = score(classifier, SENTENCES, ["similarity"]).values["similarity"]
    assert firsts == {HeadId(*map(int, at)) for at in np.argwhere(values == values.max())}
    assert len(firsts) == 2


def test_a_head_whose_output_does_not_vary_is_like_no_other_and_stays_for_no_likeness(classifier):
    """It adds the same to every token: not dead, but its similarity is undefined."""
    size = classifier.geometry.head_size

    def change(layers):
        layers[1].value.weight.data[2 * size : 3 * size] = 0

    constant = with_heads(classifier, change)
    for method, reason in (
        ("similarity", "similarity undefined"),
        ("redundancy", "its output does not vary"),
    ):
        (removal,) = propose(constant, SENTENCES, method, heads=1).removals
        assert removal == (HeadId(1, 2), reason)
    assert score(constant, SENTENCES, ["importance"]).values["importance"][1, 2] > 0


@pytest.mark.parametrize(
    ("method", "sentences", "said"),
    [
        ("similarity-maps", ["film", "good"], "no sentence has four tokens"),
        ("stability", ["the film is good"], "by a single sentence"),
        ("stability-gradient", ["the film is good"], "by a single sentence"),
    ],
)
def test_a_criterion_that_is_undefined_of_every_head_orders_none(
    classifier, method, sentences, said
):
    data = many_sentences(len(sentences))
    data = type(data)(data.name, tuple(sentences), None, data.labels, data.label_names)
    with pytest.raises(BhpvasError, match=f"{method} puts no heads in order on many.*{said}"):
        propose(classifier, data, method, heads=2)
