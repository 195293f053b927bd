"""Explorer of the Workbench: two criteria against each other, every two heads, heads by rank."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st

from bhpvas import text
from bhpvas.charts.criteria_scatter import criteria_scatter
from bhpvas.charts.head_columns import Column, table, title_of
from bhpvas.charts.similarity_matrix import most_alike, similarity_matrix
from bhpvas.charts.similarity_matrix import size as matrix_size
from bhpvas.criteria import CRITERIA, Scores
from bhpvas.data.tables import csv_text
from bhpvas.heads import HeadId, HeadMask
from bhpvas.ui.pages.workbench import texts
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import controls, figures, help, synced
from bhpvas.ui.widgets.downloads import download
from bhpvas.ui.widgets.head_map import selecting

_CRITERIA, _PAIRS = "Criteria", "Pairs of heads"


def explorer(
    scores: Scores, found: Mapping[str, Column], by: Column, session: Session, *, pointer: str
) -> None:
    """Two criteria beside the ranked table, or every two heads beside those most alike."""
    views = [_CRITERIA] + [_PAIRS] * bool(scores.similarity_matrix)
    shown = controls.choice("Compare", views, key="explorer")
    left, right = st.columns([1, 1], gap="large")
    if shown == _PAIRS and _PAIRS in views:
        # While a new mask is being scored, what is known is of the one before.
        mask = session.mask.without(scores.mask.removed)
        with left:
            name = _every_two_heads(scores, mask, session)
        with right:
            _pairs_table(scores, name, mask, session)
        return
    with left:
        _two_criteria(found, session, pointer=pointer)
    with right:
        ranked_table(found, by, session)


def _two_criteria(found: Mapping[str, Column], session: Session, *, pointer: str) -> None:
    names = list(found)
    help.heading(
        "Two criteria",
        "One point a head; selected heads are diamonds. Click a point, or draw a box.",
        ("Two criteria", texts.SCATTER),
        *((title_of(name), help.criterion_help(name)) for name in names if name in CRITERIA),
        key="scatter",
    )
    with st.container(horizontal=True):
        x = _axis("Across", names, "importance", key="scatter-x", found=found)
        y = _axis("Up", names, "similarity", key="scatter-y", found=found)
    st.caption(
        f"Rank correlation of the two orders: {text.signed(found[x].agreement(found[y]), 2)} "
        f"({text.plural(found[x].shared(found[y]), 'head')})"
    )
    selecting(
        criteria_scatter(
            found[x].values,
            found[y].values,
            session.mask,
            session.selected,
            x_title=found[x].title,
            y_title=found[y].title,
            hover=found[x].hover(session.mask),
        ),
        pointer=pointer,
        key="scatter",
        height=300,
        alt=f"{found[y].title} against {found[x].title}, one point a head",
    )


def _every_two_heads(scores: Scores, mask: HeadMask, session: Session) -> str:
    """How alike every two heads are; returns by which criterion."""
    names = list(scores.similarity_matrix)
    if st.session_state.get("alike-by") not in names:
        st.session_state["alike-by"] = names[0]
    name = st.session_state["alike-by"]
    help.heading(
        "Every two heads",
        "Bright: the two say the same. Selected heads are marked on both axes.",
        (title_of(name), help.criterion_help(name)),
        key="alike",
    )
    if len(names) > 1:
        st.selectbox("Alike by", names, key="alike-by", format_func=title_of, width=190)
    width, height = matrix_size(mask)
    matrix, title = scores.similarity_matrix[name], title_of(name).lower()
    figures.chart(
        similarity_matrix(matrix, mask, session.selected, title=title),
        key="alike-chart",
        width=width,
        height=height,
        alt=f"{title_of(name)} of every two of {text.plural(mask.kept_count, 'head')}",
    )
    return name


def _pairs_table(scores: Scores, name: str, mask: HeadMask, session: Session) -> None:
    """The pairs most alike; ticking one selects both heads."""
    help.heading(
        "Most alike",
        "Tick a pair to select both: then ask what it would cost to remove them.",
        (title_of(name), help.criterion_help(name)),
        key="pairs",
    )
    pairs = most_alike(scores.similarity_matrix[name], mask)
    heads = tuple((str(row.head), str(row.other)) for row in pairs.itertuples())
    # A new key forgets the tick once something else is selected elsewhere.
    key = f"pairs-{name}-{session.picks}"
    st.dataframe(
        pairs.assign(similarity=pairs["similarity"].round(3) + 0.0),  # no negative zero
        key=key,
        hide_index=True,
        height=400,
        row_height=29,
        on_select=partial(_pair_selected, key=key, pairs=heads),
        selection_mode="single-row",
        column_config={
            "head": st.column_config.TextColumn("Head", width=80),
            "other": st.column_config.TextColumn("Other", width=80),
            "similarity": st.column_config.NumberColumn(title_of(name), format="%.3f"),
        },
    )
    download("Download as CSV", csv_text(pairs), "alike.csv")


def _pair_selected(*, key: str, pairs: tuple[tuple[str, str], ...]) -> None:
    rows = st.session_state[key].selection.rows
    heads = tuple(HeadId.parse(name) for row in rows for name in pairs[row])
    if synced.changed(key, map(str, heads)):
        sessions.change(Session.ticking, heads)


def _axis(
    label: str, names: list[str], default: str, *, key: str, found: Mapping[str, Column]
) -> str:
    if st.session_state.get(key) not in names:
        st.session_state[key] = default if default in names else names[0]
    return st.selectbox(
        label, names, key=key, format_func=lambda name: found[name].title, width=190
    )


def ranked_table(found: Mapping[str, Column], by: Column, session: Session) -> None:
    """Every head with every criterion; ticking rows selects heads."""
    help.heading(
        "Ranked table",
        f"By {by.title[0].lower() + by.title[1:]}, first to go on top; tick rows to select heads.",
        ("Head map", texts.HEAD_MAP),
        key="table",
    )
    whole = table(found, session.mask)
    rank = f"{by.name} rank"
    shown = whole.sort_values(rank, ascending=False, kind="stable", ignore_index=True)
    shown = shown[["head", rank, *found]]
    names = tuple(shown["head"])
    ticked = [row for row, name in enumerate(names) if HeadId.parse(name) in session.selected]
    key = synced.key_of("ranked", (names[row] for row in ticked), about=names)
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height=330,
        row_height=29,
        on_select=partial(_rows_selected, key=key, names=names),
        selection_mode="multi-row",
        selection_default={"selection": {"rows": ticked, "columns": [], "cells": []}},
        column_config={
            "head": st.column_config.TextColumn("Head", width=60, pinned=True),
            rank: st.column_config.NumberColumn("Rank", width=56),
        }
        | {
            name: st.column_config.NumberColumn(column.title, format="%.4g")
            for name, column in found.items()
        },
    )
    download("Download as CSV", csv_text(whole), "heads.csv")


def _rows_selected(*, key: str, names: tuple[str, ...]) -> None:
    ticked = [names[row] for row in st.session_state[key].selection.rows]
    heads = [HeadId.parse(name) for name in synced.changed(key, ticked)]
    if heads:
        sessions.change(Session.turning_over, heads)
