"""Progress bar: the most urgent missing result is worked out at the foot of the page."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import streamlit as st

from bhpvas import text
from bhpvas.errors import BhpvasError
from bhpvas.progress import Cancelled
from bhpvas.ui.jobs import learnt, measuring, runner
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import UNNOTICED, Task, known, wanted
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Request, Session

#: Seconds between two looks at a job, and between two pictures of a live one.
GLANCE, LIVE = 0.15, 2.5


def carry_out() -> None:
    """Do the most urgent of what is wanted and missing, then run the page again."""
    session = sessions.current()
    if session.dialog:  # its own reruns would have to wait until the work is done
        return
    tasks = wanted()
    requested = None
    if session.pending is not None:
        measured = measuring.evaluating(session, session.pending.applied_to(session.now), turn=0)
        requested = replace(measured, request="pending")
        tasks.insert(0, requested)
    stopped = [task for task in tasks if task.key in session.cancelled]
    task = next((task for task in tasks if task not in stopped), None)
    if task is None:
        if stopped:
            _offer_again(stopped[0])
        return
    try:
        found = _done(task)
        if task is requested:
            if session.pending is not None and session.pending.learnt_from is None:
                # By hand, on head maps that show what the calibration sentences say.
                looked_at = _done(learnt.fingerprinting(session, session.data.calibration))
                session = session.learning_from(looked_at)
            session = session.completed(measuring.metrics_of(session, found))
    except Cancelled:  # by itself, since nobody watched; this run wants it again
        st.rerun()
    except BhpvasError as error:
        sessions.put(replace(session.cancelling(task.key, task.request), error=str(error)))
        st.rerun()
    if task is requested:
        sessions.put(session)
    st.rerun()


def _done(task: Task) -> Any:
    """The result of a task; where it is not there yet, it is waited for."""
    found = known(task)
    return _watch(task) if found is None else found


def _watch(task: Task) -> Any:
    """Show a job's progress at the foot of the page until it ends; a click elsewhere leaves it."""
    with runner.shared().watching(task.key, task.work, bulky=task.bulky) as job:
        if not job.finished.wait(UNNOTICED):
            with st.bottom.container(horizontal=True, vertical_alignment="center", key="work"):
                bar = st.progress(0.0, text=task.description)
                st.button(
                    "Cancel",
                    key="cancel",
                    on_click=_cancel,
                    args=(task.key, task.request),
                    type="tertiary",
                )
            redraw, shown = time.monotonic() + LIVE, None
            while not job.finished.wait(GLANCE):
                sessions.current()  # where Streamlit ends a run after a click, news or not
                if task.live and time.monotonic() > redraw:
                    st.rerun()
                percent, said = 100 * job.done // (job.total or 1), _state(task, job)
                if (percent, said) != shown:  # each picture costs every browser that watches
                    bar.progress(percent, text=said)
                    shown = percent, said
    if job.error is not None:
        raise job.error
    return job.result


def _state(task: Task, job: Job) -> str:
    """What the bar says: the work, the time left, and a first answer where there is one."""
    from bhpvas.evaluation.evaluation import Evaluation

    said = task.description
    if job.place:
        return (
            f"{said}: {'waiting' if not job.total else 'taking turns'}, place in line: {job.place}"
        )
    if job.remaining is not None:
        said += f", {text.seconds(job.remaining)} left"
    found = job.partial
    if isinstance(found, Evaluation) and not found.complete:
        said += f". So far {found.headline_text()} on {text.plural(found.n, 'sentence')}"
    return said


def _offer_again(task: Task) -> None:
    with st.bottom.container(horizontal=True, vertical_alignment="center", key="work"):
        st.caption(f"Stopped: {task.description}", width="stretch")
        st.button(
            "Continue",
            key="continue",
            on_click=sessions.change,
            args=(Session.retrying,),
            type="tertiary",
        )


def _cancel(key: Hashable, request: Request | None) -> None:
    runner.shared().stop(key)
    sessions.change(Session.cancelling, key, request)
