"""A line in which heavy work waits for its turn, so that a few jobs at once have the machine.

The rule is that of a round table: whoever works has the turn for some seconds; if others wait then,
it steps back to the end of the line, keeps what it has done, and goes on when it is its turn again.
So a short job waits for a turn of each that is before it and never for a long one's end, and a long
one is never overtaken for good.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from bhpvas.memory import trim

#: Seconds of a turn: longer than most measurements on the sample take, on a busy machine too, since
#: each that steps back half done holds on to some 30 MB.
TURN = 6.0
#: Seconds between two looks at whether somebody still waits for a job in the line.
LOOK = 0.2


class Line:
    """Who works and who waits; ``at_once`` may work at the same time. Shared by threads."""

    def __init__(
        self,
        at_once: int = 1,
        turn: float = TURN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.at_once, self.turn = at_once, turn
        self._clock = clock
        self._changed = threading.Condition()
        self._since: dict[Hashable, float] = {}
        self._waiting: list[Hashable] = []

    def __len__(self) -> int:
        """How many work and wait together."""
        return len(self._since) + len(self._waiting)

    def place(self, who: Hashable) -> int:
        """0 for one who works, 1 for the next in line, and so on; 0 as well for a stranger."""
        with self._changed:
            return self._waiting.index(who) + 1 if who in self._waiting else 0

    @contextmanager
    def within(self, who: Hashable, check: Callable[[], None]) -> Iterator[None]:
        """Wait for a turn, work in the block, leave.

        ``check`` is called while waiting; what it raises ends the wait.
        """
        self._enter(who, check)
        try:
            yield
        finally:
            self._leave(who)

    def between(self, who: Hashable, check: Callable[[], None]) -> bool:
        """Called between two units of work: step back where the turn is over and others wait.

        Returns whether it waited. ``check`` as in :meth:`within`.
        """
        with self._changed:
            began = self._since.get(who)
            if began is None or not self._waiting or self._clock() - began < self.turn:
                return False
            del self._since[who]
            self._waiting.append(who)
            self._changed.notify_all()
        trim()  # what it has freed is of use to others while it waits
        self._wait(who, check)
        return True

    def _enter(self, who: Hashable, check: Callable[[], None]) -> None:
        with self._changed:
            self._waiting.append(who)
        self._wait(who, check)

    def _wait(self, who: Hashable, check: Callable[[], None]) -> None:
        try:
            with self._changed:
                while not self._is_next(who):
                    self._changed.wait(LOOK)
                    check()
                self._waiting.remove(who)
                self._since[who] = self._clock()
                self._changed.notify_all()
        except BaseException:
            self._leave(who)
            raise

    def _is_next(self, who: Hashable) -> bool:
        return len(self._since) < self.at_once and self._waiting[0] is who

    def _leave(self, who: Hashable) -> None:
        with self._changed:
            self._since.pop(who, None)
            if who in self._waiting:
                self._waiting.remove(who)
            self._changed.notify_all()
