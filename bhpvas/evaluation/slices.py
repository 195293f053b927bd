"""Slices: groups of sentences, and what a mask does to each; the average hides where it hurts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from bhpvas import stats
from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.comparison import outcomes
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.tasks.base import Metric, Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.tasks.single_label import ACCURACY, SingleLabel
from bhpvas.text import DASH

#: Length bins: each holds about the same number of sentences.
LENGTH_BINS = 4
#: So do bins of scores.
SCORE_BINS = 4
# What a file calls the index of a table of sentences, and the app the button in a row.
_TAKEN = ("place", "open")


@dataclass(frozen=True, eq=False)
class Grouping:
    """Every sentence in one of some groups: ``codes`` ``[N]`` are places in ``names``."""

    title: str
    names: tuple[str, ...]
    codes: np.ndarray

    @classmethod
    def of(cls, title: str, cells: tuple[str, ...]) -> Grouping:
        """The groups of equal cells; numbers in their order, else by the alphabet."""
        names, codes = np.unique(cells, return_inverse=True)
        if all(_is_number(name) for name in names):
            order = np.argsort([float(name) for name in names], kind="stable")
            names, codes = names[order], np.argsort(order)[codes]
        return cls(title, tuple(map(str, names)), codes)


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def groupings(dataset: Dataset, task: Task, lengths: np.ndarray) -> dict[str, Grouping]:
    """Every way to group the sentences: by tag, label, length in tokens, and the file's columns."""
    found: dict[str, Grouping] = {}
    if dataset.tags is not None:
        found["tag"] = Grouping.of("Tag", dataset.tags)
    found["class"] = by_label(dataset.labels, task)
    if isinstance(task, SeveralLabels):
        for name, given in zip(task.label_names, dataset.labels.T, strict=True):
            parts = f"without {name}", f"with {name}"
            found[f"label {name}"] = Grouping(f"Label {name}", parts, given.astype(np.int64))
    found["length"] = by_length(lengths)
    for name, cells in dataset.groups.items():
        found[f"column {name}"] = Grouping.of(name, cells)
    return found


def by_label(labels: np.ndarray, task: Task) -> Grouping:
    """Groups of the same label, or of the same set of several; of scores, ranges of like ones.

    >>> from bhpvas.tasks.score import Score
    >>> by_label(np.array([0.5, 3.0, 1.0, 4.5]), Score(("relatedness",))).names
    ('0.5', '1', '3', '4.5')
    """
    if isinstance(task, SingleLabel):
        return Grouping("Class", task.label_names, labels)
    if isinstance(task, Score):
        return by_range("Label", labels, SCORE_BINS, task.words, to=" to ")
    return Grouping.of("Labels", tuple(task.words(labels)))


def by_length(lengths: np.ndarray, bins: int = LENGTH_BINS) -> Grouping:
    """Groups of about equal size by length in tokens; equal lengths stay together.

    >>> by_length(np.array([5, 9, 7, 6, 8, 30, 12, 10])).names
    ('5–6', '7–8', '9–10', '12–30')
    """
    return by_range("Length in tokens", lengths, bins, lambda ends: [str(end) for end in ends])


def by_range(
    title: str,
    values: np.ndarray,
    bins: int,
    said: Callable[[np.ndarray], list[str]],
    *,
    to: str = DASH,
) -> Grouping:
    """Groups of about equal size by a number, each called by its ends; equals stay together."""
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="lower"))
    codes = np.searchsorted(edges, values, side="left")
    used, codes = np.unique(codes, return_inverse=True)
    within = [values[codes == code] for code in range(len(used))]
    ranges = [said(np.array([one.min(), one.max()])) for one in within]
    names = [low if low == high else f"{low}{to}{high}" for low, high in ranges]
    return Grouping(title, tuple(names), codes)


def sentence_table(
    dataset: Dataset, before: Evaluation, after: Evaluation, lengths: np.ndarray
) -> pd.DataFrame:
    """One row a sentence, in the dataset's order: what it is, and what two masks make of it.

    Columns: ``sentence`` (and ``pair``), ``label``; ``before``, ``after``: the predicted labels,
    with ``confidence``, the probability of that prediction, and ``loss`` in nats; ``change`` of the
    label's probability, negative = worse; ``outcome``: ``lost``, ``gained``, ``other`` (a different
    wrong answer) or ``same``; ``tag``, ``tokens``, and the file's further columns: one that is
    named like any of these is ``column NAME``.

    Of a score, ``label``, ``before`` and ``after`` are numbers and ``change`` is how far it moved;
    of several labels they are sets in words, and ``change`` is how the mean probability of the
    right answer to each label changed. Neither has a confidence. What is lost or gained says
    :meth:`~bhpvas.tasks.base.Task.outcomes`.
    """
    columns: dict[str, object] = {"sentence": dataset.texts}
    if dataset.pairs is not None:
        columns["pair"] = dataset.pairs
    columns |= _of_labels(before, after) if before.is_single_label else _of_answers(before, after)
    columns["outcome"] = outcomes(before, after)
    if dataset.tags is not None:
        columns["tag"] = dataset.tags
    columns["tokens"] = lengths
    for name, cells in dataset.groups.items():
        while name in columns or name in _TAKEN:
            name = f"column {name}"
        columns[name] = cells
    return pd.DataFrame(columns)


def _of_labels(before: Evaluation, after: Evaluation) -> dict[str, object]:
    """What two masks make of sentences with one label out of several."""
    rows, names = np.arange(before.n), np.array(before.label_names)
    columns: dict[str, object] = {"label": names[before.labels]}
    for when, one in (("before", before), ("after", after)):
        columns[when] = names[one.predictions]
        columns[f"confidence {when}"] = one.probabilities[rows, one.predictions]
        columns[f"loss {when}"] = one.losses
    columns["change"] = (after.probabilities - before.probabilities)[rows, before.labels]
    return columns


def _of_answers(before: Evaluation, after: Evaluation) -> dict[str, object]:
    """What two masks make of sentences of another task."""
    task, both = before.task, (("before", before), ("after", after))
    if isinstance(task, Score):
        return {
            "label": before.labels,
            **{when: one.predictions for when, one in both},
            **{f"loss {when}": one.losses for when, one in both},
            "change": after.predictions - before.predictions,
        }
    was, is_ = (_of_right_answers(one) for one in (before, after))
    return {
        "label": task.words(before.labels),
        **{when: task.words(one.predictions) for when, one in both},
        **{f"loss {when}": one.losses for when, one in both},
        "change": is_ - was,
    }


def _of_right_answers(found: Evaluation) -> np.ndarray:
    """The probability of the right answer to each of several labels, the mean ``[N]``."""
    return np.asarray(expit(np.where(found.labels, 1, -1) * found.logits.astype(float)).mean(1))


def slice_table(grouping: Grouping, before: Evaluation, after: Evaluation) -> pd.DataFrame:
    """One row a group that has sentences, in the grouping's order.

    Columns: ``slice``, ``n``; ``accuracy before`` and ``after`` each with ``low`` and ``high``
    (95%, Wilson); ``accuracy change`` with ``low`` and ``high`` (paired, Tango 1998); ``lost`` and
    ``gained`` sentences; ``p``, McNemar's exact test corrected for the number of groups (Holm);
    ``loss before``, ``after`` and ``change`` with ``low`` and ``high`` (paired, Student). Shares
    are of 1, losses in nats. Both evaluations are of all the sentences that were grouped.

    Of another task the columns are those of its headline, by its name, with bootstrap intervals;
    ``lost`` and ``gained`` are what it calls worse and better, and ``p`` is of its test. What is
    not defined in a slice is NaN.
    """
    assert before.n == after.n == len(grouping.codes), "slices are of whole evaluations"
    rows = []
    for code, name in enumerate(grouping.names):
        here = grouping.codes == code
        n = int(here.sum())
        if n:
            rows.append({"slice": name, "n": n, **_slice(before, after, here)})
    table = pd.DataFrame(rows)
    table["p"] = stats.holm(table["p"].to_numpy())
    return table


def _slice(before: Evaluation, after: Evaluation, here: np.ndarray) -> dict[str, float]:
    task, labels = before.task, before.labels[here]
    was, is_ = before.logits[here], after.logits[here]
    change, became = task.change(was, is_, labels), outcomes(before, after)[here]
    loss = stats.mean_change(before.losses[here], after.losses[here])
    name, found = task.headline.name, dict[str, float]()
    for when, logits in (("before", was), ("after", is_)):
        level = task.headline_measured(logits, labels)
        found[f"{name} {when}"] = level.value
        found[f"{name} {when} low"], found[f"{name} {when} high"] = level.low, level.high
    return found | {
        f"{name} change": change.change,
        f"{name} change low": change.low,
        f"{name} change high": change.high,
        "lost": int((became == "lost").sum()),
        "gained": int((became == "gained").sum()),
        "p": change.p,
        "loss before": float(before.losses[here].mean()),
        "loss after": float(after.losses[here].mean()),
        "loss change": loss.change,
        "loss change low": loss.low,
        "loss change high": loss.high,
    }


def worst_hit(table: pd.DataFrame, metric: Metric = ACCURACY) -> Mapping[str, float | str] | None:
    """The row whose headline falls most, of equals the one whose loss rises most; or None."""
    change = f"{metric.name} change"
    hit = table[table[change] < 0]
    if hit.empty:
        return None
    order = hit.sort_values([change, "loss change"], ascending=[True, False])
    return order.iloc[0].to_dict()
