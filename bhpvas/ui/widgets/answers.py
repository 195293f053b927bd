"""Answers in words, whatever the task: cells of tables, what became of them, how many changed."""

from __future__ import annotations

import numpy as np

from bhpvas import text
from bhpvas.evaluation.comparison import flips, headline_change, mcnemar, outcomes
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.ui.widgets import tables

# A score that moved is nearer to its label or farther from it, and never right or wrong.
_OUTCOMES_OF_SCORES = {"lost": "farther", "gained": "nearer", "other": "as far", "same": "same"}


def outcome(task: Task, became: str) -> str:
    """What became of an answer, by its name in :meth:`~bhpvas.tasks.base.Task.outcomes`."""
    return _OUTCOMES_OF_SCORES[became] if isinstance(task, Score) else became


def movement(value: float) -> str:
    """By how much a score moved, with its sign.

    >>> movement(0.1234), movement(-2.0), movement(0.0)
    ('+0.123', '−2.00', '0')
    """
    return f"{'+' if value > 0 else ''}{text.number(value)}"


def label(found: Evaluation, row: int) -> str:
    """A cell of a table with the label of an evaluated sentence."""
    (said,) = found.task.words(found.labels[[row]])
    return (
        tables.label(int(found.labels[row]), said) if found.is_single_label else tables.text(said)
    )


def answer(found: Evaluation, row: int, *, before: Evaluation | None = None) -> str:
    """A cell with what is answered: a label with its probability; a score, or a set of labels, with
    what that is more or less than ``before``.
    """
    task = found.task
    (said,) = task.words(found.predictions[[row]])
    if found.is_single_label:
        number = int(found.predictions[row])
        return tables.label(number, said, f"{found.probabilities[row, number]:.2f}")
    aside = "" if before is None else _difference(task, before, found, row)
    return tables.text(said, aside)


def _difference(task: Task, before: Evaluation, after: Evaluation, row: int) -> str:
    was, is_ = before.predictions[row], after.predictions[row]
    if isinstance(task, Score):
        return movement(float(is_ - was))
    signs = (("+", is_ & ~was), (text.MINUS, was & ~is_))
    return " ".join(
        f"{sign}{task.label_names[place]}" for sign, some in signs for place in np.flatnonzero(some)
    )


def strongest_first(before: Evaluation, after: Evaluation, rows: np.ndarray) -> np.ndarray:
    """Rows of changed sentences: of scores those that moved most first, else as they are."""
    if not isinstance(after.task, Score):
        return rows
    moved = np.abs(after.predictions - before.predictions)[rows]
    return rows[np.argsort(-moved, kind="stable")]


def none_changed(before: Evaluation, after: Evaluation) -> str:
    """What is said where no answer counts as changed."""
    everything = f"all {text.plural(after.n, 'sentence')} are answered as by the unpruned model."
    if isinstance(after.task, Score):
        amount = f"{after.task.amount(after.labels):.3g}"
        return (
            f"No score moved by more than {amount}, 5% of the range of the labels, in "
            f"{text.plural(after.n, 'sentence')}."
        )
    if isinstance(after.task, SeveralLabels):
        return f"No set of labels changed: {everything}"
    return f"No prediction changed: {everything}"


def changed(before: Evaluation, after: Evaluation) -> str:
    """How many answers changed, what became of them, and the p of a test, in Markdown."""
    task, count = after.task, len(flips(before, after))
    if isinstance(task, Score):
        became = outcomes(before, after)
        lost, gained = (int((became == name).sum()) for name in ("lost", "gained"))
        p = headline_change(before, after).p
        return (
            f"**{count:,} of {text.plural(after.n, 'score')} moved by more than "
            f"{task.amount(after.labels):.3g}**, 5% of the range of the labels: {lost:,} farther "
            f"from the label, {gained:,} nearer ({text.p_value(p)}, {task.test})"
        )
    test = mcnemar(before, after)
    what, of = "prediction", "McNemar"
    if isinstance(task, SeveralLabels):
        what, of = "set", "McNemar, of whole sets that are right"
    return (
        f"**{count} of {text.plural(after.n, what)} changed:** {test.lost} lost, "
        f"{test.gained} gained ({text.p_value(test.p)}, {of})"
    )
