"""Labelled sentences, their calibration and evaluation split, and every way in.

A source is a file (TSV, CSV, JSONL, Parquet), the bytes of one, or a hub id. Its columns are
guessed from their names and can be chosen.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeGuard

import numpy as np

from bhpvas.data.hub import HubId, class_names, further_columns, load_parts, part_table
from bhpvas.data.sampling import SENTENCES, calibration_sample, comparable
from bhpvas.data.tables import MAX_CELLS, Piece, Table, is_table_name, listed, read_table
from bhpvas.data.text_store import Gathering, Texts
from bhpvas.errors import DataError
from bhpvas.storage.paths import sample_data_folder

Source: TypeAlias = str | Path | BinaryIO | Table

# BERT reads 512 word pieces, about 2,500 characters; the longest review of IMDB has 13,704. More
# is a file read with the wrong quotes or separators.
MAX_CHARACTERS = 20_000
CALIBRATION_SHARE = 1 / 3
# A further column with more values than this tells sentences apart instead of grouping them.
MOST_GROUPS = 40
# Half of a character that UTF-16 writes in two parts; no encoding can write it alone.
_HALF = re.compile("[\ud800-\udfff]")
# Sentences that are put into words at once for the fingerprint.
_AT_ONCE = 1_024

# Column names that are recognised, the likeliest first; capitals do not matter.
PAIR_COLUMNS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("text", "text_pair"),
    ("#1 string", "#2 string"),
)
TEXT_COLUMNS = (
    "sentence",
    "text",
    "review",
    "content",
    "comment",
    "tweet",
    "utterance",
    "document",
    "title",
    "headline",
    "question",
)
LABEL_COLUMNS = (
    "label",
    "labels",
    "gold_label",
    "class",
    "category",
    "target",
    "sentiment",
    "polarity",
    "emotion",
    "intent",
    "is_duplicate",
    "quality",
)
TAG_COLUMNS = ("tag", "phenomenon", "slice", "group")
SPLIT_COLUMNS = ("split",)

# Names of parts, the best choice first.
CALIBRATION_PARTS = ("calibration", "train", "training")
EVALUATION_PARTS = (
    "evaluation",
    "test",
    "testing",
    "validation",
    "validation_matched",
    "valid",
    "val",
    "dev",
    "development",
    "eval",
)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled sentences, or pairs of sentences; an immutable value.

    ``texts`` and ``pairs`` are tuples, or of many sentences :class:`~bhpvas.data.text_store.Texts`,
    which lie on disk. ``labels`` ``[N]`` are indices into ``label_names``; ``tags`` name a group
    for each sentence. ``numbered`` says that the source itself numbers its labels in the order of
    ``label_names``; ``file``, ``unit`` and ``lines`` ``[N]`` say where a sentence came from.
    ``groups`` holds, by name, further columns of the source that part the sentences into a few
    groups; none, where they would have more than ten million cells.

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
        same name, of the same file, with the same further columns.
        """
        digest = hashlib.sha256(json.dumps([self.fingerprint, self.name, self.file]).encode())
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
        for numbers in (by_name, by_start, by_number, by_order):
            if used <= numbers.keys():
                return replace(
                    self,
                    labels=np.array([numbers.get(name, -1) for name in mine])[self.labels],
                    label_names=tuple(label_names),
                    numbered=True,
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


@dataclass(frozen=True)
class Columns:
    """Which column of a table holds what; ``None`` = the table has no such column."""

    text: str
    label: str
    pair: str | None = None
    tag: str | None = None
    split: str | None = None

    def used(self) -> list[str]:
        """The names of the columns that are there."""
        return [c for c in (self.text, self.pair, self.label, self.tag, self.split) if c]


def guess_columns(
    header: Iterable[str],
    *,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
    tag: str | None = None,
    split: str | None = None,
    name: str = "the data",
) -> Columns:
    """Which column holds what, by the names listed at the top of this module.

    A column that is given is taken; capitals do not matter. ``""`` says that there is none. Raises
    :class:`DataError` if a given column is missing, or no name is known for text or label.

    >>> guess_columns(["Review", "Sentiment", "stars"])
    Columns(text='Review', label='Sentiment', pair=None, tag=None, split=None)
    """
    columns = list(header)
    roles: dict[str, str | None] = {}
    given = {"text": text, "pair": pair, "label": label, "tag": tag, "split": split}
    for role, choice in given.items():
        if choice is not None:
            roles[role] = _column(choice, columns)
            if choice and roles[role] is None:
                raise DataError(f"{name} has no column {choice!r}: it has {listed(columns)}.")

    def free() -> list[str]:
        return [column for column in columns if column not in roles.values()]

    for one, other in PAIR_COLUMNS:
        first = _column(one, [roles["text"] or ""] if "text" in roles else free())
        second = _column(other, free())
        if "pair" not in roles and first and second:
            roles |= {"text": first, "pair": second}
    for role, candidates in (
        ("text", (*TEXT_COLUMNS, *(first for first, _ in PAIR_COLUMNS))),
        ("label", LABEL_COLUMNS),
        ("tag", TAG_COLUMNS),
        ("split", SPLIT_COLUMNS),
    ):
        if role not in roles:
            found = (_column(candidate, free()) for candidate in candidates)
            roles[role] = next((column for column in found if column), None)
    if not (roles["text"] and roles["label"]):
        missing = "label" if roles["text"] else "text"
        raise DataError(
            f"No column of {name} is named like a {missing} column (it has {listed(columns)}): "
            f"name it, by --{missing} on the command line or in the app under Upload, Column names."
        )
    return Columns(roles["text"], roles["label"], roles.get("pair"), roles["tag"], roles["split"])


def _column(name: str, columns: Sequence[str]) -> str | None:
    """The column of that name, or else of that name with other capitals."""
    same = [column for column in columns if column.casefold() == name.casefold()]
    return name if name in same else next(iter(same), None)


def read_splits(
    source: Source,
    *,
    name: str | None = None,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
    tag: str | None = None,
    split: str | None = None,
    seed: int = 0,
    calibration_share: float = CALIBRATION_SHARE,
    sentences: int | None = SENTENCES,
) -> Splits:
    """Read labelled sentences in a calibration and an evaluation part.

    ``source`` is a file (.tsv, .csv, .jsonl, .parquet), a binary stream with such a ``name``, a
    :class:`~bhpvas.data.tables.Table`, or a hub id: ``name``, ``name:config``, ``name@revision``.
    The columns are guessed by :func:`guess_columns` unless they are named; ``""`` says that there
    is none.

    Parts that the source has are kept: one named train or calibration to learn from (of train at
    most so many ``sentences``, drawn as :func:`~bhpvas.data.sampling.calibration_sample` draws;
    None = all), one named test, validation or evaluation whose labels are given to measure on;
    ``made`` says how many sentences stand in both. A source in one part is divided by a stratified
    split that keeps copies of a sentence together.

    Raises :class:`~bhpvas.errors.DataError` with the place of whatever cannot be used.

    >>> import io
    >>> import bhpvas
    >>> rows = ["sentence,label", *(f"A {word} film.,good" for word in ("fine", "great", "deep"))]
    >>> rows += [f"A {word} film.,bad" for word in ("dull", "poor", "flat")]
    >>> splits = bhpvas.read_splits(io.BytesIO("\\n".join(rows).encode()), name="films.csv")
    >>> len(splits.calibration), len(splits.evaluation), splits.evaluation.label_names
    (2, 4, ('bad', 'good'))
    """
    choice = {"text": text, "pair": pair, "label": label, "tag": tag}
    if is_hub_id(source):
        hub_id = HubId.parse(source)
        parts = _hub_parts(hub_id, choice)
        return _by_parts(str(hub_id), *parts, calibration_share, seed, sentences)
    table = source if isinstance(source, Table) else read_table(source, name=name)
    columns = guess_columns(table.columns, **choice, split=split, name=table.name)
    whole, rows = _read(table, columns)
    if columns.split is None:
        return _in_two(whole, calibration_share, seed)
    return _by_parts(
        whole.name,
        {part: whole.labels[rows[part]] for part in rows},
        lambda part, chosen: whole.take(rows[part][chosen]),
        calibration_share,
        seed,
        sentences,
    )


def read_dataset(
    source: Source,
    *,
    name: str | None = None,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
    tag: str | None = None,
) -> Dataset:
    """Read every sentence of a source, whatever its parts; arguments as in :func:`read_splits`.

    Of a hub id it is the part that :func:`read_splits` measures on.

    Raises :class:`~bhpvas.errors.DataError` with the place of whatever cannot be used.

    >>> import io
    >>> import bhpvas
    >>> rows = ["review,stars", "A fine film.,good", "A dull one.,bad"]
    >>> file = io.BytesIO("\\n".join(rows).encode())
    >>> bhpvas.read_dataset(file, name="films.csv", label="stars")
    Dataset('films.csv', 2 sentences, labels ('bad', 'good'))
    """
    choice = {"text": text, "pair": pair, "label": label, "tag": tag}
    if is_hub_id(source):
        hub_id = HubId.parse(source)
        labels, take = _hub_parts(hub_id, choice)
        learn, measure, rows = _known_parts(str(hub_id), labels)
        if learn is None or measure is None:
            return _by_parts(str(hub_id), labels, take, CALIBRATION_SHARE, 0, None).evaluation
        # What is there to learn from need not be read.
        return replace(take(measure, rows[measure]), name=f"{hub_id} · evaluation")
    table = source if isinstance(source, Table) else read_table(source, name=name)
    return _read(table, guess_columns(table.columns, **choice, split="", name=table.name))[0]


def sample_splits() -> Splits:
    """The sentences that ship with bhpvas, written for it: 240 to learn from, 480 to measure on.

    >>> import bhpvas
    >>> splits = bhpvas.sample_splits()
    >>> len(splits.calibration), len(splits.evaluation), splits.made
    (240, 480, 'as in the file')
    """
    splits = read_splits(sample_data_folder() / "sentences.tsv")
    return replace(
        splits,
        calibration=replace(splits.calibration, name="sample · calibration"),
        evaluation=replace(splits.evaluation, name="sample · evaluation"),
    )


def stratified_split(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Divide at random into ``share`` of the sentences and the rest, both in their old order.

    Copies of a sentence go to the same part. The first part has ``round(share · N)`` sentences, at
    least one and not all, and each label's share of them is its share of the whole as nearly as
    whole sentences allow; where copies do not fit, it has fewer. The same seed gives the same
    parts. Raises :class:`DataError` on a share outside (0, 1) or fewer than two different
    sentences.
    """
    if not 0 < share < 1:
        raise DataError(f"A share of {share} cannot be split off: it must lie between 0 and 1.")
    _, begins, code, copies = np.unique(
        _marks(dataset), return_index=True, return_inverse=True, return_counts=True
    )
    if len(begins) < 2:
        raise DataError(
            f"{dataset.name} has too few sentences to be split: it needs two or more that differ."
        )
    order = np.argsort(begins)  # different sentences as they first come
    count = min(max(round(share * len(dataset)), 1), len(dataset) - 1)
    chosen = order[_stratified(dataset.labels[begins[order]], copies[order], count, seed)]
    first = np.isin(code, chosen)
    return dataset.take(np.flatnonzero(first)), dataset.take(np.flatnonzero(~first))


def length_sorted_batches(
    lengths: Sequence[int] | np.ndarray, tokens_per_batch: int
) -> list[np.ndarray]:
    """Indices of the sentences in batches of similar length, the longest first.

    A batch is padded to its longest sentence; so padded it has at most ``tokens_per_batch`` tokens
    unless it is a single sentence. Every index is in exactly one batch.

    >>> [batch.tolist() for batch in length_sorted_batches([3, 9, 4, 2], tokens_per_batch=9)]
    [[1], [2, 0], [3]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches = []
    while order.size:
        longest = max(int(lengths[order[0]]), 1)
        size = max(tokens_per_batch // longest, 1)
        batches.append(order[:size])
        order = order[size:]
    return batches


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


def is_hub_id(source: Source) -> TypeGuard[str]:
    """Whether a source is no file, by its name or because there is one."""
    if not isinstance(source, str) or is_table_name(source):
        return False
    return not os.path.isfile(os.path.expanduser(source))


def _is_nothing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _as_text(cell: object) -> str:
    """A label, tag, split or further cell as text; "" for nothing.

    Half of a two-part character, which neither a page nor a file can hold, becomes a mark.

    >>> [_as_text(cell) for cell in ("  NA ", 1, 1.0, True, None, float("nan"))]
    ['NA', '1', '1', 'true', '', '']
    """
    if _is_nothing(cell):
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return _HALF.sub("\ufffd", str(cell)).strip()


def _in_order(label_names: Iterable[str]) -> tuple[str, ...]:
    """Label names in the order of their numbers, or else of the alphabet.

    >>> _in_order({"10", "9", "-1"}), _in_order({"positive", "Negative"})
    (('-1', '9', '10'), ('Negative', 'positive'))
    """

    def key(name: str) -> tuple[bool, float, str, str]:
        number = re.fullmatch(r"-?[0-9]+", name)
        return number is None, float(name) if number else 0.0, name.casefold(), name

    return tuple(sorted(label_names, key=key))


class _Names:
    """A column of names as numbers, in the order in which the names first come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._codes = [np.empty(0, dtype=np.int32)]

    def extend(self, names: Iterable[str]) -> None:
        known = self._numbers
        codes = [known.setdefault(name, len(known)) for name in names]
        self._codes.append(np.array(codes, dtype=np.int32))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def codes(self, order: Sequence[str]) -> np.ndarray:
        """The places of the column's names in ``order``, -1 of others: int64 ``[N]``."""
        place = {name: number for number, name in enumerate(order)}
        places = np.array([place.get(name, -1) for name in self], dtype=np.int64)
        return places[np.concatenate(self._codes)]

    def cells(self) -> tuple[str, ...]:
        """The column as it was, each name once in memory."""
        names = list(self)
        return tuple(names[code] for codes in self._codes for code in codes)


def _read(
    table: Table, columns: Columns, numbered: tuple[tuple[str, ...], np.ndarray] | None = None
) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The table's sentences, every cell checked, and the rows of each part that it names.

    ``numbered`` are the names of the labels and the number of each row's, where they are known.
    """
    texts, pairs, lines = Gathering(), Gathering(), list[np.ndarray]()
    labels, tags, parts = _Names(), _Names(), _Names()
    groups = {name: _Names() for name in table.columns if name not in columns.used()}
    count = 0
    for piece in table.pieces():
        count += len(piece.numbers)
        lines.append(np.array(piece.numbers))
        texts.extend(_each(_sentence, table, piece, columns.text))
        if columns.pair:
            pairs.extend(_each(_sentence, table, piece, columns.pair))
        if numbered is None:
            labels.extend(_each(_label, table, piece, columns.label))
        if columns.tag:
            tags.extend(_as_text(cell) or "untagged" for cell in piece.cells[columns.tag])
        if columns.split:
            parts.extend(_each(partial(_part, columns.split), table, piece, columns.split))
        for name, cells in groups.items():
            cells.extend(_as_text(cell) or "none" for cell in piece.cells[name])
        groups = {name: cells for name, cells in groups.items() if len(cells) <= MOST_GROUPS}
        if count * len(groups) > MAX_CELLS:
            groups = {}
    names = _in_order(labels) if numbered is None else numbered[0]
    if names == ("-1",):
        raise DataError(
            f"Every label of {table.name} is -1, which GLUE writes where the labels are withheld: "
            "take a part that has labels, such as the validation part."
        )
    if len(names) < 2:
        raise DataError(
            f"{table.name} has only the label {names[0]!r}: a classifier is measured on sentences "
            "of at least two labels."
        )
    dataset = Dataset(
        name=table.name,
        texts=texts.texts(),
        pairs=pairs.texts() if columns.pair else None,
        labels=labels.codes(names) if numbered is None else numbered[1],
        label_names=names,
        tags=tags.cells() if columns.tag else None,
        file=table.name,
        unit=table.unit,
        lines=np.concatenate(lines),
        groups={_as_text(name): cells.cells() for name, cells in groups.items() if len(cells) > 1},
    )
    known = sorted(parts)
    part = parts.codes(known)
    return dataset, {name: np.flatnonzero(part == code) for code, name in enumerate(known)}


def _each(
    read: Callable[[object, Table, int], str], table: Table, piece: Piece, column: str
) -> list[str]:
    """What the cells of a column say."""
    cells = zip(piece.cells[column], piece.numbers, strict=True)
    return [read(cell, table, number) for cell, number in cells]


def _sentence(cell: object, table: Table, row: int) -> str:
    if _is_nothing(cell) or (isinstance(cell, str) and not cell.strip()):
        raise DataError(f"{table.place(row)} has no sentence: fill it in or delete the line.")
    if not isinstance(cell, str):
        raise DataError(
            f"{table.place(row)} has {cell!r:.50} where a sentence should be: choose the column."
        )
    text = cell.strip()
    if len(text) > MAX_CHARACTERS:
        raise DataError(
            f"{table.place(row)} has a sentence of {len(text):,} characters, and at most "
            f"{MAX_CHARACTERS:,} are read: check the separators and quotation marks, or shorten it."
        )
    if _HALF.search(text):
        raise DataError(f"{table.place(row)} has half of a two-part character: remove it.")
    return text


def _label(cell: object, table: Table, row: int) -> str:
    text = _as_text(cell)
    if not text:
        raise DataError(f"{table.place(row)} has no label: fill it in or delete the line.")
    if not isinstance(cell, str | int) and not (isinstance(cell, float) and cell.is_integer()):
        raise DataError(
            f"{table.place(row)} has the label {cell!r:.50}, which names no class: labels are "
            "words or whole numbers."
        )
    return text


def _part(column: str, cell: object, table: Table, row: int) -> str:
    text = _as_text(cell).casefold()
    if not text:
        raise DataError(
            f"{table.place(row)} names no split: fill in the column {listed([column])}."
        )
    return text


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


def _marks(dataset: Dataset) -> np.ndarray:
    """A number for each sentence, or pair, that its copies share: int64 ``[N]``."""
    if dataset.pairs is None:
        return np.fromiter(map(hash, dataset.texts), np.int64, len(dataset))
    both = zip(dataset.texts, dataset.pairs, strict=True)
    return np.fromiter(map(hash, both), np.int64, len(dataset))


def _stratified(labels: np.ndarray, sizes: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Which of some groups to draw at random for about ``count`` of their sentences.

    A label gives as many sentences as its share, or fewer where no group fits any more; but if none
    of its groups fits, and it has several, its smallest one.
    """
    random = np.random.default_rng(seed)
    _, code = np.unique(labels, return_inverse=True)
    due = np.bincount(code, sizes) * count / sizes.sum()
    most = np.floor(due).astype(int)
    most[np.argsort(most - due, kind="stable")[: count - most.sum()]] += 1
    drawn = list[int]()
    for label, left in enumerate(most.tolist()):
        groups = random.permutation(np.flatnonzero(code == label))
        fitting = list[int]()
        for group, size in zip(groups.tolist(), sizes[groups].tolist(), strict=True):
            if size <= left:
                fitting.append(group)
                left -= size
        if left and not fitting and len(groups) > 1:
            fitting.append(groups[sizes[groups].argmin()])
        drawn += fitting
    return np.array(drawn or [int(sizes.argmin())])


def _in_two(whole: Dataset, share: float, seed: int, part: str | None = None) -> Splits:
    calibration, evaluation = stratified_split(whole, share, seed)
    size = {1 / 3: "one third", 1 / 2: "one half"}.get(share, f"{share:.0%}")
    of = f" of {part}" if part else ""
    return Splits(
        replace(calibration, name=f"{whole.name} · calibration"),
        replace(evaluation, name=f"{whole.name} · evaluation"),
        f"stratified split{of}, seed {seed}, {size} calibration",
    )


def _known_parts(
    name: str, labels: Mapping[str, np.ndarray]
) -> tuple[str | None, str | None, dict[str, np.ndarray]]:
    """The parts to learn from and to measure on, and of each part the rows that have a label."""
    rows = {part: np.flatnonzero(given >= 0) for part, given in labels.items()}
    rows = {part: given for part, given in rows.items() if given.size}
    if not rows:
        raise DataError(
            f"No part of {name} gives its labels (they are empty or -1): take one that does."
        )
    learn, measure = (
        next((part for known in parts for part in rows if part == known), None)
        for parts in (CALIBRATION_PARTS, EVALUATION_PARTS)
    )
    if len(rows) > 1 and learn is None and measure is None:
        raise DataError(
            f"{name} has the parts {listed(rows)}, none of which bhpvas knows: call them "
            "calibration and evaluation, or train and test."
        )
    return learn, measure, rows


def _by_parts(
    name: str,
    labels: Mapping[str, np.ndarray],
    take: Callable[[str, np.ndarray], Dataset],
    share: float,
    seed: int,
    sentences: int | None,
) -> Splits:
    """Splits of a source that has named parts.

    ``labels`` are those of each part, with -1 for one that is withheld; ``take`` gives some rows of
    a part as a dataset.
    """
    learn, measure, rows = _known_parts(name, labels)
    if learn is None or measure is None:
        part = learn or measure or next(iter(rows))
        splits = _in_two(replace(take(part, rows[part]), name=name), share, seed, part)
        left = [f"{other} not used" for other in rows if other != part]
        return replace(splits, made=", ".join([splits.made, *left]))

    chosen = rows[learn]
    made = [f"{learn} → calibration", f"{measure} → evaluation"]
    if learn != "calibration" and sentences is not None and chosen.size > sentences:
        made[0] += f" (stratified sample, seed {seed}, {sentences:,} of {chosen.size:,})"
        # No more are read than are compared.
        chosen = chosen[comparable(labels[learn][chosen], sentences, seed)]
        calibration = calibration_sample(take(learn, chosen), sentences, seed)
    else:
        calibration = take(learn, chosen)
    evaluation = take(measure, rows[measure])
    unlabelled = sum(int((labels[part] < 0).sum()) for part in (learn, measure))
    made += [f"{unlabelled:,} sentences without a label left out"] if unlabelled else []
    made += [f"{part} not used" for part in rows if part not in (learn, measure)]
    if (learn, measure) == ("calibration", "evaluation") and len(made) == 2:
        made = ["as in the file"]
    both = int(np.isin(_marks(evaluation), _marks(calibration)).sum())
    made += [f"{both:,} of the {len(evaluation):,} to measure on also in calibration"] * (both > 0)
    return Splits(
        replace(calibration, name=f"{name} · calibration"),
        replace(evaluation, name=f"{name} · evaluation"),
        ", ".join(made),
    )


def _hub_parts(
    hub_id: HubId, choice: Mapping[str, str | None]
) -> tuple[dict[str, np.ndarray], Callable[[str, np.ndarray], Dataset]]:
    """Labels of every part, as in :func:`_by_parts`, and what takes rows of one."""
    parts = load_parts(hub_id)
    first = next(iter(parts.values()))
    columns = guess_columns(first.column_names, **choice, split="", name=str(hub_id))
    written: dict[str, _Names] = {}
    for part, rows in parts.items():
        if columns.label in rows.column_names:
            written[part] = _Names()
            table = part_table(rows, f"{hub_id} ({part})", [columns.label])
            for piece in table.read():
                cells = zip(piece.cells[columns.label], piece.numbers, strict=True)
                written[part].extend(
                    "" if _is_nothing(cell) else _label(cell, table, row) for cell, row in cells
                )
    named = class_names(first, columns.label)
    given = {part for part, labels in written.items() if {*labels} - {"", "-1"}}
    names = named or _in_order({name for part in given for name in written[part] if name})
    labels = {
        part: found.codes([_as_text(name) for name in names])
        if part in given
        else np.full(len(parts[part]), -1)
        for part, found in written.items()
    }

    def take(part: str, rows: np.ndarray) -> Dataset:
        read = [*columns.used(), *further_columns(parts[part], columns.used())]
        table = part_table(parts[part], f"{hub_id} ({part})", read, rows)
        dataset, _ = _read(table, columns, (names, labels[part][rows]))
        return replace(dataset, numbered=named is not None)

    return labels, take
