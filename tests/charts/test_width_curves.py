"""Curves of widths: the measured points as they are, and what lies between them called about so."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from bhpvas.charts import style
from bhpvas.charts.width_curves import HEADLINE, width_cost, width_curves
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.evaluation.widths import WidthCurves
from bhpvas.heads import HeadMask
from bhpvas.tasks.single_label import SingleLabel

CURVES = WidthCurves(
    baseline=Evaluation(
        HeadMask(2, 4),
        "some",
        np.zeros((2, 2), np.float32),
        np.array([0, 1]),
        SingleLabel(("a", "b")),
        None,
    ),
    order=(np.arange(16), np.arange(8)),
    kept=(np.array([16, 8, 0]), np.array([8, 0])),
    loss_change=(np.array([0, 0.1, 0.3]), np.array([0, -0.2])),
    headline_change=(np.array([0, -0.01, -0.05]), np.array([0, 0.0])),
    width=16,
)


def trace(figure: go.Figure, name: str) -> Any:
    (found,) = [one for one in figure.data if one.name == name]
    return found


def test_a_layer_is_drawn_as_it_was_measured() -> None:
    figure = width_curves(CURVES, {0: 12})
    assert list(trace(figure, "L0F").x) == [16, 8, 0]
    assert list(trace(figure, "L0F").y) == [0, 0.1, 0.3]
    points = trace(width_curves(CURVES, {0: 12}, measure=HEADLINE), "L0F")
    assert list(points.y) == pytest.approx([0, -1, -5])
    assert trace(figure, "L1F").line.color == style.FAINT, "not selected"
    assert [one.name for one in figure.data if one.showlegend] == ["L0F"]


def test_the_chosen_width_lies_on_the_curve() -> None:
    chosen = trace(width_curves(CURVES, {0: 12, 1: 0}), "to be kept")
    assert list(chosen.x) == [12, 0] and list(chosen.y) == pytest.approx([0.05, -0.2])
    wider = trace(width_curves(CURVES, {1: 12}), "to be kept")
    assert list(wider.x) == [], "what comes back is not on it"


def test_what_was_measured_is_told_from_what_lies_between() -> None:
    assert width_cost(CURVES, 0, 8) == "loss +0.100, accuracy −1.0 points"
    assert width_cost(CURVES, 0, 4) == "about loss +0.200, accuracy −3.0 points"
    assert width_cost(CURVES, 1, 0) == "loss −0.200, accuracy 0.0 points"
