"""Learnt from: how many of the sentences that measure a scheme had a part in making it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bhpvas import text
from bhpvas.data.sampling import Sample
from bhpvas.evaluation.comparison import accuracy_change_interval
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import BY_HAND, Step

#: Fewer sentences that were not learnt from are too few to say an accuracy of.
FEWEST_UNSEEN = 30


@dataclass(frozen=True, eq=False)
class LearntFrom:
    """How many of the sentences that measure a scheme's step were learnt from on the way to it.

    ``known`` of the ``measured`` sentences chose heads or fitted weights in one of the ``steps``.
    ``unknown`` are steps that learnt from sentences of which the scheme keeps nothing, so that more
    may have. ``unseen`` is the evaluation of the others, and ``unpruned`` that of the unpruned
    model to compare it with; both None where every sentence is unseen, or fewer than
    :data:`FEWEST_UNSEEN` are.
    """

    measured: int
    known: int
    steps: tuple[Step, ...]
    unknown: tuple[Step, ...]
    unseen: Evaluation | None
    unpruned: Evaluation | None

    def record(self) -> dict[str, Any]:
        """The count ready for JSON: ``learnt_from`` is null where it cannot be known."""
        unseen = None
        if self.unseen is not None and self.unpruned is not None:
            change = accuracy_change_interval(self.unpruned, self.unseen)
            unseen = {
                "n": self.unseen.n,
                "accuracy": self.unseen.accuracy,
                "accuracy_interval": list(self.unseen.accuracy_interval),
                "accuracy_change": change._asdict(),
            }
        return {"learnt_from": None if self.unknown else self.known, "unseen": unseen}

    @property
    def clean(self) -> bool:
        """Whether it is known that none of the sentences was learnt from."""
        return not (self.known or self.unknown)

    def line(self) -> str:
        """The count in a few words.

        >>> LearntFrom(480, 0, (), (), None, None).line()
        'none of the 480 sentences was learnt from'
        """
        of = f"of the {text.plural(self.measured, 'sentence')}"
        if self.unknown:
            at_least = f"at least {self.known:,}" if self.known else "nobody knows how many"
            return f"{at_least} {of} were learnt from"
        if not self.known:
            return f"none {of} was learnt from"
        return f"{self.known:,} {of} {'was' if self.known == 1 else 'were'} learnt from"

    def warnings(self) -> list[str]:
        """What a reader has to know before trusting the figure, a sentence or two each.

        Empty where none of the sentences was learnt from.
        """
        said = []
        if self.known:
            whole = self.known == self.measured
            how = text.listed(dict.fromkeys(_what(step) for step in self.steps))
            counted = (
                f"All {self.known:,} sentences"
                if whole and self.known > 1
                else f"{self.known:,} of the {text.plural(self.measured, 'sentence')}"
            )
            said.append(
                f"{counted} {'was' if self.known == 1 else 'were'} learnt from ({how}), so the "
                f"accuracy may look better than it is. {self._unseen()}"
            )
        if self.unknown:
            how = text.listed(dict.fromkeys(_what(step) for step in self.unknown))
            said.append(
                f"The scheme does not hold which sentences were learnt from ({how}), as in older "
                "files and in links: the accuracy is fair as long as these are none of them."
            )
        return said

    def _unseen(self) -> str:
        """The accuracy on the other sentences, or why there is none."""
        left = self.measured - self.known
        if self.unseen is None or self.unpruned is None:
            others = f"The {left:,} others are too few to say one." if left else ""
            return f"{others} Measure on others.".strip()
        change, low, high = accuracy_change_interval(self.unpruned, self.unseen)
        return (
            f"On the {left:,} others: {text.percent(self.unseen.accuracy)}% "
            f"{text.interval(*self.unseen.accuracy_interval)}, {text.signed(100 * change)} points "
            f"{text.change_interval(low, high)}."
        )


def learnt_from(
    scheme: Scheme,
    fingerprints: np.ndarray,
    unpruned: Evaluation,
    found: Evaluation,
    step_id: int | None = None,
) -> LearntFrom:
    """How many of the sentences that measure a scheme's step were learnt from on the way to it.

    ``fingerprints`` uint64 ``[N]`` are those of the whole dataset
    (:attr:`bhpvas.model.encoding.Encoded.fingerprints`), whose evaluations are ``found``, of the
    step (default: the current one), and ``unpruned``. Steps after it, and on other branches, do not
    count.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().calibration.take(range(40))
    >>> proposal = bhpvas.propose(classifier, data.take(range(8)), "importance", heads=18)
    >>> scheme = proposal.on(bhpvas.Scheme.of(classifier))
    >>> unpruned = bhpvas.evaluate(classifier, data)
    >>> found = bhpvas.evaluate(classifier, data, scheme.mask)
    >>> prints = classifier.encode(data).fingerprints
    >>> counted = learnt_from(scheme, prints, unpruned, found)
    >>> counted.known, counted.unseen.n
    (8, 32)
    """
    path = scheme.path(step_id)
    prints = fingerprints[found.indices]
    learnt = scheme.learnt_at(path[-1].id).among(prints)
    used = [step for step in path if step.learnt_from and step.learnt_from.among(prints).any()]
    others = ~learnt
    enough = learnt.any() and int(others.sum()) >= FEWEST_UNSEEN
    return LearntFrom(
        measured=found.n,
        known=int(learnt.sum()),
        steps=tuple(used),
        unknown=tuple(step for step in path if step.origin_unknown),
        unseen=_part(found, others) if enough else None,
        unpruned=unpruned if enough else None,
    )


def known_at_steps(scheme: Scheme, fingerprints: np.ndarray) -> dict[int, np.ndarray]:
    """Which of some sentences, uint64 ``[N]``, were learnt from on the way to each step of a
    scheme: bool ``[N]`` by the step's id. It is what :func:`learnt_from` counts, of all steps at
    once.
    """
    every = {step.learnt_from for step in scheme.steps if step.learnt_from}
    among = {learnt: learnt.among(fingerprints) for learnt in every}
    found: dict[int | None, np.ndarray] = {None: np.zeros(len(fingerprints), bool)}
    for step in scheme.steps:  # parents stand first
        before = found[step.parent]
        found[step.id] = before | among[step.learnt_from] if step.learnt_from else before
    return {step.id: found[step.id] for step in scheme.steps}


def _part(whole: Evaluation, chosen: np.ndarray) -> Evaluation:
    """An evaluation of the chosen ones of its sentences, bool ``[n]``."""
    rows = np.flatnonzero(chosen)
    tags = None if whole.tags is None else tuple(whole.tags[row] for row in rows)
    return Evaluation(
        whole.mask, whole.dataset, whole.logits[rows], whole.labels[rows], whole.label_names, tags,
        Sample(whole.indices[rows], whole.total),
    )  # fmt: skip


def _what(step: Step) -> str:
    """What a step did with the sentences it learnt from."""
    if step.what == "recover":
        return f"weights by {step.method}"
    return "choice of heads " + (BY_HAND if step.method == BY_HAND else f"by {step.method}")
