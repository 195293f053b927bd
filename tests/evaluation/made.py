"""Evaluations made by hand or at random, for the tests of this room."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.heads import HeadMask
from bhpvas.tasks.single_label import SingleLabel

MASK = HeadMask(2, 4)


def evaluation(labels, predictions, names=("no", "yes"), tags=None, part=None, **changes):
    logits = np.eye(len(names), dtype=np.float32)[np.asarray(predictions, dtype=int)]
    whole = Evaluation(
        MASK, "toy", logits, np.asarray(labels), SingleLabel(tuple(names)), tags, part
    )
    return replace(whole, **changes)


def random_evaluations(classes: st.SearchStrategy[int]) -> st.SearchStrategy[Evaluation]:
    @st.composite
    def draw_one(draw: Callable) -> Evaluation:
        c, n = draw(classes), draw(st.integers(1, 40))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        logits = (draw(st.sampled_from([0.1, 1, 30])) * rng.normal(size=(n, c))).astype(np.float32)
        names = tuple(f"label {number}" for number in range(c))
        return Evaluation(MASK, "random", logits, rng.integers(c, size=n), SingleLabel(names))

    return draw_one()
