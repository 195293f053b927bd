"""Learnt from: how many of the sentences that measure a scheme had a part in making it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bhpvas import stats, text
from bhpvas.data.sampling import Sample
from bhpvas.evaluation.comparison import accuracy_change_interval, change_record, change_text
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import BY_HAND, Step
from bhpvas.tasks.base import Task

#: Fewer sentences that were not learnt from are too few to say an accuracy of.
FEWEST_UNSEEN = 30


@dataclass(frozen=True, eq=False)
class LearntFrom:
    """How many of the sentences that measure a scheme's step were learnt from on the way to it.

    ``known`` of the ``measured`` sentences chose heads or fitted weights in one of the ``steps``.
    ``unknown`` are steps that learnt from sentences of which the scheme keeps nothing, so that more
    may have. ``unseen`` is the evaluation of the others, None where every sentence is one, or fewer
    than :data:`FEWEST_UNSEEN` are; ``unpruned`` that of the unpruned model to compare it with, None
    where it is the same. ``task`` is that of the evaluations, None where there are none.
    """

    measured: int
    known: int
    steps: tuple[Step, ...]
    unknown: tuple[Step, ...]
    unseen: Evaluation | None = None
    unpruned: Evaluation | None = None
    task: Task | None = None

    def record(self) -> dict[str, Any]:
        """The count ready for JSON: ``learnt_from`` is null where it cannot be known."""
        unseen: dict[str, Any] | None = None
        if self.unseen is not None and self.unseen.is_single_label:
            change = self._change
            unseen = {
                "n": self.unseen.n,
                "accuracy": self.unseen.accuracy,
                "accuracy_interval": list(self.unseen.accuracy_interval),
                "accuracy_change": change and change._asdict(),
            }
        elif self.unseen is not None:
            before, headline = self.unpruned, self.unseen.task.headline
            unseen = {
                "n": self.unseen.n,
                "metric": headline.name,
                **self.unseen.headline.record(),
                "change": None if before is None else change_record(before, self.unseen),
            }
        return {"learnt_from": self.count, "unseen": unseen}

    @property
    def count(self) -> int | None:
        """How many of the sentences were learnt from; None where that cannot be known."""
        return None if self.unknown else self.known

    @property
    def clean(self) -> bool:
        """Whether it is known that none of the sentences was learnt from."""
        return self.count == 0

    @property
    def share(self) -> str:
        """How many of the sentences, in words.

        >>> LearntFrom(480, 12, (), ()).share
        '12 of the 480 sentences'
        """
        count = f"{self.known:,}" if self.known else "none"
        if self.unknown:
            count = f"at least {count}" if self.known else "nobody knows how many"
        return f"{count} of the {text.plural(self.measured, 'sentence')}"

    def line(self) -> str:
        """The count as a sentence has it.

        >>> LearntFrom(480, 0, (), ()).line()
        'none of the 480 sentences was learnt from'
        """
        one = not self.unknown and self.known <= 1
        return f"{self.share} {'was' if one else 'were'} learnt from"

    def warnings(self, figure: str = "") -> list[str]:
        """What a reader has to know before trusting the figure, a sentence or two each.

        The figure is the task's headline unless another is named. Empty where none of the sentences
        was learnt from.
        """
        said = []
        figure = figure or f"the {self._headline}"
        if self.known:
            which = f"{self.known:,} of the {text.plural(self.measured, 'sentence')}"
            if self.known == self.measured > 1:
                which = f"All {self.known:,} sentences"
            said.append(
                f"{which} {'was' if self.known == 1 else 'were'} learnt from "
                f"({_listed(self.steps)}), so {figure} may look better than it is. {self._unseen()}"
            )
        if self.unknown:
            said.append(
                "The scheme does not hold which sentences were learnt from "
                f"({_listed(self.unknown)}), as in older files and in links: {figure} is fair as "
                "long as these are none of them."
            )
        return said

    @property
    def _headline(self) -> str:
        """What the task's headline is called, which is an accuracy where nothing was evaluated."""
        return "accuracy" if self.task is None else self.task.headline.title_in_text

    def _unseen(self) -> str:
        """The headline on the other sentences, or why there is none."""
        left = self.measured - self.known
        if self.unseen is None:
            few = 0 < left < FEWEST_UNSEEN
            others = f"The {left:,} others are too few to say one of. " if few else ""
            return f"{others}Measure on others."
        said = f"On the {left:,} others: {self.unseen.headline_text()}"
        if self.unpruned is not None:
            said += f", {change_text(self.unpruned, self.unseen)}"
        return f"{said}."

    @property
    def _change(self) -> stats.Change | None:
        """How the accuracy changed on the sentences that were not learnt from."""
        if self.unseen is None or self.unpruned is None:
            return None
        return accuracy_change_interval(self.unpruned, self.unseen)


def learnt_before(
    scheme: Scheme, fingerprints: np.ndarray, step_id: int | None = None
) -> LearntFrom:
    """How many of some sentences were learnt from on the way to a scheme's step, without a figure.

    ``fingerprints`` uint64 ``[N]`` are the sentences'
    (:attr:`bhpvas.model.encoding.Encoded.fingerprints`). Steps after the step (default: the current
    one), and on other branches, do not count.
    """
    path = scheme.path(step_id)
    used = [
        step for step in path if step.learnt_from and step.learnt_from.among(fingerprints).any()
    ]
    return LearntFrom(
        measured=len(fingerprints),
        known=int(scheme.learnt_at(path[-1].id).among(fingerprints).sum()),
        steps=tuple(used),
        unknown=tuple(step for step in path if step.origin_unknown),
    )


def learnt_from(
    scheme: Scheme,
    fingerprints: np.ndarray,
    unpruned: Evaluation,
    found: Evaluation,
    step_id: int | None = None,
) -> LearntFrom:
    """As :func:`learnt_before`, with what the step answers on the sentences not learnt from.

    ``fingerprints`` are those of the whole dataset, whose evaluations are ``found``, of the step,
    and ``unpruned``; they are one where nothing was changed.

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
    prints = fingerprints[found.indices]
    counted = replace(learnt_before(scheme, prints, step_id), task=found.task)
    if not counted.known or counted.measured - counted.known < FEWEST_UNSEEN:
        return counted
    others = ~scheme.learnt_at(scheme.current if step_id is None else step_id).among(prints)
    before = None if found is unpruned else unpruned
    return replace(counted, unseen=_part(found, others), unpruned=before)


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
        whole.mask, whole.dataset, whole.logits[rows], whole.labels[rows], whole.task, tags,
        Sample(whole.indices[rows], whole.total),
        None if whole.queries is None else whole.queries[rows],
    )  # fmt: skip


def _listed(steps: Sequence[Step]) -> str:
    """What steps did with the sentences that they learnt from."""
    return text.listed(dict.fromkeys(_what(step) for step in steps))


def _what(step: Step) -> str:
    """What a step did with the sentences it learnt from."""
    if step.what == "start":
        return "making of this model"
    if step.what == "recover":
        return f"weights by {step.method}"
    parts = ["heads"] * bool(step.heads) + ["neurons"] * bool(step.neurons)
    who = BY_HAND if step.method == BY_HAND else f"by {step.method}"
    return f"choice of {' and '.join(parts)} {who}"
