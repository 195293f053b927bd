"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from bhpvas.errors import LimitError

#: What the system says where there is no room, by quota or size as well.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# How libraries written in Rust (safetensors, tokenizers) say what the system said.
_SAID = re.compile(r"\(os error (\d+)\)")


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


def check_writable(path: str | Path) -> None:
    """Raise :class:`OSError` where :func:`write_beside` could not write, before long work."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with tempfile.TemporaryFile(dir=path.absolute().parent):
        pass


def not_written(what: str, place: str | Path, error: OSError) -> str:
    """What could not be written where, why, and the way out, in one sentence."""
    way_out = (
        "make room there, or choose another folder"
        if error.errno in _NO_ROOM
        else "choose a folder that exists and that you may write to"
    )
    return f"{what} cannot be written to {place} ({error.strerror or error}): {way_out}."


def refused(error: BaseException) -> OSError | None:
    """What the system said where a library failed to write; None where it failed otherwise."""
    if isinstance(error, OSError):
        return error
    said = _SAID.search(str(error))
    return None if said is None else OSError(int(said[1]), os.strerror(int(said[1])))


def no_room(error: BaseException) -> LimitError | None:
    """A full disk, wherever it was met, as a sentence; None for any other error."""
    why = refused(error)
    if why is None or why.errno not in _NO_ROOM:
        return None
    return LimitError(
        f"A file could not be written ({why.strerror}), so this was stopped and nothing half "
        "written is left: make room on the disk, and try again."
    )


def files_of(folder: Path, pattern: str) -> dict[Path, os.stat_result]:
    """What the system says of each file; others may remove and rename files meanwhile."""
    found = {}
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError):
            found[path] = path.stat()
    return found
