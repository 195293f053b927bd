"""Formats of files by their endings, and the way in: a file, or the bytes of one, as a table."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bhpvas.data import tables
from bhpvas.data.files import columnar, containers, delimited, folders, json_rows
from bhpvas.data.files.file import ENCODINGS, File, on_disk, unreadable
from bhpvas.data.tables import Table
from bhpvas.errors import DataError
from bhpvas.text import listed

#: How delimited text becomes a table, by the ending of its file.
DELIMITED: dict[str, Callable[[File], Table]] = {
    **dict.fromkeys((".tsv", ".tab", ".txt"), partial(delimited.parse, usual="\t")),
    ".csv": partial(delimited.parse, usual=","),
}
#: The same of files that name their columns: of text,
JSON: dict[str, Callable[[File], Table]] = {
    **dict.fromkeys((".jsonl", ".ndjson"), partial(json_rows.parse, lines=True)),
    ".json": partial(json_rows.parse, lines=False),
}
#: and with a type for each column.
COLUMNAR: dict[str, Callable[[File], Table]] = {
    ".parquet": columnar.parse_parquet,
    **dict.fromkeys((".arrow", ".feather"), columnar.parse_arrow),
}
FORMATS = DELIMITED | JSON | COLUMNAR
#: Endings of what is unpacked as it is read.
PACKED = (".gz", ".zip")
_SHEET = "holds sheets: save the one with the sentences as CSV UTF-8"
_ARCHIVE = "is packed in a way that is not read: unpack it, or pack the one file as .gz or .zip"
_PICKLE = "is pickled, and reading it would run what is in it: save the data as Parquet or JSONL"
#: What is said of files with endings that people have and bhpvas does not read.
REFUSED = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"), _ARCHIVE),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".joblib"), _PICKLE),
}

#: Encodings that are read as another one, which has their letters and quotation marks besides, and
#: in which most of what is called by them is (WHATWG, "Encoding", on labels).
_LARGER = {"iso8859-1": "cp1252"}
_SAVE = "which is not read: save the table as CSV UTF-8 or JSONL"
#: What is said of a file that holds something else, by what it starts with.
_STARTS = {
    b"version https://git-lfs": "is no data but the pointer of Git LFS to it: run git lfs pull",
    b"<!doctype html": "is a web page and no data: download the file itself",
    b"<html": "is a web page and no data: download the file itself",
    b"<table": f"holds HTML, {_SAVE}",
    b"<?xml": f"holds XML, {_SAVE}",
    b"@relation": f"is a file of Weka, {_SAVE}",
}
#: The same of files whose ending says text.
_BINARY_STARTS = {
    b"\x1f\x8b": "is packed by gzip: call it so, such as reviews.csv.gz",
    b"PK\x03\x04": "is a zip, as sheets of Excel are, too: call it .zip, or save the sheet as CSV "
    "UTF-8",
    b"PAR1": "is a Parquet file: call it .parquet",
    b"ARROW1": "is an Arrow file: call it .arrow",
}


def read_table(
    source: str | Path | BinaryIO,
    *,
    name: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
) -> Table:
    """Read a file, or the bytes of one, as a table; its rows are read as they are asked for.

    ``source`` is a path or a binary stream such as an upload; ``name`` is what messages call it and
    its ending says the format: .tsv (or .txt, .tab), .csv, .jsonl (or .ndjson), .json, .parquet,
    .arrow (or .feather), and packed as .gz, or alone in a .zip. Left out, it is the path's or the
    stream's own name. A path may be a folder, as :mod:`bhpvas.data.files.folders` says. Text is
    UTF-8, or UTF-16 with a byte order mark, unless ``encoding`` names another.

    ``header`` says whether the first row of delimited text names the columns; None = it is found
    out by :mod:`bhpvas.data.files.headers`. Columns without names are ``column 1``, ``column 2``, …
    Separators and quotation marks: :mod:`bhpvas.data.files.delimited`.

    Raises :class:`~bhpvas.errors.DataError` on a file that is missing, empty, binary, in another
    encoding or format, or damaged, whose first row may be no header, and on a stream that is too
    large; the message names the line.

    >>> table = read_table(io.BytesIO(b"text,label\\nNA,0\\n"), name="reviews.csv")
    >>> table.columns, next(table.pieces())
    (('text', 'label'), Piece(numbers=[2], cells={'text': ('NA',), 'label': ('0',)}))
    """
    encoding = _known(encoding)
    if isinstance(source, str | Path):
        path = Path(os.path.expanduser(source))  # a user that is not there stays as it is written
        try:
            if path.is_dir():
                return folders.parse(path, [*FORMATS, *PACKED], encoding)
            piped = path.is_fifo()
        except OSError as error:  # a name too long for any file
            raise unreadable(name or path.name, error) from None
        file = on_disk(path, name, header=header, encoding=encoding)
        if not piped:
            return _parsed(file)
        source, name = file.open(), file.name
    name = name or Path(str(getattr(source, "name", "the upload"))).name
    _check_ending(name)
    if source.seekable():
        source.seek(0)
    data = source.read()
    if len(data) > tables.MAX_FILE_BYTES:
        raise DataError(
            f"{name} has {len(data) / 1024**2:,.0f} MB, and at most "
            f"{tables.MAX_FILE_BYTES // 1024**2} MB are read: take a part of it."
        )
    file = File(name, lambda: io.BytesIO(data), bounded=True, header=header, encoding=encoding)
    return _parsed(file)


def is_table_name(name: str) -> bool:
    """Whether a file name has an ending that :func:`read_table` knows."""
    return _ending(name) in {*FORMATS, *PACKED, *REFUSED}


def _known(encoding: str | None) -> str | None:
    """The name of an encoding by which all know it."""
    if encoding is None:
        return None
    try:
        found = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        found = ""
    if found not in {codecs.lookup(one).name for one in ENCODINGS}:
        raise DataError(f"{encoding!r} is no encoding that is read: {listed(ENCODINGS, 99)} are.")
    return _LARGER.get(found, found)


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def _check_ending(name: str) -> None:
    """Raise :class:`DataError` for a file with an ending that is not read."""
    ending = _ending(name)
    if ending in REFUSED:
        raise DataError(f"{name} {REFUSED[ending]}.")
    if ending not in {*FORMATS, *PACKED}:
        raise DataError(
            f"{name} has {f'the ending {ending}' if ending else 'no ending'}, which bhpvas does "
            "not read: save it as .tsv, .csv, .jsonl or .parquet, or call it .txt if it holds "
            "lines of text."
        )


def _check_start(file: File, is_text: bool) -> None:
    """Raise :class:`DataError` for what stands in the place of a file."""
    with file.open() as stream:
        start = stream.read(64)
    text = start.lstrip(codecs.BOM_UTF8).lstrip().lower()
    found = [said for mark, said in _STARTS.items() if text.startswith(mark)]
    if is_text:
        found += [said for mark, said in _BINARY_STARTS.items() if start.startswith(mark)]
    if found:
        raise DataError(f"{file.name} {found[0]}.")


def _parsed(file: File) -> Table:
    _check_ending(file.name)
    ending, inner = _ending(file.name), file.name
    if ending == ".gz":
        inner = Path(file.name).stem
        if _ending(inner) in REFUSED:
            raise DataError(f"{file.name} {REFUSED[_ending(inner)]}.")
        if _ending(inner) not in FORMATS:
            raise DataError(
                f"{file.name} does not say what it holds: call it by the ending of the file in it, "
                "such as reviews.csv.gz."
            )
        file = containers.from_gzip(file)
    elif ending == ".zip":
        file, inner = containers.from_zip(file, FORMATS)
        inner = inner if _ending(inner) else f"{inner}.txt"
    _check_start(file, is_text=_ending(inner) not in COLUMNAR)
    if file.header is False and _ending(inner) not in DELIMITED:
        raise DataError(f"{file.name} names its columns itself: leave out --no-header.")
    if inner != file.name and _ending(inner) in COLUMNAR:
        file = containers.whole(file)
    elif _ending(inner) not in COLUMNAR and file.encoding == file.found_encoding()[0]:
        file = replace(file, form=", ".join(filter(None, (file.form, f"text in {file.encoding}"))))
    return FORMATS[_ending(inner)](file)
