"""Doubt about labels: answers clearly below chance, or right under another numbering of the labels.

A file whose stars count from 1 may be read as if they counted from 0, or one whose 1 means
*negative* as if it meant *positive*. Nothing fails then: the accuracy is only too low. The answers
of the unpruned model tell, since a model that was trained for the task is seldom wrong in the same
way throughout. A heavily pruned one answers at random, and tells nothing of its labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, bdtrc

from bhpvas import text

#: Of fewer sentences nothing is said.
FEWEST = 30
#: How often, at most, each of the two tests finds something in answers that have nothing to do with
#: the labels.
LEVEL = 0.001
#: Clearly below chance is an accuracy of at most this share of it: a model of another task may be
#: off by a little, and of many sentences even that would be significant.
CLEARLY_BELOW = 0.8
#: What Cohen's kappa has to be, at least, under another numbering, and by how much it has to rise.
FAR = 0.3


@dataclass(frozen=True, eq=False)
class _Numbering:
    """Labels that mean others: ``meant[c]`` is the label that c stands for, int64 ``[C]``."""

    meant: np.ndarray
    what: str
    check: str

    def right(self, confusion: np.ndarray) -> int:
        """How many answers are right under this numbering."""
        return int(confusion[np.arange(len(confusion)), self.meant].sum())


def label_doubt(confusion: np.ndarray, label_names: Sequence[str]) -> str | None:
    """What seems wrong with the labels, and what to check, in a line; None where nothing does.

    ``confusion`` ``[C, C]`` counts sentences by label (row) and answer (column) of the unpruned
    model, ``label_names`` are its C names. A doubt is either

    - another numbering that fits far better: two labels exchanged, all of them shifted by the same
      number (modulo C), or in reverse. Of the sentences that it concerns, Cohen's kappa must be
      higher by :data:`FAR` and as many right answers improbable by chance (exact binomial test at
      :data:`LEVEL`, Bonferroni over all numberings);
    - an accuracy below chance, clearly (:data:`CLEARLY_BELOW`) and significantly (the same test).
      Chance is one in C or, where that is less, what answers as frequent as these would get that
      have nothing to do with the labels.

    >>> label_doubt(np.array([[5, 45], [40, 10]]), ("negative", "positive"))
    'The labels look exchanged: "negative" is answered as "positive" and the other way round. If \
so, 85.0% of the answers are right, not 15.0%: check which label stands for which.'
    """
    n, classes = int(confusion.sum()), len(label_names)
    if n < FEWEST:
        return None
    right = int(np.trace(confusion))
    numberings = list(_numberings(confusion, label_names))
    likeliest = max(numberings, key=lambda one: one.right(confusion))
    if _fits_far_better(confusion, likeliest.meant):
        then = text.percent(likeliest.right(confusion) / n)
        return (
            f"The labels look {likeliest.what}. If so, {then}% of the answers are right, not "
            f"{text.percent(right / n)}%: check {likeliest.check}."
        )
    chance = min(1 / classes, _by_chance(confusion, np.arange(classes)))
    if right <= CLEARLY_BELOW * chance * n and bdtr(float(right), n, chance) <= LEVEL:
        return (
            f"Only {text.percent(right / n)}% of the answers are right, clearly below chance "
            f"({text.percent(chance)}%): the labels probably mean something else to the model. "
            "Check the column of the labels, and which of them stands for which."
        )
    return None


def _numberings(confusion: np.ndarray, names: Sequence[str]) -> Iterator[_Numbering]:
    """Of each kind the numbering under which most answers are right."""
    numbers = np.arange(len(names))
    commonest = int(confusion.sum(1).argmax())

    def answered(label: int, other: int) -> str:
        one, another = (text.shortened(names[number], 40) for number in (label, other))
        return f'"{one}" is answered as "{another}"'

    own = np.diagonal(confusion)
    gained = confusion + confusion.T - own[:, None] - own  # by exchanging two labels: [C, C]
    pairs = np.triu_indices(len(names), 1)
    one, other = (int(half[gained[pairs].argmax()]) for half in pairs)
    exchanged = numbers.copy()
    exchanged[[one, other]] = other, one
    yield _Numbering(
        exchanged,
        f"exchanged: {answered(one, other)} and the other way round",
        "which label stands for which",
    )
    shifts = [np.roll(numbers, -by) for by in range(1, len(names))]
    hits = [confusion[numbers, meant].sum() for meant in shifts]
    by = 1 + int(np.argmax(hits))
    far = min(by, len(names) - by)
    begin = f"whether they count from {0 if by == 1 else 1}" if far == 1 else "where they begin"
    yield _Numbering(
        shifts[by - 1],
        f"shifted by {'one' if far == 1 else far}: "
        f"{answered(commonest, int(shifts[by - 1][commonest]))}, and so on",
        begin,
    )
    yield _Numbering(
        numbers[::-1],
        f"reversed: {answered(commonest, int(numbers[::-1][commonest]))}, and so on",
        "from which end they count",
    )


def _fits_far_better(confusion: np.ndarray, meant: np.ndarray) -> bool:
    """Whether a numbering is far better, and by no chance, for the sentences that it concerns."""
    classes = len(confusion)
    numbers = np.arange(classes)
    concerned = np.where((meant != numbers)[:, None], confusion, 0)
    n = int(concerned.sum())
    if n < FEWEST:
        return False
    chance = _by_chance(concerned, meant)
    right = int(concerned[numbers, meant].sum())
    before, after = (_kappa(concerned, one) for one in (numbers, meant))
    tried = classes * (classes - 1) // 2 + classes
    improbable = bdtrc(right - 1.0, n, chance) * tried <= LEVEL
    return bool(after >= FAR and after - before >= FAR and improbable)


def _kappa(confusion: np.ndarray, meant: np.ndarray) -> float:
    """Cohen's kappa of labels, under a numbering, and answers; 0 where chance leaves nothing."""
    chance = _by_chance(confusion, meant)
    right = confusion[np.arange(len(confusion)), meant].sum() / confusion.sum()
    return float((right - chance) / (1 - chance)) if chance < 1 else 0.0


def _by_chance(confusion: np.ndarray, meant: np.ndarray) -> float:
    """The share of right answers, if those had nothing to do with the labels, under a numbering."""
    labelled, answered = confusion.sum(1), confusion.sum(0)
    return float(labelled @ answered[meant]) / float(confusion.sum()) ** 2
