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
    texts = [_before_and_after(row, measure) for _, row in order.iterrows()]
    figure = _rows(
        order,
        scale * order[f"{measure} change"],
        scale * order[f"{measure} change low"],
        scale * order[f"{measure} change high"],
        marker={
            "color": [_COLOUR[int(sign)] for sign in order["worse"]],
            "symbol": [_SYMBOL[int(sign)] for sign in order["worse"]],
        },
        texts=texts,
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
    figure = style.blank(
        height=_ROW * len(order) + _TOP + _BOTTOM, margin=(_LABELS, _NUMBERS, _TOP, _BOTTOM)
    )
    names = [str(name) for name in order["slice"]]
    figure.add_scatter(
        x=value,
        y=names,
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (high - value).fillna(0),
            "arrayminus": (value - low).fillna(0),
            "thickness": 1.2,
            "width": 3,
            "color": style.MUTED,
        },
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
            f"{literal(shortened(name, _LONGEST_NAME))}  <span style='opacity:.66'>{int(n)}</span>"
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
        return (
            f"{head}loss {row['loss before']:.3f} {ARROW} {row['loss after']:.3f}<br>"
            f"{signed(row['loss change'], 3)} "
            f"({signed(row['loss change low'], 3)} … {signed(row['loss change high'], 3)})"
        )
    intervals = (
        interval(row[f"accuracy {when} low"], row[f"accuracy {when} high"])
        for when in ("before", "after")
    )
    before, after = intervals
    return (
        f"{head}accuracy {percent(row['accuracy before'])}% {before} {ARROW} "
        f"{percent(row['accuracy after'])}% {after}<br>"
        f"{signed(100 * row['accuracy change'])} points "
        f"{change_interval(row['accuracy change low'], row['accuracy change high'])}<br>"
        f"{int(row['lost'])} lost, {int(row['gained'])} gained"
    )
