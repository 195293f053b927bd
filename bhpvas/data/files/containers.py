"""Containers of one file: gzip and zip, unpacked as they are read and never onto the disk."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from bhpvas.data import tables
from bhpvas.data.files.file import File, unreadable
from bhpvas.errors import DataError
from bhpvas.text import listed

# Files beside the data that are no data, by their names without ending.
_ABOUT = {"readme", "license", "licence", "copying", "changelog", "citation"}
# What gzip, zipfile and what they unpack with raise over bytes of another or a broken kind.
_DAMAGED = (
    OSError,  # of gzip and bz2, without a number; with one it is the system's
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,  # a way of packing that zipfile does not know
    struct.error,
    ValueError,  # places before the file's beginning, names that are no text
)


class _Unpacked(io.RawIOBase):
    """What is read from a container, up to what it may unpack to."""

    def __init__(self, file: File, opened: Callable[[BinaryIO], Any]) -> None:
        self._file, self._size, self._packed = file, 0, file.open()
        self._most = file.most(self._packed.seek(0, io.SEEK_END))
        self._packed.seek(0)
        try:
            self._stream = opened(self._packed)
        except _DAMAGED as error:
            raise _refusal(file.name, error) from error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except _DAMAGED as error:
            raise _refusal(self._file.name, error) from error
        self._size += len(data)
        self._file.check_unpacked(self._size, self._most)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        self._packed.close()
        super().close()


def _refusal(name: str, error: Exception) -> DataError:
    if isinstance(error, OSError) and error.errno is not None:
        return unreadable(name, error)
    return DataError(f"{name} cannot be unpacked: download or pack it again.")


def from_gzip(file: File) -> File:
    """The file that is packed in one."""

    def unpacked() -> BinaryIO:
        return io.BufferedReader(_Unpacked(file, lambda packed: gzip.GzipFile(fileobj=packed)))

    return replace(file, open=unpacked, path=None)


def from_zip(file: File, endings: Collection[str]) -> tuple[File, str]:
    """The one file with such an ending in a zip, or with none, and its name there.

    Raises :class:`DataError` where it has none or several, or needs a password.
    """
    with file.open() as stream:
        try:
            members = zipfile.ZipFile(stream).infolist()
        except _DAMAGED as error:
            raise _refusal(file.name, error) from error
    paths = {one: PurePosixPath(one.filename) for one in members if not one.is_dir()}
    seen = {
        one: path
        for one, path in paths.items()
        if not path.name.startswith(".") and "__MACOSX" not in path.parts
    }
    seen = {one: path for one, path in seen.items() if path.stem.casefold() not in _ABOUT}
    data = [one for one, path in seen.items() if path.suffix.lower() in endings]
    data = data or [one for one, path in seen.items() if not path.suffix]
    if len(data) != 1:
        names = listed([one.filename for one in data] or [one.filename for one in seen])
        count = "several files" if data else "no file"
        texts = {seen[one].parent for one in data if seen[one].suffix.lower() == ".txt"}
        what = "the folder with one for each class" if len(texts) > 1 else "one file"
        raise DataError(
            f"{file.name} holds {count} that could be the data ({names or 'it is empty'}): unpack "
            f"it and give {what}."
        )
    member = data[0]
    if member.flag_bits & 1:
        raise DataError(f"{file.name} is locked by a password: unpack it and give the file.")

    def unpacked() -> BinaryIO:
        return io.BufferedReader(
            _Unpacked(file, lambda packed: zipfile.ZipFile(packed).open(member))
        )

    found = replace(file, open=unpacked, path=None, form=f"its file {listed([member.filename])}")
    return found, member.filename


def whole(file: File) -> File:
    """The same unpacked in memory, for formats that are not read from front to back."""
    with file.open() as stream:
        data = stream.read(tables.MAX_FILE_BYTES + 1)
    file.check_unpacked(len(data), tables.MAX_FILE_BYTES)
    return replace(file, open=lambda: io.BytesIO(data))
