"""Parquet and Arrow files as tables: cells with their types, a few rows unpacked at a time."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from bhpvas.data import tables
from bhpvas.data.files.file import File
from bhpvas.data.tables import Row, Table
from bhpvas.errors import DataError

# Bytes that the rows of a Parquet file which are unpacked at once take, if they are as long as its
# rows are on average.
AT_MOST = 2**25
# What an Arrow file starts with, after which it is as a stream of Arrow, and what it ends with.
_FILE_START, _FILE_END = b"ARROW1\0\0", b"ARROW1"
# What Feather started with before it became Arrow's file format.
_OLD_START = b"FEA1"
# What a stream of Arrow ends with, by which one that is cut is known.
_STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"


def parse_parquet(file: File) -> Table:
    """A Parquet file; rows are counted from 1."""
    with _opened(file, "Parquet") as stream:
        about = pyarrow.parquet.ParquetFile(stream)
        count = about.metadata.num_rows
        file.check_cells(count, about.metadata.num_columns)
        schema = about.schema_arrow
        columns = _columns(schema)
        groups = map(about.metadata.row_group, range(about.metadata.num_row_groups))
        chunks = (group.column(place) for group in groups for place in range(group.num_columns))
        size = sum(one.total_uncompressed_size for one in chunks if one.path_in_schema in columns)
        most = file.most(stream.seek(0, io.SEEK_END))
    at_once = _rows_at_once(size // max(count, 1) + 1, len(columns))

    def batches() -> Iterator[pa.RecordBatch]:
        with _opened(file, "Parquet") as stream:
            found = pyarrow.parquet.ParquetFile(
                stream, buffer_size=tables.AT_ONCE, read_dictionary=columns
            )
            yield from found.iter_batches(at_once, columns=columns)

    file.check_unpacked(size, most)
    return _table(file, columns, schema, batches, most)


def parse_arrow(file: File) -> Table:
    """An Arrow file or stream; rows are counted from 1.

    Before any batch is unpacked, what all would unpack to is read from their heads
    (Apache Arrow, "Columnar Format", IPC: compressed buffers start with their length).
    """
    with _opened(file, "Arrow") as stream:
        most = file.most(stream.seek(0, io.SEEK_END))
    with _arrow(file) as source:
        rows = size = 0
        for message in pyarrow.ipc.MessageReader.open_stream(source):
            more, unpacked = _rows_and_bytes(message)
            rows, size = rows + more, size + unpacked
    file.check_unpacked(size, most)
    with _arrow(file) as source:
        schema = pyarrow.ipc.open_stream(source).schema
        columns = _columns(schema)
    file.check_cells(rows, len(schema))
    at_once = _rows_at_once(size // max(rows, 1) + 1, len(columns))

    def batches() -> Iterator[pa.RecordBatch]:
        with _arrow(file) as source:
            for batch in pyarrow.ipc.open_stream(source):
                batch.validate(full=True)
                chosen = batch.select(columns)
                for start in range(0, batch.num_rows, at_once):
                    yield chosen.slice(start, at_once)

    return _table(file, columns, schema, batches, most)


def _rows_at_once(width: int, columns: int) -> int:
    """Rows of so many bytes and columns that are Python objects at the same time."""
    return max(min(AT_MOST // width, tables.AT_ONCE // max(columns, 1), tables.ROWS), 1)


def _columns(schema: pa.Schema) -> list[str]:
    """The columns that hold no lists."""
    return [one.name for one in schema if one.name and not pa.types.is_nested(one.type)]


def _table(
    file: File,
    columns: list[str],
    schema: pa.Schema,
    batches: Callable[[], Iterable[pa.RecordBatch]],
    most: int,
) -> Table:
    def rows() -> Iterator[Row]:
        unpacked = 0
        for number, cells in enumerate(_rows(batches()), start=1):
            size = len(cells) + sum(len(one) for one in cells if isinstance(one, str | bytes))
            unpacked += size
            file.check_unpacked(unpacked, most)
            yield number, cells, size

    return tables.table_of(
        file.name,
        columns,
        rows,
        unit="row",
        form=file.form,
        class_names=class_names(schema),
        nested=tuple(name for name in schema.names if name and name not in columns),
    )


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[object, ...]]:
    """The cells row by row; a text that many rows repeat is in memory once."""
    for batch in batches:
        yield from zip(*map(_cells, batch.columns), strict=True)


def _cells(column: pa.Array) -> list[object]:
    """The cells of a column as Python objects."""
    if not isinstance(column, pa.DictionaryArray):
        return list(column.to_pylist())
    used = column.indices.unique().drop_null()
    texts = dict(zip(used.to_pylist(), column.dictionary.take(used).to_pylist(), strict=True))
    return [texts.get(place) for place in column.indices.to_pylist()]


@contextmanager
def _opened(file: File, kind: str) -> Iterator[BinaryIO]:
    """The bytes of a file; what its reader says of them becomes one sentence."""
    with file.open() as stream:
        try:
            yield stream
        except DataError:
            raise
        except (pa.ArrowException, OSError, ValueError, struct.error, IndexError) as error:
            raise DataError(f"{file.name} is no readable {kind} file: save it again.") from error


@contextmanager
def _arrow(file: File) -> Iterator[Any]:
    """A whole stream of Arrow, which lies on disk and not in memory where the file does."""
    with _opened(file, "Arrow") as stream:
        start = stream.read(len(_FILE_START))
        if start.startswith(_OLD_START):
            raise DataError(
                f"{file.name} is Feather of version 1, which is not read: save it as version 2."
            )
        is_file = start == _FILE_START
        end = _FILE_END if is_file else _STREAM_END
        stream.seek(-len(end), io.SEEK_END)
        if stream.read() != end:
            raise ValueError("it is cut")
        source = stream if file.path is None else pa.memory_map(str(file.path))
        source.seek(len(_FILE_START) if is_file else 0)
        yield source


def _rows_and_bytes(message: pyarrow.ipc.Message) -> tuple[int, int]:
    """The rows of a message of Arrow, and the bytes that it unpacks to.

    Its head is a flat buffer: ``Message.fbs`` says which field of which table is what.
    """
    head, body = memoryview(message.metadata), memoryview(message.body or b"")

    def read(form: str, place: int, data: memoryview = head) -> int:
        return int(struct.unpack_from(form, data, place)[0])

    def field(table: int, number: int) -> int:
        """The place of a field of a table, 0 where it is left out."""
        fields = table - read("<i", table)
        there = 4 + 2 * number < read("<H", fields)
        offset = read("<H", fields + 4 + 2 * number) if there else 0
        return table + offset if offset else 0

    def behind(place: int) -> int:
        """Where the offset at a place leads to."""
        return place + read("<I", place)

    if message.type not in ("record batch", "dictionary"):
        return 0, 0
    batch = behind(field(behind(0), 2))
    if message.type == "dictionary":
        batch = behind(field(batch, 1))
    rows = read("<q", place) if (place := field(batch, 0)) else 0
    if not field(batch, 3):
        return rows, len(body)
    buffers, size = behind(field(batch, 2)), 0
    for number in range(read("<I", buffers)):
        place, packed = (read("<q", buffers + 4 + 16 * number + part) for part in (0, 8))
        length = read("<q", place, body) if packed else 0
        size += packed if length < 0 else length
    return rows, size


def class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """The names of classes by column, which the package ``datasets`` writes beside an Arrow schema.

    It is JSON under the key ``huggingface``, with ``{"_type": "ClassLabel", "names": [...]}`` for
    each such column (``datasets.features.Features.arrow_schema``); other JSON there names none.
    """
    try:
        written = json.loads((schema.metadata or {})[b"huggingface"])
        features = written["info"]["features"]
        given = {name: feature["names"] for name, feature in features.items() if "names" in feature}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {
        name: tuple(names)
        for name, names in given.items()
        if isinstance(names, list) and all(isinstance(one, str) for one in names)
    }
