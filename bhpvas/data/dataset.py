"""Dataset and Splits: labelled sentences as immutable values, and their labels as a model's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from bhpvas.data import targets
from bhpvas.data.labels import LabelNames
from bhpvas.data.provenance import Provenance
from bhpvas.data.text_store import Texts
from bhpvas.errors import DataError
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels

#: The parts of :class:`Splits`.
Split = Literal["evaluation", "calibration"]
# Sentences that are put into words at once for the fingerprint.
_AT_ONCE = 1_024
# Of as large a share of pairs the first texts have to be shared to be taken for queries.
_SHARED_QUERIES = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled sentences, or pairs of sentences; an immutable value.

    ``texts`` and ``pairs`` are tuples, or of many sentences :class:`~bhpvas.data.text_store.Texts`,
    which lie on disk. ``labels`` ``[N]`` are indices into ``label_names``, or, once they are those
    of a model's task (:meth:`for_task`), scores, float64 ``[N]``, or sets, bool ``[N, C]``;
    ``tags`` name a group for each sentence, ``queries`` what each pair is an answer to.
    ``numbered`` says that the source itself numbers its labels in the order of ``label_names``,
    ``labels_from`` that these are numbers of the model's counted from there; ``file``, ``unit`` and
    ``lines`` ``[N]`` say where a sentence came from. ``groups`` holds, by name, further columns of
    the source that part the sentences into a few groups; none, where they would have more than ten
    million cells. ``provenance`` says how all this was read.

    >>> import bhpvas
    >>> data = bhpvas.Dataset("two", ("Good.", "Bad."), None, [1, 0], ("negative", "positive"))
    >>> data, data.take([1]).texts
    (Dataset('two', 2 sentences, labels ('negative', 'positive')), ('Bad.',))
    """

    name: str
    texts: Sequence[str]
    pairs: Sequence[str] | None
    labels: np.ndarray
    label_names: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    numbered: bool = False
    file: str = "the data"
    unit: str = "sentence"
    lines: np.ndarray | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    labels_from: int | None = None
    queries: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        scores_or_sets = getattr(self.labels, "dtype", None) in (np.float64, np.bool_)
        kinds = {"labels": None if scores_or_sets else np.int64, "lines": np.int64}
        for name, kind in kinds.items():
            if getattr(self, name) is not None:
                numbers = np.array(getattr(self, name), dtype=kind)
                numbers.setflags(write=False)
                object.__setattr__(self, name, numbers)
        columns = (self.pairs, self.labels, self.tags, self.lines, self.queries)
        for column in (*columns, *self.groups.values()):
            assert column is None or len(column) == len(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self)} sentences, labels {self.label_names})"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of sentences, labels and tags: equal for equal content under any name."""
        columns: list[Any] = [self.texts, self.pairs, self.labels, self.label_names, self.tags]
        columns += [] if self.queries is None else [self.queries]
        digest = hashlib.sha256(b"[")
        for place, column in enumerate(columns):
            digest.update(b", " if place else b"")
            for part in _as_json(column):
                digest.update(part.encode())
        digest.update(b"]")
        return digest.hexdigest()

    @cached_property
    def identity(self) -> str:
        """SHA-256 of all that a report says of the data: equal only for equal content, under the
        same name, of the same file, read alike, with the same further columns.
        """
        said = [self.fingerprint, self.name, self.file, asdict(self.provenance)]
        digest = hashlib.sha256(json.dumps(said).encode())
        for name, column in self.groups.items():
            digest.update(json.dumps(name).encode())
            for part in _as_json(column):
                digest.update(part.encode())
        return digest.hexdigest()

    @cached_property
    def query_codes(self) -> np.ndarray | None:
        """A number for each pair that those of the same query share, int64 ``[N]``.

        Where no ``queries`` are named, a query is the first text of a pair, if half of the pairs or
        more share theirs with another one; None where that is not so.
        """
        if self.queries is not None:
            return np.unique(self.queries, return_inverse=True)[1]
        if self.pairs is None:
            return None
        known: dict[str, int] = {}
        codes = np.array([known.setdefault(text, len(known)) for text in self.texts])
        shared = np.bincount(codes)[codes] > 1
        return codes if shared.mean() >= _SHARED_QUERIES else None

    def place(self, index: int) -> str:
        """Where a sentence stands in its source, as a message starts with it.

        >>> Dataset("two", ("Good.", "Bad."), None, [1, 0], ("no", "yes")).place(1)
        'Sentence 2 of the data'
        """
        number = index + 1 if self.lines is None else self.lines[index]
        return f"{self.unit.capitalize()} {number} of {self.file}"

    def take(self, indices: Sequence[int] | np.ndarray, name: str | None = None) -> Dataset:
        """The sentences at ``indices``, in that order, under the same or another name."""
        rows = np.asarray(indices, dtype=np.int64)

        def taken(column: Any) -> Any:
            if isinstance(column, Texts):
                return column.take(rows)
            return None if column is None else tuple(column[row] for row in rows)

        return replace(
            self,
            name=name or self.name,
            texts=taken(self.texts),
            pairs=taken(self.pairs),
            labels=self.labels[rows],
            tags=taken(self.tags),
            queries=taken(self.queries),
            lines=None if self.lines is None else self.lines[rows],
            groups={name: taken(column) for name, column in self.groups.items()},
        )

    def for_task(self, task: Task) -> Dataset:
        """The same sentences with labels as a model's task has them.

        Those of one label out of several as :meth:`aligned` has them, scores from numbers, sets
        from the labels in a cell (:mod:`bhpvas.data.targets`). Raises :class:`DataError` with the
        first label that the model lacks, or that is no number, and where the labels were already
        read for a model of another task.
        """
        read_as = _TASK_OF_LABELS.get(self.labels.dtype.kind)
        if read_as and not isinstance(task, read_as):
            raise DataError(
                f"The labels of {self.file} were read for a model that gives {read_as.title}, and "
                f"this one gives {task.title}: read them again for it."
            )
        if isinstance(task, Score):
            return self._with_scores(task)
        if isinstance(task, SeveralLabels):
            return self._with_sets(task)
        return self.aligned(task.label_names)

    def _with_scores(self, task: Score) -> Dataset:
        if self.labels.dtype == np.float64:
            scores = self.labels
        else:
            found = targets.scores_of(self.label_names, self.numbered)
            if found is None:
                numbers = map(targets.as_number, self.label_names)
                lacking = np.array([number is None for number in numbers])
                row = int(np.argmax(lacking[self.labels]))
                raise targets.no_score(self.place(row), self.label_names[self.labels[row]])
            scores = found[self.labels]
        outside = np.flatnonzero((scores < 0) | (scores > 1))
        if task.activation == "sigmoid" and outside.size:
            row, ends = int(outside[0]), (float(scores.min()), float(scores.max()))
            raise targets.beyond_a_probability(self.place(row), float(scores[row]), *ends)
        said = replace(self.provenance, matched="value")
        return self._of_task(scores, task, said)

    def _with_sets(self, task: SeveralLabels) -> Dataset:
        if self.labels.dtype == np.bool_ and self.label_names == task.label_names:
            return self
        cells = targets.labels_in(self.label_names, task.label_names)
        found, names, used = targets.matched_sets(
            cells, task.label_names, self.labels_from, self.file
        )
        if found is None:
            unknown = names.unknown(used)
            lacking = np.array([not unknown.isdisjoint(cells[name]) for name in self.label_names])
            rows = np.flatnonzero(lacking[self.labels])
            cell = cells[self.label_names[self.labels[rows[0]]]]
            label = next(name for name in cell if name in unknown)
            raise DataError(names.refusal(self.place(int(rows[0])), label, len(rows), used))
        sets = np.zeros((len(self.label_names), len(task.label_names)), dtype=bool)
        for row, name in enumerate(self.label_names):
            sets[row, [found.numbers[label] for label in cells[name]]] = True
        said = replace(self.provenance.noted(found.note), matched=found.way)
        return self._of_task(sets[self.labels], task, said)

    def _of_task(self, labels: np.ndarray, task: Task, said: Provenance) -> Dataset:
        return replace(
            self,
            labels=labels,
            label_names=task.label_names,
            numbered=True,
            labels_from=None,
            provenance=said,
        )

    def aligned(self, label_names: Sequence[str]) -> Dataset:
        """The same sentences with labels numbered as a model numbers them.

        How labels are matched stands at :meth:`~bhpvas.data.labels.LabelNames.matched`; one way
        must fit all of them. Raises :class:`DataError` with the first label that the model lacks.

        >>> data = Dataset("two", ("Good.", "Bad."), None, [1, 0], ("Negative", "Positive"))
        >>> data.aligned(["positive", "negative"]).labels
        array([0, 1])
        """
        theirs, said = tuple(label_names), self.provenance
        if self.label_names == theirs and self.labels_from is None:
            # Labels that are the model's already keep what was said of the first time.
            way = said.matched or "name"
            return replace(self, numbered=True, provenance=replace(said, matched=way))
        names = LabelNames(self.label_names, theirs, self.numbered, self.labels_from, self.file)
        used = {self.label_names[label] for label in np.unique(self.labels)}
        found = names.matched(used)
        if found is None:
            unknown = names.unknown(used)
            lacking = np.array([name in unknown for name in self.label_names])
            rows = np.flatnonzero(lacking[self.labels])
            label = self.label_names[self.labels[rows[0]]]
            raise DataError(names.refusal(self.place(int(rows[0])), label, len(rows), used))
        numbers = np.array([found.numbers.get(name, -1) for name in self.label_names])
        return replace(
            self,
            labels=numbers[self.labels],
            label_names=theirs,
            numbered=True,
            labels_from=None,
            provenance=replace(said.noted(found.note), matched=found.way),
        )


#: The task that labels were read for, by what kind of numbers they are.
_TASK_OF_LABELS: dict[str, type[Task]] = {"f": Score, "b": SeveralLabels}


@dataclass(frozen=True)
class Splits:
    """Sentences to learn from and sentences to measure on; ``made`` says how they were parted.

    Criteria, searches and recoveries learn from ``calibration`` alone; accuracy is measured on
    ``evaluation``.

    >>> import bhpvas
    >>> splits = bhpvas.sample_splits()
    >>> set(splits.calibration.texts) & set(splits.evaluation.texts)
    set()
    """

    calibration: Dataset
    evaluation: Dataset
    made: str

    def named(self, name: str) -> Splits:
        """The same, with the parts called ``name · calibration`` and ``name · evaluation``."""
        return replace(
            self,
            calibration=replace(self.calibration, name=f"{name} · calibration"),
            evaluation=replace(self.evaluation, name=f"{name} · evaluation"),
        )


def _as_json(column: Sequence[str] | np.ndarray | None) -> Iterator[str]:
    """A column as :func:`json.dumps` writes it, piece by piece."""
    if column is None:
        yield "null"
        return
    yield "["
    for start in range(0, len(column), _AT_ONCE):
        part = column[start : start + _AT_ONCE]
        cells = part.tolist() if isinstance(part, np.ndarray) else list(part)
        yield (", " if start else "") + json.dumps(cells)[1:-1]
    yield "]"
