"""The tree of steps: where each led, what it cost, and the way back to any of them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bhpvas import text
from bhpvas.charts.feed_forward import neurons_left
from bhpvas.charts.kept_map import kept_map, small_size
from bhpvas.charts.scheme_tree import TreeStep, folded, scheme_tree
from bhpvas.charts.step_texts import briefly, changed_parts, in_full, steps_table, weights_origin
from bhpvas.data.tables import csv_text
from bhpvas.scheme.scheme import Scheme
from bhpvas.scheme.step import Step
from bhpvas.ui.jobs import learnt, measuring, models, tasks
from bhpvas.ui.pages.schemes import texts
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import figures, help
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.feed_forward import feed_forward
from bhpvas.ui.widgets.learnt import OPEN, warn
from bhpvas.ui.widgets.synced import hold

#: Pixels of the picture; a longer tree scrolls.
MOST_HEIGHT = 520
#: From this many steps on, chains can be folded.
LONG = 12


def view(session: Session) -> None:
    """The picture, the step that is looked at beside it, and the same as a table."""
    scheme_bar(session)
    with st.container(horizontal=True, gap="large", key="tree-and-step"):
        with st.container(width="stretch", key="tree"):
            picture(session)
        width, _ = _map_size(session)
        with st.container(width=max(width, 300), key="step"):
            _step(session)
    _table(session)


def scheme_bar(session: Session) -> None:
    """Draw the name of the scheme and what can be done with all of it."""
    scheme = session.scheme
    unmeasured = [step for step in scheme.steps if not measuring.is_measured(session, step)]
    if session.measuring:
        for step in unmeasured:
            tasks.want(measuring.evaluating(session, session.at(step.id), turn=5))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="tree-bar"):
        hold("scheme-name", scheme.name)
        st.text_input("Name", key="scheme-name", on_change=_name, width=220, max_chars=80)
        if len(scheme.steps) > LONG:
            st.toggle(
                "Fold chains",
                key="fold",
                persist_state="session",
                help="Show where branches begin and end, recoveries, notes and the current step.",
            )
        if unmeasured:
            st.button(
                f"Measure {text.plural(len(unmeasured), 'step')}",
                key="measure-steps",
                on_click=sessions.change,
                args=(Session.asking, "measuring"),
                disabled=session.measuring,
                help="Steps of a file may not be measured on these sentences yet.",
            )
        if session.deleted:
            st.button(
                f"Put back {text.plural(len(session.deleted[-1].steps), 'deleted step')}",
                key="put-back",
                icon=":material/undo:",
                on_click=sessions.change,
                args=(Session.putting_back,),
            )


def _name() -> None:
    sessions.change(Session.naming, st.session_state["scheme-name"])


def picture(session: Session) -> None:
    """Draw the tree; a click on a step goes there."""
    scheme = session.scheme
    fold = st.session_state.get("fold", False) and len(scheme.steps) > LONG
    shown = _landmarks(scheme) if fold else [step.id for step in scheme.steps]
    parents = folded({step.id: step.parent for step in scheme.steps}, shown)
    on_path = {step.id for step in scheme.path()}
    headlines, counts = measuring.headlines(session), learnt.counts_at_steps(session)
    task = models.task_of(session)
    metric = task.headline
    width, narrowed = _width(session), _narrowed(scheme)
    figure = scheme_tree(
        [
            TreeStep(
                step=number,
                parent=parent,
                kind=scheme.step(number).what,
                kept=scheme.mask_at(number).kept_count,
                neurons=sum(neurons_left(scheme.mask_at(number), width)) if narrowed else None,
                what=_what(scheme, number, parent),
                headline=headlines.get(number),
                note=scheme.step(number).note,
                hover=in_full(
                    scheme,
                    scheme.step(number),
                    headlines.get(number),
                    counts.get(number, 0),
                    metric,
                ),
                learnt=counts.get(number, 0),
                on_path=number in on_path,
                current=number == scheme.current,
            )
            for number, parent in parents.items()
        ],
        metric,
    )
    height = int(figure.layout.height)
    with st.container(height=min(height, MOST_HEIGHT), border=False):
        figures.chart(
            figure,
            key="tree-chart",
            on_select=_clicked,
            selection_mode="points",
            height=height,
            alt=f"Tree of {text.plural(len(scheme.steps), 'step')}, step {scheme.current} current",
        )
    neurons = f" + neurons kept of {scheme.layers * width:,}" * narrowed
    help.footnote(
        f"Bold: heads kept of {scheme.layers * scheme.heads}{neurons}. Then "
        f"{metric.title_in_text} with its 95% interval, drawn on the right; dotted: that of the "
        "start. Click a step to go there.",
        ("Tree of schemes", texts.tree(task)),
        key="tree",
    )
    if any(counts.values()):
        st.caption(OPEN)


def _width(session: Session) -> int:
    """How many feed-forward neurons a layer of the model's geometry has."""
    return models.classifier_named(session.model).geometry.intermediate_size


def _narrowed(scheme: Scheme) -> bool:
    """Whether any step lacks feed-forward neurons."""
    return any(step.removed_neurons is not None for step in scheme.steps)


def _map_size(session: Session) -> tuple[int, int]:
    mask = session.mask
    return small_size(mask.layers, mask.heads, feed_forward=not session.heads_only)


def _landmarks(scheme: Scheme) -> list[int]:
    """The steps that a folded tree still shows."""
    parents = [step.parent for step in scheme.steps]
    return [
        step.id
        for step in scheme.steps
        if step.parent is None
        or parents.count(step.id) != 1
        or step.id == scheme.current
        or step.what == "recover"
        or step.note
    ]


def _what(scheme: Scheme, number: int, parent: int | None) -> str:
    """What a step did, or all the steps since the last one that is shown."""
    step = scheme.step(number)
    if parent == step.parent:
        return briefly(step)
    count = len(scheme.path(number)) - len(scheme.path(parent))
    return f"{count} steps, last {briefly(step)}"


def _clicked() -> None:
    points = st.session_state["tree-chart"].selection.points
    if points:
        go(int(points[0]["customdata"][0]))


def go(step: int) -> None:
    """Make a step the current one."""
    sessions.change(lambda session: session.moved(session.scheme.at(step)))


def _step(session: Session) -> None:
    scheme = session.scheme
    step = scheme.step(scheme.current)
    help.heading(
        f"Step {step.id}" if step.parent is not None else "Start",
        _in_a_sentence(scheme, step),
        ("Step", texts.STEP),
        key="current-step",
    )
    width, height = _map_size(session)
    figures.chart(
        kept_map(scheme.mask, step.heads, feed_forward=feed_forward(session)),
        key="step-map",
        width=width,
        height=height,
        alt=f"{text.kept(scheme.mask)} kept, {len(step.heads)} heads changed by this step",
    )
    if step.heads:
        colour = "Red crosses" if step.what == "remove" else "Blue"
        st.caption(f"{colour}: heads that this step {step.what}d.")
    if (found := learnt.counted(session)) is not None and step.parent is not None:
        warn(found)
        if found.clean:
            st.caption(f"On the way here {found.line()}.")
    hold("note", step.note)
    st.text_area(
        "Note",
        key="note",
        on_change=lambda: sessions.change(Session.noting, step.id, st.session_state["note"]),
        height=68,
        max_chars=2000,
        placeholder="Why this step, what to try next",
    )
    later = len(scheme.subtree(step.id)) - 1
    count = f" and {text.plural(later, 'later step')}" if later else ""
    st.button(
        f"Delete this step{count}",
        key="delete-step",
        icon=":material/delete:",
        on_click=sessions.change,
        args=(Session.deleting, step.id),
        disabled=step.parent is None,
        type="tertiary",
        help="Every scheme has a start." if step.parent is None else "It can be put back.",
    )


def _in_a_sentence(scheme: Scheme, step: Step) -> str:
    said = "Nothing removed" if step.parent is None else briefly(step)
    if changed := changed_parts(step):
        said += f": {changed}"
    if (weights := weights_origin(scheme)) is not None and step.what != "recover":
        said += f"; weights {weights}"
    return f"{said}."


def _table(session: Session) -> None:
    help.heading(
        "Every step",
        "The same tree as a table: click a column to sort, Go to make a step the current one.",
        ("Tree of schemes", texts.tree(models.task_of(session))),
        key="steps-table",
    )
    scheme = session.scheme
    measured = [step for step in scheme.steps if measuring.is_measured(session, step)]
    counts = learnt.counts_at_steps(session)
    metric = models.task_of(session).headline
    name, scale = metric.name, metric.scale
    whole = steps_table(scheme, {step.id: step.metrics for step in measured}, counts, metric)
    steps, width = tuple(int(step) for step in whole["step"]), _width(session)
    neurons = [sum(neurons_left(scheme.mask_at(step), width)) for step in steps]
    shown = pd.DataFrame(
        {
            "go": ["" if step == scheme.current else "Go" for step in steps],
            "step": whole["step"],
            "after": whole["after"],
            "did": [briefly(step) for step in scheme.steps],
            "kept": whole["kept"],
            **({"neurons": neurons} if _narrowed(scheme) else {}),
            name: scale * whole[name].astype(float),
            "low": scale * whole[f"{name}_low"].astype(float),
            "high": scale * whole[f"{name}_high"].astype(float),
            **({"learnt": whole["learnt_from"]} if any(counts.values()) else {}),
            "loss": whole["loss"].astype(float),
            **({"f1": 100 * whole["f1"].astype(float)} if "f1" in whole else {}),
            "parameters": whole["parameters"].astype(float) / 1e6,
            "flops": whole["flops_per_sentence"].astype(float) / 1e9,
            "note": whole["note"],
        }
    )
    number, decimals = st.column_config.NumberColumn, "%.1f" if metric.share else "%.3f"
    st.dataframe(
        shown,
        key="steps-table",
        hide_index=True,
        placeholder=text.NOTHING,
        height=min(38 + 30 * len(shown), 360),
        row_height=30,
        column_config={
            "go": st.column_config.ButtonColumn(
                "",
                width=48,
                pinned=True,
                type="tertiary",
                key="go-to-step",
                on_click=lambda: go(steps[int(st.session_state["go-to-step"]["row"])]),
            ),
            "step": number("Step", width=56),
            "after": number("After", width=56, help="The step that it was made from"),
            "did": st.column_config.TextColumn("What it did", width=180),
            "kept": number("Heads kept", width=86),
            "neurons": number("Neurons kept", format="localized", width=98),
            name: number(metric.title + ", %" * metric.share, format=decimals),
            "low": number("95% from", format=decimals),
            "high": number("to", format=decimals),
            "learnt": number(
                "Learnt from", help="Sentences that measured the step and were learnt from"
            ),
            "loss": number("Loss", format="%.3f"),
            "f1": number("F1, %", format="%.1f"),
            "parameters": number("Parameters, M", format="%.1f"),
            "flops": number("GFLOPs a sentence", format="%.2f"),
            "note": st.column_config.TextColumn("Note", width=240),
        },
    )
    download(
        "Download as CSV",
        csv_text(whole),
        "steps.csv",
        help="With the heads of every step, its method, weights and time.",
    )
