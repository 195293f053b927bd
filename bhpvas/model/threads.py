"""Threads that multiply matrices: how they wait for each other."""

from __future__ import annotations

import os


def wait_asleep() -> None:
    """Let a thread that waits for the others sleep, unless the person has set how it waits.

    By itself OpenMP lets it spin, which takes the core from whoever the others wait for: beside a
    second process, or the browser that shows the app, an evaluation took several times as long
    (``benchmarks/beside.py``); alone it takes as long either way. It asks once, as torch is
    imported, so this comes first.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
