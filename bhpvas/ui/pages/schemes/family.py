"""A family on the view Propose: what one search found, and one of it to look at and take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from operator import truediv

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.family_curve import FamilyPoint, family_curve
from bhpvas.charts.head_map import head_map
from bhpvas.evaluation.comparison import headline_change
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.heads import HeadMask
from bhpvas.model.cost import flops_per_sentence, neurons_kept, parameters
from bhpvas.model.latency_table import LatencyTable
from bhpvas.search.budget import Target
from bhpvas.search.family import Member
from bhpvas.search.latency import predicted_share
from bhpvas.search.registry import TO_TARGET
from bhpvas.tasks.base import Metric
from bhpvas.ui.jobs import measuring, models, tasks
from bhpvas.ui.pages.schemes import family_tasks, texts
from bhpvas.ui.pages.schemes.tree import go
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import FamilySearch, Session
from bhpvas.ui.widgets import controls, figures, help, tables
from bhpvas.ui.widgets.feed_forward import feed_forward, map_size

_THAT_STAY = {
    "flops": "FLOPs that stay",
    "parameters": "parameters that stay",
    "latency": "time that stays, predicted",
}
_KL = "KL"
_HEIGHT = 290
#: Pixels that a head map has for a colour scale, which this one does not need.
_SCALE = 64


def label(target: Target) -> str:
    """A target in a word: how many times less of it, where that is a round number, or percent.

    >>> label(Target("flops", 1 / 3)), label(Target("flops", 0.4)), label(Target("flops", 0.92))
    ('÷ 3', '÷ 2.5', '92%')
    """
    if target.share is None:
        return f"{target.milliseconds:g} ms"
    times = 1 / target.share
    if abs(times - round(2 * times) / 2) < 1e-4:
        return f"÷ {round(2 * times) / 2:g}"
    return f"{100 * target.share:.3g}%"


def look_at(target: str) -> None:
    asked = sessions.current().family
    if asked is not None and target in asked.targets:
        sessions.change(Session.looking_at_target, target)


def draw_family(
    session: Session, asked: FamilySearch, family: Sequence[Member], member: Member
) -> None:
    data = session.data.calibration
    shares = _shares(session, member.mask)
    help.heading(
        f"{label(member.target)}: {text.kept(member.mask)} stay",
        f"{text.percent(shares['flops'])}% of the FLOPs and "
        f"{text.percent(shares['parameters'])}% of the parameters. "
        f"{'As masked' if member.recovery is None else 'Refitted'}, its answers are "
        f"{text.number(member.divergence)} nats (KL) from the unpruned model's on the "
        f"{text.plural(len(data), 'calibration sentence')}"
        f"{' that it learnt from; new ones may like it less' * bool(member.learnt)}."
        + ("" if member.milliseconds is None else f" {member.milliseconds.line()}"),
        ("Target", texts.target(models.task_of(session))),
        key="family",
    )
    judged = session.measuring_family == asked
    results: dict[str, Evaluation | None] = {}
    for one in family:
        task = family_tasks.evaluating(session, one)
        results[str(one.target)] = (tasks.want if judged else tasks.known)(task)
    with st.container(horizontal=True, gap="medium", key="proposal-and-promise"):
        with st.container(width=map_size(session)[0] - _SCALE):
            _map(session, member)
            _take(session, member, results[str(member.target)])
        with st.container(width="stretch", key="family-curve"):
            _curve(session, family, member, results)
    left, right = st.columns([1.25, 1], gap="large")
    with left:
        _table(session, asked, family, results)
    with right:
        _reasons(session, member)


def _shares(session: Session, mask: HeadMask) -> dict[str, float]:
    """What a mask leaves of each measure, for sentences as long as those of calibration."""
    geometry, whole = models.classifier_named(session.model).geometry, session.start.mask
    lengths = models.lengths(session, session.data.calibration)
    flops = (flops_per_sentence(geometry, one, lengths) for one in (mask, whole))
    counts = (parameters(geometry, one) for one in (mask, whole))
    return {"flops": truediv(*flops), "parameters": truediv(*counts)}


def _map(session: Session, member: Member) -> None:
    mask = member.mask
    figure = head_map(
        np.zeros((mask.layers, mask.heads)),
        mask,
        palette=(style.KEPT,),
        feed_forward=feed_forward(session, mask),
    )
    figures.chart(
        figure,
        key="family-map",
        width=int(figure.layout.width),
        height=int(figure.layout.height),
        alt=f"Head map of {label(member.target)}: {text.kept(mask)} stay",
    )
    tables.keys(
        tables.key(style.KEPT, "stays"),
        tables.key(style.REMOVED_FILL, f"{text.CROSS} goes"),
        tables.key(None, "feed-forward: filled as far as it stays"),
    )


def _take(session: Session, member: Member, found: Evaluation | None) -> None:
    step, name = family_tasks.step_of(session, member), label(member.target)
    unpruned = tasks.known(measuring.evaluating(session, session.start))
    if found is not None and unpruned is not None:
        st.markdown(f"On the evaluation split: {_measured(unpruned, found)}.")
    if step == session.scheme.current:
        st.caption(f"{name} is the current step, {step}.")
        return
    if step is not None:
        st.button(
            f"Go to step {step}", type="primary", key="take-target", on_click=go, args=(step,)
        )
        return
    st.button(
        f"Take {name} as {'a step' if member.recovery is None else 'two steps'}",
        type="primary",
        key="take-target",
        on_click=sessions.change,
        args=(family_tasks.taking, member),
        disabled=not member.mask.changes,
        help="Removes what goes"
        + ("" if member.recovery is None else ", then takes the fitted weights")
        + "; measured on the evaluation split, and you can undo it.",
    )
    st.caption(
        "It is made from the unpruned model, so it begins a branch at the start"
        + ("." if session.scheme.current == 0 else "; your steps stay in the tree.")
    )


def _measured(unpruned: Evaluation, found: Evaluation) -> str:
    metric, (change, low, high, _) = found.task.headline, headline_change(unpruned, found)
    interval = metric.change_interval_text(low, high)
    return (
        f"{metric.title_in_text} {metric.value_text(found.headline_value)}, "
        f"{f'{_changed(metric, change)} {interval}'.rstrip()}, {text.plural(found.n, 'sentence')}"
    )


def _changed(metric: Metric, change: float) -> str:
    return metric.change_text(change) if isfinite(change) else "its change is not defined"


def _curve(
    session: Session,
    family: Sequence[Member],
    member: Member,
    results: Mapping[str, Evaluation | None],
) -> None:
    unpruned = tasks.known(measuring.evaluating(session, session.start))
    every = unpruned is not None and None not in results.values()
    metric = models.task_of(session).headline
    if st.session_state.get("lost-by") not in (_KL, metric.title):
        st.session_state.pop("lost-by", None)
    by = controls.choice("Lost by", [_KL, metric.title], key="lost-by") if every else _KL
    points = [FamilyPoint(1.0, 0.0, "unpruned", "<b>Unpruned</b>")]
    for one in family:
        found = results[str(one.target)]
        said = f"<b>{label(one.target)}</b> {text.kept(one.mask)}<br>{_nats(one.divergence)}"
        bounds = None
        if found is not None and unpruned is not None:
            said += f"<br>{_measured(unpruned, found)}"
            bounds = _lost(unpruned, found)
        lost = (one.divergence, None, None) if by == _KL or bounds is None else bounds
        points.append(
            FamilyPoint(one.cost, lost[0], label(one.target), said, str(one.target), *lost[1:])
        )
    figures.chart(
        family_curve(
            points,
            _now(session, family, member.target, by, unpruned),
            chosen=str(member.target),
            cost=_THAT_STAY[member.target.measure],
            lost="KL from unpruned, nats" if by == _KL else _lost_title(metric),
            height=_HEIGHT,
        ),
        key="family-chart",
        on_select=_clicked,
        selection_mode="points",
        height=_HEIGHT,
        alt=f"What {text.plural(len(family), 'smaller model')} lose against the cost that stays",
    )
    tables.keys(
        tables.key(style.MARK, "found by one search, framed: shown"),
        tables.key(style.SELECTED, "current step"),
    )
    st.caption(
        "Click a point to look at it. "
        + (
            "KL on the calibration sentences that all was learnt from."
            if by == _KL
            else f"On {text.plural(len(session.data.evaluation), 'evaluation sentence')}, with 95% "
            "intervals; whoever picks the best of many picks some luck."
        )
    )


def _nats(divergence: float) -> str:
    return f"KL {text.number(divergence)} nats"


def _lost_title(metric: Metric) -> str:
    title = metric.title_in_text
    return f"points of {title} lost" if metric.share else f"{title} lost"


def _lost(unpruned: Evaluation, found: Evaluation) -> tuple[float, float, float]:
    """How much of the headline is lost, of a share in points, with the bounds of its interval."""
    change, low, high, _ = headline_change(unpruned, found)
    scale = found.task.headline.scale
    return -scale * change, -scale * high, -scale * low


def _now(
    session: Session,
    family: Sequence[Member],
    target: Target,
    by: str,
    unpruned: Evaluation | None,
) -> FamilyPoint | None:
    """The current step in the same picture; None as long as its place there is not known."""
    same = [one for one in family if family_tasks.variant(one) == session.now]
    said = f"<b>Step {session.scheme.current}, current</b><br>{text.kept(session.mask)}"
    if same:
        share = same[0].cost
    elif session.now == session.start:
        share = 1.0
    elif target.timing is None:
        share = _shares(session, session.mask)[target.measure]
    else:
        table: LatencyTable | None = tasks.want(family_tasks.timing_parts(session, target.timing))
        if table is None:
            return None
        geometry = models.classifier_named(session.model).geometry
        share = predicted_share(table, geometry, session.mask)
    if by == _KL:
        moved = same[0].divergence if same else family_tasks.moved_now(session)
        if moved is None:
            return None
        return FamilyPoint(share, moved, "", f"{said}<br>{_nats(moved)}")
    now = tasks.known(measuring.evaluating(session, session.now))
    if now is None or unpruned is None:
        return None
    lost, low, high = _lost(unpruned, now)
    return FamilyPoint(share, lost, "", f"{said}<br>{_measured(unpruned, now)}", None, low, high)


def _clicked() -> None:
    points = st.session_state["family-chart"].selection.points
    targets = [point["customdata"][0] for point in points if point.get("customdata")]
    if targets and targets[0]:
        target = str(targets[0])
        st.session_state[f"target-{Target.parse(target).measure}"] = target
        look_at(target)


def _table(
    session: Session,
    asked: FamilySearch,
    family: Sequence[Member],
    results: Mapping[str, Evaluation | None],
) -> None:
    metric = models.task_of(session).headline
    timed = any(one.milliseconds is not None for one in family)
    help.heading(
        "The family",
        "FLOPs and parameters that stay. KL is on calibration; "
        f"{metric.title_in_text}, with its 95% interval, on the evaluation split."
        + " Milliseconds of a pass, measured beside the unpruned model, and "
        "as predicted." * timed,
        ("Target", texts.target(models.task_of(session))),
        key="family-table",
    )
    unpruned = tasks.known(measuring.evaluating(session, session.start))
    rows = [_row(session, "Unpruned", session.start.mask, 0.0, unpruned)]
    for one in family:
        rows.append(
            _row(session, label(one.target), one.mask, one.divergence, results[str(one.target)])
        )
    titles = ["", "FLOPs", "Parameters", "Heads", "Neurons", "KL, nats", metric.title]
    if timed:
        titles.append("Milliseconds")
        rows = [[*row, cell] for row, cell in zip(rows, _times(family), strict=True)]
    tables.reading_table(titles, rows, height=290)
    unknown = [one for one in results.values() if one is None]
    if unknown:
        st.button(
            f"Measure {text.plural(len(unknown), 'model')} on the evaluation split",
            key="measure-family",
            on_click=sessions.change,
            args=(Session.asking, "measuring_family", asked),
            disabled=session.measuring_family == asked,
            help="Choosing the best of many by the same sentences flatters it.",
        )


def _times(family: Sequence[Member]) -> list[str]:
    """The cells of the times: of the unpruned model as it was beside the first, then of each."""
    known = [one.milliseconds for one in family]
    cells = [("", "") if one is None else (f"{one.unpruned.value:.1f}", "") for one in known[:1]]
    for one in known:
        said = ("", "")
        if one is not None:
            said = (f"{one.measured.value:.1f}", f"predicted {one.predicted:.1f}")
        cells.append(said)
    return [tables.text(*cell, wrap=False) for cell in cells]


def _row(
    session: Session, name: str, mask: HeadMask, moved: float, found: Evaluation | None
) -> list[str]:
    shares = _shares(session, mask)
    geometry = models.classifier_named(session.model).geometry
    scored = (text.NOTHING, "")
    if found is not None:
        metric, (value, *ends) = found.task.headline, found.headline
        scored = (metric.value_text(value), metric.interval_text(*ends))
    return tables.row(
        name,
        f"{text.percent(shares['flops'])}%",
        f"{text.percent(shares['parameters'])}%",
        str(mask.kept_count),
        f"{sum(neurons_kept(geometry, mask)):,}",
        text.number(moved),
        scored,
    )


def _reasons(session: Session, member: Member) -> None:
    alone = member.alone
    help.heading(
        "Why, layer by layer",
        TO_TARGET[member.method].summary
        if alone is None
        else "How far the answers move, in nats (KL), where each part alone is narrowed so far, "
        "added up for a layer: little is why it goes.",
        ("Target", texts.target(models.task_of(session))),
        key="family-reasons",
    )
    geometry = models.classifier_named(session.model).geometry
    heads, neurons = member.mask.kept_per_layer, neurons_kept(geometry, member.mask)
    rows = []
    for layer in reversed(range(geometry.layers)):
        cells = tables.row(
            f"L{layer}",
            (f"{heads[layer]}", f"of {geometry.heads}"),
            (f"{neurons[layer]:,}", f"of {geometry.intermediate_size:,}"),
        )
        reason = member.reasons[layer].partition(": ")[2] or member.reasons[layer]
        why = tables.text(reason) if alone is None else tables.text(text.number(alone[layer]))
        rows.append([*cells, why])
    said = "Why" if alone is None else "Moves alone"
    tables.reading_table(["", "Heads", "Neurons", said], rows, height=290)
