"""JSON as tables: one object on each line, or an array of objects; keys are the columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn, TypeAlias

from bhpvas.data import tables
from bhpvas.data.files import file as files
from bhpvas.data.files.file import File
from bhpvas.data.tables import Row, Table
from bhpvas.errors import DataError
from bhpvas.text import listed

# Keys that the objects of a file may have together: each is a column.
MAX_KEYS = 10_000
_SPACE = re.compile(r"[ \t\n\r]*")


def parse(file: File, lines: bool) -> Table:
    """One object on each line (JSONL), one array of objects, or an object with one such array.

    ``lines``: its ending says that it is the first. The columns are known once every object was
    seen, so the file is gone through twice.
    """
    objects, form = _objects_of(file, lines)
    keys: dict[str, None] = {}
    for count, (_, record, _) in enumerate(objects(), start=1):
        if not record.keys() <= keys.keys():
            keys |= dict.fromkeys(record)
        if len(keys) > MAX_KEYS:
            raise DataError(
                f"The objects of {file.name} have more than {MAX_KEYS:,} different keys: take "
                "those of the text and the label."
            )
        file.check_cells(count, len(keys))

    def rows() -> Iterator[Row]:
        for line, record, size in objects():
            yield line, [record.get(key) for key in keys], size + len(keys)

    said = ", ".join(one for one in (file.form, form) if one)
    return tables.table_of(file.name, [*keys], rows, form=said)


#: The line on which an object starts, the object, and its length.
_Object: TypeAlias = tuple[int, dict[str, Any], int]


def _objects_of(file: File, usual: bool) -> tuple[Callable[[], Iterator[_Object]], str]:
    """What goes through the objects of a file, and where they stand, if not on a line each."""
    lines = partial(_of_lines, file)
    said = "" if usual else "one object on each line"
    text = _Text(file)
    if text.next() == "[":
        return partial(_of_array, file), "an array of objects"
    if text.next() != "{":
        return lines, said
    try:
        first = text.value()
    except DataError:
        if text.is_long and not usual:
            return partial(_of_object, file), "the array in one object"
        return lines, said
    if text.next():
        return lines, said
    if any(_are_objects(value) for value in first.values()):
        return partial(_of_object, file), "the array in one object"
    for kind in (list, dict):
        if len(first) > 1 and all(isinstance(value, kind) for value in first.values()):
            raise DataError(
                f"{file.name} is one object of {'lists' if kind is list else 'objects'} and not a "
                "list of rows: write an object for each row, as pandas does with "
                "to_json(orient='records')."
            )
    return lines, said


def _of_lines(file: File) -> Iterator[_Object]:
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
            raise _no_object(file.name, number)
        yield number, record, len(text)


def _no_object(name: str, line: int) -> DataError:
    return DataError(
        f"Line {line} of {name} holds no JSON object: write one for each row, such as "
        '{"text": "Lovely.", "label": "positive"}.'
    )


def _of_array(file: File) -> Iterator[_Object]:
    text = _Text(file)
    yield from text.array()
    text.expect("")


def _of_object(file: File) -> Iterator[_Object]:
    """The objects in the one array of objects that an object holds."""
    text, arrays = _Text(file), list[str]()
    text.expect("{")
    while True:
        key = text.value()
        text.expect(":")
        if text.begins_with_object():
            arrays.append(str(key))
            if len(arrays) > 1:
                raise DataError(
                    f"{file.name} has several arrays of objects ({listed(arrays)}): save the one "
                    "with the sentences by itself."
                )
            yield from text.array()
        else:
            text.value()
        if text.expect(",}") == "}":
            break
    text.expect("")
    if not arrays:
        raise DataError(
            f"{file.name} is one object and has no array of objects: write an object for each row."
        )


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


class _Text:
    """The values of JSON one after the other, of which no more than one is in memory."""

    def __init__(self, file: File) -> None:
        self._name, self._chunks = file.name, file.chunks()
        self._buffer, self._place, self._line = "", 0, 1
        #: Characters of the value that was taken last.
        self.size = 0
        self._decode = json.JSONDecoder().raw_decode
        if not self.next():
            raise files.empty(file.name)

    @property
    def is_long(self) -> bool:
        """Whether what is at hand is longer than a value may be."""
        return len(self._buffer) - self._place > files.MAX_LINE

    def _more(self) -> bool:
        more = next(self._chunks, "")
        self._buffer, self._place = self._buffer[self._place :] + more, 0
        return bool(more)

    def _move(self, place: int) -> None:
        self._line += self._buffer.count("\n", self._place, place)
        self._place = place

    def next(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._place)
            self._move(space.end() if space else self._place)
            if self._place < len(self._buffer):
                return self._buffer[self._place]
            if not self._more():
                return ""

    def begins_with_object(self) -> bool:
        """Whether an array comes next whose first value is an object."""
        if self.next() != "[":
            return False
        while not (rest := self._buffer[self._place + 1 :].lstrip()) and self._more():
            pass
        return rest.startswith("{")

    def expect(self, characters: str) -> str:
        """Take the next character, which is one of these, or with "" the end."""
        found = self.next()
        if not (found in characters if found and characters else found == characters):
            wanted = " or ".join(characters) or "the end"
            self._fail(f"{wanted} should stand where {found or 'the end'} is")
        self._move(self._place + len(found))
        return found

    def value(self) -> Any:
        """Take the next value."""
        self.next()
        while True:
            try:
                value, end = self._decode(self._buffer, self._place)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or self.is_long or not self._more():
                    reason = error.msg if isinstance(error, json.JSONDecodeError) else error
                    self._fail(f"{reason}")
                continue
            if end == len(self._buffer) and self._more():
                continue  # a number may go on
            self.size = end - self._place
            self._move(end)
            return value

    def array(self) -> Iterator[_Object]:
        """Take the objects of the array that comes next."""
        self.expect("[")
        if self.next() == "]":
            self.expect("]")
            return
        while True:
            is_object, line = self.next() == "{", self._line
            if self.next() == "]":
                self._fail("no object follows the last comma")
            if not is_object:
                raise _no_object(self._name, line)
            record = self.value()
            yield line, record, self.size
            if self.expect(",]") == "]":
                return

    def _fail(self, reason: str) -> NoReturn:
        raise DataError(
            f"Line {self._line} of {self._name} is not JSON ({reason}): write an array of objects, "
            "or one object on each line."
        )
