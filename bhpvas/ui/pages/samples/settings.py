"""Settings of the map: which sentences, at which layer, coloured by what."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from bhpvas.data.dataset import Split
from bhpvas.ui.jobs import models
from bhpvas.ui.pages.samples.colours import names
from bhpvas.ui.pages.samples.selection import EVERY
from bhpvas.ui.pages.samples.tasks import MeasuredStates
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets.synced import hold


@dataclass(frozen=True)
class MapSettings:
    """What the controls above the map say."""

    layer: int
    colour: str


def settings(session: Session, found: MeasuredStates | None) -> MapSettings:
    """Which sentences, at which layer, coloured by what."""
    layers = session.mask.layers
    groupings = {} if found is None else found.groupings
    pruned = session.now != session.start
    colours = names(models.task_of(session), groupings, pruned=pruned)
    state = st.session_state
    if not state.get("colour-chosen") or state.get("sentence-colour") not in colours:
        state["sentence-colour"] = next(iter(colours))
    if (state.get("map-layer") or 0) >= layers:
        state["map-layer"] = layers - 1
    splits: tuple[Split, ...] = "evaluation", "calibration"
    sizes = {split: f"{split} · {len(session.sentences_of(split)):,}" for split in splits}
    hold("split", session.split)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="looking"):
        st.segmented_control(
            "Sentences",
            list(sizes),
            required=True,
            format_func=sizes.__getitem__,
            key="split",
            on_change=_look,
            help="Evaluation sentences measure. Calibration sentences are what criteria, search "
            "and recovery learn from. One that is in both is counted where it measures.",
        )
        colour = st.selectbox(
            "Colour by",
            list(colours),
            key="sentence-colour",
            format_func=colours.__getitem__,
            on_change=_colour_chosen,
            width=230,
        )
        layer = st.selectbox(
            "[CLS] state of layer",
            range(layers),
            index=layers - 1,
            key="map-layer",
            format_func=lambda layer: f"L{layer}",
            width=140,
            persist_state="session",
        )
    return MapSettings(layer, colour)


def _colour_chosen() -> None:
    st.session_state["colour-chosen"] = True


def _look() -> None:
    split: Split = st.session_state["split"]
    sessions.change(Session.looking_at, split)
    st.session_state["rows"] = EVERY
