"""``python -m bhpvas.ui.server run SCRIPT …``: as ``streamlit run``, a few seconds sooner.

What the first page needs is imported while the browser is on its way, and not only once it asks.
"""

from __future__ import annotations

import threading
from importlib import import_module

from streamlit.web import cli

from bhpvas.memory import share_heaps

#: The slowest imports of the first page.
FIRST = ("torch", "transformers.models.auto.modeling_auto", "transformers.modeling_utils")

_NAME = "bhpvas imports"


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
    share_heaps()
    threading.Thread(target=_load, name=_NAME, daemon=True).start()
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
