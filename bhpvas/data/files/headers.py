"""Header of a delimited file: whether its first row names the columns, by evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from bhpvas.data.columns import guess_columns
from bhpvas.data.files.file import File
from bhpvas.data.first_rows import FirstRows
from bhpvas.errors import DataError
from bhpvas.text import shortened

#: What speaks for a first cell being the name of its column, or a cell like the others.
_Evidence: TypeAlias = Literal["name", "maybe name", "row", "maybe row"]

_NUMBER = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?")
# A name that nobody would write as a sentence or label.
_IDENTIFIER = re.compile(r"[A-Za-z]+(_[A-Za-z0-9]+)+|id|idx|index", re.IGNORECASE)
# Words that a name has at most, although it may be found by its last one, and words from which on
# a cell reads as a sentence, even without a full stop.
_NAME, _SENTENCE = 3, 5
# Columns that a refusal shows, and characters of a cell.
_SHOWN, _EXAMPLE = 12, 24


def numbered(count: int) -> list[str]:
    """The names of columns that have none.

    >>> numbered(2)
    ['column 1', 'column 2']
    """
    return [f"column {number}" for number in range(1, count + 1)]


def decided(file: File, rows: Sequence[Sequence[str]]) -> tuple[bool, str]:
    """Whether the first of the rows is a header, and what is to be said of it.

    Raises :class:`DataError` where it is a row like the others, or could be one, and nothing was
    said of it.
    """
    if file.header is not None or not rows:
        return file.header is not False, "" if file.header is not False else "without a header"
    first, *others = [[cell.strip() for cell in row] for row in rows]
    others = [row for row in others if len(row) == len(first)]
    named = any(map(_is_text_name, first)) and any(map(_is_label_name, first))
    if named or _is_counted(first) or not others or len(first) == 1:
        return True, ""
    found: set[_Evidence] = set()
    for name, *cells in zip(first, *others, strict=True):
        found.update(_evidence(name, [cell for cell in cells if cell]))
    for_names, for_row = found & {"name", "maybe name"}, found & {"row", "maybe row"}
    if not for_row or ("name" in for_names and "row" not in for_row):
        return True, "" if for_names else "its first line taken for the header"
    text, label, further = _likely(first, others)
    shown = [f"column {number} {_example(cell)}" for number, cell in enumerate(first, start=1)]
    shown[_SHOWN:] = [f"… column {len(first)}"] * (len(first) > _SHOWN)
    is_row = not for_names and "row" in for_row
    what = "has no header, its first line is a row" if is_row else "may have no header"
    raise DataError(
        f"{file.name} {what} ({', '.join(shown)}): say {'' if is_row else '--header, or '}"
        f"--no-header and the numbers of the columns, such as --text {text} --label {label}"
        f"{f', with a second text by --pair {further}' if further else ''} (in the app under "
        "Upload, First row and Column names)."
    )


def _is_text_name(name: str) -> bool:
    """Whether a text would be found in a column of that name."""
    try:
        return len(name.split()) <= _NAME and guess_columns([name, "label"]).text == name
    except DataError:
        return False


def _is_label_name(name: str) -> bool:
    """Whether a label would be found in a column of that name."""
    try:
        return len(name.split()) <= _NAME and guess_columns(["text", name]).label == name
    except DataError:
        return False


def _is_counted(names: Sequence[str]) -> bool:
    """Whether they are 0, 1, 2, …, as pandas writes columns without names, an index in front."""
    names = names[1:] if names[0] == "" else names
    return len(names) > 1 and list(names) == [str(number) for number in range(len(names))]


def _evidence(first: str, cells: Sequence[str]) -> Iterator[_Evidence]:
    """What a column says of its first cell: the name of the others, or one of them."""
    if not first:
        return
    different = set(cells)
    if _is_text_name(first) or _is_label_name(first):
        yield "name"
    elif first in different:
        yield "row"
    elif _IDENTIFIER.fullmatch(first):
        yield "name"
    elif cells and all(map(_NUMBER.fullmatch, cells)):
        yield "row" if _NUMBER.fullmatch(first) else "name"
    elif len(cells) >= 2 * len(different):
        yield "maybe name"  # the others are labels, and this is none of them
    words = first.split()
    if len(words) >= _SENTENCE or (len(words) > 1 and first[-1] in ".!?"):
        yield "maybe row"


def _likely(first: Sequence[str], others: Sequence[Sequence[str]]) -> tuple[int, int, int | None]:
    """The numbers of the columns that are likely the text, the label, and further sentences."""
    columns = [list(cells) for cells in zip(first, *others, strict=True)]
    sizes = [sum(map(len, cells)) for cells in columns]
    text = sizes.index(max(sizes))

    def unlike_a_label(place: int) -> tuple[bool, int, int]:
        kinds = len({*columns[place]})
        return place == text or kinds == 1 or "" in columns[place], kinds, sizes[place]

    label = min(range(len(columns)), key=unlike_a_label)
    rows = FirstRows({str(place): cells for place, cells in enumerate(columns)})
    further = [n for n in range(len(columns)) if n != text and rows.holds_sentences(str(n))]
    return text + 1, label + 1, further[0] + 1 if further else None


def _example(cell: str) -> str:
    return repr(shortened(" ".join(cell.split()), _EXAMPLE)) if cell else "empty"
