"""A step: which of its metrics count as measured."""

from dataclasses import replace
from typing import Any

import pytest

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
