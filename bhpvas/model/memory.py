"""Memory: how much is free, which errors say that there is none, and giving it back.

Only glibc, the C library of Linux, is asked to give back. Every length of sentence makes tensors of
other sizes, and every job runs in a thread of its own, so there are gaps to give.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from bhpvas.errors import LimitError

#: For each kind of control group: its folder, then its files of limit and use, and the line of
#: ``memory.stat`` that counts what the system can take back at once.
_GROUPS = {
    2: ("", "memory.max", "memory.current", "inactive_file"),
    1: ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
# A setting of mallopt: how many heaps the threads of a process may have.
_M_ARENA_MAX, _HEAPS = -8, 1


def available(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take: of the machine, and of the container it runs in.

    None where the system does not say, as on macOS and Windows. ``root`` is where ``/proc`` and
    ``/sys`` lie.
    """
    machine = _numbers(root / "proc/meminfo").get("MemAvailable:")
    known = [*([] if machine is None else [machine * 1024]), *_left_in_groups(root)]
    return max(min(known), 0) if known else None


def _left_in_groups(root: Path) -> Iterator[int]:
    """What the control groups around this process leave, outermost last."""
    groups = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, place = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        folder, most, used, unused = _GROUPS[1 if controllers else 2]
        own = groups / folder / place.lstrip("/")
        for group in (own, *own.parents):
            if not group.is_relative_to(groups):
                break
            with suppress(OSError, ValueError):  # none here, or "max"
                taken = int((group / used).read_text())
                reclaimed = _numbers(group / "memory.stat").get(unused, 0)
                yield int((group / most).read_text()) - taken + reclaimed


def _numbers(path: Path) -> dict[str, int]:
    """The first number of each line by its first word; nothing of a file that is not there."""
    return {name: int(value) for name, value, *_ in map(str.split, _lines(path))}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def exhausted(error: BaseException) -> bool:
    """Whether an error of Python, NumPy or torch says that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)


def limit_error(error: BaseException) -> LimitError | None:
    """That memory ran out, as a sentence free of what the failed work held; None if it did not."""
    if not exhausted(error):
        return None
    return LimitError(
        "This needs more memory than is free here, so it was stopped: take fewer sentences or a "
        "smaller model, or close other programs."
    )


def share_heaps() -> None:
    """Let the threads of this process share one heap; each of its own would keep its own gaps."""
    if (setting := _function("mallopt")) is not None:
        setting(_M_ARENA_MAX, _HEAPS)


def trim() -> None:
    """Give the gaps between what is in use back to the system: a few milliseconds."""
    if (give_back := _function("malloc_trim")) is not None:
        give_back(0)


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
