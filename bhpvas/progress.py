"""Progress: how long work tells where it is, and how it is stopped."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called between units of work with the number done and the total.

    A callback stops the work by raising; :class:`Cancelled` is there for that. Nothing is stored or
    changed by work that was stopped.
    """

    def __call__(self, done: int, total: int) -> None: ...


class Cancelled(Exception):
    """Raised by a progress callback to stop the work it watches."""


def silent(done: int, total: int) -> None:
    """The callback that shows nothing."""


def part(progress: Progress, index: int, parts: int, size: int = 1) -> Progress:
    """The callback of one of several parts of some work that take about equally long.

    What takes longer is as many of these parts, from ``index`` on, as its ``size``.

    >>> part(lambda done, total: print(f"{done} of {total}"), 2, 4)(5, 10)
    25 of 40
    >>> part(lambda done, total: print(f"{done} of {total}"), 0, 4, size=2)(5, 10)
    10 of 40
    """

    def within(done: int, total: int) -> None:
        progress(index * total + size * done, parts * total)

    return within
