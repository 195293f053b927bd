"""Threads that multiply matrices: how they wait for each other."""

from __future__ import annotations

import os


def wait_asleep() -> None:
    """Let a thread that waits for the others sleep, unless the person has set how it waits.

    By itself OpenMP lets it spin, which takes the core from whoever the others wait for: beside a
    second evaluation, one took twice as long as with this, and alone a few percent less
    (``benchmarks/beside.py``). It asks once, as torch is imported, so this comes first.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
