"""How threads wait is set before torch asks for it, by the command line and by the app."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Prints the setting as torch would find it when it is imported, and ends there.
_AT_IMPORT = """
import os, sys
from importlib.abc import MetaPathFinder

class Noting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Noting())
{start}
"""
STARTS = {
    "command line": "from bhpvas.cli.main import main; main(['evaluate'])",
    "app": "from bhpvas.ui import server; server.load()",
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("own", [None, "ACTIVE"])
def test_threads_wait_asleep_unless_the_person_says_how(start: str, own: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {} if own is None else {"OMP_WAIT_POLICY": own}
    script = _AT_IMPORT.format(start=STARTS[start])
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == (own or "PASSIVE")
