"""Job queue: jobs take turns, round robin, so that a few at once have the machine.

Whoever works has the turn for some seconds; if others wait then, it goes back to the end of the
queue, keeps what it has done, and goes on when it is its turn again. So a short job waits for a
turn of each that is before it and never for a long one's end, and a long one is never overtaken for
good.

Bulky work holds on to much memory while it waits half done, so no more of it is begun than can work
at the same time: of eight such jobs that took turns, each would take about as long as all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from bhpvas.model.memory import trim

#: Seconds of a turn: longer than most measurements on the sample take, on a busy machine too.
TURN = 6.0
#: Seconds between two looks at whether somebody still waits for a job in the queue.
LOOK = 0.2


class JobQueue:
    """Who works and who waits; ``at_once`` may work at the same time. Shared by threads."""

    def __init__(
        self, at_once: int = 1, turn: float = TURN, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.at_once, self.turn, self._clock = at_once, turn, clock
        self._changed = threading.Condition()
        self._since: dict[Hashable, float] = {}
        self._waiting: list[Hashable] = []
        self._bulky: set[Hashable] = set()
        self._begun: set[Hashable] = set()

    def __len__(self) -> int:
        """How many work and wait together."""
        return len(self._since) + len(self._waiting)

    def place(self, who: Hashable) -> int:
        """0 for one who works, 1 for the next in the queue, and so on; 0 as well for a stranger."""
        with self._changed:
            return self._waiting.index(who) + 1 if who in self._waiting else 0

    @contextmanager
    def within(
        self, who: Hashable, check: Callable[[], None], *, bulky: bool = False
    ) -> Iterator[None]:
        """Wait for a turn, work in the block, leave.

        ``check`` is called while waiting; what it raises ends the wait. ``bulky`` says that the
        work holds on to much memory until it is done.
        """
        with self._changed:
            self._waiting.append(who)
            if bulky:
                self._bulky.add(who)
        self._wait(who, check)
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
            if began is None or self._clock() - began < self.turn or self._first() is None:
                return False
            del self._since[who]
            self._waiting.append(who)
            self._changed.notify_all()
        trim()  # what it has freed is of use to others while it waits
        self._wait(who, check)
        return True

    def _wait(self, who: Hashable, check: Callable[[], None]) -> None:
        try:
            with self._changed:
                while len(self._since) >= self.at_once or self._first() is not who:
                    self._changed.wait(LOOK)
                    check()
                self._waiting.remove(who)
                self._since[who] = self._clock()
                self._begun.add(who)
                self._changed.notify_all()
        except BaseException:
            self._leave(who)
            raise

    def _first(self) -> Hashable | None:
        """The first that may work: of bulky ones, no more are begun than work at once."""
        full = len(self._bulky & self._begun) >= self.at_once
        held_up = self._bulky - self._begun if full else set()
        return next((one for one in self._waiting if one not in held_up), None)

    def _leave(self, who: Hashable) -> None:
        with self._changed:
            self._since.pop(who, None)
            self._bulky.discard(who)
            self._begun.discard(who)
            if who in self._waiting:
                self._waiting.remove(who)
            self._changed.notify_all()
