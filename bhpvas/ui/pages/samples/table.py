"""Sentences table: every sentence with both answers, to sort, filter, search and download."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from bhpvas import text
from bhpvas.data.tables import csv_text
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.ui.pages.samples import tasks as samples_tasks
from bhpvas.ui.pages.samples.selection import CHOSEN, EVERY, choose
from bhpvas.ui.pages.samples.tasks import MeasuredStates
from bhpvas.ui.pages.workbench import texts as workbench_texts
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import answers, help
from bhpvas.ui.widgets.downloads import download

_OF_TWO_MODELS = ["before", "confidence before", "loss before", "change", "outcome"]


def table(found: MeasuredStates, session: Session) -> None:
    """Sentences with both answers: sort, filter, search, download, open."""
    help.heading(
        "Sentences",
        "Click a column to sort, Open to see what the heads do with a sentence.",
        ("Changes", workbench_texts.changed(found.after.task)),
        key="sentences",
    )
    whole = found.table
    if isinstance(found.after.task, Score):  # how far from the label, beside how far it moved
        whole = whole.assign(error=found.after.predictions - found.after.labels)
    chosen = samples_tasks.selected(session)
    rows = {EVERY: np.ones(len(whole), dtype=bool), CHOSEN: chosen}
    if found.pruned:
        outcome = whole["outcome"].to_numpy()
        rows["changed"] = outcome != "same"
        rows |= {name: outcome == name for name in ("lost", "gained")}
    if (right := found.after.task.right(found.after.logits, found.after.labels)) is not None:
        rows["wrong"] = ~right
    if st.session_state.get("rows") not in rows:
        st.session_state["rows"] = EVERY
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filters"):
        kept: Any = st.segmented_control(
            "Rows",
            list(rows),
            required=True,
            key="rows",
            format_func=lambda name: f"{_rows_named(found, name)} {int(rows[name].sum()):,}",
            label_visibility="collapsed",
        )
        search = st.text_input(
            "Search",
            key="search",
            placeholder="Search sentence, label or tag",
            label_visibility="collapsed",
            width=240,
        )
        shown = np.flatnonzero(rows[kept] & _matching(whole, search))
        count = text.plural(len(shown), "sentence")
        st.button(
            f"Select {count}",
            key="select-shown",
            on_click=choose,
            args=(shown.tolist(),),
            disabled=not len(shown),
            help="Select exactly the sentences in the table.",
        )
        download(
            "CSV",
            lambda: csv_text(whole.iloc[shown], index_label="place"),
            f"sentences-{session.split}.csv",
            type="tertiary",
            icon=":material/download:",
            help=f"Download {count} as CSV",
        )
    visible = whole.iloc[shown].drop(
        columns=[] if found.pruned else _OF_TWO_MODELS, errors="ignore"
    )
    if found.pruned:
        visible["outcome"] = [answers.outcome(found.after.task, one) for one in visible["outcome"]]
    visible.insert(0, "open", "Open")
    score = isinstance(found.after.task, Score)
    of_answers = (
        partial(st.column_config.NumberColumn, format="%.4g")
        if score
        else st.column_config.TextColumn
    )
    confidence = st.column_config.NumberColumn(
        "p", format="%.2f", width=52, help="Probability of the answer"
    )
    st.dataframe(
        visible,
        key=f"sentences-{session.split}",
        hide_index=True,
        height=360,
        row_height=30,
        column_config={
            "open": st.column_config.ButtonColumn(
                "",
                width=64,
                pinned=True,
                type="tertiary",
                key="open-sentence",
                on_click=_open,
                args=(tuple(shown.tolist()),),
            ),
            "sentence": st.column_config.TextColumn("Sentence", width=420),
            "pair": st.column_config.TextColumn("Second sentence", width=300),
            "label": of_answers("Label"),
            "before": of_answers("Unpruned"),
            "after": of_answers("Pruned" if found.pruned else "Prediction"),
            "confidence before": confidence,
            "confidence after": confidence,
            "loss before": st.column_config.NumberColumn("Loss unpruned", format="%.3f"),
            "loss after": st.column_config.NumberColumn(
                "Loss pruned" if found.pruned else "Loss", format="%.3f"
            ),
            "change": _change_column(found.after.task),
            "outcome": st.column_config.TextColumn("Outcome"),
            "tag": st.column_config.TextColumn("Tag"),
            "tokens": st.column_config.NumberColumn("Tokens", width=66),
        },
    )


def _rows_named(found: MeasuredStates, rows: str) -> str:
    """What a choice of rows is called."""
    lost_or_gained = rows in ("lost", "gained")
    return answers.outcome(found.after.task, rows) if lost_or_gained else rows


def _change_column(task: Task) -> Any:
    title, said = "Δ p(label)", "Change of the probability of the label"
    if isinstance(task, Score):
        title, said = "Moved", "By how much the score moved"
    elif isinstance(task, SeveralLabels):
        title, said = "Δ p(right)", "Change of the probability of what is right, mean of the labels"
    return st.column_config.NumberColumn(title, format="%+.3f", help=said)


def _matching(whole: pd.DataFrame, search: str) -> np.ndarray:
    """Which rows hold every word that is searched for, in whatever capitals: bool ``[N]``."""
    found = np.ones(len(whole), dtype=bool)
    if not search.strip():
        return found
    searched = whole["sentence"]
    for name in ("pair", "label", "tag"):
        searched = searched + " " + whole[name].astype(str) if name in whole else searched
    searched = searched.str.casefold()
    for word in search.casefold().split():
        found &= searched.str.contains(word, regex=False).to_numpy()
    return found


def _open(places: tuple[int, ...]) -> None:
    place = places[int(st.session_state["open-sentence"]["row"])]
    sessions.change(Session.opening_sentence, place)
