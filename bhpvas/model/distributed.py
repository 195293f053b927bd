"""Processes sharing one piece of work, as ``accelerate launch`` starts them.

Within :func:`together` the batches of a pass are dealt to the processes, and what each of them
found is summed: every process ends with the whole result, and goes on as if it had been alone.
Outside of it, and in a program that was started once, there is only this process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class _Group:
    """How many processes work together, which of them this is, and where they exchange tensors."""

    rank: int = 0
    count: int = 1
    device: torch.device | None = None


_ALONE = _Group()
_group: ContextVar[_Group] = ContextVar("bhpvas processes", default=_ALONE)


@contextmanager
def together(*, cpu: bool = False) -> Iterator[None]:
    """Share the work done in this block with the other processes of the launch, if there are any.

    Each of them must do the same work in the same order. A graphics card is assigned to each, or
    with ``cpu`` none.
    """
    # Its functions keep, as a default, the group that there is when it is first imported. A group
    # that is kept never joins its threads, and one that frees a tensor while the interpreter goes
    # down ends the process with SIGABRT after all was done.
    import torch.distributed.nn.functional  # noqa: F401
    from accelerate import PartialState

    state = PartialState(cpu=cpu)
    before = _group.set(_Group(state.process_index, state.num_processes, state.device))
    try:
        yield
    finally:
        _group.reset(before)
        state.destroy_process_group()
        PartialState._reset_state()


@contextmanager
def alone() -> Iterator[None]:
    """Within this block every process does the whole work itself."""
    before = _group.set(_ALONE)
    try:
        yield
    finally:
        _group.reset(before)


def count() -> int:
    """How many processes share the work."""
    return _group.get().count


def share(items: Sequence[T]) -> Sequence[T]:
    """This process's part of a list that all of them have: every ``count``-th item."""
    group = _group.get()
    return items[group.rank :: group.count]


def add_up(*sums: np.ndarray | Tensor) -> None:
    """Replace arrays, in place, by their sums over all processes."""
    group = _group.get()
    if group.count == 1:
        return
    for one in sums:
        mine = torch.as_tensor(one)  # of an array it shares the memory
        moved = mine.to(group.device)
        torch.distributed.all_reduce(moved)
        mine.copy_(moved)
