"""Cells of a table, each checked and read as a sentence, label, tag, part or further group."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from bhpvas.data.columns import Columns
from bhpvas.data.dataset import Dataset
from bhpvas.data.labels import SKIP, is_unlabelled, same_name, unlabelled_row
from bhpvas.data.names import Names
from bhpvas.data.parts import named_parts, part_key
from bhpvas.data.provenance import Provenance
from bhpvas.data.tables import MAX_CELLS, Piece, Table
from bhpvas.data.targets import as_number, no_score
from bhpvas.data.text_store import Gathering
from bhpvas.errors import DataError
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.text import listed

# BERT reads 512 word pieces, about 2,500 characters; the longest review of IMDB has 13,704. More
# is a file read with the wrong quotes or separators.
MAX_CHARACTERS = 20_000
# A further column with more values than this tells sentences apart instead of grouping them.
MOST_GROUPS = 40
# Half of a character that UTF-16 writes in two parts; no encoding can write it alone.
_HALF = re.compile("[\ud800-\udfff]")


class PartRows(NamedTuple):
    """The rows of a part that a table names, as places in its dataset, and those left out."""

    rows: np.ndarray
    left_out: Mapping[str, int]


def dataset_of(
    table: Table,
    columns: Columns,
    numbered: tuple[tuple[str, ...], np.ndarray] | None = None,
    *,
    skip_unlabelled: bool = False,
    labels_from: int | None = None,
    split_given: bool = False,
    task: Task | None = None,
) -> tuple[Dataset, dict[str, PartRows]]:
    """The table's sentences, every cell checked, and the rows of each part that it names.

    ``numbered`` are the names of the labels and the number of each row's, where they are known.
    ``skip_unlabelled`` and ``labels_from`` as in :func:`~bhpvas.data.reading.read_splits`. A column
    of the split that was given must name parts; one that was found and does not is a further
    column. Rows of a part that gives no label at all have the label -1.
    """
    texts, pairs, lines = Gathering(), Gathering(), list[np.ndarray]()
    tags, parts, queries = Names(), Names(), Names()
    labels = _Labels(table, columns, skip_unlabelled, labels_from, task)
    groups = {name: Names() for name in table.columns if name not in columns.used()}
    count = 0
    for piece in table.pieces():
        if numbered is None:
            piece = labels.extend(piece)
        count += len(piece.numbers)
        lines.append(np.array(piece.numbers, dtype=np.int64))
        texts.extend(_each(_sentence, table, piece, columns.text))
        if columns.pair:
            pairs.extend(_each(_sentence, table, piece, columns.pair))
        if columns.tag:
            tags.extend(as_text(cell) or "untagged" for cell in _named(table, piece, columns.tag))
        if columns.query:
            queries.extend(map(as_text, _named(table, piece, columns.query)))
        if columns.split and len(parts) <= MOST_GROUPS:
            parts.extend(map(as_text, _named(table, piece, columns.split)))
        for name, cells in groups.items():
            cells.extend(as_text(cell) or "none" for cell in _named(table, piece, name))
        groups = {name: cells for name, cells in groups.items() if len(cells) <= MOST_GROUPS}
        if count * len(groups) > MAX_CELLS:
            groups = {}
    places = np.concatenate(lines)
    rows, notes = dict[str, np.ndarray](), columns.notes
    if columns.split:
        rows, note = named_parts(table.name, columns.split, parts, split_given)
        notes += (note,) * bool(note)
        if rows:
            _check_named(table, columns.split, parts, places)
        elif count * (len(groups) + 1) <= MAX_CELLS:
            groups[columns.split] = parts
    names, codes = labels.numbered(places, rows) if numbered is None else numbered
    if rows:
        rows |= labels.parts_left_out(rows)
    provenance = Provenance(
        text=columns.text,
        pair=columns.pair,
        label=columns.label,
        form=table.form,
        left_out=labels.left_out() if numbered is None else {},
        notes=notes,
    )
    dataset = Dataset(
        name=table.name,
        texts=texts.texts(),
        pairs=pairs.texts() if columns.pair else None,
        labels=codes,
        label_names=names,
        tags=tags.cells() if columns.tag else None,
        numbered=labels.is_numbered,
        file=table.name,
        unit=table.unit,
        lines=places,
        groups={
            as_text(name): tuple(cell or "none" for cell in cells.cells())
            for name, cells in groups.items()
            if 1 < len(cells) <= MOST_GROUPS
        },
        provenance=provenance.noted(labels.note()),
        labels_from=labels_from,
        queries=queries.cells() if columns.query else None,
    )
    return dataset, {part: PartRows(rows[part], labels.left_out(part)) for part in rows}


def labels_of(
    tables: Mapping[str, Table],
    columns: Columns,
    skip_unlabelled: bool,
    labels_from: int | None,
    task: Task | None = None,
) -> tuple[dict[str, Names], tuple[str, ...] | None]:
    """The labels of tables that belong together, "" where there is none, and their names by number.

    The names are None where the tables do not number them.
    """
    labels = _Labels(next(iter(tables.values())), columns, skip_unlabelled, labels_from, task)
    # No name is given to what is no class.
    labels.skip = skip_unlabelled or labels.names_column is not None
    found = {part: Names() for part in tables}
    for part, labels.table in tables.items():
        for piece in labels.table.read():
            read = list(map(labels.read, piece.cells[columns.label], piece.numbers))
            if labels.names_column is not None:
                words = map(as_text, piece.cells[labels.names_column])
                read = [word if label else "" for word, label in zip(words, read, strict=True)]
                labels.extend(piece)
            found[part].extend(read)
    if labels.names_column is not None and len(labels.codes):
        names, _ = labels.named(labels.names_column, lambda _: "A row")
        return found, names if labels.is_numbered else None
    return found, labels.classes


class _Labels:
    """The labels of a table as its rows are read, and the names that the table has for them."""

    def __init__(
        self,
        table: Table,
        columns: Columns,
        skip: bool = False,
        labels_from: int | None = None,
        task: Task | None = None,
    ) -> None:
        self.task = task
        self.table, self.columns, self.skip, self.start = table, columns, skip, labels_from
        # Where its numbers are asked for, the names do not count.
        self.classes = table.class_names.get(columns.label) if labels_from is None else None
        self.names_column = columns.names if labels_from is None else None
        self.codes, self.names = Names(), Names()
        self._known = dict[str, str]()  # labels of cells that were read, which are few
        self.is_numbered = self.classes is not None
        #: How many rows have no label, by the part that they name and what stands there; of the
        #: first one of each part the place, and that.
        self.unlabelled = Counter[tuple[str, str]]()
        self.first = dict[str, tuple[str, str]]()

    def read(self, cell: object, row: int) -> str:
        """The label in a cell, "" where it says that there is none."""
        if self.classes is None:
            label = self._known.get(cell) if isinstance(cell, str) else None
            if label is None:
                label = self._written(cell, row)
                a_class = self.start == -1 and label.startswith("-1")
                label = "" if self.skip and is_unlabelled(label) and not a_class else label
            if isinstance(cell, str):
                self._known[cell] = label
            return label
        if _is_nothing(cell) or (isinstance(cell, int) and cell < 0):
            return ""
        if not isinstance(cell, int) or cell >= len(self.classes):
            raise DataError(
                f"{self.table.place(row)} has the label {cell!r:.50}, and the file has names for "
                f"0 to {len(self.classes) - 1} alone: {listed(self.classes)}."
            )
        return self.classes[cell]

    def _written(self, cell: object, row: int) -> str:
        """The label that a cell is, as text."""
        if isinstance(self.task, Score):
            return _score(cell, self.table, row)
        if isinstance(self.task, SeveralLabels):
            return _set(cell, self.table, row)
        return _label(cell, self.table, row)

    def extend(self, piece: Piece) -> Piece:
        """Read the labels of some rows; returns the rows that are not left out."""
        cells, numbers = piece.cells[self.columns.label], piece.numbers
        labels = [self.read(cell, row) for cell, row in zip(cells, numbers, strict=True)]
        if "" in labels:
            kept = [*map(bool, labels)]
            without = [not one for one in kept]
            marks = [*map(as_text, compress(cells, without))]
            parts = [""] * len(marks)
            if self.columns.split:
                named = _named(self.table, piece, self.columns.split)
                parts = [part_key(as_text(cell)) for cell in compress(named, without)]
            for part, mark, row in zip(parts, marks, compress(numbers, without), strict=True):
                if part not in self.first:
                    self.first[part] = self.table.place(row), mark
            self.unlabelled.update(zip(parts, marks, strict=True))
        if "" in labels and self.skip:
            columns = {name: [*compress(some, kept)] for name, some in piece.cells.items()}
            piece, labels = Piece([*compress(numbers, kept)], columns), [*filter(None, labels)]
        self.codes.extend(labels)
        if self.names_column:
            self.names.extend(map(as_text, piece.cells[self.names_column]))
        return piece

    def note(self) -> str:
        """What is to be said of where the names come from."""
        if self.names_column is None:
            return ""
        return f"The column {self.names_column} names the numbers in {self.columns.label}."

    def parts_left_out(self, parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Further parts, of which all rows were left out."""
        known = {"", *map(part_key, parts)}
        return {part: np.empty(0, np.int64) for part, _ in self.unlabelled if part not in known}

    def left_out(self, part: str | None = None) -> dict[str, int]:
        """How many rows were left out, of a part or of all, by the reason."""
        counts = Counter[str]()
        for (named, mark), count in self.unlabelled.items():
            if part is None or named == part_key(part):
                counts[f"labelled {mark}" if mark else "without a label"] += count
        return dict(counts)

    def numbered(
        self, places: np.ndarray, parts: Mapping[str, np.ndarray]
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """The names of the labels in their order, and the number of each row's ``[N]``.

        The number is -1 in those of the ``parts`` that give no label, where another one does.
        """
        kept = self._withhold(parts)
        codes = np.full(len(places), -1)
        names, codes[kept] = self._numbered(places[kept])
        return names, codes

    def _withhold(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Leave out the parts that give no label, where another one does; which rows stay ``[N]``.

        Raises :class:`DataError` at the first row without a label of a part that has some.
        """
        none = self.codes.codes(("", "-1")) >= 0
        without = {part_key(part): rows for part, rows in parts.items() if none[rows].all()}
        without = without if len(without) < len(parts) else {}
        kept = np.ones(len(none), dtype=bool)
        if without:
            kept[np.concatenate([*without.values()])] = False
            self.codes = self.codes.take(kept)
            if self.names_column is not None:
                self.names = self.names.take(kept)
        others = {one: n for one, n in self.unlabelled.items() if one[0] not in without}
        marks = {mark for _, mark in others}
        if others and not self.skip and (len(self.codes) > 1 or "" in marks):
            first = next(self.first[part] for part in self.first if part not in without)
            raise DataError(f"{unlabelled_row(*first, sum(others.values()))}: {SKIP}.")
        withheld = {(part, ""): len(rows) for part, rows in without.items()}
        self.unlabelled = Counter(others | withheld)
        return kept

    def _numbered(self, places: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        name = self.table.name
        if {*self.codes} <= {"", "-1"}:
            raise DataError(
                f"Every label of {name} is -1 or missing, as GLUE writes where the labels are "
                "withheld: take a part that has labels, such as the validation part."
            )
        if self.classes and len({*map(same_name, self.classes)}) < len(self.classes):
            raise DataError(
                f"{name} has labels that only capitals and spaces tell apart: "
                f"{listed(self.classes)}."
            )
        names, codes = self.classes or in_order(self.codes), None
        if isinstance(self.task, Score) and not self.classes:
            names = tuple(sorted(self.codes, key=float))
        if self.names_column:
            names, codes = self.named(
                self.names_column, lambda row: self.table.place(int(places[row]))
            )
        if len(names) < 2 and not isinstance(self.task, Score | SeveralLabels):
            raise DataError(
                f"{name} has only the label {names[0]!r}: a classifier is measured on sentences "
                "of at least two labels."
            )
        return names, self.codes.codes(names) if codes is None else codes

    def named(self, column: str, place: Callable[[int], str]) -> tuple[tuple[str, ...], np.ndarray]:
        """The same as :meth:`numbered` where another column holds a name for each number.

        Raises :class:`DataError` at the first row that has another name for a number, or another
        number for a name.
        """
        numbers, names = list(self.codes), list(self.names)
        number_codes, name_codes = self.codes.codes(numbers), self.names.codes(names)  # [N]
        _, rows = np.unique(number_codes * len(names) + name_codes, return_index=True)
        names_of, numbers_of = dict[str, str](), dict[str, str]()
        for row in np.sort(rows).tolist():
            number, name = numbers[number_codes[row]], names[name_codes[row]]
            same = names_of.setdefault(number, name), numbers_of.setdefault(name, number)
            if same != (name, number) or not name:
                here, there = f"{number:.50} and {name!r:.50}", f"{same[1]:.50} and {same[0]!r:.50}"
                raise DataError(
                    f"{place(row)} has the label {here} in the column {column}, where others have "
                    f"{there}: mend it, or take the numbers alone with --labels-from 0."
                )
        whole = {
            int(number): name
            for number, name in names_of.items()
            if re.fullmatch("[0-9]{1,9}", number)
        }
        if len(whole) < len(names_of) or max(whole) > MOST_GROUPS * len(whole):
            known = in_order(names_of.values())
            return known, self.names.codes(known)
        self.is_numbered = True
        known = tuple(whole.get(number, f"LABEL_{number}") for number in range(max(whole) + 1))
        return known, self.names.codes(known)


def _is_nothing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def as_text(cell: object) -> str:
    """A label, tag, split or further cell as text; "" for nothing.

    Half of a two-part character, which neither a page nor a file can hold, becomes a mark.

    >>> [as_text(cell) for cell in ("  NA ", 1, 1.0, True, None, float("nan"))]
    ['NA', '1', '1', 'true', '', '']
    """
    if _is_nothing(cell):
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return _HALF.sub("\ufffd", str(cell)).strip()


def in_order(label_names: Iterable[str]) -> tuple[str, ...]:
    """Label names in the order of their numbers, or else of the alphabet.

    >>> in_order({"10", "9", "-1"}), in_order({"positive", "Negative"})
    (('-1', '9', '10'), ('Negative', 'positive'))
    """

    def key(name: str) -> tuple[bool, float, str, str]:
        number = re.fullmatch(r"-?[0-9]+", name)
        return number is None, float(name) if number else 0.0, name.casefold(), name

    return tuple(sorted(label_names, key=key))


def _named(table: Table, piece: Piece, column: str) -> Sequence[object]:
    """The cells of a column, with the names that the table has for its numbers."""
    names, cells = table.class_names.get(column), piece.cells[column]
    if names is None:
        return cells
    known = dict(enumerate(names))
    return [known.get(cell) if isinstance(cell, int) else None for cell in cells]


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
    if len(text) <= MAX_CHARACTERS and (text.isascii() or not _HALF.search(text)):
        return text
    if len(text) > MAX_CHARACTERS:
        raise DataError(
            f"{table.place(row)} has a sentence of {len(text):,} characters, and at most "
            f"{MAX_CHARACTERS:,} are read: check the separators and quotation marks, or shorten it."
        )
    raise DataError(f"{table.place(row)} has half of a two-part character: remove it.")


def _alone(value: object) -> object:
    """The only text in a list, as tools of annotation write a label; None for an empty list.

    >>> [_alone(value) for value in (["good"], [], ["good", "dull"], [2], "good")]
    ['good', None, ['good', 'dull'], [2], 'good']
    """
    if not isinstance(value, list) or len(value) > 1:
        return value
    return next(iter(value), None) if not value or isinstance(value[0], str) else value


def _label(cell: object, table: Table, row: int) -> str:
    cell = _alone(cell)
    text = as_text(cell)
    if (
        text
        and not isinstance(cell, str | int)
        and not (isinstance(cell, float) and cell.is_integer())
    ):
        raise DataError(
            f"{table.place(row)} has the label {cell!r:.50}, which names no class: labels are "
            "words or whole numbers."
        )
    return text


def _score(cell: object, table: Table, row: int) -> str:
    """The number in a cell, as text."""
    text = as_text(cell)
    if text and not is_unlabelled(text) and as_number(text) is None:
        raise no_score(table.place(row), text)
    return text


def _set(cell: object, table: Table, row: int) -> str:
    """The labels in a cell, as text: a list as JSON, and text as it is."""
    if isinstance(cell, list) and all(isinstance(one, str | int) for one in cell):
        return json.dumps([str(one) for one in cell])
    if isinstance(cell, list | dict):
        raise DataError(
            f"{table.place(row)} has the labels {cell!r:.50}: a list of labels holds words or "
            "whole numbers."
        )
    return as_text(cell)


def _check_named(table: Table, column: str, parts: Names, places: np.ndarray) -> None:
    """Refuse a row that names no part where others do."""
    if "" in parts:
        first = int(places[(parts.codes([""]) == 0).argmax()])
        raise DataError(
            f"{table.place(first)} names no part: fill in the column {listed([column])}, or read "
            f'all rows together by --split "" (in the app under Upload, Column names).'
        )
