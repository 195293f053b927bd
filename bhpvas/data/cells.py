"""Cells of a table, each checked and read as a sentence, label, tag, part or further group."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from bhpvas.data.columns import Columns
from bhpvas.data.dataset import Dataset
from bhpvas.data.provenance import Provenance
from bhpvas.data.tables import MAX_CELLS, Piece, Table
from bhpvas.data.text_store import Gathering
from bhpvas.errors import DataError
from bhpvas.text import listed

# BERT reads 512 word pieces, about 2,500 characters; the longest review of IMDB has 13,704. More
# is a file read with the wrong quotes or separators.
MAX_CHARACTERS = 20_000
# A further column with more values than this tells sentences apart instead of grouping them.
MOST_GROUPS = 40
# Half of a character that UTF-16 writes in two parts; no encoding can write it alone.
_HALF = re.compile("[\ud800-\udfff]")


def dataset_of(
    table: Table, columns: Columns, numbered: tuple[tuple[str, ...], np.ndarray] | None = None
) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The table's sentences, every cell checked, and the rows of each part that it names.

    ``numbered`` are the names of the labels and the number of each row's, where they are known.
    """
    texts, pairs, lines = Gathering(), Gathering(), list[np.ndarray]()
    labels, tags, parts = Names(), Names(), Names()
    groups = {name: Names() for name in table.columns if name not in columns.used()}
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
            tags.extend(as_text(cell) or "untagged" for cell in piece.cells[columns.tag])
        if columns.split:
            parts.extend(_each(partial(_part, columns.split), table, piece, columns.split))
        for name, cells in groups.items():
            cells.extend(as_text(cell) or "none" for cell in piece.cells[name])
        groups = {name: cells for name, cells in groups.items() if len(cells) <= MOST_GROUPS}
        if count * len(groups) > MAX_CELLS:
            groups = {}
    names = in_order(labels) if numbered is None else numbered[0]
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
        groups={as_text(name): cells.cells() for name, cells in groups.items() if len(cells) > 1},
        provenance=Provenance(columns.text, columns.pair, columns.label, table.form),
    )
    known = sorted(parts)
    part = parts.codes(known)
    return dataset, {name: np.flatnonzero(part == code) for code, name in enumerate(known)}


def labels_of(table: Table, column: str) -> Names:
    """The labels of a table as they stand there, "" where there is none."""
    labels = Names()
    for piece in table.read():
        cells = zip(piece.cells[column], piece.numbers, strict=True)
        labels.extend("" if _is_nothing(cell) else _label(cell, table, row) for cell, row in cells)
    return labels


class Names:
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
    text = as_text(cell)
    if not text:
        raise DataError(f"{table.place(row)} has no label: fill it in or delete the line.")
    if not isinstance(cell, str | int) and not (isinstance(cell, float) and cell.is_integer()):
        raise DataError(
            f"{table.place(row)} has the label {cell!r:.50}, which names no class: labels are "
            "words or whole numbers."
        )
    return text


def _part(column: str, cell: object, table: Table, row: int) -> str:
    text = as_text(cell).casefold()
    if not text:
        raise DataError(
            f"{table.place(row)} names no split: fill in the column {listed([column])}."
        )
    return text
