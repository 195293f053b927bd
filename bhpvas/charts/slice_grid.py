"""Slice grid: what several models change in each slice, the worst on top."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.charts.slices import change_text, slice_label
from bhpvas.stats import SIGNIFICANT
from bhpvas.tasks.base import Metric, Task
from bhpvas.text import literal, p_value, plural, signed

_ROW, _TOP, _LEFT = 28, 26, 128
_LONGEST_NAME = 17
#: The largest change that a colour tells apart: points of a share, and what is no share.
_LEAST_REACH = {True: 1.0, False: 0.02}


def slice_grid(tables: Mapping[str, pd.DataFrame], task: Task, metric: Metric) -> go.Figure:
    """Draw the change of a metric, the task's headline or its loss, of every slice under every
    model.

    ``tables`` are slice tables of the same slices by the models' names. Red lost, blue gained; a
    dot marks a change of the headline that the task's test, corrected for the number of slices,
    bears out. Slices are ordered by their mean change, the worst hit on top.
    """
    scale, first = metric.scale, next(iter(tables.values()))
    changes = np.array([scale * table[f"{metric.name} change"] for table in tables.values()]).T
    worth = changes.mean(1) * (1 if metric.higher_is_better else -1)
    order = np.argsort(worth, kind="stable")
    names = [str(first["slice"].iloc[row]) for row in order]
    shown = changes[order]
    reach = max(float(np.nan_to_num(np.abs(shown)).max()), _LEAST_REACH[metric.share])
    figure = style.blank(height=_ROW * len(names) + _TOP + 6, margin=(_LEFT, 6, _TOP, 6))
    digits = 1 if metric.share else 3
    rows, columns = list(range(len(names))), list(range(len(tables)))
    figure.add_heatmap(
        z=shown,
        x=columns,
        y=rows,
        colorscale=style.CHANGES,
        reversescale=not metric.higher_is_better,
        zmid=0,
        zmin=-reach,
        zmax=reach,
        showscale=False,
        xgap=3,
        ygap=3,
        **style.says(
            [_hover_text(table.iloc[row], name, task, metric) for name, table in tables.items()]
            for row in order
        ),
        name="changes",
    )
    tested = metric == task.headline
    figure.add_scatter(
        x=columns * len(rows),
        y=[row for row in rows for _ in columns],
        **style.words(
            (
                signed(change, digits)
                + (" •" if tested and table["p"].iloc[place] <= SIGNIFICANT else "")
                for place, cells in zip(order, shown, strict=True)
                for change, table in zip(cells, tables.values(), strict=True)
            ),
            12,
        ),
        name="numbers",
    )
    figure.update_xaxes(
        **style.ticks(list(tables), 12), range=[-0.5, len(columns) - 0.5], side="top"
    )
    labels = [
        slice_label(name, int(first["n"].iloc[row]), _LONGEST_NAME)
        for name, row in zip(names, order, strict=True)
    ]
    figure.update_yaxes(
        **style.ticks(labels, 12), range=[len(names) - 0.5, -0.5], ticklabelstandoff=6
    )
    return figure


def _hover_text(row: pd.Series, model: str, task: Task, metric: Metric) -> str:
    n = plural(int(row["n"]), "sentence")
    head = f"<b>{literal(str(row['slice']))}</b> under {literal(model)}, {n}<br>"
    said = change_text(row, task, metric)
    if metric != task.headline:
        return f"{head}{metric.title_in_text} {said}"
    return f"{head}{said}, {p_value(float(row['p']))}"
