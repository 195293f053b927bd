"""Every criterion: formula, source, when it misleads, and what it is made of on four sentences."""

from __future__ import annotations

import numpy as np
import streamlit as st

from bhpvas import text
from bhpvas.charts.head_columns import title_of
from bhpvas.criteria import (
    CRITERIA,
    DEFAULT_CRITERIA,
    PROFILE_PARTS,
    Scores,
    places,
    removal_order,
)
from bhpvas.data.dataset import Dataset
from bhpvas.heads import HeadId
from bhpvas.ui.jobs import measuring, tasks
from bhpvas.ui.pages.learn import checks
from bhpvas.ui.pages.learn.examples import worked
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import help, tables

#: Sentences of a worked example.
FEW = 4
_SYMBOLS = (
    "Symbols: b is a sentence of N, l a layer, h a head (i and j, where two are compared); g its "
    "gate (1 = as trained); A its attention, from token i or t to token j; X its outputs over all "
    "tokens, centred, before they are mixed; p its attention profile (shares on "
    f"{', '.join(PROFILE_PARTS[:-1])} and the rest), p̄ the mean profile; μ and σ mean and standard "
    "deviation over sentences. JSD: how far apart two distributions are, 0 to ln 2. CKA: how alike "
    "two sets of vectors are, 0 to 1."
)


def view(session: Session) -> None:
    """Choose a criterion, read what it is, and see it made on a few sentences."""
    left, right = st.columns([1, 1.25], gap="large")
    with left:
        name = st.selectbox(
            "Criterion",
            list(CRITERIA),
            format_func=title_of,
            key="learn-criterion",
            persist_state="session",
        )
        for title, about in help.column_help(name):
            help.explain(title, about)
        if name in DEFAULT_CRITERIA:
            st.caption("One of the three criteria of BHPVAS; it counts in the combined priority.")
        st.caption(_SYMBOLS)
    with right, st.container(key="worked-example"):
        _example(session, name)


def _example(session: Session, name: str) -> None:
    data = session.data.calibration.take(range(min(FEW, len(session.data.calibration))))
    scores: Scores | None = tasks.promptly(
        measuring.scoring(session, session.start, tuple(CRITERIA), data=data)
    )
    if scores is None:
        st.skeleton(300)
        return
    head = _choose(scores, name)
    if np.isnan(scores.values[name][head.layer, head.head]):
        st.caption(f"{title_of(name)} is undefined of a head {CRITERIA[name].undefined}.")
        return
    found = worked(scores, name, head)
    st.markdown(
        f"What **{title_of(name).lower()}** says of **{head}** on the first "
        f"{text.plural(len(data), 'calibration sentence')}, computed now:"
    )
    heads = isinstance(found.rows[0][0], HeadId) if found.rows else False
    tables.reading_table(
        ["Head" if heads else "Sentence", found.quantity],
        [
            [
                tables.name(str(what)) if isinstance(what, HeadId) else _sentence(data, what),
                tables.text(text.number(value), wrap=False),
            ]
            for what, value in found.rows
        ],
        height=300,
    )
    st.latex(found.equation)
    st.caption(
        f"The library's own value of {head} on these sentences: "
        f"{text.number(float(scores.values[name][head.layer, head.head]))}. "
        + _on_all(session, name, head)
    )


def _choose(scores: Scores, name: str) -> HeadId:
    """A head of the unpruned model; the one that this criterion likes best where none is chosen."""
    values, direction = scores.values[name], CRITERIA[name].higher_means
    best = removal_order(values, direction, kept=scores.mask.kept, dead=scores.dead)[-1]
    every = [str(head) for head in scores.mask]
    if st.session_state.get("example-of") != name:
        st.session_state["example-of"], st.session_state["example-head"] = name, str(best)
    return HeadId.parse(st.selectbox("Head", every, key="example-head", width=120))


def _sentence(data: Dataset, row: int) -> str:
    said = data.texts[row] if data.pairs is None else f"{data.texts[row]} | {data.pairs[row]}"
    return tables.text(said)


def _on_all(session: Session, name: str, head: HeadId) -> str:
    """The same head on the whole calibration split, where that is measured."""
    found = checks.scores(session, session.start)
    if found is None or name not in found.values:
        return "On the whole calibration split: colour the Workbench by it."
    at = head.layer, head.head
    return (
        f"On all {text.plural(found.sentences, 'calibration sentence')}: "
        f"{text.number(float(found.values[name][at]))}, rank {places(found, name)[at]:g} of "
        f"{found.mask.kept_count}."
    )
