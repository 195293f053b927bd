"""A step: which of its metrics count as measured."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.tasks.single_label import SingleLabel
from tests.scheme.trees import started


@pytest.mark.parametrize(
    "change",
    [
        {"data_fingerprint": "other"},
        {"accuracy": None},
        {"accuracy": "high"},
        {"accuracy": True},
        {"accuracy": float("nan")},
        {"accuracy": 1.5, "accuracy_interval": [0.4, 1.6]},
        {"accuracy_interval": None},
        {"accuracy_interval": [0.4]},
        {"accuracy_interval": "46"},
        {"accuracy_interval": [0.6, 0.4]},
        {"accuracy_interval": [0.51, 0.6]},
        {"accuracy_interval": [-0.1, 0.6]},
        {"n": None},
        {"n": 0},
        {"loss": "low"},
        {"flops_per_sentence": 10**400},
        {"parameters": [1]},
    ],
    ids=str,
)
def test_metrics_that_no_evaluation_leaves_are_none(change: dict[str, Any]):
    metrics = {"data_fingerprint": "here", "accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "n": 9}
    step = started(metrics=metrics).step(0)
    assert step.measured_on("here")
    assert replace(step, metrics=step.metrics | {"loss": 0.7, "f1": None}).measured_on("here")
    assert not replace(step, metrics=step.metrics | change).measured_on("here")
    for name in metrics:
        less = {key: value for key, value in metrics.items() if key != name}
        assert not replace(step, metrics=less).measured_on("here")


#: Metrics of a score, as a step keeps them.
SCORED: dict[str, Any] = {
    "data_fingerprint": "here",
    "n": 9,
    "accuracy": None,
    "accuracy_interval": None,
    "loss": 0.5,
    "task": "regression",
    "headline": "pearson",
    "metrics": {
        "pearson": {"value": -0.5, "interval": [-0.7, 0.1]},
        "mse": {"value": 40.0, "interval": None},
        "spearman": {"value": None, "interval": None},
    },
}


def test_metrics_of_another_task_count_by_their_names():
    step = started(metrics=SCORED).step(0)
    assert step.measured_on("here") and step.measured_on("here", Score(("warmth",)))
    assert step.headline == (-0.5, -0.7, 0.1)
    assert not step.measured_on("here", SingleLabel(("a", "b")))
    undefined = SCORED | {"headline": "spearman"}
    assert started(metrics=undefined).step(0).measured_on("here")
    assert np.isnan(started(metrics=undefined).step(0).headline).all()


def test_metrics_of_another_threshold_do_not_count():
    known = SCORED | {"task": SeveralLabels.name}
    task = SeveralLabels(("a", "b"))
    other = task.with_threshold(0.3)
    step = started(metrics=known | {"setting": other.setting}).step(0)
    assert step.measured_on("here", other) and not step.measured_on("here", task)
    assert started(metrics=known).step(0).measured_on("here", task)


@pytest.mark.parametrize(
    "change",
    [
        {"headline": None},
        {"headline": ["pearson"]},
        {"headline": "f1"},
        {"metrics": None},
        {"metrics": {}},
        {"metrics": {"pearson": 0.5}},
        {"metrics": {"pearson": {"value": "high", "interval": None}}},
        {"metrics": {"pearson": {"value": 0.5, "interval": [0.6, 0.7]}}},
        {"metrics": {"pearson": {"value": None, "interval": [0.6, 0.7]}}},
        {"metrics": {"pearson": {"value": 0.5, "interval": "46"}}},
        {"metrics": SCORED["metrics"] | {"mse": [1]}},
        {"n": 0},
    ],
    ids=str,
)
def test_metrics_by_name_that_no_evaluation_leaves_are_none(change: dict[str, Any]):
    assert not started(metrics=SCORED | change).step(0).measured_on("here")
