"""A folder that nobody may write to, root included, who may run the tests."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest


def read_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """From here on the system refuses new files in the folder, as it would without the right."""

    def refusing(path: Path, mode: str = "r", **options: Any) -> Any:
        if path.parent == folder and set(mode) & set("wxa+"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open(path, mode, **options)

    monkeypatch.setattr("bhpvas.files.open", refusing, raising=False)
