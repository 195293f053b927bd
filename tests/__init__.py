"""Tests of bhpvas."""

import os

# Nothing is found that an earlier run has kept, and nothing is kept in the person's own folder.
os.environ["BHPVAS_CACHE"] = "off"

if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes share the cores, so each, and every server that it starts, computes in one thread.
    # Set before torch is there: it asks once.
    os.environ["OMP_NUM_THREADS"] = "1"
