"""Tests of bhpvas."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes share the cores, so each, and every server that it starts, computes in one thread.
    # Set before torch is there: it asks once.
    os.environ["OMP_NUM_THREADS"] = "1"
