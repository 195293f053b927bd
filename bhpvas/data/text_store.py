"""What may be too much for the memory: numbers and texts that wait in a temporary file.

Such a file has no name (on Windows: none once it is closed), so it goes with the process, however
that ends. It lies where ``TMPDIR`` says.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, overload

import numpy as np
from numpy.typing import DTypeLike

from bhpvas.errors import LimitError

#: Bytes that stay in memory.
IN_MEMORY = 2**20
# Texts that are read at once where one follows the other.
_AT_ONCE = 256


class Numbers:
    """Numbers of one type, one after the other, appended and read in pieces by any thread.

    >>> numbers = Numbers(np.int32)
    >>> numbers.append([3, 1, 4])
    >>> numbers.append([1, 5])
    >>> len(numbers), numbers[1:4]
    (5, array([1, 4, 1], dtype=int32))
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        self._length = 0
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._file)

    def __len__(self) -> int:
        return self._length

    def append(self, numbers: Sequence[int] | np.ndarray) -> None:
        """Write numbers after those that are there.

        Raises :class:`LimitError` where the disk has no room for them.
        """
        content = np.asarray(numbers, self.dtype)
        try:
            with self._lock:
                self._file.seek(self._length * self.dtype.itemsize)
                self._file.write(content.tobytes())
                self._file.flush()
                self._length += len(content)
        except OSError as error:
            raise LimitError(
                "What is too much for the memory finds no room in the temporary folder "
                f"({error.strerror or error}): make room there, or name another one in TMPDIR."
            ) from error

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(self._length)
        with self._lock:
            self._file.seek(start * self.dtype.itemsize)
            content = self._file.read((stop - start) * self.dtype.itemsize)
        return np.frombuffer(content, self.dtype)


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # what found no room is not missed
        file.close()


class Texts(Sequence[str]):
    """Texts of which only the places are in memory: 12 bytes each.

    A slice, and what :meth:`take` gives, are texts of the same file.
    """

    def __init__(self, content: Numbers, starts: np.ndarray, lengths: np.ndarray) -> None:
        self._content, self._starts, self._lengths = content, starts, lengths

    def __len__(self) -> int:
        return len(self._lengths)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Texts: ...
    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return self.take(index)
        start = self._starts[index]
        return self._content[start : start + self._lengths[index]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        for begun in range(0, len(self), _AT_ONCE):
            starts = self._starts[begun : begun + _AT_ONCE]
            ends = starts + self._lengths[begun : begun + _AT_ONCE]
            first, last = starts.min(), ends.max()
            if last - first > IN_MEMORY:  # they stand far from each other
                yield from (self[row] for row in range(begun, begun + len(starts)))
                continue
            block = self._content[first:last].tobytes()
            places = zip((starts - first).tolist(), (ends - first).tolist(), strict=True)
            yield from (block[start:end].decode() for start, end in places)

    def take(self, rows: np.ndarray | slice) -> Texts:
        """The texts at ``rows``, in that order."""
        return Texts(self._content, self._starts[rows], self._lengths[rows])


class Gathering:
    """Texts as they are read, piece by piece: in memory as long as they are few.

    >>> gathering = Gathering()
    >>> gathering.extend(["Good.", "Bad."])
    >>> gathering.texts()
    ('Good.', 'Bad.')
    """

    def __init__(self) -> None:
        self._few: list[str] = []
        self._size = 0
        self._content: Numbers | None = None
        self._lengths: list[np.ndarray] = []

    def extend(self, texts: Sequence[str]) -> None:
        """Add texts; raises as :meth:`Numbers.append` does."""
        self._few += texts
        self._size += sum(map(len, texts))
        if self._size <= IN_MEMORY:
            return
        if self._content is None:
            self._content = Numbers(np.uint8)
        encoded = [text.encode() for text in self._few]
        self._content.append(np.frombuffer(b"".join(encoded), np.uint8))
        self._lengths.append(np.fromiter(map(len, encoded), np.int32, len(encoded)))
        self._few.clear()

    def texts(self) -> Sequence[str]:
        """All of them: a tuple of few, else :class:`Texts`."""
        if self._content is None:
            return tuple(self._few)
        lengths = np.concatenate(self._lengths)
        return Texts(self._content, np.cumsum(lengths, dtype=np.int64) - lengths, lengths)
