"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_beside(path: str | Path, content: bytes) -> None:
    """Write beside ``path`` first, then rename; what stood there before stays until then.

    Raises :class:`OSError` where that is not possible, and then leaves nothing behind.
    """
    path = Path(path)
    beside = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
