"""Job runner: work that takes longer than a blink, done once for everybody and remembered.

Jobs take turns (:mod:`bhpvas.ui.jobs.queue`). Each runs in a thread of its own, so a person's click
never leaves anything half done: the script that watched goes away, the job runs on for a few
seconds, and the next run of the script watches it again. A job that nobody watches stops by itself.
Two sessions that want the same thing share it.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import streamlit as st

from bhpvas.errors import LimitError
from bhpvas.model.memory import limit_error, trim
from bhpvas.progress import Cancelled
from bhpvas.storage.eviction import Recent
from bhpvas.storage.files import no_room
from bhpvas.storage.results import ResultKey, Results, kept_results
from bhpvas.ui.jobs.queue import JobQueue
from bhpvas.ui.state import limits

#: Seconds that a job runs on with nobody watching: longer than a rerun of the page takes.
PATIENCE = 6.0
#: The same for work of many minutes, so that the person can look at other pages meanwhile.
LONG_PATIENCE = 600.0
#: Seconds within which a run of the script that is to end has left a job: it looks up far oftener.
LEAVING = 1.5
#: Jobs that may work and wait together.
MOST_JOBS = 64
#: So many modules more, and what they hold is taken out of garbage collection.
MANY_MODULES = 100


class Job:
    """One piece of work, how far it is, and in the end its result or its error.

    The work gets its job as the progress callback, may leave a first answer in ``partial``, and may
    ask for more ``patience``, in seconds, with nobody watching; one that somebody has ``given_up``
    has no more than others. Between its units it waits in the ``queue`` whenever that asks for it;
    it may work for ``most_seconds``, waiting not counted. Of work that is ``bulky`` little is half
    done at any time (:mod:`bhpvas.ui.jobs.queue`).
    """

    def __init__(
        self,
        queue: JobQueue | None = None,
        most_seconds: float | None = None,
        *,
        bulky: bool = False,
    ) -> None:
        self._queue = JobQueue() if queue is None else queue  # an empty one is false
        self._most_seconds = most_seconds
        self.bulky = bulky
        self._waited = 0.0
        self.done, self.total = 0, 0
        self.started = time.monotonic()
        self.watchers = 0
        self.patience = PATIENCE
        self.unwatched_since = self.started
        self.stopped = False
        self.given_up = False
        self.partial: Any = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.finished = threading.Event()

    @property
    def remaining(self) -> float | None:
        """Estimated seconds to go; None until a tenth is done."""
        if not self.total or self.done < 0.1 * self.total:
            return None
        return (time.monotonic() - self.started) * (self.total / self.done - 1)

    @property
    def place(self) -> int:
        """The place in the queue of one that waits: 1 is next; 0 while it works."""
        return self._queue.place(self)

    def __call__(self, done: int, total: int) -> None:
        """Note the progress; stops the work where nobody wants it any more, or it took too long."""
        self.done, self.total = done, total
        self.check()
        now = time.monotonic()
        if self._most_seconds is not None and now - self.started - self._waited > (
            self._most_seconds
        ):
            raise LimitError(
                f"This took longer than the {self._most_seconds:.0f} s of one job on this server, "
                "so it was stopped: take fewer sentences, or bhpvas on your own computer."
            )
        if done < total and self._queue.between(self, self.check):
            self._waited += time.monotonic() - now

    def check(self) -> None:
        """Raises :class:`Cancelled` where nobody wants the work any more."""
        patience = min(self.patience, PATIENCE) if self.given_up else self.patience
        lonely = not self.watchers and time.monotonic() - self.unwatched_since > patience
        if self.stopped or lonely:
            raise Cancelled


Work = Callable[[Job], Any]


class JobRunner:
    """All jobs that run and the latest results; shared by every session of the server.

    The results that were not used for longest leave when their arrays take ``most_bytes``. Those
    whose key is an :class:`~bhpvas.storage.results.Of` are kept on disk too, among ``kept``.
    ``at_once`` jobs work at the same time, each for ``most_seconds`` in all; others wait.
    """

    def __init__(
        self,
        most_bytes: int = 128 * 2**20,
        *,
        kept: Results | None = None,
        at_once: int = 1,
        most_seconds: float | None = None,
    ) -> None:
        self.kept = kept or Results(None)
        self.queue = JobQueue(at_once)
        self.most_seconds = most_seconds
        self._lock = threading.Lock()
        self._modules = 0
        self._running: dict[Hashable, Job] = {}
        self._results = Recent[Hashable, Any](most_bytes, size_of)

    def result(self, key: Hashable) -> Any:
        """What a finished job gave; None where it is not known (any more)."""
        with self._lock:
            found = self._results.get(key)
        if found is not None:
            return found
        found = self.kept.get(key) if isinstance(key, ResultKey) else None
        if found is not None:
            with self._lock:
                self._results.put(key, found)
        return found

    def forget(self, key: Hashable) -> None:
        """Let go of a result that is of no use any more, on disk as well."""
        with self._lock:
            self._results.drop(key)
        if isinstance(key, ResultKey):
            self.kept.drop(key)

    def quick(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What takes milliseconds: made here and now, and remembered like any result."""
        found = self.result(key)
        if found is None:
            found = make()
            with self._lock:
                self._results.put(key, found)
        return found

    def running(self, key: Hashable) -> Job | None:
        """The job of this key while it runs, told to stop or not; None where there is none."""
        with self._lock:
            return self._running.get(key)

    @contextmanager
    def watching(self, key: Hashable, work: Work, *, bulky: bool = False) -> Iterator[Job]:
        """The job of this key, started where it does not run yet, ``bulky`` or not."""
        with self._lock:
            job = self._running.get(key)
            if job is None or job.stopped:
                job = self._running[key] = Job(self.queue, self.most_seconds, bulky=bulky)
                thread = threading.Thread(target=self._do, args=(key, job, work), daemon=True)
            else:
                thread = None
            job.watchers += 1
            job.given_up = False
        if thread is not None:
            thread.start()
        try:
            yield job
        finally:
            with self._lock:
                job.watchers -= 1
                job.unwatched_since = time.monotonic()

    def stop(self, key: Hashable) -> None:
        """Stop a job that nobody watches; one that others watch runs on for them, not for longer.

        A click begins the next run of the script before the one that watched has left, so that is
        waited for; should it take longer, the job has little patience once it has left.
        """
        job = self.running(key)
        if job is None:
            return
        latest = time.monotonic() + LEAVING
        while job.watchers and time.monotonic() < latest:
            time.sleep(0.02)
        with self._lock:
            job.stopped = not job.watchers
            job.given_up = True

    def _do(self, key: Hashable, job: Job, work: Work) -> None:
        try:
            if len(self.queue) >= MOST_JOBS:
                raise LimitError(
                    f"{MOST_JOBS} jobs are under way on this server: try again in a minute."
                )
            with self.queue.within(job, job.check, bulky=job.bulky):
                job.started = time.monotonic()
                job.result = work(job)
        except BaseException as error:  # handed to whoever watches
            job.error = limit_error(error) or no_room(error) or error
        with self._lock:
            if job.error is None:
                self._results.put(key, job.result)
            if self._running.get(key) is job:
                del self._running[key]
        job.finished.set()
        if job.error is None and isinstance(key, ResultKey):
            self.kept.put(key, job.result)
        trim()
        self._settle()

    def _settle(self) -> None:
        """Take what the modules loaded by now hold out of garbage collection.

        Streamlit collects after every run of a script, while the page waits for its last parts:
        going through millions of objects that stay anyway takes a fifth of a second each time.
        """
        with self._lock:
            if len(sys.modules) < self._modules + MANY_MODULES:
                return
            self._modules = len(sys.modules)
        gc.collect()
        gc.freeze()


def size_of(result: Any) -> int:
    """Bytes of the arrays and tensors in a result: in containers and dataclasses too."""
    if isinstance(size := getattr(result, "nbytes", None), int):
        return size
    if isinstance(result, dict):
        return sum(map(size_of, result.values()))
    if isinstance(result, list | tuple):
        return sum(map(size_of, result))
    if is_dataclass(result):
        return sum(size_of(getattr(result, field.name)) for field in fields(result))
    return 0


@st.cache_resource(show_spinner=False)
def shared() -> JobRunner:
    """The job runner of this server; raises :class:`BhpvasError` where its settings are none.

    Of strangers' work nothing is kept on disk, unless the server's owner names a folder for it.
    """
    limited = limits.current()
    kept = (
        Results(None) if limited.hosted and not os.environ.get("BHPVAS_CACHE") else kept_results()
    )
    return JobRunner(kept=kept, at_once=jobs_at_once(), most_seconds=limited.seconds)


def cores() -> int:
    """The processors that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def jobs_at_once() -> int:
    """Jobs that work at the same time: more gain nothing where each keeps several cores busy."""
    return min(max(cores() // 4, 1), 4)
