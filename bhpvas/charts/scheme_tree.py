"""Scheme tree: one row a step, lines to the step before, and each step's headline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, NamedTuple

import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.tasks.base import Measured, Metric, measured_text
from bhpvas.tasks.single_label import ACCURACY
from bhpvas.text import literal, shortened

Kind = Literal["start", "remove", "restore", "recover"]

#: Pixels of a row, which holds two lines of text.
ROW = 40
_TOP, _BOTTOM, _SIDE = 24, 6, 8
# Shares of the width: the lines get what their lanes need, what steps score the last part.
_LANE, _FEWEST_LANES, _MOST_LANES = 0.05, 2, 5
_SCORES = 0.62
_LONGEST_LINE = 24
_SYMBOLS = {"start": "circle", "remove": "circle", "restore": "circle-open", "recover": "square"}


@dataclass(frozen=True)
class TreeStep:
    """One step as the picture shows it; ``headline`` is None where it is not measured.

    ``what`` says in a few words what the step did; ``hover`` is the rest of what is known.
    ``learnt`` is how many of the sentences that measured it were learnt from, ``neurons`` how many
    feed-forward neurons it keeps, None where that is not to be told.
    """

    step: int
    parent: int | None
    kind: Kind
    kept: int
    what: str
    headline: Measured | None = None
    note: str = ""
    hover: str = ""
    learnt: int = 0
    on_path: bool = True
    current: bool = False
    neurons: int | None = None


class Place(NamedTuple):
    """Where a step stands: rows go down from 0, lanes to the right from 0."""

    row: int
    lane: int


def layout(parents: Mapping[int, int | None]) -> dict[int, Place]:
    """A row and a lane for each step of a tree, given the step before each (None: the start).

    Depth first. Of the steps that follow one step, the one with the most steps after it comes last
    and stays in its lane; the others come before it, one lane to the right. So each part of the
    tree stands together, a line in a lane passes no foreign step, and a tree of n steps needs at
    most log2(n) + 1 lanes, however it was made.

    >>> layout({0: None, 1: 0, 2: 1, 3: 0})
    {0: Place(row=0, lane=0), 3: Place(row=1, lane=1), 1: Place(row=2, lane=0), \
2: Place(row=3, lane=0)}
    """
    later: dict[int | None, list[int]] = {}
    for step, parent in parents.items():
        later.setdefault(parent, []).append(step)
    order: list[int] = []
    waiting = list(later.get(None, ()))
    while waiting:  # no recursion: a chain may be longer than Python's stack
        order.append(waiting.pop())
        waiting += later.get(order[-1], ())
    size = dict.fromkeys(parents, 1)
    for step in reversed(order):
        if (parent := parents[step]) is not None:
            size[parent] += size[step]

    places: dict[int, Place] = {}
    todo = [(step, 0) for step in later.get(None, ())]
    while todo:
        step, lane = todo.pop()
        places[step] = Place(len(places), lane)
        following = sorted(later.get(step, ()), key=lambda one: (size[one], one))
        lanes = [lane + 1] * (len(following) - 1) + [lane]
        todo += reversed([*zip(following, lanes, strict=False)])
    return places


def folded(parents: Mapping[int, int | None], kept: Collection[int]) -> dict[int, int | None]:
    """The tree of the ``kept`` steps alone: for each, the nearest kept one before it, or None.

    >>> folded({0: None, 1: 0, 2: 1, 3: 2}, {0, 3})
    {0: None, 3: 0}
    """
    found: dict[int, int | None] = {}
    for step in parents:
        if step in kept:
            parent = parents[step]
            while parent is not None and parent not in kept:
                parent = parents[parent]
            found[step] = parent
    return found


def scheme_tree(steps: Sequence[TreeStep], metric: Metric = ACCURACY) -> go.Figure:
    """Draw the tree, the start on top.

    A row says what a step keeps and scores, and what it did; on the right its headline, a value of
    the ``metric``, stands as a point with its 95% interval, open where it was measured on sentences
    that were learnt from, and a dotted line marks that of the start. The way to the current step is
    strong, other branches are faint. Discs removed heads, rings restored some, squares
    changed weights. Every row carries its step's number as custom data.
    """
    places = layout({one.step: one.parent for one in steps})
    rows = len(places)
    lanes = 1 + max(place.lane for place in places.values())
    margin = (_SIDE, _SIDE + 6, _TOP, _BOTTOM)
    figure = style.blank(height=ROW * rows + _TOP + _BOTTOM, margin=margin)
    shown = min(max(lanes, _FEWEST_LANES), _MOST_LANES)
    text_at = _LANE * shown
    _highlight(figure, steps, places)
    _connect(figure, steps, places)
    _scores(figure, steps, places, metric)
    _texts(figure, steps, places, metric)
    _nodes(figure, steps, places)
    _targets(figure, steps, places, metric)
    known = [end for one in steps if one.headline is not None for end in one.headline]
    bare = {"showgrid": False, "showticklabels": False, "ticks": ""}
    fixed = {"fixedrange": True, "anchor": "y"}
    figure.update_layout(
        xaxis={**bare, "domain": [0, text_at], "range": [-0.5, max(lanes, shown) - 0.25]},
        xaxis2={**bare, **fixed, "domain": [text_at, _SCORES], "range": [0, 1]},
        xaxis3={
            **fixed,
            "domain": [_SCORES, 1],
            "range": style.reach(metric, known, room=1, most=100.6),
            "side": "top",
            "gridcolor": style.FAINT,
            "nticks": 4,
            "ticksuffix": "%" * metric.share,
            "tickfont": {"size": 11},
            "zeroline": False,
            "ticks": "",
        },
        yaxis={**bare, "range": [rows - 0.5, -0.5]},
    )
    return figure


def _highlight(figure: go.Figure, steps: Sequence[TreeStep], places: Mapping[int, Place]) -> None:
    """A bar behind the current step's row."""
    for one in steps:
        if one.current:
            row = places[one.step].row
            figure.add_shape(
                type="rect",
                xref="paper",
                x0=0,
                x1=1,
                y0=row - 0.5,
                y1=row + 0.5,
                fillcolor=style.REMOVED_FILL,
                line={"width": 0},
                layer="below",
            )


def _connect(figure: go.Figure, steps: Sequence[TreeStep], places: Mapping[int, Place]) -> None:
    """Lines down the lane of the step before, then over to a step's own lane."""
    for strong in (False, True):
        lines = []
        for one in steps:
            if one.parent is not None and one.on_path is strong:
                above, here = places[one.parent], places[one.step]
                turn = (above.lane, here.row - 0.5 * (here.lane != above.lane))
                lines.append([(above.lane, above.row), turn, (here.lane, here.row)])
        width, colour = (2.5, style.MARK) if strong else (1.5, style.MUTED)
        figure.add_scatter(
            **style.strokes(lines, width=width, color=colour),
            name="path" if strong else "branches",
        )


def _nodes(figure: go.Figure, steps: Sequence[TreeStep], places: Mapping[int, Place]) -> None:
    colours = [style.step_colour(one.current, one.on_path) for one in steps]
    figure.add_scatter(
        x=[places[one.step].lane for one in steps],
        y=[places[one.step].row for one in steps],
        **style.marks(
            size=[14 if one.current else 11 for one in steps],
            symbol=[_SYMBOLS[one.kind] for one in steps],
            color=colours,
            opacity=1,
            line={"width": 2, "color": colours},
        ),
        name="nodes",
    )


def _scores(
    figure: go.Figure, steps: Sequence[TreeStep], places: Mapping[int, Place], metric: Metric
) -> None:
    """Points with intervals, and the start's headline as a line through all rows."""
    scale = metric.scale
    for one in steps:
        if one.parent is None and one.headline is not None and isfinite(one.headline.value):
            figure.add_shape(
                type="line",
                xref="x3",
                x0=scale * one.headline.value,
                x1=scale * one.headline.value,
                y0=-0.5,
                y1=len(places) - 0.5,
                line={"width": 1, "color": style.MUTED, "dash": "dot"},
                layer="below",
            )
    measured = [(one, one.headline) for one in steps if one.headline is not None]
    colours = [style.step_colour(one.current, one.on_path) for one, _ in measured]
    figure.add_scatter(
        x=[scale * found.value for _, found in measured],
        y=[places[one.step].row for one, _ in measured],
        xaxis="x3",
        error_x=style.interval_bars(
            [scale * (found.high - found.value) for _, found in measured],
            [scale * (found.value - found.low) for _, found in measured],
            width=3,
        ),
        **style.marks(
            size=8,
            symbol=["circle-open" if one.learnt else "circle" for one, _ in measured],
            color=colours,
            opacity=1,
            line={"width": [2 if one.learnt else 0 for one, _ in measured], "color": colours},
        ),
        name={"accuracy": "accuracies"}.get(metric.name, metric.name),
    )


def _texts(
    figure: go.Figure, steps: Sequence[TreeStep], places: Mapping[int, Place], metric: Metric
) -> None:
    """Two lines a row: what it keeps and scores; what it did, and the note."""
    lines = []
    for one in steps:
        scored = "not measured"
        if one.headline is not None:
            scored = measured_text(metric, one.headline)
        did = f"{one.what}, {one.note}" if one.note else one.what
        short = literal(shortened(" ".join(did.split()), _LONGEST_LINE))
        kept = f"<b>{one.kept}</b>"
        kept += "" if one.neurons is None else f" + <b>{one.neurons:,}</b>"
        lines.append(f"{kept} · {scored}<br><span style='opacity:.85'>{short}</span>")
    figure.add_scatter(
        x=[0] * len(steps),
        y=[places[one.step].row for one in steps],
        xaxis="x2",
        **style.words(lines, 12),
        textposition="middle right",
        cliponaxis=False,
        name="texts",
    )


def _targets(
    figure: go.Figure, steps: Sequence[TreeStep], places: Mapping[int, Place], metric: Metric
) -> None:
    """Invisible squares along each row, so that a click anywhere on it reaches its step."""
    spots: dict[str, list[tuple[float, TreeStep]]] = {
        "x": [(places[one.step].lane, one) for one in steps],
        "x2": [(share, one) for one in steps for share in (0.04, 0.3, 0.55, 0.8)],
        "x3": [
            (metric.scale * one.headline.value, one) for one in steps if one.headline is not None
        ],
    }
    for axis, where in spots.items():
        figure.add_scatter(
            x=[x for x, _ in where],
            y=[places[one.step].row for _, one in where],
            xaxis=axis,
            customdata=[[one.step] for _, one in where],
            text=[one.hover for _, one in where],
            **style.targets(ROW - 6),
            cliponaxis=False,
            name=f"steps {axis}",
        )
