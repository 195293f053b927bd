"""A target on the view Propose: how small, what may go, and the search that is asked for."""

from __future__ import annotations

from typing import Any, cast

import streamlit as st

from bhpvas import text
from bhpvas.model.runtimes import TITLES, Timing
from bhpvas.search import Constraints
from bhpvas.search.budget import Measure, Target
from bhpvas.search.family import Member, family_targets
from bhpvas.search.registry import DEFAULT_METHOD, TO_TARGET
from bhpvas.search.target import Unit
from bhpvas.ui.jobs import models, tasks
from bhpvas.ui.pages.schemes import family_tasks, texts
from bhpvas.ui.pages.schemes.constraints import constraints
from bhpvas.ui.pages.schemes.family import draw_family, label, look_at
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import FamilySearch, Session
from bhpvas.ui.state.settings import kept_as
from bhpvas.ui.widgets import controls, help
from bhpvas.ui.widgets.learnt import MEASURED_AFTERWARDS, warn_of_common

#: What a target is a share of, by its name.
MEASURES: dict[str, str] = {
    "flops": "FLOPs",
    "parameters": "Parameters",
    "latency": "Milliseconds",
}
_UNITS: dict[str, tuple[Unit, ...]] = {
    "Heads and neurons": ("heads", "neurons"),
    "Heads": ("heads",),
    "Neurons": ("neurons",),
    "Whole sublayers": ("sublayers",),
}
# Widths that suit hardware; None: any, in steps of a 96th.
_MULTIPLES = (None, 8, 16, 64)
_HEIGHT = 290


def trouble(session: Session) -> str | None:
    """Why the session's model cannot be narrowed to a target; None where it can."""
    geometry = models.classifier_named(session.model).geometry
    if geometry.groups:
        return (
            "The layers of this model share their weights, and a target is searched for in one "
            "layer after the other: propose a number of heads instead."
        )
    if geometry.pruned or geometry.pruned_neurons is not None:
        return (
            "This model lacks heads or neurons already, and a target is a share of the unpruned "
            "one: open the model that it was made from to ask for one."
        )
    return None


def view(session: Session, measure: str, row: Any) -> None:
    """Draw the settings into a row, and below it what was found for the target looked at."""
    _settings(session, cast(Measure, measure), row)
    asked = session.family
    if asked is None or Target.parse(asked.targets[0]).measure != measure:
        help.heading(
            "Nothing searched yet",
            "Choose what stays and press Propose: you see what would go and why, and what each "
            "smaller model loses.",
            ("Target", texts.target(models.task_of(session))),
            key="family",
        )
        return
    family: tuple[Member, ...] | None = tasks.want(family_tasks.searching(session, asked))
    if family is None:
        st.skeleton(_HEIGHT)
        return
    looked_at = (one for one in family if str(one.target) == session.target)
    draw_family(session, asked, family, next(looked_at, family[-1]))


# --- what is asked for ----------------------------------------------------------------------------


def _settings(session: Session, measure: Measure, row: Any) -> None:
    if session.family is not None:
        _as_asked(session.family)
    with row:
        pills, other = st.container(width="content"), st.container(width=130)
        with st.popover("Settings"):
            timing = _timing(session) if measure == "latency" else None
            method, units, multiple_of, limits, seed = _how(session)
        family = _family(session, measure, units, limits, timing)
        with other:
            extra = _other(measure, timing)
        targets = [*family, *([extra] if extra is not None and extra not in family else [])]
        if not targets:
            st.caption(
                "Nothing may go as the settings are: let more kinds of parts go, protect fewer "
                "heads, or let a layer keep fewer."
            )
            return
        with pills:
            target = _pills(session, measure, targets)
        limited = limits.protected, limits.min_per_layer
        asked = FamilySearch(tuple(targets), method, units, multiple_of, *limited, seed)
        st.button(
            "Propose",
            type="primary",
            key="narrow",
            on_click=sessions.change,
            args=(Session.searching_family, asked, target),
            disabled=session.family == asked,
        )
    data = session.data.calibration
    st.caption(
        ("" if timing is None else f"The time of {timing}, on this machine. ")
        + f"One search finds all {len(targets)}, in minutes: it starts from the unpruned model, "
        f"learns from {text.plural(len(data), 'calibration sentence')} of "
        f"{text.verbatim(data.name)}, and does not read the evaluation split."
    )
    warn_of_common(session, MEASURED_AFTERWARDS)


def _as_asked(asked: FamilySearch) -> None:
    """On a page that was opened anew, set what is asked for as the shown family was."""
    units = next(name for name, some in _UNITS.items() if some == asked.units)
    known: dict[str, Any] = {
        "target-method": asked.method,
        "units": units,
        "multiple-of": asked.multiple_of,
        "protected": [str(head) for head in sorted(asked.protected)],
        "least": asked.min_per_layer,
        "search-seed": asked.seed,
    }
    timing = Target.parse(asked.targets[0]).timing
    if timing is not None:
        known |= {f"target-{name}": one for name, one in timing._asdict().items()}
    for key, value in known.items():
        st.session_state.setdefault(key, value)


def _timing(session: Session) -> Timing:
    """What is timed: the engine, and how many sentences of how many tokens at once."""
    longest = models.classifier_named(session.model).geometry.max_length
    engine = st.selectbox(
        "Engine", list(TITLES), format_func=TITLES.__getitem__, **kept_as("target-engine")
    )
    batch = st.number_input("Sentences at once", 1, 256, 8, **kept_as("target-batch"))
    length = st.number_input(
        "Tokens each",
        1,
        longest,
        min(32, longest),
        key="target-length",
        persist_state="session",
    )
    return Timing(engine, int(batch), int(length))


def _how(session: Session) -> tuple[str, tuple[Unit, ...], int | None, Constraints, int]:
    """The method, what may go, and what must stay."""
    method = st.selectbox(
        "Method",
        list(TO_TARGET),
        list(TO_TARGET).index(DEFAULT_METHOD),
        format_func=lambda name: TO_TARGET[name].title,
        **kept_as("target-method"),
    )
    about = TO_TARGET[method]
    st.caption(f"{about.summary} {about.misleads}  \nSource: {about.source}")
    units = _UNITS[st.selectbox("What may go", list(_UNITS), **kept_as("units"))]
    width = models.classifier_named(session.model).geometry.intermediate_size
    multiple_of = st.selectbox(
        "Neurons that a layer keeps",
        [one for one in _MULTIPLES if one is None or one <= width],
        format_func=lambda one: "any number" if one is None else f"multiples of {one}",
        key="multiple-of",
        persist_state="session",
        help="Processors like widths in round numbers.",
        disabled="neurons" not in units,
    )
    if "neurons" not in units:
        multiple_of = None
    limits = constraints(session, session.start.mask)
    seed = st.number_input("Seed", 0, 10_000, 0, **kept_as("search-seed"))
    return method, units, multiple_of, limits, int(seed)


def _family(
    session: Session,
    measure: Measure,
    units: tuple[Unit, ...],
    limits: Constraints,
    timing: Timing | None,
) -> list[str]:
    """The targets that one search is for."""
    classifier = models.classifier_named(session.model)
    lengths = models.lengths(session, session.data.calibration)
    found = family_targets(
        classifier, measure, lengths, units=units, constraints=limits, timing=timing
    )
    return [str(one) for one in found]


def _other(measure: Measure, timing: Timing | None) -> str | None:
    """A target that is typed: percent that stay, or milliseconds."""
    label, most, step = ("Or % that stays", 99.5, 0.5)
    if timing is not None:
        label, most, step = ("Or milliseconds", 1e6, 1.0)
    typed = st.number_input(
        label,
        0.5,
        most,
        None,
        step,
        key=f"other-{measure}",
        placeholder="45",
        persist_state="session",
        on_change=_typed,
        args=(measure, timing),
    )
    return None if typed is None else _target_of(measure, typed, timing)


def _target_of(measure: Measure, typed: float, timing: Timing | None) -> str:
    if timing is not None:
        return str(Target(measure, None, typed, timing))
    return str(Target(measure, typed / 100))


def _typed(measure: Measure, timing: Timing | None) -> None:
    typed = st.session_state[f"other-{measure}"]
    if typed is not None:
        st.session_state[f"target-{measure}"] = _target_of(measure, typed, timing)


def _pills(session: Session, measure: Measure, targets: list[str]) -> str:
    """Which of the targets is looked at; one that was found already is shown at once."""
    key = f"target-{measure}"
    state = st.session_state
    if state.get(key) not in targets:
        state[key] = session.target if session.target in targets else targets[len(targets) // 2]
    return controls.choice(
        f"{MEASURES[measure]} that stay",
        targets,
        key=key,
        default=None,
        format_func=lambda one: label(Target.parse(one)),
        on_change=lambda: look_at(state[key]),
    )
