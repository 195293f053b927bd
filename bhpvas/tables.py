"""Files as tables: TSV, CSV, JSONL and Parquet, every row with its place in the file.

Text files stay text: no cell becomes a number or a missing value by its looks, so a sentence that
reads "NA" is a sentence. Nothing here unpickles anything.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from bhpvas.errors import DataError

# What Streamlit takes as an upload by default; a larger file is no sentence classification set
# that a laptop scores in reasonable time.
MAX_FILE_BYTES = 200 * 1024 * 1024

# What a table may hold once it is read: a few bytes of Parquet can stand for billions of cells, and
# JSONL whose every line has other keys for a column each.
MAX_CELLS = 10_000_000
# Bytes of a Parquet file that are unpacked at once, as far as its own figures can be believed.
_AT_ONCE = 32 * 1024 * 1024

# What a cell begins with that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a file under its column names.

    The index of ``frame`` is the number of the line (of a Parquet file: of the row) that a row
    starts on, counted from 1 and with the header. Cells of text files are strings; cells of JSONL
    and Parquet are what the file holds, with ``None`` or NaN for nothing.
    """

    name: str
    frame: pd.DataFrame
    unit: str = "line"

    def place(self, number: int) -> str:
        """A row's place as a message starts with it.

        >>> Table("reviews.csv", pd.DataFrame()).place(7)
        'Line 7 of reviews.csv'
        """
        return f"{self.unit.capitalize()} {number} of {self.name}"


def read_table(source: str | Path | BinaryIO, *, name: str | None = None) -> Table:
    """Read a file, or the bytes of one, as a table.

    ``source`` is a path or a binary stream such as an upload; ``name`` is what messages call it and
    its ending says the format: .tsv (or .txt, .tab), .csv, .jsonl (or .ndjson), .parquet. Left out,
    it is the path's or the stream's own name. Text is UTF-8, or UTF-16 with a byte order mark.

    TSV is read as GLUE writes it, with quotation marks as part of the text, unless every name in
    the header is quoted; a cell that a CSV writer has quoted is recognised by its doubled inner
    quotes. A CSV file may use commas, semicolons or tabs: whichever its header holds most of.

    Raises :class:`~bhpvas.errors.DataError` on a file that is missing, empty, binary, too large, in
    another encoding or format, or damaged; the message names the line.

    >>> table = read_table(io.BytesIO(b"text,label\\nNA,0\\n"), name="reviews.csv")
    >>> table.frame.to_dict("list")
    {'text': ['NA'], 'label': ['0']}
    >>> list(table.frame.index)
    [2]
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        name = name or path.name
        parse = _parser_of(name)
        data = _read_file(path)
    else:
        name = name or Path(str(getattr(source, "name", "the upload"))).name
        parse = _parser_of(name)
        if source.seekable():
            source.seek(0)
        data = source.read()
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(name, len(data))
    return parse(data, name)


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


def is_table_name(name: str) -> bool:
    """Whether a file name has an ending that :func:`read_table` knows."""
    return Path(name).suffix.lower() in _FORMATS


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names as a message lists them: on one line, and not more than a person reads.

    >>> listed(["text", "two\\nlines", "label"], most=2)
    'text, two lines, …'
    """
    short = [" ".join(name.split())[:50] for name in names]
    return ", ".join(short[:most] + ["…"] * (len(short) > most))


def _parser_of(name: str) -> Callable[[bytes, str], Table]:
    ending = Path(name).suffix.lower()
    if ending not in _FORMATS:
        raise DataError(
            f"{name} has {f'the ending {ending}' if ending else 'no ending'}, which bhpvas does "
            "not read: save it as .tsv, .csv, .jsonl or .parquet."
        )
    return _FORMATS[ending]


def _read_file(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise _too_large(path.name, size)
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no file {path}: check the path.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _too_large(name: str, size: int) -> DataError:
    return DataError(
        f"{name} has {size / 1024**2:,.0f} MB, and at most {MAX_FILE_BYTES // 1024**2} MB are "
        "read: take a part of it."
    )


def _decode(data: bytes, name: str) -> str:
    """The text of a file: UTF-8 with or without byte order mark, UTF-16 with one."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8-sig"
    binary = DataError(
        f"{name} is a binary file: give text as TSV, CSV or JSONL, or a Parquet file whose name "
        "ends in .parquet."
    )
    if b"\0" in data and not wide:
        raise binary
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, errors="ignore")
        raise DataError(
            f"Line {before.count(chr(10)) + 1} of {name} has a byte (0x{data[error.start]:02x}) "
            f"that is not {'UTF-16' if wide else 'UTF-8'}: save the file as UTF-8, or as UTF-16 "
            "with a byte order mark."
        ) from error
    if "\0" in text:
        raise binary
    if not text.strip():
        raise DataError(f"{name} is empty: it needs a header and a line for each sentence.")
    return text


def _lines(text: str) -> Iterator[str]:
    """The lines of a text without their ends: \\n, \\r\\n or \\r, and no other character."""
    return (line.rstrip("\n") for line in io.StringIO(text, newline=None))


def _parse_tsv(data: bytes, name: str) -> Table:
    text = _decode(data, name)
    header = next(line for line in _lines(text) if line.strip())
    if all(re.fullmatch('"[^"]*"', cell.strip()) for cell in header.split("\t")):
        return _from_rows(_csv_rows(text, "\t", name), name)
    rows = ([_unquoted(cell) for cell in line.split("\t")] for line in _lines(text))
    return _from_rows(enumerate(rows, start=1), name)


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


def _parse_csv(data: bytes, name: str) -> Table:
    text = _decode(data, name)
    header = next(line for line in _lines(text) if line.strip())
    return _from_rows(_csv_rows(text, max(",;\t", key=header.count), name), name)


def _csv_rows(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line that it starts on; a quoted cell may run over several lines."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"Line {line} of {name} cannot be read as CSV ({error}): check its quotation marks, "
            "and write one inside a quoted cell twice."
        ) from error


def _from_rows(rows: Iterable[tuple[int, list[str]]], name: str) -> Table:
    """The table of numbered rows of cells; the first that is not blank is the header."""
    filled = ((line, cells) for line, cells in rows if any(cell.strip() for cell in cells))
    _, first = next(filled, (0, []))
    header = [cell.strip() for cell in first]
    lines, records = [], []
    for line, cells in filled:
        if len(cells) != len(header):
            raise DataError(
                f"Line {line} of {name} has {_count(len(cells), 'cell')} where the header has "
                f"{len(header)}: one is missing, or a separator stands unquoted in the text."
            )
        lines.append(line)
        records.append(cells)
    return _table(pd.DataFrame(records, columns=header, index=lines, dtype=object), name)


def _parse_jsonl(data: bytes, name: str) -> Table:
    lines, records = [], []
    keys: set[str] = set()
    for line, text in enumerate(_lines(_decode(data, name)), start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"Line {line} of {name} is not JSON ({error}): JSONL has one object on each line."
            ) from error
        if not isinstance(record, dict):
            raise DataError(
                f"Line {line} of {name} holds no JSON object: JSONL has one object on each line, "
                'such as {"text": "Lovely.", "label": "positive"}.'
            )
        lines.append(line)
        records.append(record)
        keys.update(record)
        _check_cells(len(lines), len(keys), name)
    return _table(pd.DataFrame(records, index=lines, dtype=object), name)


def _parse_parquet(data: bytes, name: str) -> Table:
    try:
        columns = _unpacked(pyarrow.parquet.ParquetFile(io.BytesIO(data)), name).to_pydict()
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{name} is no readable Parquet file: save it again.") from error
    frame = pd.DataFrame(columns, dtype=object)
    frame.index += 1
    return _table(frame, name, unit="row")


def _unpacked(file: pyarrow.parquet.ParquetFile, name: str) -> pa.Table:
    """The content of a Parquet file, read in parts so small that no part fills the memory."""
    about, schema = file.metadata, file.schema_arrow
    _check_cells(about.num_rows, about.num_columns, name)
    # A cell is no longer than its column's dictionary, which each row may repeat.
    longest = max(
        (
            about.row_group(group).column(column).total_uncompressed_size
            for group in range(about.num_row_groups)
            for column in range(about.num_columns)
        ),
        default=0,
    )
    parts, size = [], 0
    for part in file.iter_batches(batch_size=min(max(_AT_ONCE // max(longest, 1), 1), 65_536)):
        size += part.nbytes
        if size > MAX_FILE_BYTES:
            raise DataError(
                f"{name} unpacks to more than {MAX_FILE_BYTES // 1024**2} MB, which is all that is "
                "read: take a part of it."
            )
        parts.append(part)
    return pa.Table.from_batches(parts, schema)


def _check_cells(rows: int, columns: int, name: str) -> None:
    if rows * columns > MAX_CELLS:
        raise DataError(
            f"{name} has {rows:,} or more rows in {columns:,} columns, and at most {MAX_CELLS:,} "
            "cells are read: take a part of it."
        )


def _table(frame: pd.DataFrame, name: str, unit: str = "line") -> Table:
    """The table, after the checks that hold for every format; columns without a name are left."""
    frame = frame.loc[:, [bool(column) for column in frame.columns]]
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{name} has two columns named {listed(twice[:1])}: rename one.")
    if frame.empty:
        raise DataError(f"{name} has no sentences: it needs a line for each under the header.")
    return Table(name, frame, unit)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


_FORMATS: dict[str, Callable[[bytes, str], Table]] = {
    ".tsv": _parse_tsv,
    ".tab": _parse_tsv,
    ".txt": _parse_tsv,
    ".csv": _parse_csv,
    ".jsonl": _parse_jsonl,
    ".ndjson": _parse_jsonl,
    ".parquet": _parse_parquet,
}
