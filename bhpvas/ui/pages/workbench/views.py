"""The views of the Workbench around the head map."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import pandas as pd
import streamlit as st

from bhpvas import text
from bhpvas.charts import shared_rows
from bhpvas.charts.head_columns import ABLATIONS, COMBINED, Column, title_of
from bhpvas.charts.selected_heads import ROW, attention_profile, by_class
from bhpvas.charts.step_texts import timeline_points, weights_origin
from bhpvas.charts.timeline import timeline
from bhpvas.criteria import CRITERIA, DEFAULT_CRITERIA, PROFILE_PARTS, Scores
from bhpvas.data.dataset import Dataset
from bhpvas.data.tables import csv_text
from bhpvas.evaluation.comparison import (
    accuracy_change_interval,
    flips,
    headline_change,
    outcomes,
)
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.heads import HeadId
from bhpvas.model.cost import flops_per_sentence
from bhpvas.tasks.single_label import SingleLabel
from bhpvas.ui.jobs import learnt, measuring, models, tasks, widths
from bhpvas.ui.pages.workbench import texts
from bhpvas.ui.pages.workbench import widths as widths_view
from bhpvas.ui.persistence import links
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import answers, figures, help, tables
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.learnt import OPEN

# --- the selected heads ---------------------------------------------------------------------------


def selected_heads(
    scores: Scores | None, found: Mapping[str, Column], session: Session, *, height: int
) -> None:
    """Each selected head: criteria with rank and interval, where it looks, what class it is for.

    Before these the widths of selected feed-forward parts.
    """
    if not session.selected:
        if session.widths:
            widths_view.panel(session)
        else:
            _nothing_selected(session)
        return
    if scores is None:
        if session.widths:
            widths_view.panel(session)
        st.caption("What is known of the selected heads follows as soon as they are scored.")
        return
    kept = [head for head in session.selected_kept if head in set(scores.mask)]
    order = next(iter(found.values()))
    by_rank = sorted(kept, key=lambda head: -order.ranks[head.layer, head.head])
    of_classes = f"By {texts.group(scores.task)}"
    titles = ["Numbers", "Where they look", of_classes]
    if session.widths:
        # A place of their own: tabs that replace others start with those, and so on their open one.
        st.empty()
        wide, numbers, looks, classes = st.tabs(["Widths", *titles], key="panel-with-widths")
        with wide:
            widths_view.panel(session)
    else:
        numbers, looks, classes = st.tabs(titles, key="panel")
    with numbers:
        names = [name for name in (COMBINED, *DEFAULT_CRITERIA) if name in found]
        tables.reading_table(
            ["Head", *("Combined" if name == COMBINED else found[name].title for name in names)],
            [
                [tables.name(str(head)), *(_value_and_rank(found[name], head) for name in names)]
                for head in by_rank + list(session.selected_removed)
            ],
            height=height - 60,
        )
        help.footnote(
            f"Value, then rank of {scores.mask.kept_count} (95% interval, if known): the last goes "
            "first.",
            *((title_of(name), help.criterion_help(name)) for name in names if name in CRITERIA),
            key="numbers",
        )
    shown = by_rank[: (height - 100) // ROW]
    with looks:
        where_they_look(scores, shown, by_rank)
    with classes:
        if "importance" in scores.per_example and shown:
            values, title = scores.by_class("importance"), "importance, mean |∂loss/∂gate|"
            groups, group = tuple(scores.task.groups(scores.labels)), texts.group(scores.task)
            figures.chart(
                by_class(values, shown, groups, title=title),
                key="by-class-chart",
                alt=f"Importance of {text.plural(len(shown), 'head')} by {group}",
            )
            help.footnote(
                f"Dots apart: the head matters more for one {group}.{_which(shown, by_rank)}",
                (f"Importance by {group}", texts.by_class(scores.task)),
                key="by-class",
            )


def where_they_look(scores: Scores, shown: list[HeadId], every: list[HeadId]) -> None:
    """Where some of the selected heads look, as shares of their attention."""
    if scores.profile is None or not shown:
        return
    figures.chart(
        attention_profile(scores.profile, shown, PROFILE_PARTS),
        key="profile-chart",
        alt=f"Where {text.plural(len(shown), 'head')} look, percent of their attention",
    )
    help.footnote(
        f"Percent of a head's attention, by where it goes.{_which(shown, every)}",
        ("Attention profile", texts.PROFILE),
        key="profile",
    )


def _nothing_selected(session: Session) -> None:
    st.markdown(
        "**1. Select** heads: press the blue button, or click cells on the map.  \n"
        "**2. Ask** what removing them would cost: an estimate, at once.  \n"
        "**3. Remove** them: measured exactly, and you can always go back."
    )
    st.caption(
        "An attention head moves information between words; each layer has "
        f"{session.mask.heads} of them. Many can go without a change in what the model answers; "
        "which ones is the question of this page. Beside its heads a layer has a feed-forward "
        "part, which holds most of the arithmetic: the wide cell at its right."
    )
    st.page_link(
        "pages/learn.py",
        label="New here? Learn it in ten minutes",
        icon=":material/school:",
        query_params=links.of_this_work(),
    )


def _value_and_rank(column: Column, head: HeadId) -> str:
    rank = column.rank(head)
    if rank == "removed":
        return tables.text(rank, wrap=False)
    return tables.text(column.value(head), rank, wrap=False)


def _which(shown: list[HeadId], every: list[HeadId]) -> str:
    return f" The {len(shown)} lowest ranked of {len(every)}." if len(shown) < len(every) else ""


# --- cost, remove, restore ------------------------------------------------------------------------


def actions(scores: Scores | None, session: Session) -> None:
    """The estimate and the two buttons that change the mask."""
    heads, heads_back = session.selected_kept, session.selected_removed
    neurons, neurons_back = widths.going(session), widths.back(session)
    going = text.heads_and_neurons(len(heads), neurons.count)
    back = text.heads_and_neurons(len(heads_back), neurons_back.count)
    with st.container(
        key="actions", horizontal=True, vertical_alignment="center", border=True, gap="small"
    ):
        st.markdown(_cost(scores, session), width="stretch")
        # Where they do not fit beside the text, they go below it together.
        with st.container(horizontal=True, gap="small", width="content", key="act"):
            st.button(
                "What would it cost?",
                on_click=sessions.change,
                args=(Session.asking_cost,),
                disabled=not (session.selected or session.widths),
                help="An estimate from gradients, at once and without running the model; of a "
                "width what its curve says.",
            )
            whole = in_all_layers(session)
            if whole != session.selected:
                st.button(
                    "Select in all layers",
                    key="everywhere",
                    on_click=sessions.change,
                    args=(Session.choosing, tuple(sorted(whole))),
                    help="Layers share their weights, so a head leaves these where it is removed "
                    "from all of them; removed from some alone it is masked.",
                )
            if back:
                st.button(
                    f"Restore {back}",
                    key="restore",
                    on_click=sessions.change,
                    args=(
                        Session.requesting, "restore", neurons_back.neurons, neurons_back.settings,
                    ),
                    disabled=not neurons_back.ranked,
                )  # fmt: skip
            st.button(
                f"Remove {going or 'heads'}",
                key="remove",
                type="primary",
                on_click=sessions.change,
                args=(Session.requesting, "remove", neurons.neurons, neurons.settings),
                disabled=not going or not neurons.ranked,
                help="Measured exactly on the evaluation split; a step that you can undo."
                if neurons.ranked
                else "In a moment: which neurons go first is being worked out.",
            )


def in_all_layers(session: Session) -> frozenset[HeadId]:
    """The selected heads, those that are kept in all the layers that share their weights."""
    geometry = models.classifier_named(session.model).geometry
    return session.selected | {
        one
        for head in session.selected_kept
        for one in shared_rows.heads_of(session.mask, geometry.group_of(head.layer), head.head)
    }


def _cost(scores: Scores | None, session: Session) -> str:
    if not session.selected and not session.widths:
        return standing(session)
    if not session.cost_asked:
        named = _named_heads(session)
        named += [f"L{layer}F to {kept:,}" for layer, kept in session.widths]
        return f"Selected: {', '.join(named)}"
    heads = [_estimate(scores, session)] if session.selected else []
    return "  \n".join(heads + [widths_view.cost(session)] * bool(session.widths))


def _named_heads(session: Session) -> list[str]:
    """The selected heads, and those first that are selected in all the layers that share them."""
    mask, left, named = session.mask, set(session.selected), list[str]()
    for group in models.groups(session):
        for head in range(mask.heads):
            every = {HeadId(layer, head) for layer in group} - mask.pruned
            if every and every <= session.selected:
                left -= every
                named.append(f"{shared_rows.named(group, head)} ({len(group)} layers)")
    return named[:5] + [text.head_list(left, 5)] * bool(left)


def _estimate(scores: Scores | None, session: Session) -> str:
    """What changing the selected heads would cost, by their gradients."""
    if scores is None or sessions.current().scored != session.now:
        return "The estimate follows as soon as this model is scored."
    changed = session.mask.without(session.selected_kept).restored(session.selected_removed)
    model = Estimate.from_scores(scores)
    loss = text.signed(float(model.loss_change([changed])[0]), 3)
    sentences = text.plural(len(scores.rows), "calibration sentence")
    weak = "; weak from a third of the heads on" if model.weak(changed) else ""
    aside = f":small[on {sentences}, from gradients{weak}]"
    if not isinstance(scores.task, SingleLabel):
        headline = scores.task.headline.title_in_text
        return f"**Estimate:** loss {loss} {aside}; *Remove* measures the {headline}"
    accuracy = float(model.accuracy_change([changed])[0])
    return (
        f"**Estimate:** accuracy about {text.signed(100 * accuracy)} points "
        f"({text.percent(model.accuracy)} {text.ARROW} about "
        f"{text.percent(model.accuracy + accuracy)}), loss {loss} {aside}"
    )


def standing(session: Session) -> str:
    """Where the scheme stands, in a sentence."""
    mask = session.mask
    kept = f"{text.kept(mask)} kept"
    if (weights := weights_origin(session.scheme)) is not None:
        kept += f", {text.verbatim(weights)}"
    start = tasks.known(measuring.evaluating(session, session.start))
    now = tasks.known(measuring.evaluating(session, session.now))
    if start is None or now is None:
        return kept
    metric = now.task.headline
    if session.now == session.start:
        sentences = text.plural(now.n, "sentence")
        return (
            f"{kept}: {metric.title_in_text} **{metric.value_text(now.headline_value)}** on "
            f"{sentences}"
        )
    if now.is_single_label:
        _, low, high = accuracy_change_interval(start, now)
        change = text.accuracy_change(start.accuracy, now.accuracy, now.n)
        return f"{kept}: **{change}**, 95% interval {text.change_interval(low, high)}"
    return f"{kept}: {headline_changed(start, now)}"


def headline_changed(start: Evaluation, now: Evaluation) -> str:
    """How the headline of another task than one label changed, with its interval and p."""
    metric, change = now.task.headline, headline_change(start, now)
    base = metric.changed_text(start.headline_value, now.headline_value, now.n)
    said = f"{metric.title_in_text} **{base}**"
    if not isfinite(change.change):
        return said
    interval = metric.change_interval_text(change.low, change.high)
    return f"{said}, 95% interval {interval}, {text.p_value(change.p)}"


# --- steps ----------------------------------------------------------------------------------------


def steps(session: Session) -> None:
    """The timeline; a click on a point goes back (or forward) to its step."""
    metric = models.task_of(session).headline
    help.heading(
        "Timeline",
        f"{metric.title} with its 95% interval at each step; click a point to go there.",
        ("Timeline", texts.timeline(metric)),
        key="timeline",
    )
    scheme = session.scheme
    counts = learnt.counts_at_steps(session)
    points = timeline_points(scheme, measuring.headlines(session), counts, _flops(session))
    every, sentences = scheme.layers * scheme.heads, len(session.data.evaluation)
    against = "the share of the FLOPs" if any(point.flops for point in points) else "heads"
    figures.chart(
        timeline(points, all_heads=every, sentences=sentences, metric=metric, height=196),
        key="timeline-chart",
        on_select=_step_selected,
        selection_mode="points",
        height=196,
        alt=f"{metric.title} against {against} kept, {text.plural(len(points), 'step')}",
    )
    if any(counts.values()):
        st.caption(OPEN)


def _flops(session: Session) -> dict[int, float]:
    """The share of the unpruned model's FLOPs that each step keeps, where any step lost neurons."""
    scheme = session.scheme
    masks = {step.id: scheme.mask_at(step.id) for step in scheme.steps}
    if all(mask.masked_neurons is None for mask in masks.values()):
        return {}
    geometry = models.classifier_named(session.model).geometry
    lengths = models.lengths(session)
    flops = {step: flops_per_sentence(geometry, mask, lengths) for step, mask in masks.items()}
    return {step: count / flops[0] for step, count in flops.items()}


def _step_selected() -> None:
    points = st.session_state["timeline-chart"].selection.points
    if points:
        step = int(points[0]["customdata"][0])
        sessions.change(lambda session: session.moved(session.scheme.at(step)))


# --- what changed ---------------------------------------------------------------------------------


def what_changed(session: Session) -> None:
    """The sentences whose answer differs from the unpruned model's, with both answers."""
    help.heading(
        "What changed",
        "Sentences that the pruned model answers differently from the unpruned one.",
        ("What changed", texts.changed(models.task_of(session))),
        key="changed",
    )
    start = tasks.want(measuring.evaluating(session, session.start))
    now = tasks.want(measuring.evaluating(session, session.now))
    if start is None or now is None:
        st.caption("Not measured yet.")
        return
    changed = answers.strongest_first(start, now, flips(start, now))
    if not len(changed):
        st.markdown(answers.none_changed(start, now))
        return
    st.markdown(answers.changed(start, now))
    became = outcomes(start, now)
    tables.reading_table(
        ["", "Sentence", "Label", "Before", "Now"],
        [
            [
                tables.name(answers.outcome(now.task, became[index])),
                tables.text(_sentence(session.data.evaluation, index)),
                answers.label(now, index),
                answers.answer(start, index),
                answers.answer(now, index, before=start),
            ]
            for index in changed
        ],
        height=176,
    )


def _sentence(data: Dataset, index: int) -> str:
    return data.texts[index] if data.pairs is None else f"{data.texts[index]} | {data.pairs[index]}"


# --- ablation beside the criteria -----------------------------------------------------------------


def ablation_agreement(found: Mapping[str, Column], session: Session) -> None:
    """How far each criterion agrees with removing each head alone; measured on request."""
    help.heading(
        "Does the criterion agree with what really happens?",
        "Rank correlation of each criterion with the exact effect of removing one head alone.",
        ("Ablation", help.ABLATION.judged_by(models.task_of(session).headline)),
        key="ablation",
    )
    loss = found.get(ABLATIONS[0])
    if loss is None:
        st.button(
            f"Remove each of {text.plural(session.mask.kept_count, 'head')} alone and measure",
            key="ablate",
            on_click=sessions.change,
            args=(Session.asking, "ablating"),
            disabled=session.ablating,
        )
        return
    rows = [column for name, column in found.items() if name not in ABLATIONS]
    agreement = {column.title: column.agreement(loss) for column in rows}
    name, shown = "Rank correlation with the loss change", list(agreement)
    undefined = any(column.shared(loss) < session.mask.kept_count for column in rows)
    fewer = " (without those of which a criterion is undefined)" if undefined else ""
    st.dataframe(
        pd.DataFrame({"Criterion": shown, name: [text.signed(r, 2) for r in agreement.values()]}),
        hide_index=True,
        width=460,
    )
    whole = pd.DataFrame({"criterion": shown, "rank_correlation": list(agreement.values())})
    download("Download as CSV", csv_text(whole), "agreement.csv")
    st.caption(
        f"1: the same order, 0: no relation; {text.plural(session.mask.kept_count, 'head')}"
        f"{fewer}, "
        f"{text.plural(len(session.data.calibration), 'calibration sentence')}. The effects of "
        "single heads can now also colour the map and stand in the scatter. They are no oracle for "
        "removing many heads together."
    )
