"""Slice grid: what several models change in each slice, the worst on top."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.charts.slices import Measure
from bhpvas.stats import SIGNIFICANT
from bhpvas.text import change_interval, literal, p_value, plural, shortened, signed

_ROW, _TOP, _LEFT = 28, 26, 128
_LONGEST_NAME = 17
#: The largest change that a colour tells apart: points of accuracy, nats of loss.
_LEAST_REACH = {"accuracy": 1.0, "loss": 0.02}


def slice_grid(tables: Mapping[str, pd.DataFrame], measure: Measure = "accuracy") -> go.Figure:
    """Draw the change of accuracy (points) or loss (nats) of every slice under every model.

    ``tables`` are slice tables of the same slices by the models' names. Red lost, blue gained; a
    dot marks a change of accuracy that McNemar's test, corrected for the number of slices, bears
    out. Slices are ordered by their mean change, the worst hit on top.
    """
    scale = 100 if measure == "accuracy" else 1
    first = next(iter(tables.values()))
    changes = np.array([scale * table[f"{measure} change"] for table in tables.values()]).T
    worth = changes.mean(1) * (1 if measure == "accuracy" else -1)
    order = np.argsort(worth, kind="stable")
    names = [str(first["slice"].iloc[row]) for row in order]
    shown = changes[order]
    reach = max(float(np.abs(shown).max()), _LEAST_REACH[measure])
    figure = style.blank(height=_ROW * len(names) + _TOP + 6, margin=(_LEFT, 6, _TOP, 6))
    digits = 1 if measure == "accuracy" else 3
    rows, columns = list(range(len(names))), list(range(len(tables)))
    figure.add_heatmap(
        z=shown,
        x=columns,
        y=rows,
        colorscale=style.CHANGES,
        reversescale=measure == "loss",
        zmid=0,
        zmin=-reach,
        zmax=reach,
        showscale=False,
        xgap=3,
        ygap=3,
        text=[
            [_hover_text(table.iloc[row], name, measure) for name, table in tables.items()]
            for row in order
        ],
        hovertemplate="%{text}<extra></extra>",
        name="changes",
    )
    cells = [(row, column) for row in rows for column in columns]
    figure.add_scatter(
        x=[column for _, column in cells],
        y=[row for row, _ in cells],
        mode="text",
        text=[
            signed(shown[row, column], digits)
            + (
                " •"
                if measure == "accuracy"
                and tables[list(tables)[column]]["p"].iloc[order[row]] <= SIGNIFICANT
                else ""
            )
            for row, column in cells
        ],
        textfont={"size": 12},
        hoverinfo="skip",
        name="numbers",
    )
    figure.update_xaxes(
        side="top",
        tickvals=columns,
        ticktext=list(tables),
        tickfont={"size": 12},
        range=[-0.5, len(columns) - 0.5],
        showgrid=False,
        ticks="",
    )
    figure.update_yaxes(
        range=[len(names) - 0.5, -0.5],
        tickvals=rows,
        ticktext=[
            f"{literal(shortened(name, _LONGEST_NAME))}  "
            f"<span style='opacity:.66'>{int(first['n'].iloc[row])}</span>"
            for name, row in zip(names, order, strict=True)
        ],
        tickfont={"size": 12},
        showgrid=False,
        ticks="",
        ticklabelstandoff=6,
    )
    return figure


def _hover_text(row: pd.Series, model: str, measure: Measure) -> str:
    n = plural(int(row["n"]), "sentence")
    head = f"<b>{literal(str(row['slice']))}</b> under {literal(model)}, {n}<br>"
    if measure == "loss":
        return (
            f"{head}loss {signed(row['loss change'], 3)} "
            f"({signed(row['loss change low'], 3)} … {signed(row['loss change high'], 3)})"
        )
    return (
        f"{head}{signed(100 * row['accuracy change'])} points "
        f"{change_interval(row['accuracy change low'], row['accuracy change high'])}<br>"
        f"{int(row['lost'])} lost, {int(row['gained'])} gained, {p_value(float(row['p']))}"
    )
