"""Tasks of a search to targets: the family that it finds, and how far the answers move now."""

from __future__ import annotations

from typing import Any

from bhpvas import text
from bhpvas.evaluation.comparison import divergences
from bhpvas.model.latency_table import LatencyTable, latency_table
from bhpvas.model.runtimes import Timing, processor
from bhpvas.model.weights import weights_file
from bhpvas.search import Constraints
from bhpvas.search.budget import Target
from bhpvas.search.family import Member
from bhpvas.search.registry import TO_TARGET
from bhpvas.search.target import narrow_to, unit_named
from bhpvas.storage.results import ResultKey
from bhpvas.ui.jobs import measuring, models, runner, tasks
from bhpvas.ui.jobs.runner import LONG_PATIENCE, Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state.session import FamilySearch, PendingStep, Session, Variant


def searching(session: Session, asked: FamilySearch) -> Task:
    """What one search finds for each of its targets, learnt from calibration alone.

    The weights of each are put into the folder.
    """
    data = session.data.calibration

    def do(job: Job) -> tuple[Member, ...]:
        job.patience = LONG_PATIENCE
        found = narrow_to(
            models.classifier_of(session, session.start),
            data,
            [Target.parse(one) for one in asked.targets],
            asked.method,
            units=[unit_named(one) for one in asked.units],
            multiple_of=asked.multiple_of,
            constraints=Constraints(asked.protected, asked.min_per_layer),
            seed=asked.seed,
            results=runner.shared().kept,
            progress=job,
        )
        for one in found:
            if one.weights is not None:
                models.keep_weights(one.weights)
        return tuple(map(Member.of, found))

    return Task(
        key=_unless_lost(_here("family", session, asked=asked)),
        description=f"Searching for {text.plural(len(asked.targets), 'smaller model')} "
        f"({TO_TARGET[asked.method].title}) "
        f"on {text.plural(len(data), 'calibration sentence')}",
        work=do,
        turn=1,
    )


def _here(what: str, session: Session, **settings: Any) -> ResultKey:
    """The key of a result that is of this machine: times of another would be wrong here."""
    data = session.data.calibration
    return models.lasting(what, session, session.start, data, machine=processor(), **settings)


def _unless_lost(key: ResultKey) -> ResultKey:
    """The name of a family; one whose weights are not all in the folder is not known any more."""
    found: tuple[Member, ...] = runner.shared().result(key) or ()
    names = {one.weights for one in found if one.weights is not None}
    if not all(weights_file(models.weights_folder(), name).exists() for name in names):
        runner.shared().forget(key)
    return key


def evaluating(session: Session, member: Member) -> Task:
    """The exact evaluation of one of a family on the evaluation split."""
    return measuring.evaluating(session, variant(member), turn=4)


def variant(member: Member) -> Variant:
    """The model that one of a family is."""
    return Variant(member.mask, member.weights)


def moved_now(session: Session) -> float | None:
    """How far the current step's answers are from the unpruned model's, on calibration sentences.

    Mean KL divergence in nats; None as long as that is not known.
    """
    if session.now == session.start:
        return 0.0
    data = session.data.calibration
    before, now = (
        tasks.want(measuring.evaluating(session, one, data=data))
        for one in (session.start, session.now)
    )
    if before is None or now is None:
        return None
    return float(divergences(before, now).mean())


def timing_parts(session: Session, timing: Timing) -> Task:
    """The table of latencies that a search to a time goes by, kept from then where it still is."""

    def do(job: Job) -> LatencyTable:
        classifier = models.classifier_of(session, session.start)
        return latency_table(classifier, timing, results=runner.shared().kept, progress=job)

    return Task(
        key=_here("latency table", session, timing=timing),
        description=f"Timing parts of {timing}",
        work=do,
        turn=4,
    )


def taking(session: Session, member: Member) -> Session:
    """One of a family asked for from the start on: its removal, then its fitted weights."""
    fitted = member.recovery
    then = None
    if fitted is not None:
        then = PendingStep(
            "recover", (), fitted.method, fitted.settings, member.seed, fitted.weights,
            member.learnt_from,
        )  # fmt: skip
    pending = PendingStep(
        "remove",
        tuple(sorted(member.mask.masked)),
        member.method,
        member.settings,
        member.seed,
        learnt_from=member.learnt_from,
        then=then,
        neurons=member.mask.masked_neurons,
    )
    return session.from_start().asking_for(pending)


def step_of(session: Session, member: Member) -> int | None:
    """The step of the scheme that is one of a family already; None where there is none."""
    steps = (step.id for step in session.scheme.steps)
    return next((step for step in steps if session.at(step) == variant(member)), None)
