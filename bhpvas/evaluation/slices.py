"""Slices: groups of sentences, and what a mask does to each; the average hides where it hurts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bhpvas import stats
from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.evaluation import Evaluation

#: Length bins: each holds about the same number of sentences.
LENGTH_BINS = 4
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


def groupings(
    dataset: Dataset, label_names: tuple[str, ...], lengths: np.ndarray
) -> dict[str, Grouping]:
    """Every way to group the sentences: by tag, class, length in tokens, and the file's columns."""
    found: dict[str, Grouping] = {}
    if dataset.tags is not None:
        found["tag"] = Grouping.of("Tag", dataset.tags)
    found["class"] = Grouping("Class", label_names, dataset.labels)
    found["length"] = by_length(lengths)
    for name, cells in dataset.groups.items():
        found[f"column {name}"] = Grouping.of(name, cells)
    return found


def by_length(lengths: np.ndarray, bins: int = LENGTH_BINS) -> Grouping:
    """Groups of about equal size by length in tokens; equal lengths stay together.

    >>> by_length(np.array([5, 9, 7, 6, 8, 30, 12, 10])).names
    ('5–6', '7–8', '9–10', '12–30')
    """
    edges = np.unique(np.quantile(lengths, np.arange(1, bins) / bins, method="lower"))
    codes = np.searchsorted(edges, lengths, side="left")
    used, codes = np.unique(codes, return_inverse=True)
    within = [lengths[codes == code] for code in range(len(used))]
    ranges = [(int(one.min()), int(one.max())) for one in within]
    names = [str(low) if low == high else f"{low}–{high}" for low, high in ranges]
    return Grouping("Length in tokens", tuple(names), codes)


def sentence_table(
    dataset: Dataset, before: Evaluation, after: Evaluation, lengths: np.ndarray
) -> pd.DataFrame:
    """One row a sentence, in the dataset's order: what it is, and what two masks make of it.

    Columns: ``sentence`` (and ``pair``), ``label``; ``before``, ``after``: the predicted labels,
    with ``confidence``, the probability of that prediction, and ``loss`` in nats; ``change`` of the
    label's probability, negative = worse; ``outcome``: ``lost``, ``gained``, ``other`` (a different
    wrong answer) or ``same``; ``tag``, ``tokens``, and the file's further columns: one that is
    named like any of these is ``column NAME``.
    """
    rows = np.arange(len(dataset))
    names = np.array(before.label_names)
    columns: dict[str, object] = {"sentence": dataset.texts}
    if dataset.pairs is not None:
        columns["pair"] = dataset.pairs
    columns["label"] = names[before.labels]
    for when, one in (("before", before), ("after", after)):
        columns[when] = names[one.predictions]
        columns[f"confidence {when}"] = one.probabilities[rows, one.predictions]
        columns[f"loss {when}"] = one.losses
    columns["change"] = (after.probabilities - before.probabilities)[rows, before.labels]
    columns["outcome"] = outcomes(before, after)
    if dataset.tags is not None:
        columns["tag"] = dataset.tags
    columns["tokens"] = lengths
    for name, cells in dataset.groups.items():
        while name in columns or name in _TAKEN:
            name = f"column {name}"
        columns[name] = cells
    return pd.DataFrame(columns)


def outcomes(before: Evaluation, after: Evaluation) -> np.ndarray:
    """What became of every sentence: ``lost``, ``gained``, ``other`` or ``same``, text ``[N]``."""
    moved = before.predictions != after.predictions
    return np.select(
        [moved & before.right, moved & after.right, moved], ["lost", "gained", "other"], "same"
    )


def slice_table(grouping: Grouping, before: Evaluation, after: Evaluation) -> pd.DataFrame:
    """One row a group that has sentences, in the grouping's order.

    Columns: ``slice``, ``n``; ``accuracy before`` and ``after`` each with ``low`` and ``high``
    (95%, Wilson); ``accuracy change`` with ``low`` and ``high`` (paired, Tango 1998); ``lost`` and
    ``gained`` sentences; ``p``, McNemar's exact test corrected for the number of groups (Holm);
    ``loss before``, ``after`` and ``change`` with ``low`` and ``high`` (paired, Student). Shares
    are of 1, losses in nats. Both evaluations are of all the sentences that were grouped.
    """
    assert before.n == after.n == len(grouping.codes), "slices are of whole evaluations"
    rows = []
    for code, name in enumerate(grouping.names):
        here = grouping.codes == code
        n = int(here.sum())
        if n:
            rows.append({"slice": name, "n": n, **_slice(before, after, here, n)})
    table = pd.DataFrame(rows)
    table["p"] = stats.holm(table["p"].to_numpy())
    return table


def _slice(before: Evaluation, after: Evaluation, here: np.ndarray, n: int) -> dict[str, float]:
    was, is_ = before.right[here], after.right[here]
    test, change = stats.mcnemar(was, is_), stats.share_change(was, is_)
    loss = stats.mean_change(before.losses[here], after.losses[here])
    found: dict[str, float] = {}
    for when, right in (("before", was), ("after", is_)):
        found[f"accuracy {when}"] = float(right.mean())
        found[f"accuracy {when} low"], found[f"accuracy {when} high"] = stats.wilson_interval(
            int(right.sum()), n
        )
    return found | {
        "accuracy change": change.change,
        "accuracy change low": change.low,
        "accuracy change high": change.high,
        "lost": test.lost,
        "gained": test.gained,
        "p": test.p,
        "loss before": float(before.losses[here].mean()),
        "loss after": float(after.losses[here].mean()),
        "loss change": loss.change,
        "loss change low": loss.low,
        "loss change high": loss.high,
    }


def worst_hit(table: pd.DataFrame) -> Mapping[str, float | str] | None:
    """The row that loses the most accuracy, of equals the one whose loss rises most; or None."""
    hit = table[table["accuracy change"] < 0]
    if hit.empty:
        return None
    order = hit.sort_values(["accuracy change", "loss change"], ascending=[True, False])
    return order.iloc[0].to_dict()
