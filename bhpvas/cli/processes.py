"""Processes that `accelerate launch` has started: how many, which one speaks, who shares passes."""

from __future__ import annotations

import argparse
import os
from contextlib import AbstractContextManager, nullcontext

from bhpvas.errors import BhpvasError


def count() -> int:
    """How many processes `accelerate launch` or torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return os.environ.get("RANK", "0") == "0"


def joined(given: argparse.Namespace) -> AbstractContextManager[None]:
    """Within this block the passes over sentences are shared with the other processes."""
    if count() == 1:
        return nullcontext()
    if not getattr(given, "shares_passes", False):
        raise BhpvasError(
            "Only score, ablate, evaluate and compare work in several processes: start this "
            "command without accelerate launch."
        )
    from bhpvas.model.distributed import together

    if os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true":
        given.device = "cpu"
    return together(cpu=given.device == "cpu")
