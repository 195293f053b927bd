"""Dataset and Splits: labelled sentences as immutable values, and their labels as a model's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from bhpvas.data.provenance import Match, Provenance
from bhpvas.data.text_store import Texts
from bhpvas.errors import DataError
from bhpvas.text import listed

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
    ``label_names``; ``file``, ``unit`` and ``lines`` ``[N]`` say where a sentence came from.
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

    def aligned(self, label_names: Sequence[str]) -> Dataset:
        """The same sentences with labels numbered as a model numbers them.

        Labels are matched by name whatever their capitals; by the start of a name (``neg`` is
        ``negative``) where that is clear; or, if they are whole numbers, taken as the model's own
        numbers. Where the model has no names (``LABEL_0``, ``LABEL_1``) and the source numbers its
        labels, these numbers count. One way must fit all labels. Raises :class:`DataError` with
        the first label that the model lacks.

        >>> data = Dataset("two", ("Good.", "Bad."), None, [1, 0], ("Negative", "Positive"))
        >>> data.aligned(["positive", "negative"]).labels
        array([0, 1])
        """
        mine = self.label_names
        known = {name.casefold(): number for number, name in enumerate(label_names)}
        by_name = {name: known[name.casefold()] for name in mine if name.casefold() in known}
        by_start = _matched_by_start(mine, label_names)
        by_number = {name: int(float(name)) for name in mine if _is_number(name, len(label_names))}
        by_order: dict[str, int] = {}
        if self.numbered and all(re.fullmatch(r"LABEL_\d+", name) for name in label_names):
            by_order = dict(zip(mine, range(len(label_names)), strict=False))
        used = {mine[label] for label in np.unique(self.labels)}
        ways: dict[Match, dict[str, int]] = {
            "name": by_name,
            "start of name": by_start,
            "number": by_number,
            "order": by_order,
        }
        for way, numbers in ways.items():
            if used <= numbers.keys():
                # Labels that are the model's already keep what was said of the first time.
                matched = way if mine != tuple(label_names) else self.provenance.matched or way
                return replace(
                    self,
                    labels=np.array([numbers.get(name, -1) for name in mine])[self.labels],
                    label_names=tuple(label_names),
                    numbered=True,
                    provenance=replace(self.provenance, matched=matched),
                )
        unknown = used - by_name.keys() - by_number.keys() or used - by_name.keys()
        first = next(i for i, label in enumerate(self.labels) if mine[label] in unknown)
        raise DataError(
            f"{self.place(first)} has the label {mine[self.labels[first]]!r}, which the model does "
            f"not know: its labels are {listed(label_names)}, or 0 to {len(label_names) - 1}."
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


def _is_number(name: str, below: int) -> bool:
    """Whether a label is a whole number that counts from 0 and is less than ``below``."""
    return re.fullmatch(r"[0-9]+(\.0+)?", name) is not None and float(name) < below


def _matched_by_start(mine: Sequence[str], theirs: Sequence[str]) -> dict[str, int]:
    """Which of their names each of mine abbreviates or spells out, where it can be only that one.

    >>> _matched_by_start(["neg", "pos"], ["POSITIVE", "NEGATIVE"])
    {'neg': 1, 'pos': 0}
    """

    def same(one: str, other: str) -> bool:
        short, long = sorted((one.casefold(), other.casefold()), key=len)
        return len(short) >= 3 and (short + long).isalpha() and long.startswith(short)

    fits = {name: [k for k, other in enumerate(theirs) if same(name, other)] for name in mine}
    taken = [numbers[0] for numbers in fits.values() if numbers]
    return {
        name: numbers[0]
        for name, numbers in fits.items()
        if len(numbers) == 1 and taken.count(numbers[0]) == 1
    }


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
