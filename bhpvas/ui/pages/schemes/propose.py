"""The view Propose: how small, by a target or by a number of heads, which a method names."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.curves import method_title
from bhpvas.charts.proposal_map import proposal_map
from bhpvas.criteria import CRITERIA
from bhpvas.data.tables import csv_text
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.recovery import Recovered
from bhpvas.search import METHODS, Proposal, SearchMethod, method_named
from bhpvas.search import default_method as best_method
from bhpvas.ui.jobs import models, tasks
from bhpvas.ui.pages.schemes import narrowing, texts
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.pages.schemes.constraints import constraints
from bhpvas.ui.pages.schemes.recover import recovery
from bhpvas.ui.pages.schemes.tasks import ExpectedEffect
from bhpvas.ui.pages.workbench import settings as workbench_settings
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import PendingStep, Search, Session
from bhpvas.ui.state.settings import kept_as
from bhpvas.ui.widgets import controls, help, tables
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.feed_forward import feed_forward, map_size
from bhpvas.ui.widgets.head_map import clickable_map
from bhpvas.ui.widgets.learnt import MEASURED_AFTERWARDS, warn_of_common
from bhpvas.ui.widgets.synced import hold

if TYPE_CHECKING:
    from bhpvas.ui.state.session import Weighed

#: What says how small: a measure of the cost, or a number of heads.
HEADS = "heads"
_BY = {**narrowing.MEASURES, HEADS: "Heads"}
_COUNT, _SHARE, _DROP = "Heads", "Share", "Accuracy drop"
#: Pixels that a head map has for a colour scale, which a proposal does not need.
_SCALE = 64


def view(session: Session) -> None:
    """Draw how small, then what would go for it and why, and the recovery below."""
    help.heading(
        "How small?",
        "Down to a share of the cost, by whatever goes with least loss, or by a number of heads.",
        ("Target", texts.target(models.task_of(session))),
        ("Number of heads", texts.PROPOSAL),
        key="propose",
    )
    trouble = narrowing.trouble(session)
    by = _BY if trouble is None else [HEADS]
    if session.search is not None or trouble is not None:
        st.session_state.setdefault("how-small", HEADS)
    if st.session_state.get("how-small") not in by:
        st.session_state.pop("how-small", None)
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="how-far")
    with row:
        chosen = controls.choice("How small", by, format_func=_BY.get, **kept_as("how-small"))
    if chosen != HEADS:
        narrowing.view(session, chosen, row)
        recovery(session)
        return
    if trouble is not None:
        st.caption(text.verbatim(trouble))
    left, right = st.columns([1, 3.1], gap="medium")
    with left:
        _settings(session)
    with right:
        proposal(session)
        recovery(session)


def method_names(*, compensating: bool = True) -> list[str]:
    """Every method, then the criteria that are no method by themselves.

    Without ``compensating`` only those that need no compensation.
    """
    methods = [name for name, one in METHODS.items() if compensating or not one.for_compensation]
    return [*methods, *(name for name in CRITERIA if name not in METHODS)]


def default_method(session: Session) -> str:
    """The method to begin with: the best one that can be used with the session's model."""
    return best_method(models.classifier_named(session.model).geometry)


def _settings(session: Session) -> None:
    _as_asked(session)
    names = method_names(compensating=not models.groups(session))
    if st.session_state.get("method") not in names:
        st.session_state["method"] = default_method(session)
    name = st.selectbox("Method", names, format_func=method_title, **kept_as("method"))
    method = method_named(name)
    fit = " Choose it to compensate afterwards: it is poor without." * method.for_compensation
    st.caption(f"{method.summary}{fit}  \nSource: {method.source}")
    weighed = _weighed(method)
    if weighed is None:
        st.caption("Every weight on the Workbench is 0: raise one there, or choose another method.")
    elif weighed:
        st.caption(f"Weights, as set on the Workbench: {weights_in_words(weighed)}.")
    limits = constraints(session, session.mask)
    if groups := models.groups(session):
        st.caption(
            f"Layers share their weights, so a head leaves {max(map(len, groups))} at once and "
            "counts in each: as many go as fit into the number."
        )
    heads, max_drop = _how_many(session, limits.most(session.mask), method)
    seed = st.number_input("Seed", 0, 10_000, 0, **kept_as("search-seed"))
    limited = limits.protected, limits.min_per_layer
    search = Search(name, heads, *limited, max_drop, seed, weighed or ())
    data = session.data.calibration
    st.button(
        "Propose",
        type="primary",
        key="propose",
        width="stretch",
        on_click=ask,
        args=(search,),
        disabled=not heads or session.search == search or weighed is None,
    )
    st.caption(
        f"Learns from {text.plural(len(data), 'calibration sentence')} of "
        f"{text.verbatim(data.name)}; the evaluation split is not read."
    )
    warn_of_common(session, MEASURED_AFTERWARDS)


def _weighed(method: SearchMethod) -> Weighed | None:
    """How criteria count for a method that weighs them, as the Workbench has it; None if none does.

    Empty for any other method.
    """
    if "weights" not in method.defaults:
        return ()
    weighing = workbench_settings.settings().weighing
    found = tuple(
        (name, weight, weighing.directions.get(name, CRITERIA[name].higher_means))
        for name, weight in weighing.weights.items()
        if weight > 0
    )
    return found or None


def weights_in_words(weighed: Weighed) -> str:
    """How criteria count, in words.

    >>> weights_in_words((("importance", 0.6, "keep"), ("stability", 0.4, "remove")))
    'importance by 0.6, stability by 0.4 (stable heads go first)'
    """
    return ", ".join(
        f"{CRITERIA[name].title.lower()} by {weight:g}"
        + " (stable heads go first)" * (name == "stability" and means == "remove")
        for name, weight, means in weighed
    )


def _as_asked(session: Session) -> None:
    """On a page that was opened anew, set what is asked for as the shown proposal was."""
    if (search := session.search) is None:
        return
    asked: dict[str, Any] = {
        "method": search.method,
        "protected": [str(head) for head in sorted(search.protected)],
        "least": search.min_per_layer,
        "search-seed": search.seed,
    }
    if search.max_drop is None:
        asked[f"heads-of-{session.mask.kept_count}"] = search.heads
    for key, value in asked.items():
        st.session_state.setdefault(key, value)


def _how_many(session: Session, most: int, method: SearchMethod) -> tuple[int, float | None]:
    """How many heads may go, and the largest drop of the headline, if that decides."""
    metric = models.task_of(session).headline
    of = metric.title.removesuffix(" correlation")  # three choices have to fit beside each other
    titles = {_COUNT: _COUNT, _SHARE: _SHARE, _DROP: f"{of} drop"}
    by = controls.choice(
        "How many go", titles, format_func=titles.get, **kept_as("how-many"), titled=True
    )
    kept = session.mask.kept_count
    if by == _COUNT:
        key = f"heads-of-{kept}"
        hold(key, min(st.session_state.get(key, max(kept // 2, 1)), most))
        heads = st.number_input(
            f"Heads to remove, of {kept} kept", 0, most, key=key, persist_state="session"
        )
        return int(heads), None
    if by == _SHARE:
        share = st.number_input("Percent of the kept heads", 0, 100, 50, 5, **kept_as("share"))
        return min(round(kept * share / 100), most), None
    help_text = (
        f"As many heads go as keep the {metric.title_in_text} on the calibration split within it, "
        "found by bisection."
    )
    if metric.share:
        points = st.number_input(
            "Points that may be lost", 0.0, 50.0, 1.0, 0.5, **kept_as("max-drop"), help=help_text
        )
        drop = points / 100
    else:
        drop = st.number_input(
            f"{metric.title} that may be lost",
            0.0,
            1.0,
            0.01,
            0.005,
            format="%.3f",
            **kept_as("max-drop-of-a-number"),
            help=help_text,
        )
    st.caption(
        "Measured with compensation, which this method is made for: taken, it makes two steps, the "
        "removal and the compensation."
        if method.for_compensation
        else "Measured as masked: taken, it makes one step, the removal."
    )
    return most, drop


def ask(search: Search | None) -> None:
    """Ask for a proposal, or drop the one that is there."""
    sessions.change(Session.searching, search)


def proposal(session: Session) -> None:
    """Draw the proposal that was asked for, with its reasons; a click turns a head over."""
    search = session.search
    if search is None:
        help.heading(
            "No proposal yet",
            "Choose a method and how many heads may go, and see which it would take and why.",
            ("Proposal", texts.PROPOSAL),
            key="proposal",
        )
        return
    found: Proposal | None = tasks.want(schemes_tasks.proposing(session, search))
    if found is None:
        st.skeleton(map_size(session)[1])
        return
    proposed = schemes_tasks.heads_to_remove(found, session)
    help.heading(
        f"{method_title(search.method)}: {text.plural(len(proposed), 'head')} would go",
        (f"Weights: {weights_in_words(search.weighed)}. " if search.weighed else "")
        + "Numbers: the order in which they go. Click a head to turn it over.",
        ("Proposal", texts.PROPOSAL),
        key="proposal",
    )
    with st.container(horizontal=True, gap="medium", key="proposal-and-promise"):
        width = map_size(session)[0] - _SCALE
        with st.container(width=width):
            _map(session, found, proposed, search, width)
        with st.container(width="stretch"):
            _expected_effect(session, session.mask.without(proposed), search)
            if search.max_drop is not None and found.removals:
                st.caption(_limit(found, session, search.max_drop))
            controls.list_of_heads(  # the keyboard's way to turn heads over
                "Turned over by hand",
                session,
                session.turned,
                key="turned",
                turn=partial(sessions.change, Session.turning),
                options=[str(head) for head in session.mask],
            )
            with st.container(horizontal=True, gap="small", key="take"):
                both = _compensation(found, session) is not None
                st.button(
                    "Take as two steps" if both else "Take as a step",
                    type="primary",
                    on_click=_take,
                    args=(search, found),
                    disabled=not proposed,
                    help="Removes these heads"
                    + (", then takes the compensated weights" if both else "")
                    + "; measured exactly on the evaluation split, and you can undo it.",
                )
                st.button("Drop it", on_click=ask, args=(None,), type="tertiary")
    with st.container(key="reasons"):
        _reasons(session, found, proposed)


def _map(
    session: Session, found: Proposal, proposed: list[HeadId], search: Search, width: int
) -> None:
    figure = proposal_map(
        session.mask,
        proposed,
        dict(found.removals),
        session.turned,
        search.protected,
        feed_forward=feed_forward(session),
    )
    figure.update_layout(margin={"r": 8}, width=width)
    clickable_map(
        figure,
        session.mask,
        pointer="propose",
        key="proposal-map",
        alt=f"Head map of the proposal: {len(proposed)} of {session.mask.kept_count} heads "
        "would go",
    )
    keys = {"goes first": style.PROPOSED[0], "goes last": style.PROPOSED[-1], "stays": style.STAYS}
    if search.protected:
        keys["protected"] = style.PROTECTED
    tables.keys(*(tables.key(colour, said) for said, colour in keys.items()))


def _expected_effect(session: Session, mask: HeadMask, search: Search) -> None:
    """What the calibration sentences say of it, called what it is."""
    if mask == session.mask:
        st.caption("No head would go.")
        return
    task = schemes_tasks.expected_effect(session, mask, search.seed)
    effect: ExpectedEffect | None = tasks.want(task)
    if effect is None:
        st.caption("Being tried on the calibration sentences.")
        return
    metric = effect.now.task.headline
    rows = {
        f"Now, {text.plural(session.mask.kept_count, 'head')}": effect.now,
        f"With {text.plural(mask.kept_count, 'head')}": effect.masked,
    }
    if effect.compensated is not None:
        rows["And compensated"] = effect.compensated
    tables.reading_table(
        ["Expected", metric.title],
        [
            tables.row(name, (metric.value_text(value), metric.interval_text(*ends)))
            for name, (value, *ends) in ((name, one.headline) for name, one in rows.items())
        ],
        height=190,
    )
    st.caption(
        f"On the {text.plural(effect.now.n, 'calibration sentence')} that it was learnt from: "
        "new ones may like it less. A step is measured on the evaluation split."
    )


def _reasons(session: Session, found: Proposal, proposed: list[HeadId]) -> None:
    reasons, by_hand = dict(found.removals), "added by hand"
    frame = pd.DataFrame(
        [
            {"place": place, "head": str(head), "goes": True, "reason": reasons.get(head, by_hand)}
            for place, head in enumerate(proposed, 1)
        ]
        + [
            {"place": None, "head": str(head), "goes": False, "reason": f"kept by hand; {reason}"}
            for head, reason in found.removals
            if head in session.turned
        ]
    )
    tables.reading_table(
        ["", "Head", "Why"],
        [
            [
                tables.text(str(place) if row.goes else "stays", wrap=False),
                tables.name(row.head),
                tables.text(row.reason),
            ]
            for place, row in enumerate(frame.itertuples(), 1)
        ],
        height=240,
    )
    download("Download as CSV", csv_text(frame), "proposal.csv", type="tertiary")


def _compensation(found: Proposal, session: Session) -> Recovered | None:
    """What is taken along: the compensation of the proposal, where no head in it was changed."""
    return None if session.turned else found.recovered


def _limit(found: Proposal, session: Session, drop: float) -> str:
    """Of what a limit on the drop of the headline was, and how it is taken."""
    metric = models.task_of(session).headline
    points = f"{drop:g} of the {metric.title_in_text}"
    if metric.share:
        points = f"{100 * drop:g} point{'s' * (drop != 0.01)}"
    if session.turned:
        return (
            f"The limit of {points} was of the proposal as it was, not of this change: taken, it "
            "makes one step, the removal, as masked."
        )
    if _compensation(found, session) is not None:
        return (
            f"Within {points} on the calibration split with compensation: taken, it makes two "
            "steps, the removal and the compensation that the limit was measured with."
        )
    return f"Within {points} on the calibration split as masked: taken, it makes one step."


def taking(session: Session, search: Search, found: Proposal) -> Session:
    """The proposal, with what was changed in it, asked for as a step.

    One whose limit was measured after a compensation is two steps, unless it was changed. Raises
    :class:`BhpvasError` where the weights cannot be kept.
    """
    compensation = None
    if (fitted := _compensation(found, session)) is not None:
        weights = models.keep_weights(fitted.weights)
        kept = schemes_tasks.Fitted(weights, fitted.record(), fitted.learnt_from)
        compensation = kept.step(fitted.method, search.seed)
    pending = PendingStep(
        "remove",
        tuple(schemes_tasks.heads_to_remove(found, session)),
        search.method,
        schemes_tasks.record(found, session),
        search.seed,
        learnt_from=found.learnt_from,
        then=compensation,
    )
    return session.asking_for(pending)


def _take(search: Search, found: Proposal) -> None:
    try:
        sessions.change(taking, search, found)
    except BhpvasError as error:
        sessions.put(replace(sessions.current(), error=str(error)))
