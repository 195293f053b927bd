"""What the pages compute: each result named by what it is of, and worked on one at a time.

A page asks :func:`want` for a result and draws what is there. What is missing is done after the
page is drawn, by :func:`carry_out`, with a bar and a way to cancel at the foot of the page.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from bhpvas import text
from bhpvas.errors import BhpvasError, ModelError
from bhpvas.model.files import stamp
from bhpvas.model.result_key import result_key
from bhpvas.model.weights import weights_file
from bhpvas.progress import Cancelled
from bhpvas.storage.files import files_of
from bhpvas.storage.paths import workspaces_folder
from bhpvas.storage.results import ResultKey, Results, kept_results
from bhpvas.ui.jobs.runner import Job, JobRunner, Work
from bhpvas.ui.state import limits
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Request, Session, Variant

if TYPE_CHECKING:
    from bhpvas.charts.scheme_tree import Accuracy
    from bhpvas.criteria import Scores
    from bhpvas.data.dataset import Dataset, Splits
    from bhpvas.evaluation.ablation import Ablation
    from bhpvas.evaluation.estimate import Estimate
    from bhpvas.evaluation.evaluation import Evaluation
    from bhpvas.model.classifier import Classifier
    from bhpvas.model.states import StateCache
    from bhpvas.model.weights import Weights
    from bhpvas.scheme.scheme import Scheme
    from bhpvas.scheme.step import Step

#: Work shorter than this needs no bar.
UNNOTICED = 0.4
#: Seconds between two looks at a job, and between two pictures of a live one.
GLANCE, LIVE = 0.15, 2.5
#: Sentences from which scoring takes so many turns that nobody else's should wait for its end.
MANY = 2_000
#: Disk that the weights of all sessions may take: some hundred compensations of a BERT-base.
MOST_WEIGHTS = 4 * 2**30

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


@st.cache_resource(show_spinner=False)
def runner() -> JobRunner:
    """The desk of this server; raises :class:`BhpvasError` where its settings are none.

    Of strangers' work nothing is kept on disk, unless the server's owner names a folder for it.
    """
    limited = limits.current()
    kept = (
        Results(None) if limited.hosted and not os.environ.get("BHPVAS_CACHE") else kept_results()
    )
    return JobRunner(kept=kept, at_once=_at_once(), most_seconds=limited.seconds)


def _cores() -> int:
    """The processors that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _at_once() -> int:
    """Jobs that work at the same time: more gain nothing where each keeps several cores busy."""
    return min(max(_cores() // 4, 1), 4)


def _forget(classifier: Classifier) -> None:
    """What holds on to a model leaves with it."""
    _changed.clear()  # those of other models are read again


def classifier_named(source: str | None) -> Classifier:
    """A loaded classifier by folder or hub id, as its files are now; None is the sample model."""
    return _loaded(source, () if source is None else stamp(Path(source).expanduser()))


@st.cache_resource(show_spinner=False, max_entries=2, on_release=_forget)
def _loaded(source: str | None, files: tuple[Hashable, ...]) -> Classifier:
    import torch

    from bhpvas.model.classifier import load_classifier

    # Jobs that work at once share the cores; more threads than cores stall each other.
    torch.set_num_threads(min(torch.get_num_threads(), max(_cores() // _at_once(), 1)))
    return load_classifier(source)


def check_model(session: Session) -> None:
    """Raises :class:`ModelError` where the files of the model have changed or are gone."""
    try:
        classifier_of(session, session.start)
    except BhpvasError as error:
        raise ModelError(
            f"The model is not what it was when this page was opened. {error}"
        ) from error


def only_masks(session: Session) -> str | None:
    """Why the weights of the session's model cannot lose heads; None where they can."""
    try:
        classifier_named(session.model).check_removal()
    except BhpvasError as error:
        return str(error)
    return None


@st.cache_resource(show_spinner=False)
def sample_data() -> Splits:
    """The sentences that ship with the project."""
    from bhpvas.data.reading import sample_splits

    return sample_splits()


@st.cache_resource(show_spinner=False)
def _states() -> StateCache:
    """Hidden states that later masks can start from; of all models together."""
    from bhpvas.model.states import StateCache

    return StateCache()


# --- weights that steps changed -------------------------------------------------------------------


@st.cache_resource(show_spinner=False)
def _weights() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bhpvas-weights-")


def weights_folder() -> Path:
    """Where the weights of this server's schemes lie: beside the works that are kept.

    On a server for strangers they lie in a folder that goes when it ends. Each file is named by the
    hash of its content and never changes, so sessions may share it.
    """
    kept = workspaces_folder()
    if not limits.current().hosted:
        with suppress(OSError):
            kept.mkdir(parents=True, exist_ok=True)
        if os.access(kept, os.W_OK):
            return kept
    return Path(_weights().name)


def keep_weights(weights: Weights) -> str:
    """Put weights into the folder; returns the hash that names them.

    Those that nobody used for longest leave when all take more than :data:`MOST_WEIGHTS`.
    """
    path = weights.save(weights_folder())
    files = files_of(weights_folder(), "*.safetensors")
    taken = sum(about.st_size for about in files.values())
    for file in sorted(files, key=lambda one: files[one].st_mtime):
        if taken > MOST_WEIGHTS and file != path:
            file.unlink(missing_ok=True)
            taken -= files[file].st_size
    return weights.fingerprint


def classifier_of(session: Session, variant: Variant) -> Classifier:
    """The session's classifier with the weights of a variant of it.

    Raises :class:`ModelError` where they are not in the folder (any more), and
    :class:`SchemeError` where the model's files are others than those that the scheme is of.
    """
    classifier = classifier_named(session.model)
    session.scheme.matches(classifier)
    if variant.weights is None:
        return classifier
    file = weights_file(weights_folder(), variant.weights)
    with suppress(OSError):  # gone, or in a folder that is only read
        os.utime(file)
    return _changed(classifier.identity, variant.weights, classifier, session.scheme)


def classifier_at(session: Session, step_id: int) -> Classifier:
    """The session's classifier with the weights that hold at a step of its scheme."""
    return classifier_of(session, session.at(step_id))


@st.cache_resource(show_spinner=False, max_entries=2)
def _changed(model: str, weights: str, _classifier: Classifier, _scheme: Scheme) -> Classifier:
    # Weights that are being measured are of no step yet.
    return _scheme.recovered(weights, "").on(_classifier, weights_folder())


# --- what there is to compute ---------------------------------------------------------------------


def scoring(
    session: Session, variant: Variant, names: tuple[str, ...], *, data: Dataset | None = None
) -> Task:
    """Criteria of every kept head, on the calibration split or on ``data``.

    Of ``data`` the values of every sentence are kept, for whoever parts them into groups.
    """
    from bhpvas.criteria.base import MOST_KEPT

    keep = MOST_KEPT if data is None else len(data)
    data = data or session.data.calibration

    def work(job: Job) -> Scores:
        from bhpvas.criteria import score

        classifier = classifier_of(session, variant)
        return score(classifier, data, names, mask=variant.mask, keep=keep, progress=job)

    return Task(
        key=lasting("scores", session, variant, data, names=names, keep=keep),
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
    from bhpvas.evaluation.evaluation import FIRST_PART

    data, mask = data or session.data.evaluation, variant.mask

    def work(job: Job) -> Evaluation:
        from bhpvas.evaluation.evaluation import evaluate_progressively

        classifier = classifier_of(session, variant)
        for found in evaluate_progressively(classifier, data, mask, cache=_states(), progress=job):
            job.partial = found
        return job.partial

    return Task(
        # Of the part that comes first the rounding may differ from that of one pass over all.
        key=lasting("evaluation", session, variant, data, first=FIRST_PART),
        description=f"Measuring {mask.kept_count} of {mask.layers * mask.heads} heads "
        f"on {text.plural(len(data), 'sentence')}",
        work=work,
        turn=turn,
        request="measuring",
    )


def ablating(session: Session, variant: Variant) -> Task:
    """What removing each kept head alone really does, on the calibration split."""
    data = session.data.calibration

    def work(job: Job) -> Ablation:
        from bhpvas.evaluation.ablation import ablate

        return ablate(classifier_of(session, variant), data, variant.mask, progress=job)

    return Task(
        key=lasting("ablation", session, variant, data),
        description=f"Removing each of {text.plural(variant.mask.kept_count, 'head')} alone "
        f"on {text.plural(len(data), 'sentence')}",
        work=work,
        turn=3,
        request="ablating",
    )


def estimate(scores: Scores) -> Estimate:
    """The estimate around the scores' mask: milliseconds, so it needs no desk."""
    from bhpvas.evaluation.estimate import Estimate

    return Estimate.from_scores(scores)


def named(session: Session, variant: Variant) -> tuple[Hashable, ...]:
    """What names a variant of any model in the key of a result."""
    return (classifier_named(session.model).identity, variant)


def lasting(
    what: str, session: Session, variant: Variant, data: Dataset, **settings: Any
) -> ResultKey:
    """The key of a result that is kept on disk as well."""
    classifier = classifier_named(session.model)
    return result_key(what, classifier, data, variant.mask, weights=variant.weights, **settings)


# --- asking for it and getting it -----------------------------------------------------------------


def want(task: Task) -> Any:
    """The result of a task, or None: then it is on the list of what this run still has to do."""
    found = runner().result(task.key)
    if found is None:
        st.session_state[_TASKS].append(task)
    return found


def promptly(task: Task) -> Any:
    """The result of a task, waiting as long as nobody notices; else as :func:`want`.

    For what takes a blink once everything is loaded, so that the page is not drawn twice.
    """
    found = runner().result(task.key)
    if found is None and task.key not in sessions.current().cancelled:
        with runner().watching(task.key, task.work, bulky=task.bulky) as job:
            if job.finished.wait(UNNOTICED) and job.error is None:
                return job.result
    return want(task) if found is None else found


def known(task: Task) -> Any:
    """The result of a task where it is there, without asking for it."""
    return runner().result(task.key)


def scores_for(session: Session, colour: str) -> tuple[Scores | None, Hashable]:
    """The criteria to show, with their name: those of the current mask, or the last ones known.

    The three of BHPVAS are measured first; all others together, once one of them is asked for.
    """
    from bhpvas.criteria import CRITERIA, DEFAULT_CRITERIA

    every = scoring(session, session.now, tuple(CRITERIA))
    if (found := runner().result(every.key)) is not None:
        return _shown(found, session.now), every.key
    three = scoring(session, session.now, DEFAULT_CRITERIA)
    asked = every if colour in CRITERIA and colour not in DEFAULT_CRITERIA else three
    if (found := want(asked)) is not None:
        return _shown(found, session.now), asked.key
    for variant in (session.now, session.scored):
        for names in (tuple(CRITERIA), DEFAULT_CRITERIA):
            if variant is not None:
                key = scoring(session, variant, names).key
                if (found := runner().result(key)) is not None:
                    return _shown(found, variant), key
    return None, None


def _shown(scores: Scores, variant: Variant) -> Scores:
    sessions.put(replace(sessions.current(), scored=variant))
    return scores


def ablation_for(session: Session) -> Ablation | None:
    """The exact effect of each head at the current mask, where it was asked for."""
    task = ablating(session, session.now)
    return want(task) if session.ablating else runner().result(task.key)


def begin_run() -> None:
    """Forget what an earlier run of the script wanted."""
    st.session_state[_TASKS] = []


def measure_steps() -> None:
    """Give every step its metrics, where the results are there."""
    session = sessions.current()
    check_model(session)
    for step in session.scheme.steps:
        if not is_measured(session, step):
            found = runner().result(evaluating(session, session.at(step.id)).key)
            if found is not None:
                session = session.measured(metrics_of(session, found), step.id)
    sessions.put(session)


def carry_out() -> None:
    """Do the most urgent of what is wanted and missing, then run the page again."""
    session = sessions.current()
    if session.dialog:  # its own reruns would have to wait until the work is done
        return
    tasks: list[Task] = sorted(st.session_state[_TASKS], key=lambda task: task.turn)
    requested = None
    if session.pending is not None:
        measured = evaluating(session, session.pending.applied_to(session.now), turn=0)
        requested = replace(measured, request="pending")
        tasks.insert(0, requested)
    stopped = [task for task in tasks if task.key in session.cancelled]
    task = next((task for task in tasks if task not in stopped), None)
    if task is None:
        if stopped:
            _offer_again(stopped[0])
        return
    try:
        found = known(task)
        if found is None:
            found = _watch(task)
        if task is requested:
            session = session.completed(metrics_of(session, found))
    except Cancelled:  # by itself, since nobody watched; this run wants it again
        st.rerun()
    except BhpvasError as error:
        sessions.put(replace(session.cancelling(task.key, task.request), error=str(error)))
        st.rerun()
    if task is requested:
        sessions.put(session)
    st.rerun()


def metrics_of(session: Session, evaluation: Evaluation) -> dict[str, object]:
    """What a step keeps of its evaluation, with what real removal would leave."""
    from bhpvas.model.cost import flops_per_sentence, parameters

    classifier = classifier_named(session.model)
    return evaluation.metrics() | {
        "data_fingerprint": session.data.evaluation.fingerprint,
        "parameters": parameters(classifier.geometry, evaluation.mask),
        "flops_per_sentence": flops_per_sentence(
            classifier.geometry, evaluation.mask, lengths(session)
        ),
    }


def is_measured(session: Session, step: Step) -> bool:
    """Whether a step's metrics are of the evaluation split in use."""
    return step.measured_on(session.data.evaluation.fingerprint)


def accuracies(session: Session) -> dict[int, Accuracy]:
    """The accuracy of every step that is measured, by its number."""
    from bhpvas.charts.scheme_tree import Accuracy

    return {
        step.id: Accuracy(step.metrics["accuracy"], *step.metrics["accuracy_interval"])
        for step in session.scheme.steps
        if is_measured(session, step)
    }


def lengths(session: Session, data: Dataset | None = None) -> Any:
    """Tokens in each sentence of the evaluation split, or of ``data``."""
    data = data or session.data.evaluation
    return _lengths_in(session.model, data)


def tokens(model: str | None, data: Dataset) -> int:
    """Tokens of all sentences together, as a model reads them.

    Where they are more than this server takes, they are counted no further.
    """
    return int(_lengths_in(model, data).sum())


def _lengths_in(model: str | None, data: Dataset) -> Any:
    classifier = classifier_named(model)
    most = limits.current().tokens
    return _lengths(classifier.identity, data.fingerprint, most, classifier, data)


@st.cache_data(show_spinner=False, max_entries=8)
def _lengths(
    model: str, data: str, most: int | None, _classifier: Classifier, _dataset: Dataset
) -> Any:
    return _classifier.lengths(_dataset, most)


def _watch(task: Task) -> Any:
    """Show a job's progress at the foot of the page until it ends; a click elsewhere leaves it."""
    with runner().watching(task.key, task.work, bulky=task.bulky) as job:
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
        said += (
            f". So far {text.percent(found.accuracy)}% {text.interval(*found.accuracy_interval)} "
            f"on {text.plural(found.n, 'sentence')}"
        )
    return said


def _offer_again(task: Task) -> None:
    with st.bottom.container(horizontal=True, vertical_alignment="center", key="work"):
        st.caption(f"Stopped: {task.description}", width="stretch")
        st.button("Continue", key="continue", on_click=_again, type="tertiary")


def _again() -> None:
    sessions.change(Session.retrying)


def _cancel(key: Hashable, request: Request | None) -> None:
    runner().stop(key)
    sessions.change(partial(Session.cancelling, job=key, request=request))
