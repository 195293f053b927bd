"""Files as tables: TSV, CSV, JSONL and Parquet, every row with its place in the file.

A file is read piece by piece, so that it may be larger than the memory. Text files stay text: no
cell becomes a number or a missing value by its looks, so a sentence that reads "NA" is a sentence.
Nothing here unpickles anything.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from bhpvas.errors import DataError
from bhpvas.text import listed, plural

# What Streamlit takes as an upload by default. A stream is held in memory, and whoever sent it may
# mean harm: it, and what it unpacks to, may be as large; a file on disk may be of any size.
MAX_FILE_BYTES = 200 * 1024 * 1024
# What the table of a stream may hold: a few bytes of Parquet can stand for billions of cells, and
# JSONL whose every line has other keys for a column each.
MAX_CELLS = 10_000_000
# Keys that the objects of a JSONL file may have together: each is a column.
MAX_KEYS = 10_000
# Characters of a line: more hold no sentences, but have other line ends or none.
MAX_LINE = 2**20
# What is read at once: so many rows, and no more than so many characters, cells or bytes.
_ROWS, _AT_ONCE = 4_096, 2**22
# Bytes that the rows of a Parquet file which are unpacked at once take, if they are as long as its
# rows are on average. A file on disk that unpacks to more than so many times its size means harm.
_AT_MOST, _UNLIKELY = 2**25, 100

# What a cell begins with that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

#: A row's number, its cells, and their size together.
_Row: TypeAlias = tuple[int, Sequence[object], int]
_TextRow: TypeAlias = tuple[int, Sequence[str], int]


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
    metadata gives them, number 0 first; its cells are the numbers.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[], Iterator[Piece]]
    unit: str = "line"
    form: str = ""
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def place(self, number: int) -> str:
        """A row's place as a message starts with it.

        >>> Table("reviews.csv", (), lambda: iter(())).place(7)
        'Line 7 of reviews.csv'
        """
        return f"{self.unit.capitalize()} {number} of {self.name}"

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


@dataclass(frozen=True)
class _File:
    """What can be opened again and again; ``bounded`` is what may not unpack to too much."""

    name: str
    open: Callable[[], BinaryIO]
    bounded: bool

    def lines(self, newline: str | None = None) -> Iterator[str]:
        """The lines of a text file: \\n, \\r\\n or \\r ends one, and no other character.

        They end with \\n, or with ``newline=""`` as in the file.
        """
        binary = DataError(
            f"{self.name} is a binary file: give text as TSV, CSV or JSONL, or a Parquet file "
            "whose name ends in .parquet."
        )
        with self.open() as stream:
            start = stream.read(io.DEFAULT_BUFFER_SIZE)
            encoding, mark = _encoding(start)
            if b"\0" in start and encoding == "utf-8":
                raise binary
            stream.seek(mark)
            text = io.TextIOWrapper(stream, encoding, newline=newline)
            number = 1
            try:
                while line := text.readline(MAX_LINE):
                    if "\0" in line:
                        raise binary
                    if len(line) == MAX_LINE:
                        raise DataError(
                            f"Line {number} of {self.name} has {MAX_LINE:,} or more characters, "
                            "which is no line of sentences: check the line ends."
                        )
                    yield line
                    number += 1
            except UnicodeDecodeError:
                raise self._undecodable(encoding, mark) from None
            except OSError as error:
                raise _unreadable(self.name, error) from error

    def _undecodable(self, encoding: str, mark: int) -> DataError:
        """Where the byte stands that is none of the encoding."""
        decoder, line = codecs.getincrementaldecoder(encoding)(), 1
        with self.open() as stream:
            stream.seek(mark)
            try:
                while data := stream.read(_AT_ONCE):
                    line += decoder.decode(data).count("\n")
                decoder.decode(b"", final=True)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].decode(encoding, "ignore").count("\n")
                bad = error.object[error.start]
        kind = "UTF-8" if encoding == "utf-8" else "UTF-16"
        return DataError(
            f"Line {line} of {self.name} has a byte (0x{bad:02x}) that is not {kind}: save the "
            "file as UTF-8, or as UTF-16 with a byte order mark."
        )

    def header(self) -> str:
        """The first line that is not blank."""
        for line in self.lines():
            if line.strip():
                return line
        raise DataError(f"{self.name} is empty: it needs a header and a line for each sentence.")

    def check_cells(self, rows: int, columns: int) -> None:
        """Raise :class:`DataError` where what is bounded has too many cells."""
        if self.bounded and rows * columns > MAX_CELLS:
            raise DataError(
                f"{self.name} has {rows:,} or more rows in {columns:,} columns, and at most "
                f"{MAX_CELLS:,} cells are read: take a part of it."
            )


def read_table(source: str | Path | BinaryIO, *, name: str | None = None) -> Table:
    """Read a file, or the bytes of one, as a table; its rows are read as they are asked for.

    ``source`` is a path or a binary stream such as an upload; ``name`` is what messages call it and
    its ending says the format: .tsv (or .txt, .tab), .csv, .jsonl (or .ndjson), .parquet. Left out,
    it is the path's or the stream's own name. Text is UTF-8, or UTF-16 with a byte order mark.

    TSV is read as GLUE writes it, with quotation marks as part of the text, unless every name in
    the header is quoted; a cell that a CSV writer has quoted is recognised by its doubled inner
    quotes. A CSV file may use commas, semicolons or tabs: whichever its header holds most of.

    Raises :class:`~bhpvas.errors.DataError` on a file that is missing, empty, binary, in another
    encoding or format, or damaged, and on a stream that is too large; the message names the line.

    >>> table = read_table(io.BytesIO(b"text,label\\nNA,0\\n"), name="reviews.csv")
    >>> table.columns, next(table.pieces())
    (('text', 'label'), Piece(numbers=[2], cells={'text': ('NA',), 'label': ('0',)}))
    """
    if isinstance(source, str | Path):
        path = Path(os.path.expanduser(source))  # a user that is not there stays as it is written
        name = name or path.name
        parse = _parser_of(name)
        try:
            piped = path.is_fifo()
        except OSError as error:  # a name too long for any file
            raise _unreadable(name, error) from None
        if not piped:
            return parse(_File(name, partial(_opened, path), bounded=False))
        source = _opened(path)
    name = name or Path(str(getattr(source, "name", "the upload"))).name
    parse = _parser_of(name)
    if source.seekable():
        source.seek(0)
    data = source.read()
    if len(data) > MAX_FILE_BYTES:
        raise DataError(
            f"{name} has {len(data) / 1024**2:,.0f} MB, and at most {MAX_FILE_BYTES // 1024**2} MB "
            "are read: take a part of it."
        )
    return parse(_File(name, lambda: io.BytesIO(data), bounded=True))


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


def _parser_of(name: str) -> Callable[[_File], Table]:
    ending = Path(name).suffix.lower()
    if ending not in _FORMATS:
        raise DataError(
            f"{name} has {f'the ending {ending}' if ending else 'no ending'}, which bhpvas does "
            "not read: save it as .tsv, .csv, .jsonl or .parquet."
        )
    return _FORMATS[ending]


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"There is no file {path}: check the path.") from None
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _unreadable(name: str, error: OSError) -> DataError:
    return DataError(f"{name} cannot be read: {error.strerror or error}.")


def _encoding(start: bytes) -> tuple[str, int]:
    """The encoding of a file that starts so, and how many bytes its byte order mark has."""
    for mark, encoding in (
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF8, "utf-8"),
    ):
        if start.startswith(mark):
            return encoding, len(mark)
    return "utf-8", 0


def _in_pieces(header: Sequence[str], rows: Iterable[_Row]) -> Iterator[Piece]:
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
        if len(some) == _ROWS or size > _AT_ONCE:
            yield piece()
            numbers, some, size = [], [], 0
    if some:
        yield piece()


def _parse_tsv(file: _File) -> Table:
    if all(re.fullmatch('"[^"]*"', cell.strip()) for cell in file.header().split("\t")):
        return _from_rows(file, partial(_csv_rows, file, "\t"))
    return _from_rows(file, partial(_plain_rows, file))


def _plain_rows(file: _File) -> Iterator[_TextRow]:
    for number, line in enumerate(file.lines(), start=1):
        cells = line.removesuffix("\n").split("\t")
        yield number, [_unquoted(cell) for cell in cells] if '""' in line else cells, len(line)


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


def _parse_csv(file: _File) -> Table:
    return _from_rows(file, partial(_csv_rows, file, max(",;\t", key=file.header().count)))


def _csv_rows(file: _File, delimiter: str) -> Iterator[_TextRow]:
    """Each record with the line that it starts on; a quoted cell may run over several lines."""
    reader = csv.reader(file.lines(""), delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells, sum(map(len, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"Line {line} of {file.name} cannot be read as CSV ({error}): check its quotation "
            "marks, and write one inside a quoted cell twice."
        ) from error


def _from_rows(file: _File, rows: Callable[[], Iterator[_TextRow]]) -> Table:
    """The table of numbered rows of cells; the first that is not blank is the header."""

    def filled() -> Iterator[_TextRow]:
        return (row for row in rows() if any(map(str.strip, row[1])))

    header = [cell.strip() for cell in next(filled(), (1, (), 0))[1]]

    def counted() -> Iterator[_TextRow]:
        lines = filled()
        next(lines, None)
        for line, cells, size in lines:
            if len(cells) != len(header):
                raise DataError(
                    f"Line {line} of {file.name} has {plural(len(cells), 'cell')} where the header "
                    f"has {len(header)}: one is missing, or a separator stands unquoted in the "
                    "text."
                )
            yield line, cells, size

    return _table(file, header, counted)


def _parse_jsonl(file: _File) -> Table:
    """The columns are known once every object was seen, so the file is gone through twice."""
    file.header()
    keys: dict[str, None] = {}
    for count, (_, record, _) in enumerate(_objects(file), start=1):
        if not record.keys() <= keys.keys():
            keys |= dict.fromkeys(record)
        if len(keys) > MAX_KEYS:
            raise DataError(
                f"The objects of {file.name} have more than {MAX_KEYS:,} different keys: take "
                "those of the text and the label."
            )
        file.check_cells(count, len(keys))

    def rows() -> Iterator[_Row]:
        for line, record, size in _objects(file):
            yield line, [record.get(key) for key in keys], size + len(keys)

    return _table(file, [*keys], rows)


def _objects(file: _File) -> Iterator[tuple[int, dict[str, Any], int]]:
    """The object on each line that is not blank, with the line's number and length."""
    for number, line in enumerate(file.lines(), start=1):
        text = line.removesuffix("\n")
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"Line {number} of {file.name} is not JSON ({error}): JSONL has one object on each "
                "line."
            ) from error
        if not isinstance(record, dict):
            raise DataError(
                f"Line {number} of {file.name} holds no JSON object: JSONL has one object on each "
                'line, such as {"text": "Lovely.", "label": "positive"}.'
            )
        yield number, record, len(text)


def _parse_parquet(file: _File) -> Table:
    with _parquet(file) as stream:
        about = pyarrow.parquet.ParquetFile(stream)
        count = about.metadata.num_rows
        file.check_cells(count, about.metadata.num_columns)
        fields = [field for field in about.schema_arrow if not pa.types.is_nested(field.type)]
        columns = [field.name for field in fields if field.name]
        groups = map(about.metadata.row_group, range(about.metadata.num_row_groups))
        chunks = (group.column(place) for group in groups for place in range(group.num_columns))
        size = sum(one.total_uncompressed_size for one in chunks if one.path_in_schema in columns)
        packed = stream.seek(0, io.SEEK_END)
    most = max(MAX_FILE_BYTES, 0 if file.bounded else _UNLIKELY * packed)
    width = size // max(count, 1) + 1
    at_once = max(min(_AT_MOST // width, _AT_ONCE // max(len(columns), 1), _ROWS), 1)

    def check(unpacked: int) -> None:
        if unpacked > most:
            raise DataError(
                f"{file.name} unpacks to more than {most // 1024**2:,} MB, which is all that is "
                "read: take a part of it."
            )

    def rows() -> Iterator[_Row]:
        unpacked = 0
        with _parquet(file) as stream:
            for number, cells in enumerate(_parquet_rows(stream, columns, at_once), start=1):
                size = len(cells) + sum(len(one) for one in cells if isinstance(one, str | bytes))
                unpacked += size
                check(unpacked)
                yield number, cells, size

    check(size)
    table = _table(file, columns, rows, unit="row")
    return replace(table, class_names=_class_names(about.schema_arrow))


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """The names of classes by column, which the package ``datasets`` writes beside an Arrow schema.

    It is JSON under the key ``huggingface``, with ``{"_type": "ClassLabel", "names": [...]}`` for
    each such column (``datasets.features.Features.arrow_schema``); other JSON there names none.
    """
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"][
            "features"
        ]
        given = {name: feature["names"] for name, feature in features.items() if "names" in feature}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {
        name: tuple(names)
        for name, names in given.items()
        if isinstance(names, list) and all(isinstance(one, str) for one in names)
    }


@contextmanager
def _parquet(file: _File) -> Iterator[BinaryIO]:
    """The bytes of a Parquet file; what its reader says of them becomes one sentence."""
    with file.open() as stream:
        try:
            yield stream
        except DataError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{file.name} is no readable Parquet file: save it again.") from error


def _parquet_rows(
    stream: BinaryIO, columns: list[str], at_once: int
) -> Iterator[tuple[object, ...]]:
    """The cells of some columns, row by row; a text that many rows repeat is in memory once."""
    file = pyarrow.parquet.ParquetFile(stream, buffer_size=_AT_ONCE, read_dictionary=columns)
    for batch in file.iter_batches(at_once, columns=columns):
        yield from zip(*map(_cells, batch.columns), strict=True)


def _cells(column: pa.Array) -> list[object]:
    """The cells of a column as Python objects."""
    if not isinstance(column, pa.DictionaryArray):
        return list(column.to_pylist())
    used = column.indices.unique().drop_null()
    texts = dict(zip(used.to_pylist(), column.dictionary.take(used).to_pylist(), strict=True))
    return [texts.get(place) for place in column.indices.to_pylist()]


def _table(
    file: _File, header: Sequence[str], rows: Callable[[], Iterator[_Row]], unit: str = "line"
) -> Table:
    """The table, after the checks that hold for every format; columns without a name are left."""
    columns = [name for name in header if name]
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise DataError(f"{file.name} has two columns named {listed(twice[:1])}: rename one.")
    if not columns:
        raise _without_rows(file.name)
    return Table(file.name, tuple(columns), lambda: _in_pieces(header, rows()), unit)


def _without_rows(name: str) -> DataError:
    return DataError(f"{name} has no sentences: it needs a line for each under the header.")


_FORMATS: dict[str, Callable[[_File], Table]] = {
    **dict.fromkeys((".tsv", ".tab", ".txt"), _parse_tsv),
    ".csv": _parse_csv,
    **dict.fromkeys((".jsonl", ".ndjson"), _parse_jsonl),
    ".parquet": _parse_parquet,
}
