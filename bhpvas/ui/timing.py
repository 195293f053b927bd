"""Measured latency, asked for on a page: the settings, the button, and the job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from bhpvas.charts import words
from bhpvas.ui import session as sessions
from bhpvas.ui import work
from bhpvas.ui.desk import Job
from bhpvas.ui.session import Session
from bhpvas.ui.work import Task

if TYPE_CHECKING:
    from bhpvas.latency import Latencies


def latencies(
    session: Session, steps: list[int], *, possible: bool = True
) -> tuple[Latencies | None, int]:
    """What is measured for the chosen batch, None before that; and its length in tokens."""
    longest = work.classifier_named(session.model).geometry.max_length
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
        known = work.want(task) if session.timing == task.key else work.known(task)
        st.button(
            f"Measure {words.plural(1 + len(steps), 'model')}",
            key="time",
            on_click=_ask,
            args=(task.key,),
            disabled=not possible or known is not None or session.timing == task.key,
            help="Some seconds; anything else that this machine does meanwhile makes it noisier.",
        )
    return known, length


def timing(session: Session, steps: list[int], batch: int, length: int) -> Task:
    """The latency of the unpruned model and of some steps, heads really removed."""
    variants = {0: session.start, **{step: session.at(step) for step in steps}}

    def do(job: Job) -> Latencies:
        from bhpvas.latency import measure_latency

        return measure_latency(
            {
                str(step): (work.classifier_of(session, variant), variant.mask)
                for step, variant in variants.items()
            },
            batch=batch,
            length=length,
            progress=job,
        )

    return Task(
        key=(
            "latency",
            batch,
            length,
            *work.named(session, session.start),
            tuple(variants.items()),
        ),
        saying=f"Timing {words.plural(len(variants), 'model')} on {words.plural(batch, 'sentence')}"
        f" of {words.plural(length, 'token')}",
        work=do,
        turn=1,
    )


def _ask(key: Any) -> None:
    sessions.change(partial(Session.asking_times, job=key))
