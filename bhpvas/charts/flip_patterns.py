"""Flip patterns: one column for each set of models that flip the same sentences."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.text import plural

_ROW, _BARS, _TOP, _LEFT = 24, 130, 20, 34
_OUTCOMES = {"lost": style.LOST, "gained": style.GAINED, "other": style.MUTED}


def flip_patterns(
    patterns: pd.DataFrame,
    names: Sequence[str],
    *,
    chosen: int | None = None,
    became: tuple[str, str] = ("lost", "gained"),
) -> go.Figure:
    """Draw how many sentences each set of models flips, of a table with one row a set.

    Bars are sentences ``lost`` (red), ``gained`` (blue) and ``other`` (grey); below, filled dots
    say which of the ``names`` flip them. The ``chosen`` row is marked, ``became`` says what
    lost and gained mean. Every bar and dot carries
    its row as custom data. After the UpSet plot (Lex et al. 2014).
    """
    rows, columns = len(names), len(patterns)
    figure = style.blank(height=_BARS + _ROW * rows + _TOP + 8, margin=(_LEFT, 8, _TOP, 8))
    split = _ROW * rows / (_BARS + _ROW * rows)
    places = list(range(columns))
    texts = [_hover_text(row, names, became) for _, row in patterns.iterrows()]
    target = {"customdata": [[place] for place in places], "text": texts, **style.steady(1)}
    for outcome, colour in _OUTCOMES.items():
        figure.add_bar(
            x=places,
            y=patterns[outcome],
            marker={"color": colour, "line": {"width": 0}},
            width=0.62,
            name=outcome,
            textposition="none",
            **target,
        )
    figure.add_scatter(
        x=places,
        y=patterns["count"],
        **style.words(map(str, patterns["count"]), 11),
        textposition="top center",
        cliponaxis=False,
        name="counts",
    )
    member = patterns[list(names)].to_numpy(dtype=bool)  # [patterns, names]
    inside = [[row for row in range(rows) if member[place, row]] for place in places]
    joins = ([(place, inside[place][0]), (place, inside[place][-1])] for place in places)
    figure.add_scatter(
        **style.strokes(joins, width=2.5, color=style.MARK), yaxis="y2", name="joined"
    )
    for row, name in enumerate(names):
        figure.add_scatter(
            x=places,
            y=[row] * columns,
            yaxis="y2",
            mode="markers",
            marker={
                "size": 12,
                "color": [style.MARK if member[place, row] else style.FAINT for place in places],
                "opacity": 1,
            },
            name=name,
            **target,
        )
    if chosen is not None:
        figure.add_shape(
            type="rect",
            xref="x",
            x0=chosen - 0.46,
            x1=chosen + 0.46,
            yref="paper",
            y0=-0.02,
            y1=1,
            line={"width": 2, "color": style.SELECTED},
        )
    most = int(patterns["count"].max()) if columns else 1
    # A few columns do not spread over the whole width, so that their bars stay slim.
    figure.update_layout(
        barmode="stack",
        xaxis={
            "range": [-0.6, max(columns, 8) - 0.4],
            "showgrid": False,
            "showticklabels": False,
            "ticks": "",
            "anchor": "y2",
        },
        yaxis={
            "domain": [split + 0.03, 1],
            "range": [0, 1.08 * most],
            "gridcolor": style.FAINT,
            "tickfont": {"size": 11},
            "nticks": 4,
            "tickformat": "d",
        },
        yaxis2={
            **style.ticks(names, 12),
            "domain": [0, split],
            "range": [rows - 0.5, -0.5],
            "zeroline": False,
            "fixedrange": True,
        },
    )
    return figure


def _hover_text(row: pd.Series, names: Sequence[str], became: tuple[str, str]) -> str:
    which = " and ".join(name for name in names if row[name])
    only = " alone" if sum(bool(row[name]) for name in names) == 1 and len(names) > 1 else ""
    return (
        f"<b>{which}{only}</b>: {plural(int(row['count']), 'sentence')}<br>"
        f"{int(row['lost'])} {became[0]}, {int(row['gained'])} {became[1]}, "
        f"{int(row['other'])} other"
    )
