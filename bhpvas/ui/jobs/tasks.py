"""Tasks: each result that a page needs, by its name, and the list of those still missing.

A page asks :func:`want` for a result and draws what is there. What is missing is done after the
page is drawn (:mod:`bhpvas.ui.jobs.progress_bar`).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from bhpvas.ui.jobs import runner
from bhpvas.ui.jobs.runner import Work
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Request

#: Work shorter than this needs no bar.
UNNOTICED = 0.4


_TASKS = "bhpvas tasks"


@dataclass(frozen=True)
class Task:
    """A result by its name (``key``), how to get it, and when its turn is (0 = first).

    Of a ``live`` one the page shows how far it is, so it is drawn again every few seconds. A
    ``bulky`` one holds on to much memory until it is done. ``request`` is the field of the session
    that is off once the job is stopped.
    """

    key: Hashable
    description: str
    work: Work
    turn: int
    live: bool = False
    bulky: bool = False
    request: Request | None = None


def want(task: Task) -> Any:
    """The result of a task, or None: then it is on the list of what this run still has to do."""
    found = runner.shared().result(task.key)
    if found is None:
        st.session_state[_TASKS].append(task)
    return found


def promptly(task: Task) -> Any:
    """The result of a task, waiting as long as nobody notices; else as :func:`want`.

    For what takes a blink once everything is loaded, so that the page is not drawn twice.
    """
    found = runner.shared().result(task.key)
    if found is None and task.key not in sessions.current().cancelled:
        with runner.shared().watching(task.key, task.work, bulky=task.bulky) as job:
            if job.finished.wait(UNNOTICED) and job.error is None:
                return job.result
    return want(task) if found is None else found


def known(task: Task) -> Any:
    """The result of a task where it is there, without asking for it."""
    return runner.shared().result(task.key)


def begin_run() -> None:
    """Forget what an earlier run of the script wanted."""
    st.session_state[_TASKS] = []


def wanted() -> list[Task]:
    """What this run still has to do, the most urgent first."""
    return sorted(st.session_state[_TASKS], key=lambda task: task.turn)
