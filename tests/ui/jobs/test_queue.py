"""Job queue: a few at once, the others wait, nobody starves. No clock runs here but the tests'."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bhpvas.errors import LimitError
from bhpvas.progress import Cancelled
from bhpvas.ui.jobs import queue, runner
from bhpvas.ui.jobs.progress_bar import _state
from bhpvas.ui.jobs.queue import JobQueue
from bhpvas.ui.jobs.runner import Job, JobRunner
from bhpvas.ui.jobs.tasks import Task

LONG = 30


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LOOK", 0.005)


def wait_until(fact: Callable[[], bool]) -> None:
    """Wait for what other threads do."""
    for _ in range(int(LONG / 0.005)):
        if fact():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")


class Counted:
    """Jobs of given numbers of units on one runner, and the order in which units were worked on.

    A turn lasts for two units: the clock of the queue is the number of units so far.
    """

    def __init__(self, at_once: int = 1) -> None:
        self.jobs = JobRunner(at_once=at_once)
        self.jobs.queue = JobQueue(at_once, turn=2, clock=lambda: len(self.done))
        self.done: list[str] = []
        self.go = threading.Event()

    def start(self, name: str, units: int, *, bulky: bool = False) -> threading.Thread:
        def work(job: Job) -> str:
            self.go.wait(LONG)
            for unit in range(units):
                self.done.append(name)
                job(unit + 1, units)
            return name

        def watch() -> None:
            with self.jobs.watching(name, work, bulky=bulky) as job:
                assert job.finished.wait(LONG)

        before = len(self.jobs.queue)
        thread = threading.Thread(target=watch)
        thread.start()
        wait_until(lambda: len(self.jobs.queue) > before)
        return thread

    def run(self, bulky: str = "", **jobs: int) -> str:
        threads = [self.start(name, units, bulky=name in bulky) for name, units in jobs.items()]
        self.go.set()
        for thread in threads:
            thread.join(LONG)
        return "".join(self.done)


def test_one_after_another_in_turns() -> None:
    assert Counted().run(a=5, b=2, c=3) == "aabbccaaca"


def test_one_alone_is_never_held_up() -> None:
    assert Counted().run(a=9) == "aaaaaaaaa"


def test_a_short_job_does_not_wait_for_the_end_of_long_ones() -> None:
    order = Counted().run(a=40, b=40, c=40, s=1)
    # A turn of each that is before it, and not one unit more.
    assert order.index("s") == 6
    assert [order.count(name) for name in "abcs"] == [40, 40, 40, 1]


def test_a_long_job_is_not_overtaken_for_good() -> None:
    counted = Counted()
    shorts = dict.fromkeys("bcdefghi", 2)
    order = counted.run(a=6, **shorts)
    assert order[:2] == "aa"
    assert order[-4:] == "aaaa"
    counted = Counted()
    order = counted.run(a=6, z=50)
    assert order[:10] == "aazzaazzaa"


def test_a_bulky_job_is_done_before_the_next_of_its_kind_begins() -> None:
    assert Counted().run("abc", a=5, b=3, c=2) == "aaaaabbbcc"
    # Others have their turns meanwhile, and none of them waits for the end of a bulky one.
    assert Counted().run("abc", a=5, b=3, s=1, c=2) == "aasaaabbbcc"
    assert Counted().run("ab", a=6, b=2, z=6) == "aazzaazzaabbzz"
    assert Counted().run("ab", z=4, a=3, b=2) == "zzaazzabb"


def test_as_many_bulky_jobs_are_begun_as_may_work_at_once() -> None:
    order = Counted(at_once=2).run("abc", a=6, b=6, c=1)
    assert order.index("c") >= 6
    assert sorted(order) == sorted("a" * 6 + "b" * 6 + "c")


def test_a_bulky_job_that_ends_in_an_error_makes_room() -> None:
    jobs = JobRunner()

    def broken(job: Job) -> None:
        raise ValueError("broken")

    with jobs.watching("broken", broken, bulky=True) as job:
        assert job.finished.wait(LONG)
    with jobs.watching("next", lambda job: "done", bulky=True) as job:
        assert job.finished.wait(LONG)
    assert job.result == "done"


def test_never_more_than_allowed_work_at_once() -> None:
    jobs, working, most = JobRunner(at_once=2), set(), []
    jobs.queue.turn = 0
    lock = threading.Lock()
    ready = threading.Event()

    def work_of(name: int) -> Callable[[Job], int]:
        def work(job: Job) -> int:
            for unit in range(20):
                with lock:
                    working.add(name)
                    most.append(len(working))
                ready.wait(0.001)
                with lock:
                    working.discard(name)
                job(unit + 1, 20)
            return name

        return work

    def watch(name: int) -> None:
        with jobs.watching(name, work_of(name)) as job:
            assert job.finished.wait(LONG)

    threads = [threading.Thread(target=watch, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert [jobs.result(name) for name in range(6)] == list(range(6))
    assert max(most) == 2


def test_the_place_in_line_counts_down_to_work() -> None:
    jobs, gates = JobRunner(), [threading.Event() for _ in range(3)]

    def work_of(number: int) -> Callable[[Job], None]:
        return lambda job: gates[number].wait(LONG) and None

    with jobs.watching(0, work_of(0)) as first:
        wait_until(lambda: len(jobs.queue) == 1 and first.place == 0)
        with jobs.watching(1, work_of(1)) as second:
            wait_until(lambda: second.place == 1)
            with jobs.watching(2, work_of(2)) as third:
                wait_until(lambda: third.place == 2)
                gates[0].set()
                wait_until(lambda: (second.place, third.place) == (0, 1))
                for gate in gates:
                    gate.set()
                assert third.finished.wait(LONG)


def test_the_bar_says_the_place_in_line() -> None:
    jobs, gate = JobRunner(), threading.Event()
    task = Task("waits", "Measuring", lambda job: "done", turn=0)
    with jobs.watching("long", lambda job: gate.wait(LONG)):
        wait_until(lambda: len(jobs.queue) == 1)
        with jobs.watching(task.key, task.work) as job:
            wait_until(lambda: job.place == 1)
            assert _state(task, job) == "Measuring: waiting, place in line: 1"
            job.total = 9
            assert _state(task, job) == "Measuring: taking turns, place in line: 1"
            job.total = 0
            gate.set()
            assert job.finished.wait(LONG)
            assert _state(task, job) == "Measuring"


def test_one_that_nobody_wants_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PATIENCE", 0.0)
    jobs, gate = JobRunner(), threading.Event()
    with jobs.watching("long", lambda job: gate.wait(LONG)):
        with jobs.watching("left", lambda job: "never") as left:
            wait_until(lambda: left.place == 1)
        assert left.finished.wait(LONG)
        assert isinstance(left.error, Cancelled)
        assert len(jobs.queue) == 1
        gate.set()
    assert jobs.result("left") is None


def test_one_that_waits_can_be_stopped() -> None:
    jobs, gate = JobRunner(), threading.Event()
    with jobs.watching("long", lambda job: gate.wait(LONG)):
        with jobs.watching("waits", lambda job: "never") as waits:
            wait_until(lambda: waits.place == 1)
        jobs.stop("waits")
        assert waits.finished.wait(LONG)
        assert isinstance(waits.error, Cancelled)
        gate.set()


def test_an_error_gives_the_turn_to_the_next() -> None:
    jobs = JobRunner()

    def broken(job: Job) -> None:
        raise ValueError("no")

    with jobs.watching("broken", broken) as job:
        assert job.finished.wait(LONG)
    with jobs.watching("next", lambda job: "done") as job:
        assert job.finished.wait(LONG)
    assert jobs.result("next") == "done"
    assert len(jobs.queue) == 0


def test_a_full_queue_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MOST_JOBS", 1)
    jobs, gate = JobRunner(), threading.Event()
    with jobs.watching("a", lambda job: gate.wait(LONG)):
        wait_until(lambda: len(jobs.queue) == 1)
        with jobs.watching("b", lambda job: "never") as refused:
            assert refused.finished.wait(LONG)
        gate.set()
    assert isinstance(refused.error, LimitError)
    assert "try again" in str(refused.error)


def test_a_job_that_takes_too_long_is_stopped_and_waiting_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(runner.time, "monotonic", lambda: now[0])
    job = Job(most_seconds=10)
    job.watchers = 1

    def waits(who: object, check: Callable[[], None]) -> bool:
        now[0] += 100
        return True

    now[0] = 9
    job(1, 3)
    monkeypatch.setattr(job._queue, "between", waits)
    job(2, 3)
    monkeypatch.setattr(job._queue, "between", lambda who, check: False)
    now[0] += 0.5
    job(2, 3)
    now[0] += 1
    with pytest.raises(LimitError, match="10 s of one job"):
        job(3, 3)
