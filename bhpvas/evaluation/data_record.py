"""Record of data: what was read of some sentences, and how a model reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bhpvas import text
from bhpvas.data.provenance import Provenance
from bhpvas.evaluation.label_doubt import label_doubt
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.model.classifier import Classifier
    from bhpvas.model.encoding import Encoded

#: Copies are noted where they are as large a share of the sentences, or where fewer sentences than
#: this differ.
MANY_COPIES, FEW_DIFFERENT = 0.1, 30
# Ranges in which scores are counted.
_RANGES = 5
# What rows without any of several labels are counted under.
_NONE = "none of them"
# Labels whose rows a line counts one by one.
_MOST_LABELS = 6


@dataclass(frozen=True)
class DataRecord:
    """What was read of some sentences, and how a model reads them.

    ``source`` is how they were read. ``rows`` counts them by the name that the model has for their
    label: for scores by five ranges (the upper end is in the next one), for several labels each
    label's, which are not ``sentences`` together. ``unknown_share`` is that of the tokens, [CLS]
    and [SEP] excepted, which stand for what the tokenizer does not know; ``truncated`` sentences
    are longer than the model reads, and cut, ``empty`` ones have no token of their own. ``copies``
    are sentences whose tokens are those of an earlier one. ``notes`` are one sentence each: what
    was guessed or looks odd, of the sentences, of the model, and of the two together.
    """

    dataset: str
    source: Provenance
    rows: Mapping[str, int]
    unknown_share: float
    truncated: int
    empty: int
    notes: tuple[str, ...] = ()
    copies: int = 0
    count: int | None = None

    @property
    def sentences(self) -> int:
        """How many sentences there are; the ``count``, where rows do not add up to it."""
        return sum(self.rows.values()) if self.count is None else self.count

    def record(self) -> dict[str, Any]:
        """The record ready for JSON."""
        return {
            "dataset": self.dataset,
            "sentences": self.sentences,
            "text": self.source.text,
            "pair": self.source.pair,
            "label": self.source.label,
            "split": self.source.split,
            "part": self.source.part,
            "form": self.source.form,
            "labels_matched_by": self.source.matched,
            "rows_per_label": dict(self.rows),
            "rows_left_out": dict(self.source.left_out),
            "unknown_share": self.unknown_share,
            "truncated_share": self.truncated / self.sentences,
            "empty_sentences": self.empty,
            "copies": self.copies,
            "notes": list(self.notes),
        }

    def facts(self) -> dict[str, str | None]:
        """The record as a table has it, without its notes; None is what does not apply."""
        source = self.source
        reasons = f"{sum(source.left_out.values()):,} ({self._reasons()})"
        return {
            "Text column": source.text,
            "Pair column": source.pair,
            "Label column": source.label,
            "Split column": source.split,
            "Part": source.part,
            "Form": source.form or None,
            "Labels matched": source.matched and f"by {source.matched}",
            "Rows": self._counts(),
            "Rows left out": reasons if source.left_out else "none",
            "Unknown tokens": _share(self.unknown_share),
            "Sentences cut": self._part(self.truncated) or "none",
            "Sentences without words": self._part(self.empty),
            "Copies of another": self._part(self.copies) or "none",
        }

    def line(self) -> str:
        """The record in a line, without its notes.

        >>> source = Provenance("review", None, "stars", matched="number", left_out={"no label": 2})
        >>> DataRecord("mine", source, {"bad": 30, "good": 12}, 0.01, 0, 0).line()
        'column "review" as text, "stars" as label, matched by number (bad 30, good 12), \
2 rows left out (no label), 1.0% unknown tokens, 0 sentences cut'
        """
        source, left_out = self.source, sum(self.source.left_out.values())
        roles = {role: getattr(source, role) for role in ("text", "pair", "label", "split")}
        columns = [f'"{name}" as {role}' for role, name in roles.items() if name is not None]
        said = [
            source.form,
            f"column {', '.join(columns)}" if columns else "",
            f'part "{source.part}"' if source.part else "",
            f"{f'matched by {source.matched}' if source.matched else 'labels'} ({self._counts()})",
            f"{text.plural(left_out, 'row')} left out ({self._reasons()})" if left_out else "",
            f"{_share(self.unknown_share)} unknown tokens",
            f"{text.plural(self.truncated, 'sentence')} cut",
            f"{text.plural(self.empty, 'sentence')} without words" if self.empty else "",
            f"{text.plural(self.copies, 'copy', 'copies')} of another" if self.copies else "",
        ]
        return " ".join(", ".join(filter(None, said)).split())

    def _part(self, count: int) -> str | None:
        """How many sentences, with their share; None where there are none."""
        return f"{count:,} ({_share(count / self.sentences)})" if count else None

    def _counts(self) -> str:
        """Rows by label, or of many labels how many they have."""
        if len(self.rows) <= _MOST_LABELS:
            values = self.source.matched == "value"
            rows = {
                f"{name.replace('-', text.MINUS)}:" if values else name: count
                for name, count in self.rows.items()
            }
            return ", ".join(f"{name} {count:,}" for name, count in rows.items())
        counts = [count for name, count in self.rows.items() if name != _NONE]
        none = f", {_NONE} {self.rows[_NONE]:,}" if _NONE in self.rows else ""
        return f"{len(counts)} labels of {min(counts):,} to {max(counts):,} rows{none}"

    def _reasons(self) -> str:
        """Why rows were left out, with their number where there are several reasons."""
        left_out = self.source.left_out
        if len(left_out) == 1:
            return next(iter(left_out))
        return ", ".join(f"{reason} {count:,}" for reason, count in left_out.items())


def side_by_side(one: DataRecord, other: DataRecord) -> list[tuple[str, str, str]]:
    """The facts of two records in rows: what, of the one, of the other."""
    second = other.facts()
    return [
        (name, said or text.NOTHING, second[name] or text.NOTHING)
        for name, said in one.facts().items()
        if said or second[name]
    ]


def data_record(
    classifier: Classifier,
    dataset: Dataset,
    encoded: Encoded | None = None,
    *,
    unpruned: Evaluation | None = None,
) -> DataRecord:
    """What was read of a dataset, as a classifier reads it.

    ``encoded`` are its tokens where they are there already. By the answers of the ``unpruned``
    model (those of any other are not asked) its labels are doubted (:func:`label_doubt`). Raises
    :class:`~bhpvas.errors.DataError` where the dataset has a label that the model lacks.

    >>> import bhpvas
    >>> found = data_record(bhpvas.load_classifier(), bhpvas.sample_splits().calibration)
    >>> found.rows, found.source.matched, found.truncated, found.notes
    ({'negative': 120, 'positive': 120}, 'name', 0, ())
    """
    dataset = dataset.for_task(classifier.task)
    if encoded is None:
        encoded = classifier.encode(dataset)
    different = len(np.unique(encoded.first_copies))
    notes = [*dataset.provenance.notes, *classifier.notes]
    notes += filter(None, [_many_copies(len(dataset), different)])
    notes += filter(None, [_conflict(dataset, encoded.first_copies, classifier.task)])
    notes += filter(None, [_queries(dataset, classifier.task)])
    if unpruned is not None and unpruned.is_single_label and not unpruned.mask.changes:
        notes += filter(None, [label_doubt(unpruned.confusion, unpruned.label_names)])
    return DataRecord(
        dataset=dataset.name,
        source=dataset.provenance,
        rows=_rows(dataset, classifier.task),
        count=len(dataset) if isinstance(classifier.task, SeveralLabels) else None,
        unknown_share=encoded.unknown_share,
        truncated=encoded.truncated,
        empty=encoded.empty,
        notes=tuple(notes),
        copies=len(dataset) - different,
    )


def _rows(dataset: Dataset, task: Task) -> dict[str, int]:
    """Sentences by label; by five ranges of a score; by each of several labels, and of none."""
    names, labels = dataset.label_names, dataset.labels
    if isinstance(task, SeveralLabels):
        counts = dict(zip(names, labels.sum(0).tolist(), strict=True))
        return counts | {_NONE: int((~labels.any(1)).sum())}
    if isinstance(task, Score):
        values, found = np.unique(labels, return_counts=True)
        if len(values) <= _RANGES:
            every = zip(values, found.tolist(), strict=True)
            return {f"{value:.4g}": count for value, count in every}
        edges = np.histogram_bin_edges(labels, _RANGES if np.ptp(labels) else 1)
        places = np.searchsorted(edges[1:-1], labels, side="right")
        sums = np.bincount(places, minlength=len(edges) - 1).tolist()
        return {
            f"{low:.3g} to {high:.3g}": count
            for low, high, count in zip(edges, edges[1:], sums, strict=False)
        }
    return dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))


def _queries(dataset: Dataset, task: Task) -> str | None:
    """Which pairs answer one query, and of how many queries a ranking can be measured."""
    codes = dataset.query_codes if isinstance(task, Score) else None
    if codes is None:
        return None
    lowest, highest = np.full(codes.max() + 1, np.inf), np.full(codes.max() + 1, -np.inf)
    np.minimum.at(lowest, codes, dataset.labels)
    np.maximum.at(highest, codes, dataset.labels)
    which = "with the same first text" if dataset.queries is None else "with the same --query cell"
    return (
        f"Pairs {which} answer one query: {(lowest < highest).sum():,} of the "
        f"{text.plural(len(lowest), 'query', 'queries')} have answers whose labels differ, and "
        "nDCG and MRR are means of those."
    )


def _many_copies(sentences: int, different: int) -> str | None:
    """What copies do to intervals, where they are many."""
    copies = sentences - different
    if not copies or (copies < MANY_COPIES * sentences and different >= FEW_DIFFERENT):
        return None
    of = f"{copies:,} of the {sentences:,} sentences are copies of another one to the model"
    return (
        f"{of} ({different:,} differ): they are counted as if each said something new, so "
        "intervals are too narrow and p values too small."
    )


def _conflict(dataset: Dataset, firsts: np.ndarray, task: Task) -> str | None:
    """What is said of sentences that stand twice with different labels.

    ``firsts`` ``[N]`` is the place of the first sentence with the same tokens.
    """
    differ = dataset.labels != dataset.labels[firsts]
    rows = np.flatnonzero(differ if differ.ndim == 1 else differ.any(1))
    if not rows.size:
        return None
    one, other = int(firsts[rows[0]]), int(rows[0])
    count = len(np.unique(firsts[rows]))
    labels = task.words(dataset.labels[[one, other]])
    first = dataset.place(one)
    return (
        f"{text.plural(count, 'sentence')} {'has' if count == 1 else 'have'} more than one label, "
        f"so that no model can be right throughout: {dataset.place(other)} is labelled "
        f"{labels[1]!r}, and {first[0].lower()}{first[1:]}, the same to the model, {labels[0]!r}."
    )


def _share(share: float) -> str:
    """A share in percent, never rounded to zero."""
    if not share:
        return "0%"
    return f"{text.percent(share)}%" if share >= 0.0005 else "under 0.1%"
