"""The view Evidence: whose order of heads keeps most, beside random orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from html import escape
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.curves import (
    curve_points,
    headline_curves,
    line_style,
    method_title,
    recovery_title,
    undefined,
)
from bhpvas.charts.step_texts import timeline_points
from bhpvas.criteria import CRITERIA
from bhpvas.data.tables import csv_text
from bhpvas.recovery import RECOVERIES
from bhpvas.report import tables as cells
from bhpvas.search import DEFAULT_METHOD, method_named
from bhpvas.search.curves import Curve, areas, band
from bhpvas.stats import RANDOM_ORDERS
from bhpvas.tasks.base import Metric
from bhpvas.tasks.single_label import ACCURACY
from bhpvas.ui.jobs import learnt, measuring, models, tasks
from bhpvas.ui.pages.schemes import tasks as schemes_tasks
from bhpvas.ui.pages.schemes import texts
from bhpvas.ui.pages.schemes.propose import method_names
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Curves, Session
from bhpvas.ui.widgets import figures, help, tables
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.learnt import OPEN, warn_of_common
from bhpvas.ui.widgets.synced import hold

_HEIGHT = 430


def view(session: Session) -> None:
    """Draw what is asked for, then the curves as far as they are measured, and their areas."""
    metric, definition = models.task_of(session).headline, texts.curves(models.task_of(session))
    help.heading(
        "Whose order keeps most?",
        f"{metric.title} on the evaluation split as heads, and heads alone, leave; higher is "
        "better. Grey: random orders, nothing recovered: compare them with dotted lines, or choose "
        "By chance as a method.",
        ("Curves", definition),
        key="evidence",
    )
    _settings(session)
    if session.curves is None:
        return
    tasks.want(schemes_tasks.measuring(session, session.curves))
    chosen, random = schemes_tasks.known_curves(session, session.curves)
    left, right = st.columns([2, 1], gap="large")
    with left:
        _chart(session, session.curves, chosen, random)
    with right:
        _areas(session, session.curves, chosen, random)


def _settings(session: Session) -> None:
    able = not models.groups(session)
    names = method_names(compensating=able)
    state = st.session_state
    if session.curves is not None:  # a page that was opened anew is set as the curves were
        for setting, value in asdict(session.curves).items():
            state.setdefault(f"curve-{setting}", list(value) if isinstance(value, tuple) else value)
    chosen = state.get("curve-methods", ["importance", "fisher", DEFAULT_METHOD])
    hold("curve-methods", [name for name in chosen if name in names])
    bottom: Any = {"horizontal": True, "vertical_alignment": "bottom", "gap": "small"}
    with st.container(**bottom, key="evidence-methods"):
        methods = st.multiselect(
            "Methods",
            names,
            format_func=titled,
            key="curve-methods",
            persist_state="session",
            help="By chance: every random order is also measured with each recovery that is "
            "chosen, and a line shows their median, so that chance that recovers is what others "
            "have to beat. It takes a while.",
        )
        st.button(
            "Every criterion",
            on_click=lambda: st.session_state.update({"curve-methods": list(CRITERIA)}),
            help="Each criterion as a method: heads leave in the order that it gives once.",
        )
    with st.container(**bottom, key="evidence-settings"):
        recoveries = st.pills(
            "After each removal",
            [None, *RECOVERIES],
            selection_mode="multi",
            default=[None, "compensate"],
            format_func=recovery_title,
            key="curve-recoveries",
            persist_state="session",
        )
        total = session.start.mask.kept_count
        curves = Curves(
            tuple(name for name in names if name in methods),
            tuple(name for name in (None, *RECOVERIES) if name in recoveries),
            _number("A point every … heads", "curve-every", 1, total, max(total // 12, 1)),
            _number("Random orders", "curve-random", RANDOM_ORDERS, 200, RANDOM_ORDERS),
            _number("Seed", "curve-seed", 0, 10_000, 0),
        )
        st.button(
            "Measure",
            type="primary",
            key="measure-curves",
            on_click=sessions.change,
            args=(Session.asking, "curves", curves),
            disabled=not (curves.methods and curves.recoveries) or session.curves == curves,
        )
    data = session.data
    st.caption(
        f"Orders and compensation are learnt from {text.plural(len(data.calibration), 'sentence')}"
        f" of {text.verbatim(data.calibration.name)}; all is measured on "
        f"{text.plural(len(data.evaluation), 'sentence')} of "
        f"{text.verbatim(data.evaluation.name)}. What is "
        "measured once is kept, so you can stop and go on."
    )
    warn_of_common(
        session,
        "every curve but that of random orders without compensation may look better than it is",
    )


def _number(label: str, key: str, least: int, most: int, default: int) -> int:
    return int(
        st.number_input(label, least, most, default, key=key, persist_state="session", width=150)
    )


def _chart(
    session: Session, curves: Curves, chosen: Sequence[Curve], random: Sequence[Curve]
) -> None:
    if not chosen and not random:
        st.skeleton(_HEIGHT)
        return
    points, counts = lines(chosen, random), learnt.counts_at_steps(session)
    scheme = session.scheme
    narrowed = {step.id for step in scheme.steps if step.removed_neurons != scheme.pruned_neurons}
    known, task = measuring.headlines(session), models.task_of(session)
    headlines = {step: found for step, found in known.items() if step not in narrowed}
    random = [one for one in random if one.recovery is None]
    figures.chart(
        headline_curves(
            points,
            band(random) if random else None,
            timeline_points(scheme, headlines, counts),
            names=curves.methods,
            all_heads=session.mask.layers * session.mask.heads,
            sentences=len(session.data.evaluation),
            metric=task.headline,
            height=_HEIGHT,
        ),
        key="curves-chart",
        height=_HEIGHT,
        alt=f"{task.headline.title} against heads kept: {text.plural(len(chosen), 'curve')}, "
        f"{text.plural(len(random), 'random order')}",
    )
    keys = [tables.key(style.SELECTED, "your steps")]
    if random:
        drawn = text.plural(len(random), "random order")
        said = f"{drawn}, not recovered: median, band 5 to 95%"
        keys.append(tables.key(style.MUTED, said))
    tables.keys(*keys)
    if narrowed & known.keys():
        st.caption(
            f"{text.plural(len(narrowed & known.keys()), 'step')} of yours also lost feed-forward "
            "neurons, which no curve does, and so have no mark here."
        )
    if any(counts.values()):
        st.caption(OPEN)
    if not np.isfinite([value for one in (*chosen, *random) for value in one.headline]).all():
        st.caption(f"{undefined(task)} The area leaves it out.")


def lines(chosen: Sequence[Curve], random: Sequence[Curve]) -> pd.DataFrame:
    """The points of the lines: every chosen curve, and the median of what recovers random orders.

    Random orders without recovery are the band.
    """
    medians = []
    for recovery in dict.fromkeys(one.recovery for one in random if one.recovery is not None):
        alike = [one for one in random if one.recovery == recovery]
        medians.append(replace(alike[0], headline=tuple(band(alike)["median"])))
    points = curve_points([*chosen, *medians])
    return points.assign(
        title=points["title"].where(points["method"] != "random", "Random orders, median")
    )


def _areas(
    session: Session, curves: Curves, chosen: Sequence[Curve], random: Sequence[Curve]
) -> None:
    task = models.task_of(session)
    metric = task.headline
    whole = [one for one in chosen if one.removed == schemes_tasks.removals(session, curves)]
    help.heading(
        "Area under the curve",
        f"Mean {metric.title_in_text} over all numbers of heads, best first; in brackets the "
        "lowest and highest.",
        ("Area", texts.curves(task)),
        key="areas",
    )
    if not whole and not random:
        st.caption("No curve is complete yet.")
        return
    tables.reading_table(
        ["", "Then", f"Area{', %' * metric.share}"],
        [
            [
                _named(row.method, row.recovery, curves),
                tables.text(
                    "–" if row.recovery == "none" else recovery_title(row.recovery), wrap=False
                ),
                tables.text(
                    metric.value_text(row.area).removesuffix("%"),
                    metric.interval_text(row.low, row.high) if row.seeds > 1 else "",
                    wrap=not metric.share,
                ),
            ]
            for row in areas([*whole, *random]).itertuples()
        ],
        height=330,
    )
    st.markdown(best_criterion(whole, metric))
    download("Download as CSV", csv(session, [*chosen, *random]), "curves.csv")


def titled(name: str) -> str:
    """A method's title; where its weights could be others, it says that they are the default ones.

    Curves are shared by whoever looks at the same model and data, so they know nobody's sliders.
    """
    weighed = "weights" in method_named(name).defaults
    return method_title(name) + ", default weights" * weighed


def _named(method: str, recovery: str, curves: Curves) -> str:
    if method == "random" and recovery == "none":
        return tables.name("Random orders")
    look = line_style(curves.methods.index(method), None if recovery == "none" else recovery)
    return f'<td class="name">{cells.line(look)}{escape(titled(method))}</td>'


def best_criterion(curves: Sequence[Curve], metric: Metric = ACCURACY) -> str:
    """Which criterion's order keeps most, among those measured the same way."""
    said = []
    for recovery in dict.fromkeys(curve.recovery for curve in curves):
        of = sorted(
            (
                one
                for one in curves
                if one.recovery == recovery and one.method in CRITERIA and isfinite(one.area)
            ),
            key=lambda one: -one.area,
        )
        if len(of) > 1:
            best = metric.value_text(of[0].area).removesuffix("%")
            ahead = metric.change_text(of[0].area - of[1].area).removeprefix("+")
            way = "as it is" if recovery is None else f"with {recovery_title(recovery)}"
            said.append(
                f"**{CRITERIA[of[0].method].title}** ({best}) {way}, {ahead} before "
                f"{CRITERIA[of[1].method].title}"
            )
    if not said:
        return ":small[Measure several criteria to see whose order predicts best.]"
    return "The criterion whose order keeps most: " + "; ".join(said) + "."


def csv(session: Session, curves: Sequence[Curve]) -> str:
    """Every point, with what it was learnt from and measured on."""
    data = session.data
    table = pd.concat([curve.frame() for curve in curves], ignore_index=True)
    return csv_text(
        table.assign(calibration=data.calibration.name, evaluation=data.evaluation.name)
    )
