"""Examples of a relation agree with what was counted."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.heads import HeadId
from bhpvas.interpret.align import sentences_of
from bhpvas.interpret.roles import DIRECTIONS, examples, find_roles, followed
from tests import reference
from tests.interpret.roles.hand_made import FEW, follows_head, sentence_with, uniform


def test_examples_add_up_to_the_accuracy(classifier, dataset):
    sentences = sentences_of(classifier, dataset)
    found = find_roles(classifier, dataset, sentences=sentences, settings=FEW)
    for name, relation in found.relations.items():
        for way, direction in enumerate(DIRECTIONS):
            shown = examples(found, sentences, name, HeadId(1, 2), direction)
            assert len(shown) == relation.count
            assert np.mean([one.follows for one in shown]) == pytest.approx(
                relation.accuracies[way, 1, 2]
            )
            for one in shown:
                parse = sentences[one.sentence].parse
                assert parse.relations[one.dependent] == name
                assert parse.heads[one.dependent] == one.head
                assert one.predicted != one.dependent


def test_followed_in_one_sentence_agrees_with_the_count(classifier, dataset):
    sentences = sentences_of(classifier, dataset)
    found = find_roles(classifier, dataset, sentences=sentences)
    for number, sentence in enumerate(sentences):
        maps = reference.attention_maps(classifier, dataset.texts[number])
        for head in (HeadId(0, 1), HeadId(1, 2)):
            here = followed(sentence, maps[head.layer, head.head])
            for name in found.relations:
                for direction in DIRECTIONS:
                    expected = {
                        one.dependent
                        for one in examples(found, sentences, name, head, direction)
                        if one.sentence == number and one.follows
                    }
                    words = {
                        word
                        for word, ways in here.items()
                        if direction in ways and sentence.parse.relations[word] == name
                    }
                    assert words == expected


def test_followed_by_hand():
    sentence = sentence_with([1, 1, 1], ["a", "ROOT", "b"], [1, 2, 1], [5, 6, 7, 8])
    assert followed(sentence, follows_head(sentence)) == {
        0: ("dependent to head",),
        2: ("dependent to head",),
    }
    even = sentence_with([1, 1, 1], ["a", "ROOT", "b"], [1, 1, 1], [5, 6, 7])
    assert followed(even, uniform(even)) == {}
    alone = sentence_with([0], ["ROOT"], [1], [5])
    assert followed(alone, uniform(alone)) == {}
