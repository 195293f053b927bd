"""Delimited text as tables: TSV, CSV and their kin; separators and quotation marks by evidence."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

from bhpvas.data import tables
from bhpvas.data.files import file as files
from bhpvas.data.files import headers, line_forms
from bhpvas.data.files.file import File
from bhpvas.data.tables import Table
from bhpvas.errors import DataError
from bhpvas.text import listed, plural

# Characters by which separators, quotation marks and the header are judged.
SAMPLE = 2**18
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars"}
# Separators of files that often take quotation marks for text. The others are written by
# spreadsheets, which put text with a separator in quotation marks.
_MAYBE_LITERAL = "\t|"
# Cells with commas that Excel must have quoted, each, before a file without Excel's encoding is
# taken for Excel's: one or two may be sentences that their author put in quotation marks.
_EVIDENCE = 3
# What Excel reads as the separator and no row.
_SAID = re.compile(r'"?sep=(?P<separator>[\t,;|])"?\s*')

_NUMBER = re.compile(r"-?[0-9]*[.,]?[0-9]*")

_TextRow: TypeAlias = tuple[int, Sequence[str], int]


class _Way(NamedTuple):
    """How lines become rows: ``literal`` keeps quotation marks as part of the text.

    ``sure``: they are no text, since every name in the header stands in them, or the first line
    names the separator (``said``) as Excel does.
    """

    separator: str
    literal: bool = False
    sure: bool = False
    said: bool = False


class _Start(NamedTuple):
    """The first lines of a file, with their ends; ``cut`` where more follow."""

    lines: list[str]
    cut: bool

    def header(self) -> str:
        return next(line for line in self.lines if line.strip())

    def rows(self, way: _Way) -> list[_TextRow]:
        """The rows that are there whole; none where the lines have no such form."""
        rows: list[_TextRow] = []
        try:
            rows.extend(_filled(_split(self.lines, way), way))
        except csv.Error:
            return []
        return rows[:-1] if self.cut else rows

    def width(self, way: _Way) -> int:
        """The number of cells that all rows have, 0 where they differ."""
        widths = {len(cells) for _, cells, _ in self.rows(way)}
        return widths.pop() if len(widths) == 1 else 0


def parse(file: File, usual: str) -> Table:
    """A table of text whose ending says that its cells are separated by ``usual``.

    They are read another way where all lines have the same number of cells that way and not the
    usual one. TSV is read as GLUE writes it, with quotation marks as part of the text, unless every
    name in the header is quoted, or lines have the same number of cells only without them, or Excel
    wrote the file; a cell that a CSV writer has quoted is recognised by its doubled inner quotes.

    Raises :class:`DataError` where several ways fit, and where the first row may be no header.
    """
    start = _start(file)
    if _is_json(start.header().strip()):
        raise DataError(f"{file.name} holds JSON: call it .json.")
    way = _way(file, start, usual)
    if file.header is not True:
        lines = [line for line in start.lines if line.strip()]
        if form := line_forms.form_of(lines, fits=start.width(way) > 1):
            return line_forms.table_of(file, form)
    sample = start.rows(way)
    header, said = headers.decided(file, [cells for _, cells, _ in sample])
    forms = [file.form, *_said(way, usual, sample), said]
    return _table(file, way, header, ", ".join(one for one in forms if one))


def _is_json(line: str) -> bool:
    """Whether a first line is one of JSON: an object, an array, or how one begins."""
    try:
        return line in ("{", "[", "[{") or (line[0] in "{[" and bool(json.loads(line)))
    except (ValueError, RecursionError):
        return False


def _start(file: File) -> _Start:
    lines: list[str] = []
    size = 0
    for line in file.lines(""):
        if size > SAMPLE and any(map(str.strip, lines)):
            return _Start(lines, True)
        lines.append(line)
        size += len(line)
    if not any(map(str.strip, lines)):
        raise files.empty(file.name)
    return _Start(lines, False)


def _way(file: File, start: _Start, usual: str) -> _Way:
    """How the lines are to be read."""
    header = start.header()
    if match := _SAID.fullmatch(header):
        return _Way(match["separator"], sure=True, said=True)
    often = max(",;\t" if usual == "," else usual, key=header.count)
    if often not in header:
        often = max(usual + "".join(_NAMES), key=header.count)
    ways = [_quotes(file, start, one, usual) for one in _NAMES if one in header or one == often]
    ways.sort(key=lambda way: way.separator != often)
    fitting = [way for way in ways if start.width(way) > 1]
    if not fitting:  # the first line may be the start of a cell that goes on
        known = {way.separator for way in ways}
        others = [_quotes(file, start, one, usual) for one in _NAMES if one not in known]
        ways += [way for way in others if start.width(way) > 1]
        fitting = ways[len(known) :]
    if not fitting or (fitting[0] == ways[0] and often == usual):
        return ways[0]
    if len(fitting) > 1:
        kinds = " or ".join(_NAMES[way.separator] for way in fitting)
        raise DataError(
            f"All lines of {file.name} have the same number of cells whether these are separated "
            f"by {kinds}: write the right separator on a line before the header, such as sep=;."
        )
    return fitting[0]


def _quotes(file: File, start: _Start, separator: str, usual: str) -> _Way:
    """The way of a separator in which quotation marks are what the lines need them to be."""
    names = start.header().split(separator)
    quoted = _Way(separator, sure=all(re.fullmatch('"[^"]*"', name.strip()) for name in names))
    if separator not in _MAYBE_LITERAL or quoted.sure:
        return quoted
    literal = _Way(separator, literal=True)
    plain, parsed = start.width(literal) > 1, start.width(quoted) > 1
    if plain != parsed:
        return literal if plain else quoted
    if plain and len(start.rows(literal)) != len(start.rows(quoted)):
        return literal  # or whole rows would stand within quotation marks
    if usual == "," or (plain and separator == "\t" and _is_of_excel(file, start.lines)):
        return quoted
    lines = [line.rstrip("\r\n").split(separator) for line in start.lines if line.strip()]
    return quoted if plain and _are_quoted(lines[1:]) else literal


def _are_quoted(rows: Sequence[Sequence[str]]) -> bool:
    """Whether all cells but numbers stand in quotation marks, in two columns or more.

    In one column they may be sentences that somebody said. The first row may be a header.
    """
    quoted = [{place for place, cell in enumerate(row) if _is_quoted(cell)} for row in rows]
    others = (cell for row in rows for cell in row if not _is_quoted(cell))
    return min(map(len, quoted), default=0) > 1 and all(map(_NUMBER.fullmatch, others))


def _is_of_excel(file: File, lines: Iterable[str]) -> bool:
    """Whether all cells with a comma or quotation mark are quoted, and no others, as Excel does."""
    cells = [cell for line in lines for cell in line.rstrip("\r\n").split("\t")]
    cells = [cell for cell in cells if "," in cell or '"' in cell]
    inner = [cell[1:-1].replace('""', "") for cell in cells if _is_quoted(cell)]
    needed = 1 if file.found_encoding()[0].startswith("utf-16") else _EVIDENCE
    if len(inner) < max(needed, len(cells)) or any('"' in text for text in inner):
        return False
    return all("," in cell or '""' in cell[1:-1] for cell in cells)


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def _said(way: _Way, usual: str, sample: Iterable[_TextRow]) -> Iterator[str]:
    """What is to be said of a way: all that the ending does not."""
    if way.said or way.separator != usual:
        yield f"separated by {_NAMES[way.separator]}" + ", as its first line says" * way.said
    if way.literal and any(_is_quoted(cell) for _, row, _ in sample for cell in row):
        yield "quotation marks kept as text"
    if not way.literal and way.separator in _MAYBE_LITERAL and not way.sure:
        yield "quotation marks around cells taken off"


def _table(file: File, way: _Way, header: bool, form: str) -> Table:
    def filled() -> Iterator[_TextRow]:
        return _filled(_rows(file, way), way)

    first = next(filled(), (1, (), 0))[1]
    names = [cell.strip() for cell in first] if header else headers.numbered(len(first))

    if len(names) == 1 and names[0]:
        raise DataError(
            f"{file.name} has one column by its first line ({listed(first)}) and needs two, a text "
            "and a label: write a tab, comma, semicolon or vertical bar between them on every line."
        )

    def counted() -> Iterator[_TextRow]:
        rows = islice(filled(), int(header), None)
        for number, (line, cells, size) in enumerate(rows):
            if len(cells) != len(names):
                # R writes the names of rows so, with none for their column.
                unnamed = header and number == 0 and len(cells) == len(names) + 1
                raise DataError(
                    f"Line {line} of {file.name} has {plural(len(cells), 'cell')} where the "
                    f"{'header' if header else 'first row'} has {len(names)}: one is missing, or a "
                    "separator stands unquoted in the text"
                    f"{', or the header lacks the name of a column' if unnamed else ''}."
                )
            yield line, cells, size

    return tables.table_of(file.name, names, counted, form=form)


def _filled(rows: Iterable[_TextRow], way: _Way) -> Iterator[_TextRow]:
    """The rows in which something stands, without the one that names the separator."""
    filled = (row for row in rows if "".join(row[1]).strip())
    return islice(filled, int(way.said), None)


def _rows(file: File, way: _Way) -> Iterator[_TextRow]:
    """Each row of a file with the line that it starts on."""
    if way.literal:
        yield from _split(file.lines(""), way)
        return
    line, held = 1, list[str]()

    def lines() -> Iterator[str]:
        for one in file.lines(""):
            held.append(one)
            yield one

    def separators(line: str) -> int:
        return line.count(way.separator)

    doubtful = not way.sure and way.separator in _MAYBE_LITERAL
    try:
        for number, cells, size in _split(lines() if doubtful else file.lines(""), way):
            if doubtful and len(held) > 1 and {*map(separators, held)} == {len(cells) - 1}:
                raise DataError(
                    f"Lines {number} to {number + len(held) - 1} of {file.name} are one row if "
                    "their quotation marks stand around a cell, and a row each if these are text: "
                    "write every name of the header in quotation marks for the one, leave those "
                    "marks out for the other."
                )
            held.clear()
            line = number
            yield number, cells, size
            line += 1
    except csv.Error as error:
        raise DataError(
            f"Line {line} of {file.name} cannot be read as CSV ({error}): check its quotation "
            "marks, and write one inside a quoted cell twice."
        ) from error


def _split(lines: Iterable[str], way: _Way) -> Iterator[_TextRow]:
    """The rows of lines; a quoted cell may run over several."""
    if way.literal:
        for number, line in enumerate(lines, start=1):
            cells = line.rstrip("\r\n").split(way.separator)
            yield number, [_unquoted(cell) for cell in cells] if '""' in line else cells, len(line)
        return
    reader = csv.reader(lines, delimiter=way.separator, skipinitialspace=True, strict=True)
    number = 1
    for cells in reader:
        yield number, cells, sum(map(len, cells))
        number = reader.line_num + 1


def _unquoted(cell: str) -> str:
    """A cell without the quoting of a CSV writer, which doubles every quote inside.

    >>> _unquoted('"He said ""no"" twice"')
    'He said "no" twice'
    >>> _unquoted('"charming" and "moving"')
    '"charming" and "moving"'
    """
    inner = cell.strip()[1:-1]
    quoted = cell.strip().startswith('"') and cell.strip().endswith('"') and '""' in inner
    if quoted and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell
