"""Jobs are shared, watched, cancelled and remembered."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from bhpvas.model.weights import Weights
from bhpvas.progress import Cancelled
from bhpvas.ui.jobs import runner
from bhpvas.ui.jobs.runner import Job, JobRunner, size_of

LONG = 30


class Gate:
    """Work that reports until it is let through."""

    def __init__(self, result: Any = "done") -> None:
        self.result = result
        self.open = threading.Event()
        self.runs = 0

    def __call__(self, job: Job) -> Any:
        self.runs += 1
        while not self.open.wait(0.005):
            job(1, 2)
        return self.result


def test_a_result_is_remembered_and_made_once() -> None:
    jobs, gate = JobRunner(), Gate()
    gate.open.set()
    with jobs.watching("a", gate) as job:
        assert job.finished.wait(LONG)
    assert (job.result, jobs.result("a"), gate.runs) == ("done", "done", 1)


def test_two_who_want_the_same_share_one_job() -> None:
    jobs, gate = JobRunner(), Gate()
    with jobs.watching("a", gate) as first, jobs.watching("a", gate) as second:
        assert first is second
        gate.open.set()
        assert first.finished.wait(LONG)
    assert gate.runs == 1


def test_who_stops_a_job_waits_for_the_run_that_watched_to_leave() -> None:
    jobs, gate = JobRunner(), Gate()
    with ExitStack() as watching:
        job = watching.enter_context(jobs.watching("a", gate))
        leaving = threading.Timer(0.2, watching.pop_all().close)
        leaving.start()
    jobs.stop("a")
    assert job.finished.wait(LONG)
    assert isinstance(job.error, Cancelled)


def test_a_job_that_asks_for_patience_runs_on_unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PATIENCE", 0.0)
    jobs, gate = JobRunner(), Gate()

    def work(job: Job) -> Any:
        job.patience = LONG
        assert jobs.running("a") is job
        return gate(job)

    with jobs.watching("a", work) as job:
        pass
    assert not job.finished.wait(0.1)
    gate.open.set()
    assert job.finished.wait(LONG)
    assert (jobs.result("a"), jobs.running("a")) == ("done", None)


def test_a_job_survives_a_rerun_of_the_page() -> None:
    jobs, gate = JobRunner(), Gate()
    with jobs.watching("a", gate) as first:
        pass
    with jobs.watching("a", gate) as again:
        assert again is first
        gate.open.set()
        assert again.finished.wait(LONG)
    assert (again.result, gate.runs) == ("done", 1)


def test_a_stopped_job_ends_and_leaves_nothing() -> None:
    jobs, gate = JobRunner(), Gate()
    with jobs.watching("a", gate) as job:
        pass
    jobs.stop("a")
    assert job.finished.wait(LONG)
    assert isinstance(job.error, Cancelled)
    assert jobs.result("a") is None


def test_one_who_stops_does_not_stop_the_others() -> None:
    jobs, gate = JobRunner(), Gate()
    with jobs.watching("a", gate) as job:
        jobs.stop("a")
        gate.open.set()
        assert job.finished.wait(LONG)
        assert (job.error, job.result) == (None, "done")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner where nothing unwatched goes on that does not ask for it."""
    monkeypatch.setattr(runner, "PATIENCE", 0.0)
    monkeypatch.setattr(runner, "LEAVING", 0.0)


def patient(gate: Gate) -> Callable[[Job], Any]:
    """Work that asks for patience."""

    def work(job: Job) -> Any:
        job.patience = LONG
        return gate(job)

    return work


def test_stopped_by_one_a_job_has_no_patience_after_the_last(impatient: None) -> None:
    jobs, gate = JobRunner(), Gate()
    work = patient(gate)
    with jobs.watching("a", work) as job:
        jobs.stop("a")
        with jobs.watching("a", work) as again:
            assert again is job
        assert not job.finished.wait(0.1)
        jobs.stop("a")
    assert job.finished.wait(LONG / 2)
    assert isinstance(job.error, Cancelled)


def test_whoever_wants_a_stopped_job_again_finds_it_as_patient_as_before(impatient: None) -> None:
    jobs, gate = JobRunner(), Gate()
    work = patient(gate)
    with jobs.watching("a", work) as job:
        jobs.stop("a")
        with jobs.watching("a", work):
            pass
    assert not job.finished.wait(0.1)
    gate.open.set()
    assert job.finished.wait(LONG)
    assert job.result == "done"


def test_after_a_stop_the_same_can_be_wanted_again() -> None:
    jobs, gate = JobRunner(), Gate()
    with jobs.watching("a", gate) as first:
        pass
    jobs.stop("a")
    with jobs.watching("a", gate) as again:
        assert again is not first
        gate.open.set()
        assert again.finished.wait(LONG)
    assert jobs.result("a") == "done"


def test_a_job_that_nobody_watches_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PATIENCE", 0.0)
    jobs, gate = JobRunner(), Gate()
    with jobs.watching("a", gate) as job:
        assert not job.finished.wait(0.05)
    assert job.finished.wait(LONG)
    assert isinstance(job.error, Cancelled)


def test_an_error_goes_to_whoever_watches_and_is_not_a_result() -> None:
    jobs = JobRunner()

    def broken(job: Job) -> None:
        raise ValueError("no")

    with jobs.watching("a", broken) as job:
        assert job.finished.wait(LONG)
    assert str(job.error) == "no"
    assert jobs.result("a") is None


def kilobyte() -> np.ndarray:
    return np.zeros(1024, dtype=np.uint8)


def test_the_oldest_results_are_forgotten() -> None:
    jobs = JobRunner(most_bytes=2 * 1024)
    for key in "abc":
        jobs.quick(key, kilobyte)
    assert [jobs.result(key) is not None for key in "abc"] == [False, True, True]


def test_a_result_in_use_stays() -> None:
    jobs = JobRunner(most_bytes=2 * 1024)
    for key in "aba":
        jobs.quick(key, kilobyte)
    jobs.quick("c", kilobyte)
    assert [jobs.result(key) is not None for key in "abc"] == [True, False, True]


def test_one_result_is_kept_however_large() -> None:
    jobs = JobRunner(most_bytes=1)
    jobs.quick("a", kilobyte)
    assert jobs.result("a") is not None


def test_what_is_forgotten_takes_no_room() -> None:
    jobs = JobRunner(most_bytes=2 * 1024)
    for key in "ab":
        jobs.quick(key, kilobyte)
    jobs.forget("a")
    jobs.forget("never known")
    jobs.quick("c", kilobyte)
    assert [jobs.result(key) is not None for key in "abc"] == [False, True, True]
    jobs.quick("d", kilobyte)
    assert [jobs.result(key) is not None for key in "abcd"] == [False, False, True, True]


def test_the_size_of_a_result_is_that_of_its_arrays() -> None:
    point = Part(kilobyte(), 3)
    assert size_of({"a": [kilobyte(), (kilobyte(), None)], "b": point}) == 3 * 1024
    assert size_of([Weights({"bias": torch.zeros(256)}), "text", 3]) == 1024


@dataclass
class Part:
    array: np.ndarray
    number: int


def test_the_time_left_follows_from_the_time_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job()
    assert job.remaining is None
    monkeypatch.setattr(runner.time, "monotonic", lambda: job.started + 3)
    job.watchers = 1
    job(1, 4)
    assert job.remaining == pytest.approx(9)


def test_what_modules_hold_is_frozen_once_many_came(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []
    monkeypatch.setattr(runner.gc, "freeze", lambda: frozen.append(len(sys.modules)))
    jobs = JobRunner()

    def finish(name: str) -> None:
        gate = Gate()
        gate.open.set()
        before = set(threading.enumerate())
        with jobs.watching(name, gate) as job:
            assert job.finished.wait(LONG)
        for thread in set(threading.enumerate()) - before:
            thread.join(LONG)

    finish("a")
    finish("b")
    assert len(frozen) == 1
    for number in range(runner.MANY_MODULES):
        monkeypatch.setitem(sys.modules, f"new {number}", ModuleType(f"new {number}"))
    finish("c")
    assert len(frozen) == 2


def test_a_run_that_is_to_end_leaves_a_job_that_has_nothing_new_to_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[LocalScriptRunner] = []
    monkeypatch.setattr(LocalScriptRunner, "start", _noting(LocalScriptRunner.start, runs))
    app = AppTest.from_function(_a_page_with_a_silent_job, default_timeout=LONG)
    gate = threading.Event()
    app.session_state["gate"] = gate
    # The bar is drawn by then; without a look at the click the run would watch until the end.
    click = threading.Timer(1.5, lambda: runs[0].request_stop())
    end = threading.Timer(8.0, gate.set)
    click.start()
    end.start()
    app.run()
    end.cancel()
    job = runner.shared().running("silent")
    assert job is not None and job.watchers == 0
    runner.shared().stop("silent")
    assert job.finished.wait(LONG)


def _noting(start: Any, runs: list[Any]) -> Any:
    def noted(runner: Any) -> None:
        runs.append(runner)
        start(runner)

    return noted


def _a_page_with_a_silent_job() -> None:
    import streamlit as st

    from bhpvas.ui.jobs import progress_bar, tasks
    from bhpvas.ui.state import session as sessions

    sessions.put(None)  # type: ignore[arg-type]
    gate = st.session_state["gate"]

    def silent(job):
        job.patience = 600
        while not gate.wait(0.005):
            job.check()

    progress_bar._watch(tasks.Task("silent", "Working", silent, turn=0))
