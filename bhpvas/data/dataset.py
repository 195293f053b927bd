"""Dataset and Splits: labelled sentences as immutable values, and their labels as a model's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from bhpvas.data.labels import LabelNames
from bhpvas.data.provenance import Provenance
from bhpvas.data.text_store import Texts
from bhpvas.errors import DataError
from bhpvas.tasks.base import Task

#: The parts of :class:`Splits`.
Split = Literal["evaluation", "calibration"]
# Sentences that are put into words at once for the fingerprint.
_AT_ONCE = 1_024


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled sentences, or pairs of sentences; an immutable value.

    ``texts`` and ``pairs`` are tuples, or of many sentences :class:`~bhpvas.data.text_store.Texts`,
    which lie on disk. ``labels`` ``[N]`` are indices into ``label_names``; ``tags`` name a group
    for each sentence. ``numbered`` says that the source itself numbers its labels in the order of
    ``label_names``, ``labels_from`` that these are numbers of the model's counted from there;
    ``file``, ``unit`` and ``lines`` ``[N]`` say where a sentence came from.
    ``groups`` holds, by name, further columns of the source that part the sentences into a few
    groups; none, where they would have more than ten million cells. ``provenance`` says how all
    this was read.

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

    def __post_init__(self) -> None:
        for name in ("labels", "lines"):
            if getattr(self, name) is not None:
                numbers = np.array(getattr(self, name), dtype=np.int64)
                numbers.setflags(write=False)
                object.__setattr__(self, name, numbers)
        for column in (self.pairs, self.labels, self.tags, self.lines, *self.groups.values()):
            assert column is None or len(column) == len(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self)} sentences, labels {self.label_names})"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of sentences, labels and tags: equal for equal content under any name."""
        columns = (self.texts, self.pairs, self.labels, self.label_names, self.tags)
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
            lines=None if self.lines is None else self.lines[rows],
            groups={name: taken(column) for name, column in self.groups.items()},
        )

    def for_task(self, task: Task) -> Dataset:
        """The same sentences with labels as a model's task has them.

        Raises :class:`DataError` with the first label that the model lacks, as :meth:`aligned`.
        """
        return self.aligned(task.label_names)

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
