"""Charts of other tasks than one label out of several: titles, scales, words, gaps."""

from __future__ import annotations

import json
from math import nan
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bhpvas.charts.curves import headline_curves
from bhpvas.charts.scheme_tree import TreeStep, scheme_tree
from bhpvas.charts.slice_grid import slice_grid
from bhpvas.charts.slices import slice_changes, slice_levels
from bhpvas.charts.step_texts import steps_table
from bhpvas.charts.timeline import TimelinePoint, timeline
from bhpvas.charts.training_curves import training_curves
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.evaluation.slices import Grouping, slice_table
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.tasks.base import Measured
from bhpvas.tasks.score import Score
from tests.scheme.trees import started

TASK = Score(("warmth",))
METRIC = TASK.headline


def words(figure: go.Figure) -> str:
    """All that a figure says, on its axes, in its marks and where the pointer stands."""
    return json.dumps(json.loads(figure.to_json()), ensure_ascii=False)


def trace(figure: go.Figure, name: str) -> Any:
    """The trace of this name."""
    return next(one for one in figure.data if one.name == name)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Scores that get worse in the first slice; in the last all labels are the same."""
    rng = np.random.default_rng(0)
    labels = np.r_[rng.normal(size=40), np.ones(5)]
    logits = (labels + 0.3 * rng.normal(size=45))[:, None].astype(np.float32)
    worse = logits.copy()
    worse[:20] = rng.normal(size=(20, 1))
    made = [Evaluation(HeadMask(2, 4), "made", one, labels, TASK) for one in (logits, worse)]
    codes = np.r_[np.repeat([0, 1], 20), np.full(5, 2)]
    return slice_table(Grouping("Tag", ("first", "second", "same"), codes), *made)


def test_a_slice_has_the_headline_where_it_is_defined(table: pd.DataFrame) -> None:
    rows = table.set_index("slice")
    assert rows.loc["first", "pearson change"] < -0.3
    assert rows.loc["second", "pearson change"] == 0 and rows.loc["second", "p"] == 1
    assert np.isnan(rows.loc["same", ["pearson before", "pearson change", "p"]].astype(float)).all()
    assert rows["loss change"].notna().all()


def test_slices_say_what_is_not_defined(table: pd.DataFrame) -> None:
    changes = slice_changes(table, TASK, METRIC)
    assert list(changes.data[0].y) == ["first", "second", "same"]
    assert changes.layout.xaxis.title.text == "change of Pearson correlation"
    assert "not defined → not defined" in [note.text for note in changes.layout.annotations]
    assert "farther from their labels" in words(changes)
    assert slice_changes(table, TASK, TASK.metric("loss")).layout.xaxis.title.text == (
        "change of loss, squared error"
    )
    assert "not defined" in words(slice_levels(table, TASK, METRIC))
    grid = slice_grid({"A": table}, TASK, METRIC)
    for one in (changes, grid):
        assert "ccuracy" not in words(one) and " points" not in words(one)
        assert "nan" not in words(one).lower()


def test_steps_stand_where_their_headline_is() -> None:
    steps = [
        TreeStep(0, None, "start", 8, "start", Measured(0.5, -0.1, 0.8)),
        TreeStep(1, 0, "remove", 0, "removed 8", Measured(nan), current=True),
    ]
    tree = scheme_tree(steps, METRIC)
    low, high = tree.layout.xaxis3.range
    assert -0.2 < low < -0.1 and 0.8 < high < 0.9
    assert tree.layout.xaxis3.ticksuffix == ""
    shown = [text.partition("<br>")[0] for text in trace(tree, "texts").text]
    assert shown == ["<b>8</b> · 0.500 (−0.100 to 0.800)", "<b>0</b> · not defined"]
    points = [
        TimelinePoint(0, None, 8, Measured(0.5, -0.1, 0.8), "start"),
        TimelinePoint(1, 0, 0, Measured(nan), "none"),
    ]
    drawn = timeline(points, all_heads=8, sentences=9, metric=METRIC)
    assert drawn.layout.yaxis.title.text == "Pearson correlation"
    assert "Pearson correlation 0.500" in words(drawn) and "not defined" in words(drawn)
    assert trace(drawn, "steps").y[0] == 0.5


def test_curves_end_where_nothing_is_defined() -> None:
    points = pd.DataFrame(
        [("importance", "Importance", None, "no compensation", 8, 0.4),
         ("importance", "Importance", None, "no compensation", 0, nan)],
        columns=["method", "title", "recovery", "said", "kept", "headline"],
    )  # fmt: skip
    drawn = headline_curves(
        points, None, [], names=["importance"], all_heads=8, sentences=9, metric=METRIC
    )
    assert drawn.layout.yaxis.range == pytest.approx([0.39, 0.41])
    assert "Pearson correlation 0.400, 9 sentences" in words(drawn)


def test_a_training_has_its_headline() -> None:
    course = [
        {"step": 0, "training_loss": None, "loss": 1.0, "accuracy": None, "headline": None},
        {"step": 5, "training_loss": 0.9, "loss": 0.8, "accuracy": None, "headline": 0.25},
    ]
    drawn = training_curves(course, steps=5, best=5, metric=METRIC)
    assert drawn.layout.yaxis2.title.text == "Pearson correlation"
    assert "held-out Pearson correlation not defined" in words(drawn)
    assert list(drawn.data[-1].y)[1] == 0.25


def test_the_table_of_steps_has_every_metric_by_its_name() -> None:
    scheme = started().removing(parse_heads("L0H1"))
    found = Measured(0.5, 0.1, 0.8).record()
    known = {"accuracy": None, "headline": "pearson", "metrics": {"pearson": found, "mse": found}}
    table = steps_table(scheme, {0: known}, metric=METRIC).set_index("step")
    assert list(table.loc[0, ["pearson", "pearson_low", "mse_high"]]) == [0.5, 0.1, 0.8]
    assert np.isnan(table.loc[1, "pearson"]) and "accuracy" not in table
