"""Slice changes: what a mask does to each slice, with its interval, worst first."""

from __future__ import annotations

from math import isnan

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.tasks.base import Measured, Metric, Task, measured_text
from bhpvas.text import ARROW, MINUS, literal, plural, shortened

_ROW = 25
_LABELS, _NUMBERS, _TOP, _BOTTOM = 132, 104, 8, 40
_LONGEST_NAME = 18


def slice_changes(table: pd.DataFrame, task: Task, metric: Metric) -> go.Figure:
    """Draw the change of a metric, the task's headline or its loss, of every row of a slice table.

    One row a slice, the worst hit on top: its name and size, the change with its 95% interval, and
    what it was and is. Red dots and triangles down lost, blue ones and triangles up gained; hollow
    dots did not change. Every point carries the slice's name as custom data.
    """
    name, scale = metric.name, metric.scale
    worse = np.sign(table[f"{name} change"].fillna(0)) * (-1 if metric.higher_is_better else 1)
    # Of equals the one whose loss rises most, as in bhpvas.evaluation.slices.worst_hit.
    order = table.assign(worse=worse).sort_values(
        [f"{name} change", "loss change"], ascending=[metric.higher_is_better, False]
    )
    figure = _rows(
        order,
        *(scale * order[f"{name} change{end}"] for end in ("", " low", " high")),
        marker={
            "color": [_COLOUR[int(sign)] for sign in order["worse"]],
            "symbol": [_SYMBOL[int(sign)] for sign in order["worse"]],
        },
        texts=[_before_and_after(row, metric) for _, row in order.iterrows()],
        hover=[_hover_text(row, task, metric) for _, row in order.iterrows()],
        title=metric.change_axis,
    )
    figure.update_xaxes(zeroline=True, zerolinecolor=style.MUTED, zerolinewidth=1)
    return figure


def slice_levels(table: pd.DataFrame, task: Task, metric: Metric) -> go.Figure:
    """Draw a metric, the task's headline (with its 95% interval) or its loss, of every row, the
    worst on top.

    For a scheme that removes nothing: what stands there before anything changes.
    """
    name, headline = metric.name, task.headline
    order = table.sort_values(f"{name} after", ascending=metric.higher_is_better, kind="stable")
    value = metric.scale * order[f"{name} after"]
    known = metric == headline
    low, high = (
        metric.scale * order[f"{name} after {end}"] if known else value for end in ("low", "high")
    )
    return _rows(
        order,
        value,
        low,
        high,
        marker={"color": style.MARK, "symbol": "circle"},
        texts=[_level_text(one, metric) for one in order[f"{name} after"]],
        hover=[
            f"<b>{literal(row['slice'])}</b>, {plural(int(row['n']), 'sentence')}<br>"
            f"{headline.title_in_text} {_measured_text(row, headline, 'after')}<br>"
            f"loss {row['loss after']:.3f}"
            for _, row in order.iterrows()
        ],
        title=metric.axis,
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


_COLOUR = {1: style.LOST, 0: style.MUTED, -1: style.GAINED}
_SYMBOL = {1: "triangle-down", 0: "circle-open", -1: "triangle-up"}


def _level_text(value: float, metric: Metric) -> str:
    """A value beside the others, with as many decimals as they have."""
    return (
        metric.value_text(value)
        if metric.share or isnan(value)
        else f"{value:.3f}".replace("-", MINUS)
    )


def _measured_text(row: pd.Series, metric: Metric, when: str) -> str:
    ends = (row[f"{metric.name} {when}{end}"] for end in ("", " low", " high"))
    return measured_text(metric, Measured(*ends))


def _before_and_after(row: pd.Series, metric: Metric) -> str:
    before, after = (
        _level_text(row[f"{metric.name} {when}"], metric) for when in ("before", "after")
    )
    return f"{before.removesuffix('%')} {ARROW} {after.removesuffix('%')}"


def _hover_text(row: pd.Series, task: Task, metric: Metric) -> str:
    head = f"<b>{literal(row['slice'])}</b>, {plural(int(row['n']), 'sentence')}<br>"
    head += f"{metric.title_in_text} "
    if metric != task.headline:
        return f"{head}{_before_and_after(row, metric)}<br>{change_text(row, task, metric)}"
    before, after = (_measured_text(row, metric, when) for when in ("before", "after"))
    return f"{head}{before} {ARROW} {after}<br>{change_text(row, task, metric)}"


def change_text(row: pd.Series, task: Task, metric: Metric) -> str:
    """A slice's change with its interval; of the headline also the sentences lost and gained."""
    change, low, high = (row[f"{metric.name} change{end}"] for end in ("", " low", " high"))
    said = f"{metric.change_text(change)} {metric.change_interval_text(low, high)}".rstrip()
    if metric != task.headline:
        return said
    lost, gained = task.became
    return f"{said}<br>{int(row['lost'])} {lost}, {int(row['gained'])} {gained}"


def slice_label(name: str, sentences: int, longest: int) -> str:
    """A slice's name, cut to so many letters, and how many sentences it has."""
    name = literal(shortened(name, longest))
    return f"{name}  <span style='opacity:.66'>{sentences}</span>"
