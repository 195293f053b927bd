"""Measured latency, asked for on a page: the settings, the button, and the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bhpvas import text
from bhpvas.ui.jobs import models, tasks
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session

if TYPE_CHECKING:
    from bhpvas.model.latency import Latencies


def latencies(
    session: Session, steps: list[int], *, possible: bool = True
) -> tuple[Latencies | None, int]:
    """What is measured for the chosen batch, None before that; and its length in tokens."""
    longest = models.classifier_named(session.model).geometry.max_length
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="timing"):
        batch = st.number_input(
            "Sentences at once", 1, 256, 8, key="latency-batch", width=140, persist_state="session"
        )
        length = st.number_input(
            "Tokens each",
            1,
            longest,
            min(32, longest),
            key="latency-length",
            width=120,
            persist_state="session",
        )
        task = timing(session, steps, batch, length)
        known = tasks.want(task) if session.timing == task.key else tasks.known(task)
        st.button(
            f"Measure {text.plural(1 + len(steps), 'model')}",
            key="time",
            on_click=sessions.change,
            args=(Session.asking, "timing", task.key),
            disabled=not possible or known is not None or session.timing == task.key,
            help="Some seconds; anything else that this machine does meanwhile makes it noisier.",
        )
    return known, length


def timing(session: Session, steps: list[int], batch: int, length: int) -> Task:
    """The latency of the unpruned model and of some steps, heads really removed."""
    variants = {0: session.start, **{step: session.at(step) for step in steps}}
    named = models.named(session, session.start)

    def do(job: Job) -> Latencies:
        from bhpvas.model.latency import measure_latency

        return measure_latency(
            {
                str(step): (models.classifier_of(session, variant), variant.mask)
                for step, variant in variants.items()
            },
            batch=batch,
            length=length,
            progress=job,
        )

    return Task(
        key=("latency", batch, length, *named, tuple(variants.items())),
        description=f"Timing {text.plural(len(variants), 'model')} "
        f"on {text.plural(batch, 'sentence')} of {text.plural(length, 'token')}",
        work=do,
        turn=1,
    )
