"""Tables: rows under the names of columns, each with its place in the file; how much one may hold.

Nothing here unpickles anything. How a file of each format becomes a table: ``bhpvas/data/files``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from bhpvas.errors import DataError
from bhpvas.text import listed

# What Streamlit takes as an upload by default. A stream is held in memory, and whoever sent it may
# mean harm: it, and what it unpacks to, may be as large; a file on disk may be of any size.
MAX_FILE_BYTES = 200 * 1024 * 1024
# What the table of a stream may hold: a few bytes of Parquet can stand for billions of cells, and
# JSONL whose every line has other keys for a column each.
MAX_CELLS = 10_000_000
# A file on disk that unpacks to more than so many times its size means harm.
UNLIKELY = 100
# What is read at once: so many rows, and no more than so many characters, cells or bytes.
ROWS, AT_ONCE = 4_096, 2**22

# What a cell begins with that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

#: A row's number, its cells, and their size together.
Row: TypeAlias = tuple[int, Sequence[Any], int]


class Piece(NamedTuple):
    """Some rows of a table: the number of each, and by the names of the columns their cells."""

    numbers: Sequence[int]
    cells: Mapping[str, Sequence[object]]


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a file under its column names.

    ``read`` begins anew with each call. A row's number is that of the line (of a Parquet file: of
    the row) that it starts on, counted from 1 and with the header. Cells of text files are strings;
    cells of JSONL and Parquet are what the file holds, with ``None`` or NaN for nothing. ``form``
    says how the file was taken where its ending does not say it (``"separated by tabs"``).
    ``class_names`` are, by the name of a column of whole numbers, the names that the file's own
    metadata gives them, number 0 first; its cells are the numbers. ``parts`` are tables of their
    own where the source has such, as a folder with train and test; the rows are those of all.
    ``nested`` names columns that are not read, as their cells hold lists or structures.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[], Iterator[Piece]]
    unit: str = "line"
    form: str = ""
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: Mapping[str, Table] = field(default_factory=dict)
    nested: tuple[str, ...] = ()

    def place(self, number: int) -> str:
        """A row's place as a message starts with it.

        >>> Table("reviews.csv", (), lambda: iter(())).place(7)
        'Line 7 of reviews.csv'
        """
        return f"{self.unit.capitalize()} {number} of {self.name}"

    def take(self, rows: np.ndarray) -> Table:
        """Some rows, counted from 0 and in rising order."""

        def read() -> Iterator[Piece]:
            before = 0
            for numbers, cells in self.read():
                start, end = np.searchsorted(rows, (before, before + len(numbers)))
                some = rows[start:end] - before
                before += len(numbers)
                if some.size:
                    yield Piece(
                        [numbers[row] for row in some],
                        {name: [column[row] for row in some] for name, column in cells.items()},
                    )

        return replace(self, read=read)

    def pieces(self) -> Iterator[Piece]:
        """All rows, in pieces of bounded size.

        Raises :class:`~bhpvas.errors.DataError` at the first row that cannot be read, and where
        there is none.
        """
        piece = None
        for piece in self.read():
            yield piece
        if piece is None:
            raise _without_rows(self.name)


def table_of(
    name: str, header: Sequence[str], rows: Callable[[], Iterator[Row]], **more: Any
) -> Table:
    """The table of rows, after the checks that hold for every format; ``more`` as of a table.

    Columns without a name are left. Raises :class:`DataError` where two have the same, or none one.
    """
    columns = [column for column in header if column]
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise DataError(f"{name} has two columns named {listed(twice[:1])}: rename one.")
    if not columns:
        raise _without_rows(name)
    return Table(name, tuple(columns), lambda: _in_pieces(header, rows()), **more)


def _in_pieces(header: Sequence[str], rows: Iterable[Row]) -> Iterator[Piece]:
    """The rows, as many at once as their sizes allow; cells of columns without a name are left."""
    numbers: list[int] = []
    some: list[Sequence[object]] = []
    size = 0

    def piece() -> Piece:
        columns = zip(header, zip(*some, strict=True), strict=True)
        return Piece(numbers, {name: cells for name, cells in columns if name})

    for number, cells, more in rows:
        numbers.append(number)
        some.append(cells)
        size += more
        if len(some) == ROWS or size > AT_ONCE:
            yield piece()
            numbers, some, size = [], [], 0
    if some:
        yield piece()


def _without_rows(name: str) -> DataError:
    return DataError(f"{name} has no sentences: it needs a line for each under the header.")


def csv_text(frame: pd.DataFrame, *, index_label: str | None = None) -> str:
    """A table as CSV, with its index where that gets a name.

    A text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, "CSV
    Injection"); numbers stay as they are.

    >>> print(csv_text(pd.DataFrame({"sentence": ["=1+1", "fine"], "change": [-0.5, 1.0]})), end="")
    sentence,change
    '=1+1,-0.5
    fine,1.0
    """
    texts = frame.select_dtypes(exclude="number")
    plain = frame.assign(**texts.map(_no_formula)).rename(columns=_no_formula)
    return str(plain.to_csv(index=index_label is not None, index_label=index_label))


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
