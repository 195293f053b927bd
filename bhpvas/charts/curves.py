"""Curves of a headline: methods as lines, chance as a band, a scheme's steps, by heads kept."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from bhpvas.charts import style
from bhpvas.charts.timeline import TimelinePoint
from bhpvas.criteria import CRITERIA
from bhpvas.recovery import RECOVERIES
from bhpvas.search import METHODS
from bhpvas.search.curves import Curve
from bhpvas.search.registry import TO_TARGET
from bhpvas.tasks.base import Metric, Task
from bhpvas.tasks.single_label import ACCURACY
from bhpvas.text import plural

#: How a line is drawn by what followed each removal; without anything it is dotted.
DASHES = {None: "dot", "compensate": "solid"}
SYMBOLS = ("circle", "square", "triangle-up")


def method_title(name: str) -> str:
    """A method's title; a criterion that is followed as it is says so, another name is its own."""
    for registry in (METHODS, TO_TARGET):
        if name in registry:
            return registry[name].title
    return f"{CRITERIA[name].title}, one-shot" if name in CRITERIA else name


def recovery_title(recovery: str | None) -> str:
    """What follows each removal, in a word or two."""
    return "nothing" if recovery is None else RECOVERIES[recovery].title.lower()


def undefined(task: Task) -> str:
    """What is said where a curve has no value."""
    return (
        f"Where the {task.headline.title_in_text} is not defined, as it is where "
        f"{task.undefined_if}, a curve has no point."
    )


def curve_points(curves: Sequence[Curve]) -> pd.DataFrame:
    """Every point of the curves, as :func:`headline_curves` takes them."""
    rows = []
    for curve in curves:
        then = f"then {recovery_title(curve.recovery)}" if curve.recovery else "no compensation"
        line = (curve.method, method_title(curve.method), curve.recovery, then)
        for removed, value in zip(curve.removed, curve.headline, strict=True):
            rows.append((*line, curve.total - removed, value))
    columns = ["method", "title", "recovery", "said", "kept", "headline"]
    return pd.DataFrame(rows, columns=columns)


def line_style(place: int, recovery: str | None) -> dict[str, str]:
    """Colour and dash of a method, by its place among those shown, with a recovery."""
    return {"color": style.LINES[place % len(style.LINES)], "dash": DASHES.get(recovery, "dash")}


def headline_curves(
    points: pd.DataFrame,
    chance: pd.DataFrame | None,
    steps: Sequence[TimelinePoint],
    *,
    names: Sequence[str],
    all_heads: int,
    sentences: int,
    metric: Metric = ACCURACY,
    height: int = 420,
) -> go.Figure:
    """Draw each method's headline against the number of heads kept, which runs down to the right.

    ``points`` has one row a point: ``method``, ``title``, ``recovery`` (None: without one),
    ``said`` (what followed each removal), ``kept``, ``headline``, a value of the ``metric``.
    Colours follow the places of the methods in ``names``. ``chance`` are the quantiles ``low``,
    ``median`` and ``high`` of random orders by ``kept``, ``steps`` those of a scheme. ``all_heads``
    and ``sentences`` are how many there are, ``height`` is in pixels.
    """
    figure = style.blank(height=height, margin=(48, 14, 12, 42))
    if chance is not None:
        _band(figure, chance, metric)
    for (method, recovery), line in points.groupby(
        ["method", "recovery"], sort=False, dropna=False
    ):
        recovery = None if pd.isna(recovery) else recovery
        place = list(names).index(method)
        look = line_style(place, recovery)
        symbol = SYMBOLS[place // len(style.LINES) % len(SYMBOLS)]
        figure.add_scatter(
            x=line["kept"],
            y=metric.scale * line["headline"],
            mode="lines+markers",
            line={**look, "width": 2.2},
            marker={"size": 6, "symbol": symbol, "color": look["color"]},
            **style.says(
                f"<b>{row.title}</b>, {row.said}<br>{row.kept} of {plural(all_heads, 'head')} kept"
                f"<br>{metric.title_in_text} {metric.value_text(row.headline)}, "
                f"{plural(sentences, 'sentence')}"
                for row in line.itertuples()
            ),
            name=f"{method} {recovery or 'none'}",
        )
    figure.add_scatter(
        x=[step.kept for step in steps],
        y=[metric.scale * step.headline.value for step in steps],
        mode="markers",
        marker={
            "symbol": "diamond",
            "size": [14 if step.current else 10 for step in steps],
            "color": [style.SELECTED if step.on_path else style.MUTED for step in steps],
            "line": {"width": 1.5, "color": style.EDGE},
        },
        **style.says(
            f"<b>{step.what}</b><br>{step.hover(all_heads, sentences, metric)}" for step in steps
        ),
        cliponaxis=False,
        name="steps",
    )
    figure.update_xaxes(
        **style.axis("heads kept", 10, grid=False), range=[all_heads * 1.02, -all_heads * 0.02]
    )
    values = [*points["headline"], *(step.headline.value for step in steps)]
    if chance is not None:
        values += [*chance["low"], *chance["high"]]
    figure.update_yaxes(**style.axis(metric.axis, 8), range=style.reach(metric, values, room=2))
    return figure


def _band(figure: go.Figure, chance: pd.DataFrame, metric: Metric) -> None:
    for name, end in (("high", None), ("low", "tonexty")):
        figure.add_scatter(
            x=chance["kept"],
            y=metric.scale * chance[name],
            mode="lines",
            line={"width": 1, "color": style.FAINT},
            fill=end,
            fillcolor=style.BAND,
            hoverinfo="skip",
            name=f"chance {name}",
        )
    figure.add_scatter(
        x=chance["kept"],
        y=metric.scale * chance["median"],
        mode="lines",
        line={"width": 1.5, "color": style.MUTED},
        **style.says(
            f"<b>Random orders</b><br>{row.kept} heads kept<br>{metric.title_in_text} "
            f"{metric.value_text(row.median)}, 5 to 95%: {metric.interval_text(row.low, row.high)}"
            for row in chance.itertuples()
        ),
        name="chance median",
    )
