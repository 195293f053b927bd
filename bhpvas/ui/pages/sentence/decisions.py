"""Decisions on one sentence, whatever the task: what is answered, what moved, what heads speak for.

A label with its probability; a score; a set of labels with the probability of the one of them that
is explained.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from bhpvas import text
from bhpvas.charts import style
from bhpvas.interpret.sentence import Contributions
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.ui.widgets import answers


def cell(task: Task, name: str, logits: np.ndarray, label: int, before: np.ndarray | None) -> str:
    """What a model called ``name`` answers by its logits ``[C]``, as HTML, and how what is
    explained, the output ``label``, moved from the logits ``before``.
    """
    (said,) = task.words(task.answers(logits)[None])
    if isinstance(task, Score):
        now, was = _value(task, logits), None if before is None else _value(task, before)
        moved = "" if was is None else f"<small>{answers.movement(now - was)}</small>"
        return _box(name, f"{escape(said)}{moved}")
    share, named = _chance(task, logits, label), escape(task.label_names[label])
    moved = ""
    if before is not None:
        points = text.signed(100 * (share - _chance(task, before, label)))
        moved = f"<small>{named} {points} points</small>"
    if isinstance(task, SeveralLabels):
        if before is None:
            moved = f"<small>{named} {100 * share:.1f}%</small>"
        return _box(name, f"{escape(said)}{moved}", _bar(share, label))
    answer = int(np.argmax(logits))
    own = _chance(task, logits, answer)
    return _box(name, f"{_dot(answer)}{escape(said)} {100 * own:.1f}%{moved}", _bar(own, answer))


def truth(task: Task, label: Any) -> str:
    """The label in the data, as HTML."""
    (said,) = task.words(np.asarray(label)[None])
    plain = isinstance(task, Score | SeveralLabels)
    return _box("Label in the data", f"{'' if plain else _dot(int(label))}{escape(said)}")


def towards(task: Task, label: int) -> str:
    """What heads and words speak for."""
    return "a higher score" if isinstance(task, Score) else task.label_names[label]


def bars(task: Task, name: str) -> str:
    """How to read bars over words of what they speak for, called ``name``."""
    if isinstance(task, Score):
        return "up raises the score, down lowers it."
    return f"up speaks for {name or 'the answer'}, down against."


def colours(task: Task, label: int | None) -> str:
    """How to read the colours of heads."""
    if isinstance(task, Score):
        return "Blue: raises the score. Red: lowers it."
    if isinstance(task, SeveralLabels) and label is not None:
        name = text.verbatim(task.label_names[label])
        return f"Blue: speaks for {name}. Red: against it."
    return "Blue: speaks for the answer. Red: against it."


def unit(task: Task) -> str:
    """What contributions are in."""
    return "score" if isinstance(task, Score) and task.activation == "identity" else "log-odds"


def without(found: Contributions, at: tuple[int, int]) -> str:
    """What a contribution is of, and what is answered without the head at a place."""
    task, label = found.task, found.label
    logits = found.logits, found.removed_logits[at]
    if isinstance(task, Score):
        now, then = (f"{_value(task, one):.4g}" for one in logits)
        of = "to the score" if unit(task) == "score" else "log-odds of the score"
        return f"{of}<br>without it: {now} {text.ARROW} {then}"
    now, then = (text.percent(_chance(task, one, label)) for one in logits)
    name = text.literal(task.label_names[label])
    return f"log-odds for {name}<br>without it: {name} {now} {text.ARROW} {then}%"


def _value(task: Score, logits: np.ndarray) -> float:
    """The score."""
    return float(task.answers(logits))


def _chance(task: Task, logits: np.ndarray, label: int) -> float:
    """The probability of a label."""
    values = logits.astype(np.float64)
    share = expit(values[label]) if isinstance(task, SeveralLabels) else softmax(values)[label]
    return float(share)


def _box(name: str, said: str, bar: str = "") -> str:
    return f'<div class="answer"><span>{escape(name)}</span><b>{said}</b>{bar}</div>'


def _bar(share: float, label: int) -> str:
    width = f"width: {100 * share:.1f}%; background: {style.class_colour(label)}"
    return f'<s><u style="{width}"></u></s>'


def _dot(label: int) -> str:
    return f'<i style="background: {style.class_colour(label)}"></i>'
