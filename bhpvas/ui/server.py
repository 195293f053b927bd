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


_NAME = "bhpvas imports"
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


def wait() -> None:
    """Wait until those imports are done, if they are under way.

    Two threads that import packages with cycles can each see half a module. The thread is found by
    its name, since a module that was started by ``-m`` is not the one that is imported.
    """
    for thread in threading.enumerate():
        if thread.name == _NAME:
            thread.join()


def main() -> None:
    """Run Streamlit with this process's arguments."""
    _share_heaps()
    threading.Thread(target=_load, name=_NAME, daemon=True).start()
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
