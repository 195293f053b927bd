"""Eviction: what was used longest ago leaves a folder, or the memory, where it is full."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from bhpvas.storage.files import files_of

Key = TypeVar("Key")
Value = TypeVar("Value")


def evict_files(
    folder: Path,
    pattern: str,
    *,
    most_files: float = math.inf,
    most_bytes: float = math.inf,
    spare: Path | None = None,
) -> None:
    """Remove the files of a pattern that were used longest ago until the others fit; never one."""
    files = files_of(folder, pattern)
    count, taken = len(files), sum(about.st_size for about in files.values())
    for path in sorted(files, key=lambda path: files[path].st_mtime):
        if count <= most_files and taken <= most_bytes:
            return
        if path != spare:
            path.unlink(missing_ok=True)
            count, taken = count - 1, taken - files[path].st_size


def remove_older(folder: Path, pattern: str, seconds: float) -> None:
    """Remove the files of a pattern that were written longer ago: a killed process left them."""
    for path, about in files_of(folder, pattern).items():
        if about.st_mtime < time.time() - seconds:
            path.unlink(missing_ok=True)


class Recent(Generic[Key, Value]):
    """Values in memory, of which those used longest ago leave where all are more than ``most``.

    ``size_of`` says how much a value counts; the one put last stays, however large. Whoever shares
    it between threads locks it.

    >>> recent = Recent[str, bytes](5, len)
    >>> for name in "abc":
    ...     recent.put(name, b"12")
    >>> recent.get("a"), recent.get("b"), recent.used
    (None, b'12', 4)
    """

    def __init__(self, most: int, size_of: Callable[[Any], int] = lambda value: 1) -> None:
        self.most, self.used = most, 0
        self._size_of = size_of
        self._values: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key, default: Value | None = None) -> Value | None:
        """The value, which now was used last; ``default`` where there is none."""
        if key not in self._values:
            return default
        self._values[key] = self._values.pop(key)
        return self._values[key]

    def put(self, key: Key, value: Value) -> None:
        """Take a value in, for the one that was there under its key."""
        self.drop(key)
        self._values[key] = value
        self.used += self._size_of(value)
        while self.used > self.most and len(self._values) > 1:
            self.drop(next(iter(self._values)))

    def drop(self, key: Key) -> None:
        """Let go of the value of a key, if there is one."""
        if key in self._values:
            self.used -= self._size_of(self._values.pop(key))
