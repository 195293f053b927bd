"""Attention patterns: exact shares and tests on maps made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from bhpvas.heads import HeadId
from bhpvas.interpret.roles import NO_ROLE
from tests.interpret.roles.hand_made import (
    FEW,
    HAND_MADE,
    HEAD,
    roles_of_maps,
    sentence_with,
    to_token,
)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("[SEP]", "delimiter: [SEP]"),
        ("[CLS]", "delimiter: [CLS]"),
        ("uniform", "broad"),
        ("self", "self"),
        ("previous", "previous"),
        ("next", "next"),
    ],
)
def test_patterns_made_by_hand(roles, name, label):
    (evidence,) = roles.evidence[HEAD[name]]
    assert roles.label(HEAD[name]) == evidence.label == label
    assert evidence.measured == 1
    tried = len(HAND_MADE) * (3 if evidence.role == "delimiter" else 1)  # there are 3 delimiters
    assert evidence.p == pytest.approx(tried * 0.5**60)
    at = HEAD[name].head
    # The first word's previous token is [CLS], the last one's next [SEP].
    ends = 60 / evidence.count
    touching = {("[CLS]", "previous"), ("[SEP]", "next"), ("previous", "delimiter")}
    touching |= {("next", "delimiter")}
    for other, pattern in roles.patterns.items():
        if other not in (evidence.role, "rare-token"):
            expected = ends if (name, other) in touching else 0
            assert pattern.share[0, at] == pytest.approx(expected)


def test_a_delimiter_is_named_only_where_it_passes_by_itself(grown):
    """One head looks at [CLS] in half of the sentences, the other in three of four; else [SEP]."""
    made = [
        np.stack(
            [to_token(sentence, 0 if number % every else len(sentence) - 1) for every in (2, 4)]
        )[None]
        for number, sentence in enumerate(grown)
    ]
    roles = roles_of_maps(made, grown, settings=FEW)
    (mixed,), (mostly,) = (
        [one for one in roles.evidence[HeadId(0, head)] if one.role == "delimiter"]
        for head in range(2)
    )
    assert (mixed.label, mixed.tag, mixed.measured) == ("delimiter", "delim", 1.0)
    assert mostly.label == "delimiter: [CLS]"
    first = np.arange(len(grown)) % 4 != 0
    queries = np.array([len(sentence) - 2 for sentence in grown])
    assert mostly.measured == pytest.approx(queries[first].sum() / queries.sum())
    exact = binomtest(int(first.sum()), len(grown), alternative="greater").pvalue
    # Holm over two heads and three delimiters: it is the smallest of six.
    assert mostly.p == pytest.approx(6 * exact)


def test_a_head_that_points_at_rare_tokens():
    rng = np.random.default_rng(0)
    sentences, maps = [], []
    for number in range(40):
        ids = rng.permutation([*range(10, 16), 100 + 2 * number, 101 + 2 * number])
        sentence = sentence_with(list(range(8)), ["ROOT"] * 8, [1] * 8, ids.tolist())
        rare = [int(at) for at in np.flatnonzero(sentence.token_ids >= 100)]
        pointed = to_token(sentence, rare[number % 2])
        away = to_token(sentence, int(np.flatnonzero(sentence.token_ids == 12)[0]))
        sentences.append(sentence)
        maps.append(np.stack([pointed, away])[None])
    roles = roles_of_maps(maps, sentences)
    assert [roles.label(head) for head in roles.mask] == ["rare-token", NO_ROLE]
    assert roles.patterns["rare-token"].share.tolist() == [[1.0, 0.0]]
    assert roles.patterns["rare-token"].count == 40 * 6  # the two rare tokens are no queries


def test_of_tokens_as_frequent_the_higher_id_is_the_rarer():
    """One head looks at the second highest id, the other at the third."""
    sentences = [sentence_with([0] * 8, ["ROOT"] * 8, [1] * 8, list(range(10, 18)))] * 40
    maps = [np.stack([to_token(one, 7), to_token(one, 6)])[None] for one in sentences]
    roles = roles_of_maps(maps, sentences)
    assert [roles.label(head) for head in roles.mask] == ["rare-token", NO_ROLE]
