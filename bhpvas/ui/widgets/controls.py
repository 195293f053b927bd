"""The settings of the Workbench: what colours the map, how criteria count, how to select."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from bhpvas.charts.columns import ABLATIONS, COMBINED, Column, Weighing, title_of
from bhpvas.charts.slices import Measure
from bhpvas.criteria import CRITERIA, DEFAULT_CRITERIA, DEFAULT_WEIGHTS
from bhpvas.heads import HeadId
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.state.settings import kept_as, kept_key
from bhpvas.ui.widgets import synced

POINTERS = {"head": "head", "layer": "layer", "box": "box"}
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
                name: state.get(f"weight-{name}", DEFAULT_WEIGHTS[name]) for name in _weighed()
            },
            directions={
                "stability": "remove" if state.get("stable") == _STABLE["remove"] else "keep"
            },
        ),
        pointer=state.get("pointer") or "head",
    )


def _weighed() -> tuple[str, ...]:
    return tuple(name for name in DEFAULT_CRITERIA if name in DEFAULT_WEIGHTS)


def colour_controls(*, ablated: bool) -> None:
    """What colours the map, and the weights of the combined priority."""
    names = [COMBINED, *CRITERIA, *(ABLATIONS if ablated else ())]
    if st.session_state.get("colour") not in names:
        st.session_state["colour"] = COMBINED
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="controls"):
        st.selectbox(
            "Colour by",
            names,
            key=kept_key("colour"),
            format_func=title_of,
            width=210,
            bind="query-params",
        )
        with st.container(horizontal=True, gap="medium", width="content", key="weights"):
            for name in _weighed():
                st.slider(
                    f"{title_of(name)} weight",
                    0.0,
                    1.0,
                    DEFAULT_WEIGHTS[name],
                    0.05,
                    **kept_as(f"weight-{name}"),
                    width=130,
                )
        st.segmented_control(
            "A stable head is",
            list(_STABLE.values()),
            default=_STABLE["keep"],
            required=True,
            **kept_as("stable"),
            help="A stable head can be a useful positional head or an idle one that rests on "
            "[SEP], so which way stability counts is yours to decide.",
        )


def selection_controls(column: Column, session: Session) -> None:
    """Every way to select without the pointer: lowest ranked, threshold, layers, a list."""
    mask = session.mask
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="selecting"):
        st.caption("Pointer selects", width="content")
        st.segmented_control(
            "Pointer selects",
            list(POINTERS),
            default="head",
            required=True,
            format_func=POINTERS.__getitem__,
            **kept_as("pointer"),
            label_visibility="collapsed",
        )
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
            on_click=_choose,
            args=(tuple(kept[:lowest]),),
            disabled=not kept,
            help=f"The {lowest} heads ranked first to go by {column.title.lower()}.",
        )
        with st.popover("More ways"):
            _threshold(column)
            _layers(session)
            selected_list(session)
        st.button(
            "Clear", on_click=_choose, args=((),), disabled=not session.selected, type="tertiary"
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
            on_click=_choose,
            args=(heads,),
            disabled=not heads,
        )


def _layers(session: Session) -> None:
    st.markdown("**A whole layer**")
    with st.container(horizontal=True, gap="xsmall"):
        for layer in range(session.mask.layers):
            st.button(
                f"L{layer}",
                key=f"layer-{layer}",
                on_click=_toggle,
                args=(layer_heads(session, layer),),
            )


def selected_list(session: Session) -> None:
    """The keyboard's way in: it always shows what is selected, and changes it."""
    list_of_heads("Selected heads", session, session.selected, key="heads", turn=_turn)


def list_of_heads(
    label: str,
    session: Session,
    chosen: Iterable[HeadId],
    *,
    key: str,
    turn: Callable[[list[HeadId]], None],
    **options: Any,
) -> None:
    """Some heads by their names; ``turn`` gets those that a person adds or takes away.

    Options are those of ``st.multiselect``.
    """
    shown = [str(head) for head in sorted(chosen)]
    name = synced.key_of(key, shown)
    given = {"options": [str(head) for head in session.mask.every_head()]}

    def take() -> None:
        heads = sorted(map(HeadId.parse, synced.changed(name, st.session_state[name])))
        if heads:
            turn(heads)

    with st.container(key=f"list-{key}"):
        st.multiselect(
            label,
            **{"placeholder": "Type L3H7", **given, **options},
            default=shown,
            key=name,
            on_change=take,
        )


def layer_heads(session: Session, layer: int) -> tuple[HeadId, ...]:
    """The kept heads of a layer, or all of them where none is kept."""
    every = tuple(HeadId(layer, head) for head in range(session.mask.heads))
    return tuple(head for head in every if head not in session.mask.removed) or every


def _choose(heads: tuple[HeadId, ...]) -> None:
    sessions.change(partial(Session.choosing, heads=heads))


def _toggle(heads: tuple[HeadId, ...]) -> None:
    sessions.change(partial(Session.toggling, heads=heads))


def _turn(heads: list[HeadId]) -> None:
    sessions.change(partial(Session.turning_over, heads=heads))


def view_of(views: Iterable[str], *, key: str) -> str:
    """Which view of a page is open, the first at first; the address says so as well."""
    titles = list(views)
    return st.segmented_control(
        "View",
        titles,
        default=titles[0],
        required=True,
        key=key,
        label_visibility="collapsed",
        bind="query-params",
        persist_state="session",
    )


def slice_controls(titles: Mapping[str, str], key: str, *, width: int) -> tuple[str, Measure]:
    """By which of some groupings to slice, named by their titles, and accuracy or loss."""
    if st.session_state.get(f"{key}-by") not in titles:
        st.session_state[f"{key}-by"] = next(iter(titles))
    by = st.selectbox(
        "Slices by",
        list(titles),
        key=f"{key}-by",
        format_func=lambda name: f"by {titles[name].lower()}",
        width=width,
        label_visibility="collapsed",
    )
    measures: list[Measure] = ["accuracy", "loss"]
    measure = st.segmented_control(
        "Measure",
        measures,
        default="accuracy",
        required=True,
        key=f"{key}-measure",
        persist_state="session",
        label_visibility="collapsed",
    )
    return by, measure
