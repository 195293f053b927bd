"""Measuring tasks: criteria, exact evaluation, ablation of single heads."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from bhpvas import text
from bhpvas.ui.jobs import models, runner, tasks
from bhpvas.ui.jobs.runner import Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session, Variant

if TYPE_CHECKING:
    from bhpvas.criteria import Scores
    from bhpvas.data.dataset import Dataset
    from bhpvas.evaluation.ablation import Ablation
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.model.states import StateCache
    from bhpvas.scheme.step import Step
    from bhpvas.tasks.base import Measured

#: Sentences from which scoring takes so many turns that nobody else's should wait for its end.
MANY = 2_000


@st.cache_resource(show_spinner=False)
def _states() -> StateCache:
    """Hidden states that later masks can start from; of all models together."""
    from bhpvas.model.states import StateCache

    return StateCache()


def scoring(
    session: Session, variant: Variant, names: tuple[str, ...], *, data: Dataset | None = None
) -> Task:
    """Criteria of every kept head, on the calibration split or on ``data``.

    Of ``data`` the values of every sentence are kept, for whoever parts them into groups.
    """
    from bhpvas.criteria import score
    from bhpvas.criteria.base import MOST_KEPT

    keep = MOST_KEPT if data is None else len(data)
    data = data or session.data.calibration

    def work(job: Job) -> Scores:
        classifier = models.classifier_of(session, variant)
        return score(classifier, data, names, mask=variant.mask, keep=keep, progress=job)

    return Task(
        key=models.lasting("scores", session, variant, data, names=names, keep=keep),
        description=f"Scoring {text.plural(variant.mask.kept_count, 'head')} "
        f"on {text.plural(len(data), 'sentence')}",
        work=work,
        turn=1,
        bulky=len(data) <= MANY,
    )


def evaluating(
    session: Session, variant: Variant, *, turn: int = 2, data: Dataset | None = None
) -> Task:
    """The exact evaluation on the evaluation split (or ``data``); that of a part comes first."""
    from bhpvas.evaluation.evaluation import FIRST_PART, evaluate_progressively

    data, mask = data or session.data.evaluation, variant.mask

    def work(job: Job) -> Evaluation:
        classifier = models.classifier_of(session, variant)
        for found in evaluate_progressively(classifier, data, mask, cache=_states(), progress=job):
            if not found.is_single_label:
                found.measured  # noqa: B018  its bootstraps take longer than a page may
            job.partial = found
        return job.partial

    return Task(
        # Of the part that comes first the rounding may differ from that of one pass over all.
        key=models.lasting("evaluation", session, variant, data, first=FIRST_PART),
        description=f"Measuring {text.kept(mask)} on {text.plural(len(data), 'sentence')}",
        work=work,
        turn=turn,
        request="measuring",
    )


def ablating(session: Session, variant: Variant) -> Task:
    """What removing each kept head alone really does, on the calibration split."""
    data = session.data.calibration

    def work(job: Job) -> Ablation:
        from bhpvas.evaluation.ablation import ablate

        return ablate(models.classifier_of(session, variant), data, variant.mask, progress=job)

    return Task(
        key=models.lasting("ablation", session, variant, data),
        description=f"Removing each of {text.plural(variant.mask.kept_count, 'head')} alone "
        f"on {text.plural(len(data), 'sentence')}",
        work=work,
        turn=3,
        request="ablating",
    )


def scores_for(session: Session, colour: str) -> tuple[Scores | None, Hashable]:
    """The criteria to show, with their name: those of the current mask, or the last ones known.

    The three of BHPVAS are measured first; all others together, once one of them is asked for.
    """
    from bhpvas.criteria import CRITERIA, DEFAULT_CRITERIA

    every = scoring(session, session.now, tuple(CRITERIA))
    if (found := runner.shared().result(every.key)) is not None:
        return _shown(found, session.now), every.key
    three = scoring(session, session.now, DEFAULT_CRITERIA)
    asked = every if colour in CRITERIA and colour not in DEFAULT_CRITERIA else three
    if (found := tasks.want(asked)) is not None:
        return _shown(found, session.now), asked.key
    for variant in (session.now, session.scored):
        for names in (tuple(CRITERIA), DEFAULT_CRITERIA):
            if variant is not None:
                key = scoring(session, variant, names).key
                if (found := runner.shared().result(key)) is not None:
                    return _shown(found, variant), key
    return None, None


def _shown(scores: Scores, variant: Variant) -> Scores:
    sessions.put(replace(sessions.current(), scored=variant))
    return scores


def ablation_for(session: Session) -> Ablation | None:
    """The exact effect of each head at the current mask, where it was asked for."""
    task = ablating(session, session.now)
    return tasks.want(task) if session.ablating else runner.shared().result(task.key)


def measure_steps() -> None:
    """Give every step its metrics, where the results are there."""
    session = sessions.current()
    models.check_model(session)
    for step in session.scheme.steps:
        if not is_measured(session, step):
            found = runner.shared().result(evaluating(session, session.at(step.id)).key)
            if found is not None:
                session = session.measured(metrics_of(session, found), step.id)
    sessions.put(session)


def metrics_of(session: Session, evaluation: Evaluation) -> dict[str, object]:
    """What a step keeps of its evaluation, with what real removal would leave."""
    from bhpvas.model.cost import flops_per_sentence, parameters

    classifier, task = models.classifier_named(session.model), evaluation.task
    # An earlier setting would stay, since metrics are added to those that a step has.
    setting = {} if evaluation.is_single_label else {"setting": task.setting}
    return evaluation.metrics() | {
        **setting,
        "data_fingerprint": session.data.evaluation.fingerprint,
        "parameters": parameters(classifier.geometry, evaluation.mask),
        "flops_per_sentence": flops_per_sentence(
            classifier.geometry, evaluation.mask, models.lengths(session)
        ),
    }


def is_measured(session: Session, step: Step) -> bool:
    """Whether a step's metrics are of the evaluation split in use, and of the task as it is."""
    return step.measured_on(session.data.evaluation.fingerprint, models.task_of(session))


def headlines(session: Session) -> dict[int, Measured]:
    """The headline of every step that is measured, by its number."""
    return {step.id: step.headline for step in session.scheme.steps if is_measured(session, step)}
