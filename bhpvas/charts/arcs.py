"""Sentence arcs: its dependency tree as arcs over the words, attention as arcs under them.

All coordinates are pixels, since words are as wide as their letters. The words stand at y = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.text import ARROW, literal, number, signed

#: Attention arcs that are drawn at most; the weakest are left out.
MOST_ARCS = 240

_LETTER, _GAP, _SIDE = 8.2, 28, 20
_LEAST_GAP = 12
_WORDS = 13  # half the height of the line of words
_BARS = 16  # the longest bar of saliency
_LEVEL, _TREE = 23, 190  # height of one level of the tree, and of the whole tree at most
_DEEPEST = 120
_POINTS = 25
_WIDTHS = 8  # plotly knows one width a line, so weights are drawn in so many steps
_BEND = 0.55  # 1 is an ellipse; less has steeper sides and a flatter top


@dataclass(frozen=True)
class Dependency:
    """``dependent`` depends on ``head`` (places in the line); ``followed`` says by what."""

    dependent: int
    head: int
    relation: str
    followed: str = ""


@dataclass(frozen=True, eq=False)
class HeadArcs:
    """The attention of one head between the units of the line, ``[U, U]``, a row for each asker."""

    name: str
    attention: np.ndarray
    removed: bool = False


@dataclass(frozen=True)
class Arc:
    """Unit ``source`` looks at unit ``target`` with a weight."""

    source: int
    target: int
    weight: float


def strongest(attention: np.ndarray, threshold: float, most: int = MOST_ARCS) -> list[Arc]:
    """The arcs of at least a weight, the strongest first, at most so many."""
    order = np.argsort(-attention, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(order, attention.shape)
    return [
        Arc(int(row), int(column), float(attention[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if attention[row, column] >= max(threshold, 1e-9)
    ]


def sentence_arcs(
    units: Sequence[str],
    dependencies: Sequence[Dependency],
    heads: Sequence[HeadArcs],
    *,
    threshold: float = 0.1,
    saliency: np.ndarray | None = None,
    saliency_title: str = "",
    towards: str = "",
    room: int | None = None,
) -> go.Figure:
    """Draw the sentence. The figure is as wide as its words; a page lets it scroll.

    Where that is more than the ``room`` in pixels, the words move together as far as arcs allow.

    ``units`` are the words and delimiters of the line, ``heads`` those whose attention hangs below.
    An arc there runs from the unit that looks to a triangle at the one that is looked at, and is
    the thicker the more weight it has, from the ``threshold`` on. ``saliency`` ``[U]``, of the
    method ``saliency_title``, is drawn as bars over the words, up where it speaks for the class
    ``towards``. Followed dependencies are strong.
    """
    middles, width = _layout(units, room)
    bars = 0 if saliency is None else 2 * _BARS + 10
    base = _WORDS + bars
    levels = _levels(dependencies)
    step = min(_LEVEL, _TREE / max(levels.values(), default=1))
    top = base + step * max(levels.values(), default=0) + 20
    hanging = [arc for head in heads for arc in strongest(head.attention, threshold)]
    deepest = max((_depth(arc, middles) for arc in hanging), default=20)
    bottom = -_WORDS - deepest - 4 * max(len(heads) - 1, 0) - 8
    figure = style.blank(height=round(top - bottom) + 30, width=width, margin=(0, 0, 0, 30))
    _tree(figure, dependencies, levels, middles, base, step)
    if saliency is not None:
        _bars(figure, units, saliency, middles, saliency_title, towards)
    _attention(figure, units, heads, threshold, middles)
    figure.add_scatter(
        x=middles,
        y=[0] * len(units),
        **style.words(map(literal, units), 14),
        showlegend=False,
        name="words",
    )
    figure.update_xaxes(range=[0, width], visible=False)
    figure.update_yaxes(range=[bottom, top], visible=False)
    figure.update_layout(showlegend=True, legend=style.LEGEND, hoverdistance=6)
    return figure


def _layout(units: Sequence[str], room: int | None) -> tuple[np.ndarray, int]:
    """The middle of each unit in pixels, and the width of the whole line."""
    letters = np.array([max(len(unit), 2) * _LETTER for unit in units])
    gap = float(_GAP)
    if room is not None:
        gap = float(np.clip((room - 2 * _SIDE - letters.sum()) / len(units), _LEAST_GAP, _GAP))
    wide = letters + gap
    ends = np.cumsum(wide) + _SIDE
    return ends - wide / 2, max(int(ends[-1]) + _SIDE, 320)


def _levels(dependencies: Sequence[Dependency]) -> dict[Dependency, int]:
    """How high each arc stands: one above the highest that lies within it."""
    found: dict[Dependency, int] = {}
    for one in sorted(dependencies, key=lambda arc: abs(arc.dependent - arc.head)):
        low, high = sorted((one.dependent, one.head))
        within = [
            level
            for other, level in found.items()
            if low <= min(other.dependent, other.head) and max(other.dependent, other.head) <= high
        ]
        found[one] = 1 + max(within, default=0)
    return found


def _curve(start: float, end: float, base: float, height: float) -> Iterable[tuple[float, float]]:
    """Points of an arc; a negative height hangs below."""
    turn = np.linspace(np.pi, 0, _POINTS)
    wide = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** _BEND
    x = (start + end) / 2 + (end - start) / 2 * wide
    y = base + height * np.abs(np.sin(turn)) ** _BEND
    return zip(x.round(1).tolist(), y.round(1).tolist(), strict=True)


def _tree(
    figure: go.Figure,
    dependencies: Sequence[Dependency],
    levels: dict[Dependency, int],
    middles: np.ndarray,
    base: float,
    step: float,
) -> None:
    for strong in (False, True):
        chosen = [one for one in dependencies if bool(one.followed) is strong]
        curves = []
        for one in chosen:
            aside = 5 if one.dependent > one.head else -5
            start, end = middles[one.head] + aside, middles[one.dependent]
            curves.append(_curve(start, end, base, step * levels[one]))
        colour = style.SELECTED if strong else style.MUTED
        name = "followed relations" if strong else "relations"
        figure.add_scatter(
            **style.strokes(curves, width=2.5 if strong else 1.2, color=colour),
            showlegend=strong and bool(chosen),
            name=name,
        )
        figure.add_scatter(
            x=[float(middles[one.dependent]) for one in chosen],
            y=[base + 1] * len(chosen),
            **style.marks(symbol="triangle-down", size=7, color=colour),
            showlegend=False,
            name=f"{name}: dependents",
        )
        figure.add_scatter(
            x=[float(middles[[one.dependent, one.head]].mean()) for one in chosen],
            y=[base + step * levels[one] + 7 for one in chosen],
            mode="text",
            text=[
                f"<b>{literal(one.relation)}</b>" if strong else literal(one.relation)
                for one in chosen
            ],
            textfont={"size": 11},
            hovertext=[
                f"{literal(one.relation)}{', followed by ' + one.followed if one.followed else ''}"
                for one in chosen
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
            name=f"{name}: names",
        )


def _bars(
    figure: go.Figure,
    units: Sequence[str],
    saliency: np.ndarray,
    middles: np.ndarray,
    title: str,
    towards: str,
) -> None:
    zero = _WORDS + _BARS + 2
    figure.add_bar(
        x=middles,
        y=_BARS * saliency / (float(np.abs(saliency).max()) or 1.0),
        base=zero,
        width=22,
        marker={"color": [style.FOR if one >= 0 else style.AGAINST for one in saliency]},
        **style.says(
            f"{literal(unit)}: {signed(float(one), 2)} for {literal(towards)}<br>{title}"
            for unit, one in zip(units, saliency, strict=True)
        ),
        textposition="none",
        showlegend=False,
        name="saliency",
    )
    figure.add_scatter(
        x=[float(middles[0]) - 14, float(middles[-1]) + 14],
        y=[zero, zero],
        mode="lines",
        line={"width": 1, "color": style.FAINT},
        hoverinfo="skip",
        showlegend=False,
        name="saliency zero",
    )


def _depth(arc: Arc, middles: np.ndarray) -> float:
    """How deep an arc hangs: the deeper the further apart its ends are, so that few overlap."""
    if arc.source == arc.target:
        return 14
    apart = abs(middles[arc.source] - middles[arc.target])
    longest = max(float(middles[-1] - middles[0]), 600)
    return 18 + (_DEEPEST - 18) * float(apart / longest) ** 0.7


def _attention(
    figure: go.Figure,
    units: Sequence[str],
    heads: Sequence[HeadArcs],
    threshold: float,
    middles: np.ndarray,
) -> None:
    base = -_WORDS - 3
    most = MOST_ARCS // max(len(heads), 1)
    for place, head in enumerate(heads):
        colour = style.HEADS[place % len(style.HEADS)]
        dash = "dot" if head.removed else "solid"
        arcs = strongest(head.attention, threshold, most)
        steps: dict[int, list[Arc]] = {}
        for arc in arcs:
            steps.setdefault(min(int(arc.weight * _WIDTHS), _WIDTHS - 1), []).append(arc)
        for thick in sorted(steps):
            curves = (
                _curve(*_feet(arc, middles), base - 5, -_depth(arc, middles) - 4 * place)
                for arc in steps[thick]
            )
            share = (thick + 0.5) / _WIDTHS
            figure.add_scatter(
                **style.strokes(curves, width=0.8 + 6.5 * share, color=colour, dash=dash),
                opacity=0.35 + 0.5 * share,
                showlegend=False,
                legendgroup=head.name,
                name=f"{head.name} arcs",
            )
        figure.add_scatter(
            x=[_feet(arc, middles)[1] for arc in arcs],
            y=[base] * len(arcs),
            mode="markers",
            marker={
                "symbol": "triangle-up",
                "size": [6 + 7 * arc.weight for arc in arcs],
                "color": colour,
            },
            **style.says(
                f"{head.name}: {literal(units[arc.source])} {ARROW} {literal(units[arc.target])} "
                f"{number(arc.weight, 2)}"
                for arc in arcs
            ),
            showlegend=False,
            legendgroup=head.name,
            name=f"{head.name} targets",
        )
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="lines",
            line={"width": 4, "color": colour, "dash": dash},
            legendgroup=head.name,
            name=f"{head.name} (removed)" if head.removed else head.name,
        )


def _feet(arc: Arc, middles: np.ndarray) -> tuple[float, float]:
    """Where an arc starts and ends: beside the middle, so that both ways can be told apart."""
    if arc.source == arc.target:
        return float(middles[arc.source]) - 7, float(middles[arc.target]) + 7
    aside = 4 if arc.target > arc.source else -4
    return float(middles[arc.source]) + aside, float(middles[arc.target]) - aside
