"""``python -m bhpvas.ui.server run SCRIPT …``: as ``streamlit run``, a few seconds sooner.

What the first page needs is imported while the browser is on its way, and not only once it asks.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from importlib import import_module

from streamlit.web import cli

#: The slowest imports of the first page.
FIRST = ("torch", "transformers.models.auto.modeling_auto", "transformers.modeling_utils")


# A setting of glibc's mallopt: how many heaps the threads of a process may have.
_M_ARENA_MAX, _HEAPS = -8, 2


def _share_heaps() -> None:
    """Every job runs in a thread of its own, and a heap for each would keep gaps for each."""
    setting = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if setting is not None:
        setting(_M_ARENA_MAX, _HEAPS)


def _load() -> None:
    for name in FIRST:
        import_module(name)


def main() -> None:
    """Run Streamlit with this process's arguments."""
    _share_heaps()
    threading.Thread(target=_load, daemon=True).start()
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
