"""The part Recover of the view Propose: what removal cost is won back, without training."""

from __future__ import annotations

import streamlit as st

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.layer_errors import layer_errors
from bhpvas.charts.step_texts import done, outcome
from bhpvas.recovery import RECOVERIES
from bhpvas.scheme.step import Step
from bhpvas.ui.jobs import learnt, models, tasks
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.pages.schemes import texts
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.state.settings import kept_as
from bhpvas.ui.widgets import figures, help, tables
from bhpvas.ui.widgets.learnt import warn_briefly


def recovery(session: Session) -> None:
    """Draw the choice of a recovery, and what the last one did."""
    help.heading(
        "Recover",
        "Win back what it cost in seconds, without training: what is kept learns to stand in.",
        ("Recovery without training", texts.RECOVERY),
        key="recover",
    )
    if said := models.only_masks(session):
        st.caption(text.verbatim(said))
        return
    if not session.mask.changes:
        st.caption("Nothing is removed, so there is nothing to make up for.")
        return
    if session.recovering is not None:
        fitted = tasks.want(schemes_tasks.recovering(session, session.recovering))
        if fitted is not None:
            sessions.put(session.asking_for(fitted.step(session.recovering, seed=0)))
    left, right = st.columns([1, 1.6], gap="medium")
    with left:
        name = st.selectbox(
            "How",
            list(RECOVERIES),
            format_func=lambda name: RECOVERIES[name].title,
            **kept_as("recovery"),
        )
        recovery = RECOVERIES[name]
        st.caption(f"{recovery.summary}  \nSource: {recovery.source}")
        trained = _last(session)
        if trained is not None and trained.method not in RECOVERIES:
            st.caption(
                f"It starts from the model's own weights: what step {trained.id} "
                f"{text.verbatim(done(trained))} is not in it."
            )
        st.button(
            f"{recovery.title} of {text.kept_briefly(session.mask)}",
            key="recover",
            type="primary",
            width="stretch",
            on_click=sessions.change,
            args=(Session.asking, "recovering", name),
            disabled=session.recovering is not None,
            help="A step of its own, measured on the evaluation split; you can undo it.",
        )
    with right:
        _report(session)


def _last(session: Session) -> Step | None:
    """The step whose weights hold now."""
    return next((one for one in reversed(session.scheme.path()) if one.weights), None)


def _report(session: Session) -> None:
    """What the last recovery before the current step did, layer by layer."""
    scheme, step = session.scheme, _last(session)
    if step is None or "layers" not in step.settings:
        st.caption("This scheme is not recovered yet.")
        return
    calibration, held_out = step.settings["calibration"], step.settings.get("held_out")
    st.markdown(outcome(scheme, step, models.task_of(session).headline))
    warn_briefly(learnt.counted(session, step.id))
    if session.mask != (fitted := scheme.mask_at(step.id)):
        st.caption(
            f"Fitted for what was kept there ({text.kept_briefly(fitted)}); now it is "
            f"{text.kept_briefly(session.mask)}. Recover again to fit those."
        )
    layers, feed_forward = step.settings["layers"], step.settings.get("feed_forward", ())
    figure = layer_errors(layers, feed_forward)
    figures.chart(
        figure,
        key="recovery-chart",
        height=int(figure.layout.height),
        alt=f"Error of {_parts(len(layers), len(feed_forward))} before and after the recovery",
    )
    tables.keys(
        tables.key(style.LOST, "before"),
        tables.key(style.GAINED, "after"),
        tables.key(
            None,
            # Steps of earlier versions do not say how many.
            f"on {held_out if isinstance(held_out, int) else 'a quarter'} held out of "
            f"{text.plural(calibration['sentences'], 'sentence')} of {calibration['name']}",
        ),
    )
    if groups := models.groups(session):
        said = (f"L{group[0]}: layers {group[0]} to {group[-1]}" for group in groups)
        st.caption(f"{'; '.join(said)}, which share their weights and are refitted together.")
    if feed_forward:
        st.caption("L3: what the attention of layer 3 says; L3F: what its feed-forward part does.")


def _parts(layers: int, feed_forward: int) -> str:
    """How many attention and feed-forward parts a recovery reports on."""
    said = text.plural(layers, "layer") if layers or not feed_forward else ""
    parts = text.plural(feed_forward, "feed-forward part") if feed_forward else ""
    return " and ".join(filter(None, (said, parts)))
