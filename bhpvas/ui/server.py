"""``python -m bhpvas.ui.server run SCRIPT …``: as ``streamlit run``, a few seconds sooner.

What the first page needs is imported while the browser is on its way, and not only once it asks.
"""

from __future__ import annotations

import threading
from importlib import import_module

from streamlit.web import cli

from bhpvas.model.memory import share_heaps
from bhpvas.model.threads import wait_asleep

#: The slowest imports of the first page.
FIRST = ("torch", "transformers.models.auto.modeling_auto", "transformers.modeling_utils")


def load() -> None:
    """Import :data:`FIRST`, or wait until another thread has.

    Two threads that enter packages with cycles by different doors can each see half a module. All
    come by these, in this order, so that who comes later waits outside.
    """
    wait_asleep()
    for name in FIRST:
        import_module(name)


def main() -> None:
    """Run Streamlit with this process's arguments."""
    share_heaps()
    threading.Thread(target=load, daemon=True).start()
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
