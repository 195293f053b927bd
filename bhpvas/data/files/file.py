"""File: what can be opened again and again, its lines and their encoding, and how much it may be.

A file is read piece by piece, so that it may be larger than the memory.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from bhpvas.data import tables
from bhpvas.errors import DataError

# Characters of a line: more hold no sentences, but have other line ends or none.
MAX_LINE = 2**20
#: Encodings that a person can name besides UTF-8 and UTF-16: common ones, of which none runs code
#: or needs more than one pass over the bytes.
ENCODINGS = (
    "latin-1 cp1252 cp1250 cp1251 iso8859-2 iso8859-15 koi8-r mac-roman shift-jis euc-jp euc-kr "
    "gb18030 big5 utf-8 utf-16-le utf-16-be"
).split()
_MARKS = (
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)


@dataclass(frozen=True)
class File:
    """What can be opened again and again, and what was said of it.

    ``bounded`` is what may not unpack to too much: it came as a stream, which may mean harm.
    ``path`` is where it lies on disk as it is. ``header`` says whether the first row names the
    columns (None: it shows), ``encoding`` is that of text without a byte order mark. ``form`` says
    what it was unpacked from.
    """

    name: str
    open: Callable[[], BinaryIO]
    bounded: bool
    path: Path | None = None
    header: bool | None = None
    encoding: str | None = None
    form: str = ""

    def lines(self, newline: str | None = None) -> Iterator[str]:
        """The lines of a text file: \\n, \\r\\n or \\r ends one, and no other character.

        They end with \\n, or with ``newline=""`` as in the file. Raises :class:`DataError` at what
        is no text.
        """
        lines = self._text(lambda text: text.readline(MAX_LINE), newline)
        for number, line in enumerate(lines, start=1):
            if len(line) == MAX_LINE:
                raise DataError(
                    f"Line {number} of {self.name} has {MAX_LINE:,} or more characters, which is "
                    "no line of sentences: check the line ends."
                )
            yield line

    def chunks(self) -> Iterator[str]:
        """The characters of a text file, many at a time; :class:`DataError` as :meth:`lines`."""
        return self._text(lambda text: text.read(tables.AT_ONCE), None)

    def _text(self, read: Callable[[io.TextIOWrapper], str], newline: str | None) -> Iterator[str]:
        encoding, mark = self.found_encoding()
        with self.open() as stream:
            stream.read(mark)
            text = io.TextIOWrapper(stream, encoding, newline=newline)
            try:
                while some := read(text):
                    if "\0" in some:
                        raise self._binary()
                    yield some
            except UnicodeDecodeError:
                raise self._undecodable(encoding, mark) from None
            except OSError as error:
                raise unreadable(self.name, error) from error

    def found_encoding(self) -> tuple[str, int]:
        """The encoding of a text file, and how many bytes its byte order mark has."""
        with self.open() as stream:
            start = stream.read(io.DEFAULT_BUFFER_SIZE)
        for mark, encoding in _MARKS:
            if start.startswith(mark):
                return encoding, len(mark)
        if b"\0" in start and self.encoding not in ("utf-16-le", "utf-16-be"):
            raise self._binary(start)
        return self.encoding or "utf-8", 0

    def _binary(self, start: bytes = b"") -> DataError:
        for first, encoding in enumerate(("utf-16-be", "utf-16-le")):
            high = start[first::2]  # nothing, of most letters
            if len(high) > 4 and high.count(0) > 0.9 * len(high):
                return DataError(
                    f"{self.name} looks like UTF-16 without a byte order mark: say --encoding "
                    f"{encoding} (in the app under Upload, Encoding), or save it as UTF-8."
                )
        return DataError(
            f"{self.name} is a binary file: give text as TSV, CSV, JSON or JSONL, or a Parquet or "
            "Arrow file whose name ends in .parquet or .arrow."
        )

    def _undecodable(self, encoding: str, mark: int) -> DataError:
        """Where the byte stands that is none of the encoding."""
        decoder, line = codecs.getincrementaldecoder(encoding)(), 1
        with self.open() as stream:
            stream.read(mark)
            try:
                while data := stream.read(tables.AT_ONCE):
                    line += decoder.decode(data).count("\n")
                decoder.decode(b"", final=True)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].decode(encoding, "ignore").count("\n")
                bad = error.object[error.start]
        where = f"Line {line} of {self.name} has a byte (0x{bad:02x}) that is not"
        if encoding == "utf-8":
            return DataError(
                f"{where} UTF-8: save the file as UTF-8, or say what it is, such as --encoding "
                "latin-1 of Western European text (in the app under Upload, Encoding)."
            )
        kind = "UTF-16" if encoding.startswith("utf-16") else encoding
        return DataError(f"{where} {kind}: save the file as UTF-8.")

    def check_cells(self, rows: int, columns: int) -> None:
        """Raise :class:`DataError` where what is bounded has too many cells."""
        if self.bounded and rows * columns > tables.MAX_CELLS:
            raise DataError(
                f"{self.name} has {rows:,} or more rows in {columns:,} columns, and at most "
                f"{tables.MAX_CELLS:,} cells are read: take a part of it."
            )

    def most(self, packed: int) -> int:
        """Bytes that so many packed ones may unpack to."""
        return max(tables.MAX_FILE_BYTES, 0 if self.bounded else tables.UNLIKELY * packed)

    def check_unpacked(self, size: int, most: int) -> None:
        """Raise :class:`DataError` where it unpacks to more than it may."""
        if size > most:
            raise DataError(
                f"{self.name} unpacks to more than {most // 1024**2:,} MB, which is all that is "
                "read: take a part of it."
            )


def on_disk(path: Path, name: str | None = None, **said: Any) -> File:
    """A file on disk; ``said`` as of a :class:`File`."""
    return File(name or path.name, partial(_opened, path), bounded=False, path=path, **said)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"There is no file {path}: check the path.") from None
    except OSError as error:
        raise unreadable(str(path), error) from error


def empty(name: str) -> DataError:
    """What is said of a file in which nothing is."""
    return DataError(f"{name} is empty: it needs a header and a line for each sentence.")


def unreadable(name: str, error: OSError) -> DataError:
    """What is said where the system cannot read a file."""
    return DataError(f"{name} cannot be read: {error.strerror or error}.")
