"""How many of the sentences that measure a scheme were learnt from, counted by their words."""

from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.comparison import accuracy_change_interval
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.evaluation.learnt_from import FEWEST_UNSEEN, LearntFrom, known_at_steps, learnt_from
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.recovery import recover
from bhpvas.recovery.finetuning import TuningSettings, finetune
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import propose
from tests.scheme.trees import MOVES, grown, started
from tests.tiny import many_sentences, save_tiny


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load_classifier(save_tiny(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def data():
    """Sentences that all differ."""
    found = many_sentences(400)
    _, first = np.unique(found.texts, return_index=True)
    return found.take(np.sort(first)[:80])


def counted(classifier, scheme: Scheme, data: Dataset, changed=None) -> LearntFrom:
    unpruned = evaluate(classifier, data)
    found = evaluate(changed or classifier, data, scheme.mask)
    prints = classifier.encode(data).fingerprints
    return learnt_from(scheme, prints, unpruned, found)


def made_by_each_step(classifier, data: Dataset) -> list[tuple[str, LearntSentences]]:
    """What a search, a refit and a training say that they learnt from."""
    proposal = propose(classifier, data, "importance", heads=3)
    refit = recover(classifier, data, proposal.mask)
    tuned = finetune(classifier, data, proposal.mask, TuningSettings(evaluations=1))
    return [(one.__class__.__name__, one.learnt_from) for one in (proposal, refit, tuned)]


def test_whatever_learns_says_from_which_sentences(classifier, data):
    learnt = data.take(range(30))
    seen = np.isin(data.texts, learnt.texts)
    prints = classifier.encode(data).fingerprints
    for name, found in made_by_each_step(classifier, learnt):
        assert found.among(prints).tolist() == seen.tolist(), name


def test_what_is_drawn_learns_from_nothing_unless_it_is_measured(classifier, data):
    drawn = propose(classifier, data, "random", heads=3)
    measured = propose(classifier, data, "random", heads=3, max_drop=0.5)
    assert (len(drawn.learnt_from), len(measured.learnt_from)) == (0, len(data))


def test_the_same_words_are_found_again_however_they_are_written(classifier, data):
    scheme = propose(classifier, data.take(range(20)), "importance", heads=3).on(
        Scheme.of(classifier)
    )
    shouted = [f"  {text.upper()} " for text in data.texts]
    same = Dataset("shouted", shouted, None, data.labels, data.label_names)
    assert counted(classifier, scheme, same).known == 20


@pytest.mark.parametrize("learnt", [0, 1, 30, 80 - FEWEST_UNSEEN, 80 - FEWEST_UNSEEN + 1, 80])
def test_the_accuracy_of_the_others_is_that_of_their_own_evaluation(classifier, data, learnt):
    prints = classifier.encode(data.take(range(learnt))).fingerprints if learnt else ()
    scheme = Scheme.of(classifier).removing(
        parse_heads("L0H1,L1H2"), "greedy", learnt_from=LearntSentences.of(prints)
    )
    found = counted(classifier, scheme, data)
    assert found.record()["learnt_from"] == found.known == learnt
    assert found.clean == (learnt == 0) == (not found.warnings())
    others = data.take(range(learnt, 80))
    if learnt and len(others) >= FEWEST_UNSEEN:
        before, after = evaluate(classifier, others), evaluate(classifier, others, scheme.mask)
        change = accuracy_change_interval(before, after)
        assert found.record()["unseen"] == {
            "n": after.n,
            "accuracy": after.accuracy,
            "accuracy_interval": list(after.accuracy_interval),
            "accuracy_change": change._asdict(),
        }
    else:
        assert found.record()["unseen"] is None


def test_what_a_file_does_not_hold_is_not_known(classifier, data):
    scheme = Scheme.of(classifier).removing(parse_heads("L0H1"), "greedy")
    found = counted(classifier, scheme, data)
    assert found.record() == {"learnt_from": None, "unseen": None}
    assert not found.clean
    (warning,) = found.warnings()
    assert "does not hold which sentences" in warning
    assert "greedy" in warning


def test_only_the_path_to_the_step_counts(classifier, data):
    learnt = LearntSentences.of(classifier.encode(data).fingerprints)
    scheme = Scheme.of(classifier).removing(parse_heads("L0H1"), "greedy", learnt_from=learnt)
    aside = scheme.at(0).removing(parse_heads("L1H1"))
    assert counted(classifier, aside, data).clean
    assert counted(classifier, scheme, data).line() == "80 of the 80 sentences were learnt from"


def test_pairs_are_found_again_as_pairs(classifier, data):
    half = len(data) // 2
    texts, others = data.texts[:half], data.texts[half:]
    labels = data.labels[:half]
    pairs = Dataset("pairs", texts, others, labels, data.label_names)
    turned = Dataset("turned", others, texts, labels, data.label_names)
    alone = Dataset("alone", texts, None, labels, data.label_names)
    learnt = LearntSentences.of(classifier.encode(pairs).fingerprints)
    for other, known in ((pairs, half), (turned, 0), (alone, 0)):
        assert learnt.among(classifier.encode(other).fingerprints).sum() == known


@given(moves=MOVES, learnt=st.lists(st.none() | st.sets(st.integers(0, 9)), max_size=8))
def test_every_step_of_a_tree_knows_what_its_path_learnt_from(moves, learnt):
    scheme = grown(started(), moves)
    sets = [None if one is None else LearntSentences.of(one) for one in learnt]
    steps = tuple(
        replace(step, learnt_from=known)
        for step, known in zip_longest(scheme.steps, sets[: len(scheme.steps)])
    )
    scheme = replace(scheme, steps=steps)
    prints = np.arange(12, dtype=np.uint64)
    found = known_at_steps(scheme, prints)
    assert list(found) == [step.id for step in steps]
    for step in steps:
        assert found[step.id].tolist() == scheme.learnt_at(step.id).among(prints).tolist()
