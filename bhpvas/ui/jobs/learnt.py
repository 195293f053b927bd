"""Learnt sentences: how many of those that measure a step were learnt from on the way to it.

Fingerprints of a split are worked out once for everybody; what follows from them is kept like any
result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bhpvas import text
from bhpvas.ui.jobs import measuring, models, runner, tasks
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state.session import Session

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset
    from bhpvas.evaluation.learnt_from import LearntFrom


def fingerprinting(session: Session, data: Dataset) -> Task:
    """A fingerprint of each sentence as the session's model reads it: uint64 ``[N]``."""

    def work(job: Job) -> np.ndarray:
        return models.classifier_named(session.model).encode(data).fingerprints

    return Task(
        key=("fingerprints", *models.named(session, session.start), data.fingerprint),
        description=f"Reading {text.plural(len(data), 'sentence')}",
        work=work,
        turn=1,
    )


def counted(
    session: Session, step_id: int | None = None, *, data: Dataset | None = None
) -> LearntFrom | None:
    """How many of the evaluation sentences, or of ``data``, a step learnt from (default: the
    current one); None as long as it is not measured on them.
    """
    from bhpvas.evaluation.learnt_from import learnt_from

    data, scheme = data or session.data.evaluation, session.scheme
    path = scheme.path(step_id)
    start, now = (
        measuring.evaluating(session, session.at(step.id), data=data)
        for step in (path[0], path[-1])
    )
    unpruned, found = tasks.known(start), tasks.known(now)
    prints = _prints(session, data, any(step.learnt_from for step in path))
    if unpruned is None or found is None or prints is None:
        return None
    origins = tuple((step.id, step.method, step.learnt_from, step.origin_unknown) for step in path)
    return runner.shared().quick(
        ("learnt from", start.key, now.key, origins),
        lambda: learnt_from(scheme, prints, unpruned, found, path[-1].id),
    )


def counts_at_steps(session: Session) -> dict[int, int]:
    """How many of the evaluation sentences are known to be learnt from on the way to each step.

    Empty as long as that is not known.
    """
    from bhpvas.evaluation.learnt_from import known_at_steps

    data, scheme = session.data.evaluation, session.scheme
    prints = _prints(session, data, any(step.learnt_from for step in scheme.steps))
    if prints is None:
        return {}
    origins = tuple((step.id, step.parent, step.learnt_from) for step in scheme.steps)
    return runner.shared().quick(
        ("learnt at steps", *models.named(session, session.start), data.fingerprint, origins),
        lambda: {step: int(known.sum()) for step, known in known_at_steps(scheme, prints).items()},
    )


def in_common(session: Session) -> int:
    """How many evaluation sentences are calibration sentences, too, as far as it is known yet."""
    evaluation, calibration = session.data.evaluation, session.data.calibration
    measured, learnt = _asked(session, evaluation), _asked(session, calibration)
    if measured is None or learnt is None:
        return 0
    prints = evaluation.fingerprint, calibration.fingerprint
    return runner.shared().quick(
        ("in common", *models.named(session, session.start), *prints),
        lambda: int(np.isin(measured, learnt).sum()),
    )


def _prints(session: Session, data: Dataset, needed: bool) -> np.ndarray | None:
    """The fingerprints of some sentences; zeros where no step is known to have learnt from any."""
    return _asked(session, data) if needed else np.zeros(len(data), np.uint64)


def _asked(session: Session, data: Dataset) -> np.ndarray | None:
    """The fingerprints of some sentences, at once where they are few and nobody else works."""
    ask = tasks.want if len(runner.shared().queue) else tasks.promptly
    found: np.ndarray | None = ask(fingerprinting(session, data))
    return found
