"""Doubt about labels: every numbering is found, and honest models are left alone."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from bhpvas.evaluation.label_doubt import FEWEST, LEVEL, label_doubt
from bhpvas.tasks.single_label import confusion_of

NAMES = [f"{number} stars" for number in range(1, 21)]


def doubt(labels: np.ndarray, answers: np.ndarray, classes: int) -> str | None:
    return label_doubt(confusion_of(labels, answers, classes), NAMES[:classes])


def answers_of(meant: np.ndarray, classes: int, share: float, rng: np.random.Generator):
    """A model that is right on a share of the sentences, and guesses the others."""
    guesses = rng.integers(classes, size=len(meant))
    return np.where(rng.random(len(meant)) < share, meant, guesses)


def renumberings(classes: int) -> dict[str, list[np.ndarray]]:
    """What each label means, by kind; of two labels a shift and a reverse are an exchange."""
    numbers = np.arange(classes)
    exchanged = []
    for one, other in combinations(range(classes), 2):
        meant = numbers.copy()
        meant[[one, other]] = other, one
        exchanged.append(meant)
    kinds = {"exchanged": exchanged}
    if classes > 2:
        kinds["shifted"] = [(numbers + by) % classes for by in range(1, classes)]
    if classes > 3:
        kinds["reversed"] = [numbers[::-1]]
    return kinds


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 8])
def test_every_numbering_is_found_and_its_accuracy_is_said(classes):
    rng = np.random.default_rng(classes)
    for kind, numberings in renumberings(classes).items():
        for meant in numberings:
            labels = rng.integers(classes, size=400)
            answers = answers_of(meant[labels], classes, 0.7, rng)
            said = doubt(labels, answers, classes)
            assert said is not None and said.startswith(f"The labels look {kind}"), (meant, said)
            instead, now = (100 * np.mean(one == answers) for one in (meant[labels], labels))
            assert f" If so, {instead:.1f}% of the answers are right, not {now:.1f}%: check" in said
            one, other = (said.split('"')[place] for place in (1, 3))
            assert meant[NAMES.index(one)] == NAMES.index(other) and one != other


@pytest.mark.parametrize(("begin", "check"), [(1, "count from 1"), (-1, "count from 0")])
def test_a_shift_by_one_says_where_to_begin(begin, check):
    """Also where the highest label, or the lowest, does not occur, as it cannot in the data."""
    rng = np.random.default_rng(0)
    meant = rng.integers(max(-begin, 0), 5 - max(begin, 0), size=300)
    said = doubt(meant + begin, answers_of(meant, 5, 0.6, rng), 5)
    assert said is not None and "shifted by one: " in said and f"whether they {check}." in said


def test_a_shift_by_more_says_how_far():
    rng = np.random.default_rng(0)
    for by, far in ((2, 2), (3, 3), (5, 2)):
        meant = rng.integers(7, size=300)
        said = doubt((meant + by) % 7, answers_of(meant, 7, 0.8, rng), 7)
        assert said is not None and f"shifted by {far}: " in said and "where they begin" in said


def test_below_chance_without_a_numbering_is_said_with_both_shares():
    """Five labels in an order that is no exchange, shift or reverse; half of the first is right."""
    labels = np.repeat(np.arange(5), 40)
    answers = np.array([3, 2, 4, 1, 0])[labels]
    answers[:20] = 0
    expected = 100 * np.mean(labels == answers)
    said = doubt(labels, answers, 5)
    assert said is not None
    assert f"Only {expected:.1f}% of the answers are right, clearly below chance (20.0%)" in said


@pytest.mark.parametrize("classes", [2, 3])
def test_of_few_sentences_nothing_is_said(classes):
    labels = np.arange(FEWEST) % classes
    assert doubt(labels, (labels + 1) % classes, classes) is not None
    assert doubt(labels[1:], (labels[1:] + 1) % classes, classes) is None


def test_one_answer_for_everything_says_nothing_of_the_labels():
    """However rare that label is, and however much better the other one would do."""
    for share in (0.02, 0.1, 0.5, 0.9):
        labels = (np.arange(1000) < 1000 * share).astype(int)
        assert doubt(labels, np.ones(1000, int), 2) is None
        assert doubt(labels, np.zeros(1000, int), 2) is None


def skewed(classes: int, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(classes, count, p=rng.dirichlet(np.full(classes, rng.choice([0.3, 1, 10]))))


def pruned_away(classes: int, count: int, rng: np.random.Generator):
    """Answers that have nothing to do with the labels, both as uneven as they like."""
    return skewed(classes, count, rng), skewed(classes, count, rng)


def weak(classes: int, count: int, rng: np.random.Generator):
    """A model that is a little better than that."""
    labels, answers = pruned_away(classes, count, rng)
    return labels, np.where(rng.random(count) < rng.uniform(0.02, 0.5), labels, answers)


def biased(classes: int, count: int, rng: np.random.Generator):
    """A model of grades that misses by one or two, more often upward or downward."""
    labels = skewed(classes, count, rng)
    missed = rng.normal(rng.uniform(-0.6, 0.6), rng.uniform(0.5, 1.5), count)
    return labels, np.clip(np.rint(labels + missed), 0, classes - 1).astype(int)


@pytest.mark.parametrize(
    ("honest", "classes"),
    [(pruned_away, (2, 3, 5, 20)), (weak, (2, 3, 5, 20)), (biased, (3, 5))],
)
def test_honest_models_are_hardly_ever_doubted(honest, classes):
    """Of all draws together no more than two tests at the level may find by chance."""
    rng, draws = np.random.default_rng(0), 250
    settings = [(one, count) for one in classes for count in (FEWEST, 200, 2000)]
    doubted = [
        doubt(*honest(one, count, rng), one) is not None
        for one, count in settings
        for _ in range(draws)
    ]
    assert sum(doubted) <= 2 * LEVEL * len(doubted)


def test_three_labels_in_any_order_are_found():
    rng = np.random.default_rng(1)
    for meant in map(np.array, permutations(range(3))):
        labels = rng.integers(3, size=300)
        said = doubt(labels, answers_of(meant[labels], 3, 0.7, rng), 3)
        assert (said is None) == (meant == np.arange(3)).all()
