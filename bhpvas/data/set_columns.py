"""Columns of sets: one of 0 and 1 for each label, read as one column that holds the labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bhpvas.data.labels import is_unlabelled
from bhpvas.data.tables import Piece, Table
from bhpvas.errors import DataError

# What stands in such a column, as text.
_MEANT = {"0": False, "1": True, "false": False, "true": True, "no": False, "yes": True}


def name_of(columns: Sequence[str]) -> str:
    """What the column is called that holds the labels of several."""
    return ", ".join(columns)


def with_one_column(table: Table, columns: Sequence[str]) -> Table:
    """The table with one column of labels, a JSON list each, in place of several of 0 and 1.

    A label is called as its column is. A row of which one cell says that there is no label
    (:func:`~bhpvas.data.labels.is_unlabelled`) has none. Raises :class:`DataError`, as it is read,
    at the first cell that is neither.
    """
    gone, name = set(columns), name_of(columns)

    def read() -> Iterator[Piece]:
        for numbers, cells in table.read():
            rows = zip(*(cells[column] for column in columns), strict=True)
            found = [
                _set(row, columns, table, number) for row, number in zip(rows, numbers, strict=True)
            ]
            rest = {column: some for column, some in cells.items() if column not in gone}
            yield Piece(numbers, rest | {name: found})

    kept = tuple(column for column in table.columns if column not in gone)
    return replace(table, columns=(*kept, name), read=read)


def _set(row: Sequence[object], columns: Sequence[str], table: Table, number: int) -> str:
    """The labels of a row, as a JSON list; "" where it has none."""
    found = []
    for column, cell in zip(columns, row, strict=True):
        text = "" if cell is None else str(cell).strip().casefold().removesuffix(".0")
        if is_unlabelled(text):
            return ""
        if text not in _MEANT:
            raise DataError(
                f"{table.place(number)} has {cell!r:.50} in the column {column} of a label, where "
                "0 or 1 should be: choose the columns of the labels by --label (in the app under "
                "Upload, Column names)."
            )
        if _MEANT[text]:
            found.append(column)
    return json.dumps(found)
