"""The view Fine-tune: the pruned model trained on, watched while it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import streamlit as st

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.step_texts import outcome, weights_origin
from bhpvas.charts.training_curves import HELD_OUT, TRAINING, headline_at, training_curves
from bhpvas.errors import LimitError
from bhpvas.recovery.finetuning import FEWEST_SENTENCES, NAME, TuningSettings
from bhpvas.scheme.bundle import SchemeFile
from bhpvas.tasks.base import Metric
from bhpvas.ui.jobs import learnt, models, runner, tasks
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.pages.schemes import texts
from bhpvas.ui.state import limits
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.state.settings import kept_as
from bhpvas.ui.widgets import figures, help, tables
from bhpvas.ui.widgets.learnt import MEASURED_AFTERWARDS, warn_briefly, warn_of_common

#: Few sentences are gone through more often than the tens of thousands of a training part.
_EPOCHS = 3.0
_RATES = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4)
_HEIGHT = 400
#: Seconds that a stopped training may take to hand over its best state: a step and a measurement.
_HANDING_OVER = 20.0
_NOTHING = "The training ended before it was first measured, so nothing of it is kept."
_COMMAND = """bhpvas recover --scheme {file} --method finetune \\
    --calibration TRAIN.tsv --epochs {epochs:g} --learning-rate {rate} \\
    --distillation {distillation:g} --out tuned.zip"""


def view(session: Session) -> None:
    """Draw the settings beside the course of the training."""
    if said := models.only_masks(session):
        st.caption(text.verbatim(said))
        return
    if session.tuning is not None and _came_to_nothing(session, session.tuning):
        sessions.put(replace(session, tuning=None, notice=_NOTHING))
        st.rerun()
    left, right = st.columns([1, 2.3], gap="large")
    with left:
        settings = _settings(session)
    with right:
        if session.tuning is None:
            _last(session)
        else:
            _running(session, session.tuning)
    _elsewhere(session, settings)


def _plainly(rate: float) -> str:
    """A learning rate without an exponent."""
    return f"{rate:.5f}".rstrip("0")


def _settings(session: Session) -> TuningSettings:
    help.heading(
        "Fine-tune",
        "Train what is left of the model further, by default half on the labels and half on the "
        "unpruned model's answers.",
        ("Fine-tuning", texts.fine_tuning(models.task_of(session))),
        key="finetune",
    )
    epochs = _number("Epochs", "tune-epochs", 0.5, 50.0, _EPOCHS, 0.5, format="%.1f")
    rate = st.select_slider(
        "Learning rate",
        _RATES,
        value=TuningSettings.learning_rate,
        format_func=_plainly,
        **kept_as("tune-rate"),
    )
    distillation = st.slider(
        "Weight of the unpruned model's answers",
        0.0,
        1.0,
        TuningSettings.distillation,
        0.1,
        **kept_as("tune-distillation"),
        help="0 = the labels alone, 1 = the labels are not used.",
    )
    with st.expander("More settings"):
        usual = TuningSettings
        settings = TuningSettings(
            epochs=epochs,
            learning_rate=rate,
            distillation=distillation,
            batch_size=_number("Sentences in a step", "tune-batch", 1, 256, usual.batch_size),
            temperature=_number(
                "Temperature of the answers", "tune-temperature", 0.5, 20.0, usual.temperature, 0.5
            ),
            warmup=_number(
                "Warm-up, share of the steps", "tune-warmup", 0.0, 1.0, usual.warmup, 0.02
            ),
            weight_decay=_number("Weight decay", "tune-decay", 0.0, 1.0, usual.weight_decay, 0.01),
            seed=_number("Seed", "tune-seed", 0, 10_000, 0),
            embeddings=st.checkbox(
                "Train the embeddings, too",
                **kept_as("tune-embeddings"),
                help="Half of a small model's weights; the file that goes with the scheme doubles.",
            ),
        )
    st.button(
        "Fine-tune",
        key="finetune",
        type="primary",
        width="stretch",
        on_click=sessions.change,
        args=(Session.asking, "tuning", settings),
        disabled=session.tuning is not None
        or not session.mask.changes
        or len(session.data.calibration) < FEWEST_SENTENCES
        or not limits.current().finetuning,
        help="A step of its own, measured on the evaluation split; you can undo it.",
    )
    st.caption(text.verbatim(_what_it_learns_from(session)))
    warn_of_common(session, MEASURED_AFTERWARDS)
    return settings


def _number(label: str, key: str, *numbers: Any, **look: Any) -> Any:
    """A number that a reload brings back: the least, the most, the default, and the step."""
    return cast("Any", st.number_input)(label, *numbers, **kept_as(key), **look)


def _what_it_learns_from(session: Session) -> str:
    try:
        limits.current().check_finetuning()
    except LimitError as error:
        return str(error)
    if not session.mask.changes:
        return "Nothing is removed, so there is nothing to make up for: remove some first."
    data, weights = session.data.calibration, weights_origin(session.scheme)
    if len(data) < FEWEST_SENTENCES:
        return (
            f"{text.plural(len(data), 'calibration sentence')} are too few: "
            f"{FEWEST_SENTENCES} are the least."
        )
    begins = f", {weights}" if weights else ""
    return (
        f"Starts from {text.kept_briefly(session.mask)}{begins}; learns from "
        f"{text.plural(len(data), 'calibration sentence')} of {data.name}, an eighth of them held "
        "out to choose the best state. The evaluation split is not read."
    )


def _running(session: Session, settings: TuningSettings) -> None:
    """The course so far, drawn anew every few seconds; the best state becomes a step."""
    task = schemes_tasks.tuning(session, settings)
    job = runner.shared().running(task.key)
    if job is not None and task.key in session.cancelled:
        with st.spinner("Stopping; the best state so far is kept"):
            job.finished.wait(_HANDING_OVER)
        if _came_to_nothing(session, settings):
            st.rerun()
    found = tasks.want(task)
    if found is not None:
        sessions.put(session.asking_for(found.step(NAME, settings.seed)))
        st.markdown("**Trained.** :small[Now measured on the evaluation split.]")
        _course(found.settings, models.task_of(session).headline)
        return
    st.markdown("**Training.** :small[Cancel keeps the best state so far.]")
    if job is not None and job.partial is not None:
        _course(job.partial.record(), models.task_of(session).headline)
    else:
        st.skeleton(_HEIGHT)


def _came_to_nothing(session: Session, settings: TuningSettings) -> bool:
    """Whether a training ended, by itself or because it was stopped, without a state to keep."""
    task = schemes_tasks.tuning(session, settings)
    ended = task.key in session.cancelled and runner.shared().running(task.key) is None
    return ended and tasks.known(task) is None


def _last(session: Session) -> None:
    """The course of the last training before the current step."""
    steps = [step for step in session.scheme.path() if step.method == NAME and step.weights]
    if not steps:
        st.caption("This scheme is not fine-tuned yet.")
        return
    step = steps[-1]
    st.markdown(outcome(session.scheme, step, models.task_of(session).headline))
    warn_briefly(learnt.counted(session, step.id))
    _course(step.settings, models.task_of(session).headline)


def _course(record: Mapping[str, Any], metric: Metric) -> None:
    """A training as its record says it: a step's, or that of a training that still runs."""
    points, best = record["course"], record["best"]
    figures.chart(
        training_curves(
            points,
            steps=record["steps"],
            best=best and best["step"],
            metric=metric,
            height=_HEIGHT,
        ),
        key="training-chart",
        height=_HEIGHT,
        alt=f"Loss and {metric.title_in_text} after {points[-1]['step']} of {record['steps']} "
        "steps",
    )
    tables.keys(
        tables.key(TRAINING, "training"),
        tables.key(HELD_OUT, "held-out sentences"),
        tables.key(style.SELECTED, "best, which is kept"),
    )
    if best is None:
        return
    start = points[0]
    was, is_ = (metric.value_text(headline_at(one)) for one in (start, best))
    said = (
        f"Best after step {best['step']} of {record['steps']}: held-out loss "
        f"{text.number(start['loss'])} {text.ARROW} {text.number(best['loss'])}, "
        f"{metric.title_in_text} {was.removesuffix('%')} {text.ARROW} {is_} on "
        f"{text.plural(record['held_out'], 'held-out sentence')}."
    )
    if record.get("stopped_at") is not None:
        said += f" Stopped after step {record['stopped_at']}."
    st.caption(said)


def _elsewhere(session: Session, settings: TuningSettings) -> None:
    with st.expander("A long one, on the command line"):
        st.markdown(
            "Tens of thousands of sentences take from minutes to hours. Save the scheme in the "
            "sidebar, run this where it can take its time, and load the result in the sidebar. "
            "Ctrl-C keeps the best state so far."
        )
        st.code(
            _COMMAND.format(
                file=SchemeFile(session.scheme).name,
                epochs=settings.epochs,
                rate=_plainly(settings.learning_rate),
                distillation=settings.distillation,
            )
            + (f" \\\n    --model {session.model}" if session.model else ""),
            language="bash",
        )
