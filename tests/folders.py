"""Folders that cannot be written to, by root neither, who may run the tests; and a full disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def read_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """From here on the system refuses new files in the folder, as it would without the right."""

    def refusing(path: Path, mode: str = "r", **options: Any) -> Any:
        if path.parent == folder and set(mode) & set("wxa+"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open(path, mode, **options)

    monkeypatch.setattr("bhpvas.storage.files.open", refusing, raising=False)


@contextmanager
def full_disk(room: int = 0) -> Iterator[None]:
    """While this lasts the system takes no file larger than ``room`` bytes, whoever writes it."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
