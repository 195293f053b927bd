"""Slice changes: what a mask does to each slice, with its interval, worst first."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.text import (
    ARROW,
    change_interval,
    interval,
    literal,
    percent,
    plural,
    shortened,
    signed,
)

_ROW = 25
_LABELS, _NUMBERS, _TOP, _BOTTOM = 132, 104, 8, 40
_LONGEST_NAME = 18

Measure = Literal["accuracy", "loss"]


def slice_changes(table: pd.DataFrame, measure: Measure = "accuracy") -> go.Figure:
    """Draw the change of accuracy (points) or loss (nats) of every row of a slice table.

    One row a slice, the worst hit on top: its name and size, the change with its 95% interval, and
    what it was and is. Red dots and triangles down lost, blue ones and triangles up gained; hollow
    dots did not change. Every point carries the slice's name as custom data.
    """
    scale = _SCALE[measure]
    worse = np.sign(table[f"{measure} change"]) * (1 if measure == "loss" else -1)
    # Of equals the one whose loss rises most, as in bhpvas.evaluation.slices.worst_hit.
    order = table.assign(worse=worse).sort_values(
        [f"{measure} change", "loss change"], ascending=[measure == "accuracy", False]
    )
    figure = _rows(
        order,
        *(scale * order[f"{measure} change{end}"] for end in ("", " low", " high")),
        marker={
            "color": [_COLOUR[int(sign)] for sign in order["worse"]],
            "symbol": [_SYMBOL[int(sign)] for sign in order["worse"]],
        },
        texts=[_before_and_after(row, measure) for _, row in order.iterrows()],
        hover=[_hover_text(row, measure) for _, row in order.iterrows()],
        title=f"change of {measure}, {'points' if measure == 'accuracy' else 'nats'}",
    )
    figure.update_xaxes(zeroline=True, zerolinecolor=style.MUTED, zerolinewidth=1)
    return figure


def slice_levels(table: pd.DataFrame, measure: Measure = "accuracy") -> go.Figure:
    """Draw accuracy (percent, with its 95% interval) or loss (nats) of every row, worst on top.

    For a scheme that removes nothing: what stands there before anything changes.
    """
    scale = _SCALE[measure]
    order = table.sort_values(f"{measure} after", ascending=measure == "accuracy", kind="stable")
    value = scale * order[f"{measure} after"]
    known = measure == "accuracy"
    low, high = (
        scale * order[f"accuracy after {end}"] if known else value for end in ("low", "high")
    )
    return _rows(
        order,
        value,
        low,
        high,
        marker={"color": style.MARK, "symbol": "circle"},
        texts=[f"{one:.1f}%" if known else f"{one:.3f}" for one in value],
        hover=[
            f"<b>{literal(row['slice'])}</b>, {plural(int(row['n']), 'sentence')}<br>accuracy "
            f"{percent(row['accuracy after'])}% "
            f"{interval(row['accuracy after low'], row['accuracy after high'])}<br>"
            f"loss {row['loss after']:.3f}"
            for _, row in order.iterrows()
        ],
        title="accuracy, %" if known else "loss, nats",
    )


def _rows(
    order: pd.DataFrame,
    value: pd.Series,
    low: pd.Series,
    high: pd.Series,
    *,
    marker: dict[str, object],
    texts: list[str],
    hover: list[str],
    title: str,
) -> go.Figure:
    """One row a slice, first on top: name and size, a dot with its interval, and a text."""
    margin = (_LABELS, _NUMBERS, _TOP, _BOTTOM)
    figure = style.blank(height=_ROW * len(order) + _TOP + _BOTTOM, margin=margin)
    names = [str(name) for name in order["slice"]]
    figure.add_scatter(
        x=value,
        y=names,
        error_x=style.interval_bars((high - value).fillna(0), (value - low).fillna(0), width=3),
        mode="markers",
        marker={"size": 9, "opacity": 1, **marker},
        **style.steady(1),
        customdata=[[name] for name in names],
        text=hover,
        name="slices",
    )
    for name, text in zip(names, texts, strict=True):
        figure.add_annotation(
            text=text,
            xref="paper",
            x=1,
            y=name,
            xanchor="left",
            xshift=10,
            showarrow=False,
            font={"size": 12},
        )
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=names[::-1],
        range=[-0.6, len(names) - 0.4],
        tickvals=names,
        ticktext=[
            slice_label(name, int(n), _LONGEST_NAME)
            for name, n in zip(names, order["n"], strict=True)
        ],
        tickfont={"size": 12},
        gridcolor=style.FAINT,
        ticks="",
        ticklabelstandoff=4,
    )
    figure.update_xaxes(
        title={"text": title, "standoff": 4, "font": {"size": 12}},
        showgrid=False,
        nticks=5,  # more would be turned on end in a narrow window
        tickangle=0,
        tickfont={"size": 11},
    )
    return figure


_SCALE = {"accuracy": 100, "loss": 1}
_COLOUR = {1: style.LOST, 0: style.MUTED, -1: style.GAINED}
_SYMBOL = {1: "triangle-down", 0: "circle-open", -1: "triangle-up"}


def _before_and_after(row: pd.Series, measure: Measure) -> str:
    if measure == "accuracy":
        return f"{percent(row['accuracy before'])} {ARROW} {percent(row['accuracy after'])}"
    return f"{row['loss before']:.3f} {ARROW} {row['loss after']:.3f}"


def _hover_text(row: pd.Series, measure: Measure) -> str:
    head = f"<b>{literal(row['slice'])}</b>, {plural(int(row['n']), 'sentence')}<br>"
    if measure == "loss":
        return f"{head}loss {_before_and_after(row, measure)}<br>{change_text(row, measure)}"
    before, after = (
        f"{percent(row[f'accuracy {when}'])}% "
        f"{interval(row[f'accuracy {when} low'], row[f'accuracy {when} high'])}"
        for when in ("before", "after")
    )
    return f"{head}accuracy {before} {ARROW} {after}<br>{change_text(row, measure)}"


def change_text(row: pd.Series, measure: Measure) -> str:
    """A slice's change with its interval; of accuracy also the sentences lost and gained."""
    change, low, high = (row[f"{measure} change{end}"] for end in ("", " low", " high"))
    if measure == "loss":
        return f"{signed(change, 3)} ({signed(low, 3)} … {signed(high, 3)})"
    return (
        f"{signed(100 * change)} points {change_interval(low, high)}<br>"
        f"{int(row['lost'])} lost, {int(row['gained'])} gained"
    )


def slice_label(name: str, sentences: int, longest: int) -> str:
    """A slice's name, cut to so many letters, and how many sentences it has."""
    name = literal(shortened(name, longest))
    return f"{name}  <span style='opacity:.66'>{sentences}</span>"
