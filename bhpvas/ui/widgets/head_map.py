"""Figures that select heads: the head map and the scatter share one selection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from bhpvas import text
from bhpvas.charts.feed_forward import GAP, WIDE
from bhpvas.charts.head_columns import Column
from bhpvas.charts.head_map import head_map
from bhpvas.charts.shared_rows import heads_of, rows_of
from bhpvas.heads import HeadId, HeadMask
from bhpvas.ui.jobs import models
from bhpvas.ui.jobs.roles import role_labels
from bhpvas.ui.state import session as sessions
from bhpvas.ui.state.session import Session
from bhpvas.ui.widgets import figures
from bhpvas.ui.widgets.clicks import clicks
from bhpvas.ui.widgets.feed_forward import clickable, feed_forward, measure_button, turn_part
from bhpvas.ui.widgets.synced import hold

#: What the rows above a map are.
GROUPS = (
    "Layers of this model share their weights. A cell of the row above them is the head in all of "
    "the layers that do: a click selects it there, and only so it can leave the weights. Removed "
    "from some of them alone it is masked, and struck through in that row."
)


def head_grid(
    column: Column,
    session: Session,
    *,
    pointer: str,
    key: str = "head-map",
    mask: HeadMask | None = None,
    hover: np.ndarray | None = None,
    labelled: bool | None = None,
    palette: Sequence[str] | None = None,
    widths: bool = False,
) -> None:
    """Draw the head map of a column; a click or a box changes the selection.

    Another ``mask`` than the scheme's and another ``hover`` text can be given. The roles can be
    written on every map; with ``labelled`` the page decides that, without it a switch below does.
    With a ``palette`` the values are places in it. Where the page draws the ``widths`` of selected
    feed-forward parts, these can be clicked, too.
    """
    mask = session.mask if mask is None else mask
    hover = column.hover(mask) if hover is None else hover
    shown = session.labelled if labelled is None else labelled
    tags, evidence = role_labels(session) if shown else (None, None)
    groups = models.groups(session) if palette is None else ()
    figure = head_map(
        column.values,
        mask,
        session.selected,
        title=column.title,
        hover=hover if evidence is None else np.char.add(hover.astype(str), evidence),
        change=column.change,
        rise_is_bad=column.rise_is_bad,
        labels=tags,
        palette=palette,
        feed_forward=feed_forward(session, mask, costed=widths, selected=True),
        shared=rows_of(column, mask, groups) if groups else None,
    )
    coloured = bool(np.isfinite(column.values).any())
    clickable_map(
        figure,
        mask,
        pointer=pointer,
        key=key,
        alt=f"Head map of {mask.layers} layers by {mask.heads} heads, "
        f"{f'coloured by {column.title}' if coloured else 'not scored yet'}; "
        f"{_removed(mask)}, {len(session.selected) + len(session.widths)} selected",
        widths=widths and clickable(session),
        groups=len(groups),
    )
    if groups:
        st.caption(GROUPS)
    switches(session, key, roles=labelled is None, widths=widths)


def _removed(mask: HeadMask) -> str:
    """How many heads are removed, and how many neurons where some are."""
    said, neurons = f"{len(mask.masked)} removed", mask.masked_neurons
    return said if neurons is None else f"{said}, and {text.plural(len(neurons), 'neuron')}"


def switches(session: Session, key: str, *, roles: bool = True, widths: bool = False) -> None:
    """What head maps show beside their colours; each is one switch wherever it stands.

    With ``widths`` what colours the feed-forward parts can be measured here.
    """
    with st.container(
        horizontal=True, vertical_alignment="center", gap="medium", key=f"switches-{key}"
    ):
        if roles:
            _switch(
                "Roles on the map",
                f"labels-{key}",
                session.labelled,
                Session.labelling,
                "What each head attends to, by the Roles page: a dependency relation, a position, "
                "a delimiter, rare tokens, or broadly everything. Cells without a label have no "
                "role.",
            )
        _switch(
            "Feed-forward",
            f"feed-forward-{key}",
            not session.heads_only,
            Session.with_feed_forward,
            "One wide cell a layer at the right: its feed-forward part, filled as far as its "
            "neurons are kept.",
        )
        if widths:
            measure_button(session, f"measure-{key}")


def _switch(
    label: str, key: str, value: bool, turn: Callable[[Session, bool], Session], help: str
) -> None:
    hold(key, value)
    change = partial(sessions.change, turn)
    st.toggle(label, key=key, on_change=lambda: change(st.session_state[key]), help=help)


def wide_chart(figure: go.Figure, *, key: str, alt: str, **options: Any) -> None:
    """Draw a figure at its own width; a narrower page scrolls it, where Streamlit would squeeze."""
    width, height = int(figure.layout.width), int(figure.layout.height)
    st.html(f"<style>.st-key-wide-{key} > * {{ min-width: {width}px; }}</style>")
    with st.container(key=f"wide-{key}"):
        figures.chart(figure, key=key, width=width, height=height, alt=alt, **options)


def clickable_map(
    figure: go.Figure,
    mask: HeadMask,
    *,
    pointer: str,
    key: str,
    alt: str,
    widths: bool = False,
    groups: int = 0,
) -> None:
    """Draw a head map, and let clicks on its cells, or a box, change the selection.

    With ``widths`` a click on a feed-forward part selects it; above the layers stand the rows of so
    many ``groups``.
    """
    width, height = int(figure.layout.width), int(figure.layout.height)
    if pointer == "box":
        selecting(figure, pointer=pointer, key=key, width=width, height=height, alt=alt)
        return
    figure.update_layout(dragmode=False, hovermode="closest")
    figures.chart(figure, key=key, width=width, height=height, alt=alt)
    take = partial(_pick, pointer=pointer)
    start = mask.heads + GAP
    column = (start, start + WIDE) if widths else None
    clicks(
        figure,
        key=key,
        layers=mask.layers,
        heads=mask.heads,
        take=take,
        column=column,
        groups=groups,
    )


def selecting(
    figure: go.Figure,
    *,
    pointer: str,
    key: str,
    height: int,
    alt: str,
    width: int | Literal["stretch"] = "stretch",
) -> None:
    """Draw a figure whose points carry ``[layer, head]``, and let it change the selection."""
    # Streamlit passes clicks on while dragmode is unset, and boxes while it is "select".
    figure.update_layout(dragmode="select" if pointer == "box" else None)
    figures.chart(
        figure,
        key=key,
        on_select=partial(_selected, key=key, pointer=pointer),
        selection_mode=("points", "box"),
        width=width,
        height=height,
        alt=alt,
    )


def _selected(*, key: str, pointer: str) -> None:
    points = st.session_state[key].selection.points
    picked = [HeadId(*point["customdata"][:2]) for point in points if "customdata" in point]
    if picked:
        sessions.change(picking, picked, pointer)


def _pick(picked: list[HeadId], *, pointer: str) -> None:
    """Each click of several by itself: one on a head that the one before chose takes it back."""
    for head in picked:
        sessions.change(picking, [head], pointer)


def picking(session: Session, picked: list[HeadId], pointer: str) -> Session:
    """The session after a click on a head or a box around some.

    A layer's feed-forward part counts as the head behind the last one, and a head in all layers of
    a group as one of a layer above the last. The pointer ``switch`` turns heads off and on for the
    open sentence, ``propose`` those of a proposal; all others select.
    """
    mask = session.mask
    parts = {head for head in picked if head.head >= mask.heads}
    layers = {part.layer for part in parts}
    # As of heads: those that were not selected are, or else none of them is.
    for layer in sorted(layers - {layer for layer, _ in session.widths} or layers):
        session = turn_part(session, layer)
    above = {head for head in picked if head.layer >= mask.layers}
    picked = [head for head in picked if head not in parts | above]
    for head in sorted(above):
        picked += heads_of(mask, models.groups(session)[head.layer - mask.layers], head.head)
    if not picked:
        return session
    if pointer == "switch":
        return session.switching(picked)
    if pointer == "propose":
        return session.turning(picked)
    if pointer == "layer" and not above:
        return session.toggling(layer_heads(session, picked[0].layer))
    return session.toggling(picked)


def layer_heads(session: Session, layer: int) -> tuple[HeadId, ...]:
    """The kept heads of a layer, or all of them where none is kept."""
    every = tuple(HeadId(layer, head) for head in range(session.mask.heads))
    return tuple(head for head in every if head not in session.mask.removed) or every
