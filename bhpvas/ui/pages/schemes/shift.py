"""Which heads became important when others left: their ranks before and now."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from bhpvas import text
from bhpvas.charts.head_columns import COMBINED, Column, columns, title_of, whole_places
from bhpvas.charts.rank_shift import rank_slopes
from bhpvas.criteria import (
    CRITERIA,
    DEFAULT_CRITERIA,
    RankShift,
    Scores,
    rank_shift,
    rise_intervals,
    rise_p,
)
from bhpvas.data.tables import csv_text
from bhpvas.heads import HeadId
from bhpvas.stats import SIGNIFICANT
from bhpvas.ui.jobs import measuring, runner, tasks
from bhpvas.ui.pages.schemes import texts
from bhpvas.ui.pages.workbench import settings as workbench_settings
from bhpvas.ui.state.session import Session, Variant
from bhpvas.ui.widgets import controls, help
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.feed_forward import map_size
from bhpvas.ui.widgets.head_map import head_grid, selecting

#: Lines that are named on each side: risers and fallers.
NAMED = 6


@dataclass(frozen=True, eq=False)
class Shifted:
    """A criterion's rank shift; where that is known, the bounds of each head's rise and its p."""

    title: str
    shift: RankShift
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    p: np.ndarray | None = None

    def sure(self, head: HeadId) -> bool:
        """Whether a head moved by more than chance moves any of so many heads."""
        return self.p is not None and bool(self.p[head.layer, head.head] <= SIGNIFICANT)


def view(session: Session) -> None:
    """The criterion, the largest risers in a sentence, lines and map, and every head."""
    name = st.selectbox(
        "Ranked by",
        [COMBINED, *CRITERIA],
        key="shift-by",
        format_func=title_of,
        width=210,
        persist_state="session",
    )
    if not session.mask.changes:
        st.caption("Nothing is removed, so no head has moved: remove some, or go to a later step.")
        return
    if session.mask.kept_count == 0:
        st.caption("No head is left to rank.")
        return
    found = _shifted(session, name)
    if found is None:
        st.skeleton(400)
        return
    st.markdown(_sentence(found, session))
    _figures(found, session)
    _table(found)


def _shifted(session: Session, name: str) -> Shifted | None:
    """The shift, once both models are scored."""
    weighing = workbench_settings.settings().weighing
    if name == COMBINED and not weighing.usable:
        st.caption(workbench_settings.NO_WEIGHT)
        return None
    scored = [_scores(session, variant, name) for variant in (session.start, session.now)]
    if None in scored:
        return None
    (before, first), (after, second) = (one for one in scored if one is not None)
    was, is_ = (
        columns(scores, None, weighing, remember=runner.shared().quick, key=key)[name]
        for scores, key in ((before, first), (after, second))
    )
    shift = rank_shift(was.values, is_.values, session.mask, was.higher_means)
    if name == COMBINED or after.measured[name].per_example is None:
        return Shifted(was.title, shift)
    low, high, p = runner.shared().quick(
        ("rises", name, first, second),
        lambda: (*rise_intervals(before, after, name), rise_p(before, after, name)),
    )
    if was.higher_means != CRITERIA[name].higher_means:
        low, high = -high, -low
    return Shifted(was.title, shift, low, high, p)


def _scores(session: Session, variant: Variant, name: str) -> tuple[Scores, Hashable] | None:
    """The scores of a variant that have a criterion, from whatever was measured already."""
    every = measuring.scoring(session, variant, tuple(CRITERIA))
    three = measuring.scoring(session, variant, DEFAULT_CRITERIA)
    basic = name == COMBINED or name in DEFAULT_CRITERIA
    task = three if basic and tasks.known(every) is None else every
    found = tasks.want(task)
    return None if found is None else (found, task.key)


def _sentence(found: Shifted, session: Session) -> str:
    """Who rose most, and whether that is more than chance."""
    shift, mask = found.shift, session.mask
    removed = text.heads_and_neurons(len(mask.masked), len(mask.masked_neurons or ()))
    if not shift.risers:
        return f"After {removed} left, no head overtook another by {found.title.lower()}."
    known = found.p is not None
    risers = [head for head in shift.risers if found.sure(head)] if known else shift.risers
    if not risers:
        top = shift.risers[0]
        return (
            f"After {removed} left, no rise is surely more than chance; the largest is that of "
            f"**{top}**, {_moved(shift, top)}."
        )
    said = ", ".join(f"**{head}** ({_moved(shift, head)})" for head in risers[:4])
    more = f" and {len(risers) - 4} more" if len(risers) > 4 else ""
    sure = "Beyond chance, " if known else ""
    who = "these heads" if len(risers) > 1 else "one head"
    sentence = f"{sure}{who} became more important after {removed} left: {said}{more}."
    return sentence[0].upper() + sentence[1:]


def _moved(shift: RankShift, head: HeadId) -> str:
    before, after = shift.before[head.layer, head.head], shift.after[head.layer, head.head]
    return f"place {before:g} {text.ARROW} {after:g}"


def _figures(found: Shifted, session: Session) -> None:
    shift = found.shift
    named = [*shift.risers[:NAMED], *shift.fallers[:NAMED]]
    rises = Column("rise", "places risen", shift.rise, "keep", "", change=True, rise_is_bad=False)
    with st.container(horizontal=True, gap="large", key="shift-figures"):
        with st.container(width=460, key="slopes"):
            selecting(
                rank_slopes(shift, named, height=400),
                pointer="head",
                key="slopes-chart",
                height=400,
                alt=f"Places of {text.plural(shift.mask.kept_count, 'head')} before and now",
            )
            help.footnote(
                "A line a head, the most important on top. Blue: largest rises, red: falls.",
                ("Shift of ranks", texts.SHIFT),
                key="slopes",
            )
        with st.container(width=map_size(session)[0]):
            head_grid(rises, session, pointer="head", key="rise-map", hover=_hover(found))
            st.caption("Blue: more important now, by places risen. Red: less.")
            controls.selected_list(session)


def _hover(found: Shifted) -> np.ndarray:
    shift = found.shift
    lines = [
        f"<b>{head}</b> removed"
        if head in shift.mask.removed
        else f"<b>{head}</b><br>{_moved(shift, head)}<br>{_rise(found, head)}"
        for head in shift.mask.every_head()
    ]
    return np.array(lines).reshape(shift.mask.layers, shift.mask.heads)


def _rise(found: Shifted, head: HeadId) -> str:
    at = head.layer, head.head
    rise = found.shift.rise[at]
    said = f"{text.signed(rise, 0 if rise % 1 == 0 else 1)} places"
    if found.low is None or found.high is None or found.p is None:
        return said
    low, high = (text.signed(one[at], 0) for one in (found.low, found.high))
    return f"{said} ({low} {text.ELLIPSIS} {high}), {text.p_value(found.p[at])}"


def _table(found: Shifted) -> None:
    help.heading(
        "Every head that is kept",
        "The largest rise on top; click a column to sort."
        + (
            " The interval is of each head alone, p is corrected for all of them."
            if found.p is not None
            else " This criterion has no values per sentence, so the rises have no interval and no "
            "test."
        ),
        ("Shift of ranks", texts.SHIFT),
        key="shift-table",
    )
    shift = found.shift
    order = sorted(shift.mask, key=lambda head: -shift.rise[head.layer, head.head])
    at = tuple(np.array([(head.layer, head.head) for head in order]).T)
    whole = pd.DataFrame(
        {
            "head": list(map(str, order)),
            "rise": whole_places(shift.rise[at]),
            "unpruned": whole_places(shift.before[at]),
            "now": whole_places(shift.after[at]),
        }
    )
    if found.low is not None and found.high is not None and found.p is not None:
        low, high = (whole_places(bound[at]) for bound in (found.low, found.high))
        whole = whole.assign(low=low, high=high, p=found.p[at])
    number = st.column_config.NumberColumn
    st.dataframe(
        whole,
        key="shift-table",
        hide_index=True,
        height=300,
        row_height=29,
        width=560,
        column_config={
            "head": st.column_config.TextColumn("Head", width=70, pinned=True),
            "rise": number("Places risen", format="%+.3g"),
            "unpruned": number("Place unpruned"),
            "now": number("Place now"),
            "low": number("95% from", format="%+.3g", help="Of this head alone"),
            "high": number("to", format="%+.3g"),
            "p": number("p", format="%.3f", help="Corrected for all heads"),
        },
    )
    download("Download as CSV", csv_text(whole), "rank-shift.csv")
