"""Map of sentences: every sentence as a point; a lasso, a box or clicks select."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.sentence_map import MANY, Moves, Panel, sentence_map
from bhpvas.ui.pages.samples import texts
from bhpvas.ui.pages.samples.colours import colouring, reading
from bhpvas.ui.pages.samples.selection import choose
from bhpvas.ui.pages.samples.settings import MapSettings
from bhpvas.ui.pages.samples.tasks import MeasuredStates, Places
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import answers, controls, figures, help

ALONE, AFTER, BESIDE, MOVES = "unpruned", "pruned", "side by side", "moves"
MAP_HEIGHT = 400
#: What the pointer does on the map, and what plotly calls it; a click needs it left unset.
POINTERS = {"lasso": "lasso", "box": "select", "click": None}
# Says so where the browser has not what plotly needs to draw points by WebGL.
_WEBGL_CHECK = """export default ({setStateValue}) => {
    const gl = document.createElement("canvas").getContext("webgl");
    const needed = ["ANGLE_instanced_arrays", "OES_element_index_uint"];
    if (!gl || !needed.every(name => gl.getExtension(name))) setStateValue("missing", true);
}"""


def pointer_and_model(found: MeasuredStates) -> tuple[str, str]:
    """What the pointer does on the map, and whose places the map shows."""
    with st.container(horizontal=True, gap="small", key="on-the-map"):
        pointer = controls.choice("Pointer", POINTERS, key="sentence-pointer")
        if not found.pruned:
            return pointer, ALONE
        # Of thousands, one panel: the browser's own marks show a selection there, while two
        # have to be drawn anew.
        first = BESIDE if len(found.data) < MANY else AFTER
        show = controls.choice("Model", [ALONE, AFTER, BESIDE, MOVES], key="show", default=first)
    return pointer, show


def map_of_sentences(
    found: MeasuredStates, places: Places | None, settings: MapSettings, session: Session
) -> None:
    """Every sentence as a point; a lasso, a box or clicks select."""
    pointer, show = pointer_and_model(found)
    if places is None:
        st.skeleton(MAP_HEIGHT)
        return
    after = places.before if places.after is None else places.after
    shown = show if places.after is not None else ALONE
    panels = {ALONE: [("unpruned", places.before, False)], AFTER: [("current scheme", after, True)]}
    panels[BESIDE] = panels[MOVES] = panels[ALONE] + panels[AFTER]
    webgl = len(found.data) >= MANY and _has_webgl()

    def draw() -> go.Figure:
        return sentence_map(
            [
                Panel(title, where, colouring(found, settings.colour, after=pruned))
                for title, where, pruned in panels[shown]
            ],
            session.sentences,
            hover=found.hover,
            moves=_moves(found) if shown == MOVES else (),
            height=MAP_HEIGHT,
            webgl=webgl,
        ).update_layout(dragmode=POINTERS[pointer])

    figure = _drawn(session, draw, (found.key, places.method, settings, pointer, shown, webgl))
    figures.chart(
        figure,
        key="sentence-map",
        on_select=partial(_selected, pointer=pointer, marked=webgl and shown != BESIDE),
        selection_mode=("points", "box", "lasso"),
        height=MAP_HEIGHT,
        alt=f"Map of {text.plural(found.after.n, 'sentence')}, {shown}",
    )
    wait = ", UMAP follows" if places.follows else ""
    mark = ""
    if settings.colour == "change":
        mark = reading(found.after.task)
    if shown == MOVES:
        lost, gained = (answers.outcome(found.after.task, one) for one in ("lost", "gained"))
        mark = f" Lines: from the unpruned place; red {lost}, blue {gained}."
    help.footnote(
        f"Near: alike to the model at L{settings.layer} ({places.method}{wait}).{mark}",
        ("Map of sentences", texts.SENTENCE_MAP),
        key="sentence-map",
    )


def _has_webgl() -> bool:
    """Whether the browser can draw by WebGL; taken for granted until it says otherwise."""
    check = st.components.v2.component("bhpvas_webgl", js=_WEBGL_CHECK)
    said = check(key="webgl", on_missing_change=_webgl_missing, height=1)
    return not (said.missing or st.session_state.get("no-webgl"))


def _webgl_missing() -> None:
    st.session_state["no-webgl"] = True


def _drawn(session: Session, draw: Callable[[], go.Figure], look: object) -> go.Figure:
    """The map as it is on the screen, or drawn anew where that is not what there is to see."""
    state = st.session_state
    before, figure = state.get("map-drawn", (None, None))
    seen = before == look and "sentence-map" in state
    if figure is None or not seen or state.get("map-marks") != session.sentences:
        # Streamlit shows a figure that it knows with what was selected there before: so none is
        # equal to an earlier one.
        number = 0 if figure is None else figure.layout.meta + 1
        figure = draw().update_layout(meta=number)
        state["map-drawn"], state["map-marks"] = (look, figure), session.sentences
    return figure


def _moves(found: MeasuredStates) -> list[Moves]:
    outcome = found.table["outcome"].to_numpy()
    colours = {"same": style.FAINT, "other": style.MUTED}
    colours |= {"lost": style.LOST, "gained": style.GAINED}
    return [Moves(name, np.flatnonzero(outcome == name), hue) for name, hue in colours.items()]


def _selected(*, pointer: str, marked: bool) -> None:
    """Take what the pointer selected; ``marked``: the browser's own marks show it well enough.

    Of thousands of points they do, where one panel shows them: drawing these anew takes long.
    """
    points = st.session_state["sentence-map"].selection.points
    picked = {int(point["customdata"]) for point in points if "customdata" in point}
    st.session_state["map-marks"] = picked if marked and pointer != "click" else None
    if picked:
        session = sessions.current()
        choose(session.sentences ^ picked if pointer == "click" else picked)
