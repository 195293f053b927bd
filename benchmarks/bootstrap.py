"""How often bootstrap intervals of the headlines of scores and several labels hold the true value.

``python -m benchmarks.bootstrap``. Samples of n sentences are drawn from distributions whose
headline is known from a million of them, and its interval is asked whether it holds that value;
besides, two equally good models are compared, and counted is how often the paired test finds
a difference at 0.05. It takes a few minutes.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels

#: Sentences of a sample.
SENTENCES = (30, 100, 300, 1000)
_TRUTH = 1_000_000

TASKS: dict[str, Task] = {
    "score": Score(("score",)),
    "probability": Score(("score",), "sigmoid"),
    "labels": SeveralLabels(("common", "rare", "rarer")),
}


def drawn(kind: str, n: int, rng: np.random.Generator, models: int = 1) -> list[np.ndarray]:
    """Labels, and the logits of so many models that are equally good: of n sentences."""
    labels: np.ndarray
    if kind == "labels":
        labels = rng.random((n, 3)) < (0.4, 0.1, 0.05)
        centre = 2.0 * labels - 1
    elif kind == "score":
        labels = rng.integers(10, 51, n) / 10.0
        centre = labels[:, None]
    else:
        labels = (rng.random(n) < 0.3).astype(float)
        centre = 2.0 * labels[:, None] - 1
    return [labels, *(centre + rng.normal(size=centre.shape) for _ in range(models))]


def coverage(kind: str, n: int, samples: int, seed: int) -> dict[str, float]:
    """The share of samples in which the interval holds the true value, and in which the paired test
    finds a difference of two equally good models.
    """
    rng, task = np.random.default_rng(seed), TASKS[kind]
    labels, logits = drawn(kind, _TRUTH, rng)
    truth, held, found = task.headline_value(logits, labels), 0, 0
    for _ in range(samples):
        labels, one, other = drawn(kind, n, rng, models=2)
        measured = task.headline_measured(one, labels)
        held += measured.low <= truth <= measured.high
        found += task.change(one, other, labels).p <= 0.05
    return {"held": held / samples, "differences found": found / samples}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows = [
        {"task": kind, "sentences": n, **coverage(kind, n, given.samples, given.seed)}
        for kind in TASKS
        for n in SENTENCES
    ]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda x: f"{x:.3f}", na_rep=""))
    error = (0.05 * 0.95 / given.samples) ** 0.5
    print(f"Standard error of a share near 0.95 or 0.05: {error:.3f}")


if __name__ == "__main__":
    main()
