"""Relations: exact accuracies on maps made by hand, and the test against the best offset."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from bhpvas.heads import HeadId
from bhpvas.interpret.roles import DIRECTIONS
from bhpvas.stats import holm
from bhpvas.ui.pages.roles.views import follows
from tests.interpret.roles.hand_made import (
    FEW,
    HEAD,
    grown_sentences,
    roles_of_maps,
    stacked,
    to_word,
)


@pytest.fixture(scope="module")
def roles(grown):
    return roles_of_maps(stacked(grown), grown, settings=FEW)


def share_of_offset(sentences, relation: str, step: int) -> float:
    steps = [
        head - word
        for one in sentences
        for word, head in enumerate(one.parse.heads)
        if one.parse.relations[word] == relation
    ]
    return float(np.mean([found == step for found in steps]))


def test_baselines_are_the_best_fixed_offset(roles, grown):
    assert {name: one.count for name, one in roles.relations.items()} == {"far": 360, "det": 120}
    assert (roles.relations["det"].offset, roles.relations["det"].baseline) == (1, 1.0)
    shares = {step: share_of_offset(grown, "far", step) for step in (-3, -2, -1, 1, 2, 3)}
    far = roles.relations["far"]
    assert far.baseline == pytest.approx(max(shares.values()))
    assert shares[far.offset] == max(shares.values())


def test_a_head_that_always_looks_at_the_syntactic_head(roles):
    accuracies = roles.relations["far"].accuracies[:, 0, HEAD["head"].head]
    assert accuracies[0] == 1
    (evidence,) = roles.evidence[HEAD["head"]]
    assert evidence.label == roles.label(HEAD["head"]) == "syntactic: far"
    assert (evidence.measured, evidence.count) == (1.0, 360)
    assert evidence.direction == "dependent to head"
    assert roles.relations["det"].accuracy[0, HEAD["head"].head] == 1  # a perfect offset: no role


def test_a_head_that_always_looks_at_the_dependents(roles):
    at = HEAD["dependents"].head
    assert roles.relations["far"].accuracies[1, 0, at] == 1
    assert roles.relations["far"].direction[0, at] == 1
    assert roles.evidence[HEAD["dependents"]][0].direction == "head to dependent"
    assert roles.label(HEAD["dependents"]) == "syntactic: far"


def test_a_head_has_its_dot_in_the_direction_in_which_it_follows(roles):
    relation = roles.relations["far"]
    ways = {
        way: {HeadId(0, int(at)) for at in np.flatnonzero(follows(relation, roles, way))}
        for way in (*DIRECTIONS, "either way")
    }
    assert ways["dependent to head"] == {HEAD["head"]}
    assert ways["head to dependent"] == {HEAD["dependents"]}
    assert ways["either way"] == {HEAD["head"], HEAD["dependents"]}


@pytest.mark.parametrize(("name", "step"), [("previous word", -1), ("next word", 1)])
def test_a_head_that_always_looks_at_a_neighbour_is_that_offset(roles, grown, name, step):
    for relation, found in roles.relations.items():
        for way, sign in ((0, 1), (1, -1)):
            # The word after is the one whose previous word this is.
            expected = share_of_offset(grown, relation, sign * step)
            assert found.accuracies[way, 0, HEAD[name].head] == pytest.approx(expected)
    assert not any(one.role == "syntactic" for one in roles.evidence[HEAD[name]])


def test_attention_that_favours_no_word_follows_nothing():
    sentences = grown_sentences(most_pieces=1)
    roles = roles_of_maps(stacked(sentences), sentences, settings=FEW)
    assert roles.predictions is not None
    for name in ("uniform", "[SEP]", "[CLS]", "self"):
        for relation in roles.relations.values():
            assert (relation.accuracies[:, 0, HEAD[name].head] == 0).all()
        assert (roles.predictions.of(3)[:, 0, HEAD[name].head] == -1).all()


def test_the_test_pairs_head_and_offset_sentence_by_sentence(grown):
    """Heads that follow syntax more and more often, against the exact test by hand."""
    rng = np.random.default_rng(3)
    offsets = {"far": 2, "det": 1}
    chances = (0.15, 0.2, 0.25, 0.9)
    maps, wins, losses = [], np.zeros((2, 2, 4)), np.zeros((2, 2, 4))
    for sentence in grown:
        parse, made = sentence.parse, []
        for at, chance in enumerate(chances):
            follows = rng.random(len(parse)) < chance
            # A word that does not follow its head looks at [SEP].
            targets = [head if follows[word] else None for word, head in enumerate(parse.heads)]
            made.append(to_word(sentence, targets.__getitem__))
            for row, (name, step) in enumerate(offsets.items()):
                words = [word for word in range(9) if parse.relations[word] == name]
                by_offset = sum(parse.heads[word] - word == step for word in words)
                # The word that looks at this one most, if it is the only one that does.
                askers = [[one for one in range(9) if targets[one] == word] for word in words]
                for way, right in enumerate(
                    (
                        [targets[word] == parse.heads[word] for word in words],
                        [askers[at] == [parse.heads[word]] for at, word in enumerate(words)],
                    )
                ):
                    wins[way, row, at] += sum(right) > by_offset
                    losses[way, row, at] += sum(right) < by_offset
        maps.append(np.stack(made)[None])
    found = roles_of_maps(maps, grown, settings=FEW)
    assert {name: one.offset for name, one in found.relations.items()} == offsets
    assert (wins + losses).min() < len(grown)  # some sentences are neither won nor lost
    plain = [
        binomtest(int(won), int(max(won + lost, 1)), alternative="greater").pvalue
        for won, lost in zip(wins.flat, losses.flat, strict=True)
    ]
    expected = holm(np.reshape(plain, wins.shape))
    counted = np.stack([found.relations[name].p[:, 0] for name in offsets], axis=1)
    np.testing.assert_allclose(counted, expected, rtol=1e-9)
    assert ((expected > 1e-9) & (expected < 1)).sum() >= 2
