"""First rows of a table: which columns look like sentences, like labels, and like names of labels.

Columns are found by their names; what stands in them decides where names leave a choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bhpvas.data.labels import is_unlabelled
from bhpvas.data.parts import CALIBRATION_PARTS, EVALUATION_PARTS, is_part, part_key
from bhpvas.data.tables import Table
from bhpvas.data.targets import as_number
from bhpvas.errors import DataError
from bhpvas.text import shortened

#: Rows that are looked at, and cells of them together: of many columns fewer rows.
ROWS, _CELLS = 1_000, 200_000
# Words that the cells of a column of sentences have on average, and words by which a column is one
# although its texts are often repeated, as the passages are of which many questions are asked.
_WORDS, _MANY_WORDS = 3, 8
# A column of more different cells than this has no labels; BANKING77 has 77, CLINC150 151.
_MOST_LABELS = 200
# Of fewer rows than this, that all are different says nothing.
_FEW = 20
# Scripts that put no spaces between words: about two characters are one.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_EXAMPLE = 40


@dataclass(frozen=True)
class FirstRows:
    """The first cells of every column; of a table that was not looked at there are none."""

    cells: Mapping[str, Sequence[object]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table) -> FirstRows:
        """The first rows of a table, which is read as far as the first piece; none of a damaged
        one, whose place :meth:`Table.pieces` says.
        """
        try:
            piece = next(iter(table.read()), None)
        except DataError:
            piece = None
        if piece is None:
            return cls()
        rows = min(ROWS, max(_CELLS // max(len(piece.cells), 1), _FEW))
        return cls({column: cells[:rows] for column, cells in piece.cells.items()})

    def filled(self, column: str) -> list[str]:
        """The cells of a column that are not empty, as text."""
        cells = (cell for cell in self.cells.get(column, ()) if cell is not None and cell == cell)
        return [text for cell in cells if cell != [] and (text := str(cell).strip())]

    def are_many(self, column: str) -> bool:
        """Whether there are so many cells that what they have in common is no chance."""
        return len(self.filled(column)) >= _FEW

    def example(self, column: str) -> str:
        """A column with its first filled cell, as a message shows it.

        >>> FirstRows({"body": [None, "It rained."]}).example("body")
        "body ('It rained.')"
        """
        cell = next(iter(self.filled(column)), None)
        shown = "empty" if cell is None else repr(shortened(" ".join(cell.split()), _EXAMPLE))
        return f"{shortened(' '.join(column.split()), 50)} ({shown})"

    def holds_sentences(self, column: str) -> bool:
        """Whether the cells are texts of several words that seldom repeat."""
        if not all(isinstance(cell, str | None) for cell in self.cells.get(column, ())):
            return False
        texts = self.filled(column)
        if not texts:
            return False
        words = sum(map(_words, texts)) / len(texts)
        seldom = len({*texts}) >= len(texts) / (2 if len(texts) < _FEW else 10)
        return words >= _MANY_WORDS or (words >= _WORDS and seldom)

    def holds_labels(self, column: str) -> bool:
        """Whether the cells are a few words or whole numbers that repeat."""
        texts = self.filled(column)
        values = {*texts}
        if any(re.fullmatch(r"[-+]?[0-9]*\.[0-9]*[1-9][0-9]*", value) for value in values):
            return False
        cells = self.cells.get(column, ())
        if self.holds_nested(column) or any(isinstance(cell, bytes) for cell in cells):
            return False
        if self.are_many(column) and len(values) > len(texts) / 2:
            return False
        return 0 < len(values) <= _MOST_LABELS and not self.holds_sentences(column)

    def holds_scores(self, column: str) -> bool:
        """Whether the cells are numbers, whatever stands where there is none."""
        texts = [text for text in self.filled(column) if not is_unlabelled(text)]
        return bool(texts) and all(as_number(text) is not None for text in texts)

    def holds_objects(self, column: str) -> bool:
        """Whether some cells are objects."""
        return any(isinstance(cell, dict) for cell in self.cells.get(column, ()))

    def holds_parts(self, column: str) -> bool:
        """Whether the cells are names of parts to learn from and to measure on."""
        texts = self.filled(column)
        return bool(texts) and all(map(is_part, {*texts}))

    def names_both_parts(self, column: str) -> bool:
        """Whether some cells are names of parts to learn from, and some of parts to measure on."""
        keys = {part_key(one) for one in {*self.filled(column)}}
        return not any(map(keys.isdisjoint, (CALIBRATION_PARTS, EVALUATION_PARTS)))

    def holds_nested(self, column: str) -> bool:
        """Whether some cells are objects, or lists of anything but one text."""
        cells = [cell for cell in self.cells.get(column, ()) if isinstance(cell, list | dict)]
        return any(
            isinstance(cell, dict) or [isinstance(one, str) for one in cell] not in ([], [True])
            for cell in cells
        )

    def holds_numbers(self, column: str) -> bool:
        """Whether the cells are whole numbers."""
        texts = self.filled(column)
        return bool(texts) and all(re.fullmatch(r"-?[0-9]+(\.0+)?", text) for text in texts)

    def names_numbers(self, names: str, numbers: str) -> bool:
        """Whether a column gives each whole number of another one name, and each its own."""
        cells = zip(self.cells.get(numbers, ()), self.cells.get(names, ()), strict=False)
        pairs = {(str(number).strip(), str(name).strip()) for number, name in cells}
        return (
            self.holds_numbers(numbers)
            and not self.holds_numbers(names)
            and not self.holds_sentences(names)
            and len(pairs) == len({number for number, _ in pairs}) == len({n for _, n in pairs})
        )


def _words(text: str) -> float:
    """How many words of letters a text has; none where most of it are numbers, as of a date.

    >>> _words("Mix rye flour, 2 cups."), _words("Mon Apr 06 22:19:45 PDT 2009"), _words("今天很好")
    (4, 0, 2.0)
    """
    unspaced = len(_UNSPACED.findall(text))
    if unspaced:
        return unspaced / 2
    letters, digits = (sum(map(kind, text)) for kind in (str.isalpha, str.isdigit))
    return sum(any(map(str.isalpha, word)) for word in text.split()) if letters > digits else 0
