"""Tasks of the Schemes page: proposals, their expected effect, recoveries, and the evidence."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import product
from typing import Any

import streamlit as st

from bhpvas import text
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.weights import weights_file
from bhpvas.progress import part
from bhpvas.recovery import RECOVERIES, recover
from bhpvas.recovery.finetuning import Course, TuningSettings, finetune
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.search import Constraints, Proposal, method_named, propose
from bhpvas.search.curves import Curve, Store, known_curve, measure_curve
from bhpvas.storage.results import ResultKey
from bhpvas.ui.jobs import models, runner
from bhpvas.ui.jobs.runner import LONG_PATIENCE, Job
from bhpvas.ui.jobs.tasks import Task
from bhpvas.ui.state import limits
from bhpvas.ui.state.session import Curves, PendingStep, Search, Session


def proposing(session: Session, search: Search) -> Task:
    """The heads that a method would remove from the current step on, learnt from calibration."""
    data, start = session.data.calibration, session.now
    method = method_named(search.method)

    def do(job: Job) -> Proposal:
        return propose(
            models.classifier_of(session, start),
            data,
            search.method,
            heads=search.heads,
            mask=start.mask,
            constraints=Constraints(search.protected, search.min_per_layer),
            max_drop=search.max_drop,
            seed=search.seed,
            options=search.options,
            progress=job,
        )

    return Task(
        key=("proposal", search, *models.named(session, start), data.fingerprint),
        description=f"Searching by {method.title} "
        f"on {text.plural(len(data), 'calibration sentence')}",
        work=do,
        turn=1,
    )


@dataclass(frozen=True, eq=False)
class ExpectedEffect:
    """What a proposal does on the calibration split: now, once masked, and once compensated.

    ``compensated`` is None where the weights of the model cannot be for this mask.
    """

    now: Evaluation
    masked: Evaluation
    compensated: Evaluation | None


def expected_effect(session: Session, mask: HeadMask, seed: int) -> Task:
    """What removing heads does on the calibration split, without and with compensation."""
    data, start, now = session.data.calibration, session.start, session.now

    def do(job: Job) -> ExpectedEffect:
        classifier, own = models.classifier_of(session, now), models.classifier_of(session, start)
        compensated = None
        if own.geometry.removable(mask) == mask:
            fitted = recover(own, data, mask, seed=seed, progress=part(job, 0, 4))
            recovered = own.with_weights(fitted.weights)
            compensated = evaluate(recovered, data, mask, progress=part(job, 1, 4))
        return ExpectedEffect(
            now=evaluate(classifier, data, now.mask, progress=part(job, 2, 4)),
            masked=evaluate(classifier, data, mask, progress=part(job, 3, 4)),
            compensated=compensated,
        )

    return Task(
        key=("expected effect", mask, seed, *models.named(session, now), data.fingerprint),
        description=f"Trying {text.kept(mask)} on {text.plural(len(data), 'calibration sentence')}",
        work=do,
        turn=1,
    )


def heads_to_remove(proposal: Proposal, session: Session) -> list[HeadId]:
    """The heads that go: those proposed, in order, then the ones that the person added."""
    proposed = [head for head in proposal.heads if head not in session.turned]
    return proposed + sorted(session.turned - set(proposal.heads))


def record(proposal: Proposal, session: Session) -> dict[str, Any]:
    """What the step of a proposal keeps of it, with what was changed by hand."""
    found, turned = proposal.record(), session.turned
    found["reasons"] = [
        [str(head), reason] for head, reason in proposal.removals if head not in turned
    ]
    if turned:
        found["by_hand"] = {
            "removed": [str(head) for head in sorted(turned - set(proposal.heads))],
            "kept": [str(head) for head in proposal.heads if head in turned],
        }
    return found


@dataclass(frozen=True)
class Fitted:
    """A recovery: the hash of its weights, which lie in the folder, and what a step keeps of it."""

    weights: str
    settings: dict[str, Any]
    learnt_from: LearntSentences

    def step(self, method: str, seed: int) -> PendingStep:
        """The step that it becomes once it is measured."""
        return PendingStep(
            "recover", (), method, self.settings, seed, self.weights, self.learnt_from
        )


def _unless_lost(key: Hashable) -> Hashable:
    """The name of a recovery; one whose weights have left the folder is not known any more."""
    found = runner.shared().result(key)
    if found is not None and not weights_file(models.weights_folder(), found.weights).exists():
        runner.shared().forget(key)
    return key


def recovering(session: Session, method: str) -> Task:
    """New weights for the current step's heads, fitted on the calibration split."""
    data, mask = session.data.calibration, session.mask

    def do(job: Job) -> Fitted:
        classifier, started = models.classifier_of(session, session.start), time.perf_counter()
        found = recover(classifier, data, mask, method, progress=job)
        took = {"seconds": round(time.perf_counter() - started, 3)}
        kept = models.keep_weights(found.weights)
        return Fitted(kept, found.record() | took, found.learnt_from)

    return Task(
        key=_unless_lost(
            ("recovery", method, *models.named(session, session.start), mask, data.fingerprint)
        ),
        description=f"{RECOVERIES[method].title} of {text.kept_briefly(mask)} "
        f"on {text.plural(len(data), 'calibration sentence')}",
        work=do,
        turn=0,
        request="recovering",
    )


def tuning(session: Session, settings: TuningSettings) -> Task:
    """The current step's model trained on, on the calibration split; stopped, the best so far."""
    data, now = session.data.calibration, session.now

    def do(job: Job) -> Fitted:
        limits.current().check_finetuning()

        def watch(course: Course) -> None:
            job.partial = course

        job.patience = LONG_PATIENCE
        classifier, started = models.classifier_of(session, now), time.perf_counter()
        found = finetune(classifier, data, now.mask, settings, watch=watch, progress=job)
        took = {"seconds": round(time.perf_counter() - started, 3)}
        kept = models.keep_weights(found.weights)
        return Fitted(kept, found.record() | took, found.learnt_from)

    return Task(
        key=_unless_lost(("tuning", settings, *models.named(session, now), data.fingerprint)),
        description=f"Fine-tuning {text.kept_briefly(now.mask)} "
        f"on {text.plural(len(data), 'calibration sentence')}",
        work=do,
        turn=0,
        live=True,
    )


@st.cache_resource(show_spinner=False, max_entries=4)
def _store(model: str, calibration: str, evaluation: str, _name: ResultKey) -> Store:
    """What curves of one model on some data are made of, measured once for everybody."""
    return Store(known=runner.shared().kept.get(_name))


def _name(session: Session) -> ResultKey:
    """What the store of the session's model and data is called on disk."""
    data, calibration = session.data.evaluation, session.data.calibration.fingerprint
    return models.lasting("curves", session, session.start, data, calibration=calibration)


def _place(session: Session) -> tuple[Classifier, Store]:
    classifier, data = models.classifier_named(session.model), session.data
    prints = classifier.identity, data.calibration.fingerprint, data.evaluation.fingerprint
    return classifier, _store(*prints, _name(session))


def store(session: Session) -> Store:
    """What is measured of curves, shared by whoever draws them."""
    return _place(session)[1]


def removals(session: Session, curves: Curves) -> tuple[int, ...]:
    """After how many removals the curves are measured."""
    total = session.start.mask.kept_count
    at_once = max(map(len, models.groups(session)), default=1)  # heads that leave together
    every = -(-curves.every // at_once) * at_once
    return tuple(sorted({*range(0, total, every), total}))


def _lines(curves: Curves) -> list[tuple[str, str | None, int]]:
    """Method, recovery and seed of each curve: those asked for first, then the random orders.

    Random orders are drawn without recovery, and with each that is asked for as for other methods.
    """
    chosen = [
        (method, recovery, curves.seed)
        for recovery, method in product(curves.recoveries, curves.methods)
        if method != "random"
    ]
    recovered = curves.recoveries if "random" in curves.methods else ()
    return chosen + [
        ("random", recovery, curves.seed + draw)
        for recovery in dict.fromkeys((None, *recovered))
        for draw in range(curves.random)
    ]


def measuring(session: Session, curves: Curves) -> Task:
    """Every curve that is asked for, measured on the evaluation split, one after another."""
    classifier, store = _place(session)
    data, counts, lines = session.data, removals(session, curves), _lines(curves)
    on = classifier, data.calibration, data.evaluation
    kept, name = runner.shared().kept, _name(session)
    prints = data.calibration.fingerprint, data.evaluation.fingerprint

    def do(job: Job) -> bool:
        for index, (method, recovery, seed) in enumerate(lines):
            at = part(job, index, len(lines))
            measure_curve(
                *on, method, counts, recovery=recovery, seed=seed, store=store, progress=at
            )
            kept.put(name, store.known)
        return True

    return Task(
        key=("curves", curves, *models.named(session, session.start), *prints),
        description=f"Measuring {text.plural(len(lines), 'curve')} of {len(counts)} points "
        f"on {text.plural(len(data.evaluation), 'sentence')}",
        work=do,
        turn=5,
        live=True,
    )


def known_curves(session: Session, curves: Curves) -> tuple[list[Curve], list[Curve]]:
    """What is measured so far of the chosen curves, and the random orders that are complete."""
    (classifier, store), data = _place(session), session.data
    on, counts = (classifier, data.calibration, data.evaluation), removals(session, curves)
    found = [
        known_curve(*on, method, counts, recovery=recovery, seed=seed, store=store)
        for method, recovery, seed in _lines(curves)
    ]
    known = [curve for curve in found if curve is not None]
    chosen = [one for one in known if one.method != "random"]
    return chosen, [one for one in known if one.method == "random" and one.removed == counts]
