"""Settings of the Workbench: what colours the map, how criteria count, how to select."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st

from bhpvas.charts.head_columns import ABLATIONS, COMBINED, Column, Weighing, title_of
from bhpvas.criteria import CRITERIA, DEFAULT_WEIGHTS
from bhpvas.tasks.base import Metric
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.state.settings import kept_as, kept_key
from bhpvas.ui.widgets.controls import choice, selected_list
from bhpvas.ui.widgets.feed_forward import parts_list
from bhpvas.ui.widgets.head_map import layer_heads

NO_WEIGHT = "Every weight is 0, so nothing is combined: raise one, or colour by a criterion."
_STABLE = {"keep": "worth keeping", "remove": "first to go"}


@dataclass(frozen=True)
class ColourSettings:
    """What the controls say."""

    colour: str
    weighing: Weighing
    pointer: str


def settings() -> ColourSettings:
    """The settings in this run, before or after their controls are drawn."""
    state = st.session_state
    return ColourSettings(
        colour=state.get("colour", COMBINED),
        weighing=Weighing(
            weights={
                name: state.get(f"weight-{name}", usual) for name, usual in DEFAULT_WEIGHTS.items()
            },
            directions={
                "stability": "remove" if state.get("stable") == _STABLE["remove"] else "keep"
            },
        ),
        pointer=state.get("pointer") or "head",
    )


def colour_controls(headline: Metric, *, ablated: bool) -> None:
    """What colours the map, and the weights of the combined priority."""
    names = [COMBINED, *CRITERIA, *(ABLATIONS if ablated else ())]
    if st.session_state.get("colour") not in names:
        st.session_state["colour"] = COMBINED
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="controls"):
        st.selectbox(
            "Colour by",
            names,
            key=kept_key("colour"),
            format_func=partial(title_of, headline=headline),
            width=210,
            bind="query-params",
        )
        with st.container(horizontal=True, gap="medium", width="content", key="weights"):
            for name, usual in DEFAULT_WEIGHTS.items():
                label, kept = f"{title_of(name)} weight", kept_as(f"weight-{name}")
                st.slider(label, 0.0, 1.0, usual, 0.05, **kept, width=130)
        choice(
            "A stable head is",
            _STABLE.values(),
            **kept_as("stable"),
            titled=True,
            help="A stable head can be a useful positional head or an idle one that rests on "
            "[SEP], so which way stability counts is yours to decide.",
        )


def selection_controls(column: Column, session: Session) -> None:
    """Every way to select without the pointer: lowest ranked, threshold, layers, a list."""
    mask = session.mask
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="selecting"):
        st.caption("Pointer selects", width="content")
        choice("Pointer selects", ("head", "layer", "box"), **kept_as("pointer"))
        lowest = st.number_input(
            "How many",
            1,
            max(mask.kept_count, 1),
            min(max(mask.layers * mask.heads // 8, 1), max(mask.kept_count, 1)),
            key="lowest",
            width=76,
            persist_state="session",
            label_visibility="collapsed",
        )
        # While a new mask is being scored, the ranks on screen still hold what it removes.
        kept = [head for head in column.first_to_go if head not in mask.removed]
        st.button(
            f"Select lowest {lowest}",
            type="secondary" if session.selected else "primary",
            on_click=sessions.change,
            args=(Session.choosing, tuple(kept[:lowest])),
            disabled=not kept,
            help=f"The {lowest} heads ranked first to go by {column.title.lower()}.",
        )
        with st.popover("More ways"):
            _threshold(column)
            st.markdown("**A whole layer**")
            with st.container(horizontal=True, gap="xsmall"):
                for layer in range(mask.layers):
                    st.button(
                        f"L{layer}",
                        key=f"layer-{layer}",
                        on_click=sessions.change,
                        args=(Session.toggling, layer_heads(session, layer)),
                    )
            selected_list(session)
            parts_list(session)
        st.button(
            "Clear",
            on_click=sessions.change,
            args=(Session.clearing,),
            disabled=not (session.selected or session.widths),
            type="tertiary",
        )


def _threshold(column: Column) -> None:
    side = "below" if column.higher_means == "keep" else "above"
    st.markdown(f"**{column.title} {side}**")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        threshold = st.number_input(
            f"{column.title} {side}",
            value=None,
            format="%.4g",
            placeholder="a value",
            key=f"threshold-{column.name}",
            label_visibility="collapsed",
        )
        heads = () if threshold is None else tuple(column.beyond(threshold))
        st.button(
            "Select" if threshold is None else f"Select {len(heads)}",
            key="select-threshold",
            on_click=sessions.change,
            args=(Session.choosing, heads),
            disabled=not heads,
        )
