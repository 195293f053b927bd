"""Sentences that steps learnt from: kept as fingerprints, found again, refused where damaged."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.errors import SchemeError
from bhpvas.heads import parse_heads
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from tests.scheme.trees import branched, started

prints = st.lists(st.integers(0, 2**48 - 1), max_size=20)
FIRST, SECOND = LearntSentences.of([1, 2, 3]), LearntSentences.of([3, 4])


@given(prints, prints)
def test_a_set_of_sentences_is_one(some, others):
    learnt = LearntSentences.of(some)
    assert learnt.fingerprints.tolist() == sorted(set(some))
    assert learnt.among(some + others).tolist() == [one in set(some) for one in some + others]
    assert LearntSentences.from_text(learnt.to_text()) == learnt
    assert (learnt == LearntSentences.of(others)) == (set(some) == set(others))
    assert (learnt.name == LearntSentences.of(others).name) == (set(some) == set(others))


def test_a_path_has_learnt_what_its_steps_have():
    scheme = (
        started()
        .removing(parse_heads("L0H3"), "greedy", learnt_from=FIRST)
        .recovered("0" * 16, "compensate", learnt_from=SECOND)
    )
    aside = scheme.at(0).removing(parse_heads("L1H2"))
    found = [aside.learnt_at(step.id).fingerprints.tolist() for step in aside.steps]
    assert found == [[], [1, 2, 3], [1, 2, 3, 4], []]


def test_a_file_holds_each_set_once():
    scheme = started()
    for head, learnt in (("L0H0", FIRST), ("L0H1", FIRST), ("L0H2", SECOND), ("L0H3", None)):
        scheme = scheme.removing(parse_heads(head), "greedy", learnt_from=learnt)
    document = json.loads(scheme.to_json())
    assert document["fingerprints"] == {one.name: one.to_text() for one in (FIRST, SECOND)}
    assert ["learnt_from" in step for step in document["steps"]] == [False, True, True, True, False]
    assert Scheme.from_json(scheme.to_json()) == scheme
    assert "fingerprints" not in json.loads(branched().to_json())


@pytest.mark.parametrize(
    ("method", "settings", "learnt", "unknown"),
    [
        ("by hand", {}, None, False),
        ("greedy", {}, None, True),
        ("compensate", {"calibration": {"name": "mine", "sentences": 9}}, None, True),
        ("greedy", {}, FIRST, False),
        ("random", {}, None, False),
        ("random", {"max_drop": 0.01}, None, True),
    ],
)
def test_a_step_that_learnt_from_nobody_knows_what_says_so(method, settings, learnt, unknown):
    scheme = started().removing(parse_heads("L0H3"), method, settings, learnt_from=learnt)
    assert [step.origin_unknown for step in scheme.steps] == [False, unknown]


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["fingerprints"].clear(),
        lambda file: file["fingerprints"].update({FIRST.name: SECOND.to_text()}),
        lambda file: file["fingerprints"].update({FIRST.name: FIRST.to_text()[:-4]}),
        lambda file: file["fingerprints"].update({FIRST.name: FIRST.to_text()[:-1]}),
        lambda file: file["fingerprints"].update({FIRST.name: 7}),
        lambda file: file["fingerprints"].update({FIRST.name: "AAAAAAAB" + "AAAAAAAA"}),
        lambda file: file["steps"][1].update(learnt_from="0" * 16),
        lambda file: file["steps"][1].update(learnt_from="words"),
    ],
)
def test_fingerprints_that_were_changed_are_refused_in_a_sentence(change):
    scheme = started().removing(parse_heads("L0H3"), "greedy", learnt_from=FIRST)
    document = json.loads(scheme.to_json())
    change(document)
    with pytest.raises(SchemeError, match=r"fingerprints|learnt_from"):
        Scheme.from_json(json.dumps(document))


def test_numbers_of_any_kind_are_fingerprints():
    given_as = (np.array([5, 9], np.uint64), [5, 9], (one for one in (9, 5)))
    assert len({LearntSentences.of(one) for one in given_as}) == 1
