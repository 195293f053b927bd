"""What to ask of the C library that hands out memory; only glibc, that of Linux, is asked.

Every length of sentence makes tensors of other sizes, and every job runs in a thread of its own.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# A setting of mallopt: how many heaps the threads of a process may have.
_M_ARENA_MAX, _HEAPS = -8, 2


def share_heaps() -> None:
    """Let the threads of this process share two heaps; each of its own would keep its own gaps."""
    if (setting := _function("mallopt")) is not None:
        setting(_M_ARENA_MAX, _HEAPS)


def trim() -> None:
    """Give the gaps between what is in use back to the system: a few milliseconds."""
    if (give_back := _function("malloc_trim")) is not None:
        give_back(0)


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
